"""Which tissue lies at every 4 level-0 px of a slide, computed for any window on demand."""

import numpy as np
import numpy.typing as npt

from wsi_pipeline.synth.anatomy import Anatomy
from wsi_pipeline.synth.noise import Plane, fractal_noise, upsample
from wsi_pipeline.synth.planting import KINDS

#: Level-0 px per label.
STEP = 4
#: Textures by the low four bits of a label; the high four bits are the domain.
TISSUES = (
    "glass", "stroma", "fat", "sinus", "cortex", "mantle", "germinal", "paracortex", *KINDS,
)  # fmt: skip
GLASS, STROMA, FAT, SINUS, CORTEX, MANTLE, GERMINAL, PARACORTEX = range(len(TISSUES) - len(KINDS))
#: Labels by class index: what is planted. Of class 0, glass, nothing is drawn.
PLANTED = np.array([GLASS, *range(len(TISSUES) - len(KINDS), len(TISSUES))], np.uint8)
#: Number of domains: areas that each start their textures elsewhere, so no repeat shows.
DOMAINS = 13
_DOMAIN_PX = 3700
_MARGIN_LABELS = 8
#: Period in labels of the fine noise: 4,096 level-0 px.
_PERIOD = 1024

Labels = npt.NDArray[np.uint8]
"""uint8 (height, width): ``domain << 4 | tissue`` per :data:`STEP` level-0 px."""


