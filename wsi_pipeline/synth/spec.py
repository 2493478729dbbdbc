"""What to draw: every setting of a synthetic slide, checked when it is made."""

import math
from dataclasses import dataclass, field
from typing import Literal

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Size
from wsi_pipeline.synth.planting import Plant, Where
from wsi_pipeline.synth.stains import STAINS
from wsi_pipeline.synth.wanted import Wanted

SlideFormat = Literal["tiff", "svs-like"]
"""``tiff``: OpenSlide's generic-tiff. ``svs-like``: what OpenSlide takes for an Aperio slide."""


@dataclass(frozen=True, slots=True)
class SynthSpec:
    """Settings of one synthetic slide; the same settings give the same bytes.

    Raises:
        UsageError: At construction, if a value makes no sense or two contradict each other.
    """

    #: Width and height of level 0 in px.
    size: Size = field(default=Size(20_000, 18_000))
    #: Source of all randomness, 0 or more.
    seed: int = 1
    #: Share of the tissue that is tumour, 0-1, or exact rectangles in level-0 px.
    tumour: Where = 0.12
    #: Further kinds of tissue, each once. They are planted in this order after the tumour; where
    #: two overlap, the later one is drawn and is the truth.
    plants: tuple[Plant, ...] = ()
    #: Name of a stain in :data:`~wsi_pipeline.synth.stains.STAINS`.
    stain: str = "a"
    #: Share of the slide that is tissue, 0.02-0.95.
    tissue: float = 0.35
    #: File format.
    format: SlideFormat = "tiff"
    #: Resolution written into the file, µm per level-0 px. Textures always are drawn for 0.25.
    mpp: float = 0.25
    #: Number of pyramid levels; ``None``: halve until the long side is below 512 px, at most 8.
    levels: int | None = None
    #: Side of a tile in px: 256 or 512.
    tile: int = 512
    #: JPEG quality, 1-100.
    quality: int = 80
    #: Number of tissue folds.
    folds: int = 0
    #: Number of out-of-focus patches.
    blur: int = 0
    #: Number of dust grains and fibres.
    debris: int = 0
    #: Whether to draw marker strokes.
    pen: bool = False
    #: Whether the right and bottom strips are the scanner's black padding.
    padding: bool = False
    #: Further artefacts, drawn over those above.
    artefacts: tuple[Wanted, ...] = ()

    def __post_init__(self) -> None:
        _check(self.size.width >= 64 and self.size.height >= 64, "a slide is at least 64 × 64 px")
        _check(
            self.size.width <= 400_000 and self.size.height <= 400_000,
            "a slide is at most 400,000 px long",
        )
        _check(self.seed >= 0, f"--seed must be 0 or more, not {self.seed}")
        _check(
            self.stain in STAINS, f"no stain is called {self.stain!r}; choose {', '.join(STAINS)}"
        )
        _check(
            0.02 <= self.tissue <= 0.95, f"the tissue's share must be 0.02-0.95, not {self.tissue}"
        )
        _check(
            self.format in ("tiff", "svs-like"),
            f"no format is called {self.format!r}; choose tiff or svs-like",
        )
        _check(
            math.isfinite(self.mpp) and 0.01 <= self.mpp <= 50,
            f"--mpp must be 0.01-50 µm/px, not {self.mpp}",
        )
        _check(self.tile in (256, 512), f"--tile must be 256 or 512, not {self.tile}")
        _check(1 <= self.quality <= 100, f"--quality must be 1-100, not {self.quality}")
        if self.levels is not None:
            most = max(1, min(self.size.width, self.size.height).bit_length())
            _check(
                1 <= self.levels <= most,
                f"--levels must be 1-{most} for a slide of {self.size} px, not {self.levels}",
            )
        for name, count in (("folds", self.folds), ("blur", self.blur), ("debris", self.debris)):
            _check(0 <= count <= 10_000, f"--{name} must be 0-10,000, not {count}")
        kinds = [plant.kind for plant in self.planted]
        _check(
            len(set(kinds)) == len(kinds),
            f"{', '.join(sorted({kind for kind in kinds if kinds.count(kind) > 1}))}: planted more "
            "than once; put all places of a kind together",
        )
        for plant in self.planted:
            self._check_places(plant)
        shares = sum(plant.where for plant in self.planted if not isinstance(plant.where, tuple))
        _check(shares <= 0.95, f"the shares of all kinds together must be 0-0.95, not {shares:.3g}")

    def _check_places(self, plant: Plant) -> None:
        for box in plant.where if isinstance(plant.where, tuple) else ():
            inside = box.x >= 0 and box.y >= 0
            inside = inside and box.right <= self.scanned.width
            inside = inside and box.bottom <= self.scanned.height
            _check(
                box.level == 0 and inside,
                f"the {plant.kind} rectangle {box.x},{box.y},{box.width},{box.height} reaches over "
                f"the slide's {self.scanned} scanned px; move it inside",
            )

    @property
    def planted(self) -> tuple[Plant, ...]:
        """The tumour and all further kinds, in the order in which they are planted."""
        return Plant("tumour", self.tumour), *self.plants

    @property
    def scanned(self) -> Size:
        """The part of level 0, from its top-left corner, that is not scanner padding."""
        if not self.padding:
            return self.size
        # On 64-px borders, where the JPEG blocks of three levels end: black stays black.
        return Size(
            max(64, round(self.size.width * 0.92) // 64 * 64),
            max(64, round(self.size.height * 0.95) // 64 * 64),
        )

    @property
    def level_sizes(self) -> tuple[Size, ...]:
        """Size of every pyramid level; each is half the one before, rounded down."""
        sizes = [self.size]
        limit = self.levels if self.levels is not None else 8
        while len(sizes) < limit:
            last = sizes[-1]
            if self.levels is None and max(last.width, last.height) < 512:
                break
            if min(last.width, last.height) < 2:
                break
            sizes.append(Size(last.width // 2, last.height // 2))
        return tuple(sizes)

    @property
    def suffix(self) -> str:
        """The slide file's suffix: ``.tiff`` or ``.svs``."""
        return ".svs" if self.format == "svs-like" else ".tiff"


def _check(holds: bool, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Raise :class:`UsageError` with the message unless the condition holds."""
    if not holds:
        raise UsageError(message)


def parse_size(text: str) -> Size:
    """Read ``WIDTHxHEIGHT`` in level-0 px; thousands separators and ``×`` are understood.

    Raises:
        UsageError: If the text is not a size.
    """
    parts = text.lower().replace("×", "x").replace(",", "").replace("_", "").split("x")
    try:
        width, height = (int(part) for part in parts)
        return Size(width, height)
    except ValueError:
        raise UsageError(f"{text!r} is not a size; write WIDTHxHEIGHT, as 20000x18000") from None
