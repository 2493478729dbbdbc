"""The laboratories' stains: what colour a concentration of haematoxylin and eosin has."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Steps of the colour table per unit of stain concentration; the table ends at 255 steps.
STEPS_PER_UNIT = 96.0


@dataclass(frozen=True, slots=True)
class Stain:
    """One laboratory's staining and scanner, in optical density.

    A pixel with haematoxylin ``h`` and eosin ``e`` has, per channel, the transmittance
    ``glass * exp(-(h * haematoxylin + e * eosin))``.
    """

    #: Name used in file metadata and messages.
    name: str
    #: Optical density of one unit of haematoxylin in R, G, B (natural logarithm).
    haematoxylin: tuple[float, float, float]
    #: Optical density of one unit of eosin in R, G, B.
    eosin: tuple[float, float, float]
    #: Colour of empty glass, 0-255 sRGB.
    glass: tuple[float, float, float]

    def table(self) -> npt.NDArray[np.uint8]:
        """Colours by quantised concentrations: uint8 (256 * 256, 3), row ``h * 256 + e``."""
        steps = np.arange(256) / STEPS_PER_UNIT
        density = (
            steps[:, None, None] * np.asarray(self.haematoxylin)
            + steps[None, :, None] * np.asarray(self.eosin)
        )  # fmt: skip
        colours = np.asarray(self.glass) * np.exp(-density)
        return np.asarray(np.rint(colours).reshape(-1, 3), np.uint8)


STAINS: dict[str, Stain] = {
    stain.name: stain
    for stain in (
        # A balanced H&E; a bluer, stronger haematoxylin on cool glass; a redder one on warm glass.
        Stain("a", (0.60, 0.74, 0.31), (0.16, 0.82, 0.46), (242.0, 240.0, 243.0)),
        Stain("b", (0.70, 0.76, 0.30), (0.17, 0.74, 0.38), (236.0, 238.0, 243.0)),
        Stain("c", (0.49, 0.80, 0.42), (0.14, 0.92, 0.60), (245.0, 242.0, 238.0)),
    )
}
"""Ready-made stains ("centres") by name."""
