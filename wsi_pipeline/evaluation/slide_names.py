"""Slides by name: what tables, results and detection files call the same slide."""

from collections.abc import Iterable

#: Endings by which files are known as slides, results or tables; not part of a slide's name.
_ENDINGS = (
    ".zarr.zip", ".zarr", ".csv", ".txt",
    ".tif", ".tiff", ".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".btf", ".vms", ".vmu",
    ".svslide", ".dcm", ".isyntax", ".czi", ".png", ".jpg", ".jpeg",
)  # fmt: skip


def slide_name(text: str) -> str:
    """A slide's name out of a file's: without folders and the endings of slides and tables."""
    name = text.strip().replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    while True:
        lower = name.lower()
        ending = next((end for end in _ENDINGS if lower.endswith(end) and lower != end), None)
        if ending is None:
            return name
        name = name[: -len(ending)]


def slide_key(text: str) -> str:
    """What two names of one slide have in common: :func:`slide_name` in small letters."""
    return slide_name(text).casefold()


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names for a sentence; the first of many, and how many more."""
    every = list(names)
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"
