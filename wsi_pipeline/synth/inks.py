"""The inks of markers."""

PEN_COLOURS = {
    "blue": (0.20, 0.33, 0.72),
    "green": (0.16, 0.55, 0.36),
    "black": (0.16, 0.16, 0.18),
    "red": (0.80, 0.13, 0.17),
    "orange": (0.93, 0.45, 0.10),
    "yellow": (0.95, 0.86, 0.14),
}
"""Share of the light that marker ink lets through, in R, G, B."""