class Layout:
    """Turns the coarse anatomy into labels; threads may share one."""

    def __init__(self, anatomy: Anatomy, seed: int) -> None:
        self.anatomy = anatomy
        rng = np.random.default_rng([seed, 2])
        shape = anatomy.depth.shape
        cell, unit = anatomy.cell, anatomy.unit

        def coarse(feature_px: float, octaves: int) -> Plane:
            return fractal_noise(rng, shape, max(2.0, feature_px / cell), octaves=octaves)

        self._fields: dict[str, Plane] = {
            "depth": anatomy.depth,
            "follicle": anatomy.follicle,
            "rim": np.minimum(anatomy.planted_distance, 3000.0).astype(np.float32),
            "fat": coarse(6500 * unit, 4),
            "strands": coarse(4200 * unit, 4),
            "medulla": coarse(9000 * unit, 3),
        }
        # Beyond the slide's edges the fields go on as they are: blocks reach over them.
        self._margin = 4
        self._known = tuple(n * cell for n in shape)
        self._fields = {
            name: np.pad(plane, self._margin, mode="edge") for name, plane in self._fields.items()
        }
        # Fine noise, one sample per label.
        self._fine = fractal_noise(rng, (_PERIOD, _PERIOD), 52.0, octaves=4, persistence=0.6)
        self._cords = fractal_noise(rng, (_PERIOD, _PERIOD), 60.0, octaves=3)
        self._warp = [(0.35 * _DOMAIN_PX * coarse(5000, 3)).astype(np.float32) for _ in range(2)]

    def labels(self, left: int, top: int, width: int, height: int, *, step: int = STEP) -> Labels:
        """The labels of a window.

        Args:
            left: Left label column (level-0 px / ``step``). The window may reach over the
                slide's edges but must touch the slide.
            top: Top label row.
            width: Number of columns.
            height: Number of rows.
            step: Level-0 px per label; anything but :data:`STEP` gives a coarser sketch.

        Returns:
            uint8 (height, width).
        """
        # Beyond the slide, past the fields' margin, the last label goes on.
        rows_known, columns_known = (n // step + _MARGIN_LABELS for n in self._known)
        x0, y0 = max(left, -_MARGIN_LABELS), max(top, -_MARGIN_LABELS)
        x1, y1 = min(left + width, columns_known), min(top + height, rows_known)
        if (x0, y0, x1, y1) != (left, top, left + width, top + height):
            inner = self.labels(x0, y0, x1 - x0, y1 - y0, step=step)
            margins = ((y0 - top, top + height - y1), (x0 - left, left + width - x1))
            return np.pad(inner, margins, mode="edge")
        values = {name: self._window(plane, left, top, width, height, step=step)
                  for name, plane in self._fields.items()}  # fmt: skip
        unit = self.anatomy.unit
        rows = (np.arange(top, top + height)[:, None] * step // STEP) % _PERIOD
        columns = (np.arange(left, left + width)[None, :] * step // STEP) % _PERIOD
        fine = self._fine[rows, columns]
        depth = values["depth"] + (34 * fine * max(unit, 0.4))
        if float(depth.max()) < 0:
            return np.zeros((height, width), np.uint8)
        capsule = unit * (150 + 60 * values["medulla"].clip(-1.5, 2))
        strands = np.abs(values["strands"] + 0.04 * fine)
        follicle = values["follicle"] + 22 * unit * fine

        out = np.full((height, width), PARACORTEX, np.uint8)
        out[depth < unit * (2300 + 900 * values["strands"] + 200 * fine)] = CORTEX
        medulla = (values["medulla"] > 0.75) & (depth > 1500 * unit)
        cords = self._cords[rows, columns]
        out[medulla] = CORTEX
        out[medulla & (cords > 0.45)] = SINUS
        out[(strands < 0.035) & (depth < 6500 * unit)] = SINUS
        out[(strands < 0.018) & (depth < 6500 * unit)] = STROMA
        out[(follicle > -150 * unit) & (depth > capsule)] = MANTLE
        out[(follicle > 0) & (depth > capsule)] = GERMINAL
        out[depth < capsule + 75 * unit] = SINUS
        out[depth < capsule] = STROMA
        fat = values["fat"] - np.maximum(depth - 2200 * unit, 0) / (2500 * unit) + 0.05 * fine
        rim = values["rim"] + 25 * unit * fine
        fat -= 2 * np.clip(1 - (rim - 150 * unit) / (500 * unit), 0, 1)
        out[fat > 0.95] = STROMA
        out[fat > 1.05] = FAT
        out[depth < 22] = STROMA
        out[(rim < 110 * unit) & (values["strands"] + 0.6 * fine > 0.0)] = STROMA
        # A seam through fat would cut its membranes: it has one domain.
        out |= np.where(out == FAT, 0, self._domains(left, top, width, height, step) << 4)
        out[depth < 0] = GLASS
        return out

    def _window(
        self, plane: Plane, left: int, top: int, width: int, height: int, *, step: int
    ) -> Plane:
        """One field, interpolated at the window's labels."""
        cell, margin = self.anatomy.cell, self._margin
        scale = step / cell
        x0, y0 = left * scale + margin, top * scale + margin
        x1, y1 = x0 + width * scale, y0 + height * scale
        return upsample(plane, (width, height), (x0, y0, x1, y1))

    def _domains(self, left: int, top: int, width: int, height: int, step: int) -> Labels:
        """Irregular areas of a few thousand px, numbered below :data:`DOMAINS`."""
        # Every eighth label will do; whole eighths, so that windows agree.
        first_row, first_column = top // 8, left // 8
        y = np.arange(first_row, -(-(top + height) // 8)) * 8
        x = np.arange(first_column, -(-(left + width) // 8)) * 8
        scale = step / self.anatomy.cell
        shape = self._warp[0].shape
        rows = np.clip((y * scale).astype(np.intp), 0, shape[0] - 1)[:, None]
        columns = np.clip((x * scale).astype(np.intp), 0, shape[1] - 1)[None, :]
        down = (y[:, None] * step + self._warp[0][rows, columns]) // _DOMAIN_PX
        across = (x[None, :] * step + self._warp[1][rows, columns]) // _DOMAIN_PX
        number = (down.astype(np.int64) * 5 + across.astype(np.int64) * 3) % DOMAINS
        every = number.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        dy, dx = top - 8 * first_row, left - 8 * first_column
        return every[dy : dy + height, dx : dx + width]
