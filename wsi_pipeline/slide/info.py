"""What is known of a slide before any pixel is judged."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wsi_pipeline.geometry import Mpp, Region, Size


@dataclass(frozen=True, slots=True)
class Level:
    """One pyramid level: its size in its own px, and level-0 px per level px."""

    size: Size
    downsample: float

    def __post_init__(self) -> None:
        if not self.downsample >= 1:
            raise ValueError(f"a downsample is at least 1, not {self.downsample}")


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """Facts of one slide as its file states them.

    Attributes:
        path: The file that is opened (one of them, if the slide has several).
        vendor: Format as OpenSlide names it (``aperio``, ``hamamatsu``, …) ``ome-tiff``,
            ``tiff-subifd``, ``tiff``, ``png`` or ``jpeg``.
        levels: Finest first.
        mpp: µm per level-0 px as the file states it, whether plausible or not; None if absent.
        objective: Nominal magnification of the scan, if stated.
        bounds: The scanned area in level-0 px, where the file limits it.
        warnings: Oddities a person should see; none of them prevents an analysis.
        colours_corrected: Why the pixels are decoded otherwise than the file says; empty where
            they are not.
    """

    path: Path
    vendor: str
    levels: tuple[Level, ...]
    mpp: Mpp | None
    objective: float | None = None
    bounds: Region | None = None
    warnings: tuple[str, ...] = field(default=())
    colours_corrected: str = ""

    @property
    def size(self) -> Size:
        """Size in level-0 px."""
        return self.levels[0].size

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; :meth:`from_json` is the inverse."""
        return asdict(self) | {"path": str(self.path)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "SlideInfo":
        """Rebuild what :meth:`to_json` gave."""
        mpp, bounds = value["mpp"], value["bounds"]
        return cls(
            path=Path(value["path"]),
            vendor=value["vendor"],
            levels=tuple(Level(Size(**lv["size"]), lv["downsample"]) for lv in value["levels"]),
            mpp=None if mpp is None else Mpp(**mpp),
            objective=value["objective"],
            bounds=None if bounds is None else Region(**bounds),
            warnings=tuple(value["warnings"]),
            # What was kept by versions that corrected none lacks it.
            colours_corrected=value.get("colours_corrected", ""),
        )


def nominal_downsample(stated: float, level: Size, level_0: Size) -> float:
    """The downsample a scanner meant by a level of this size.

    Level sizes are rounded to whole px, so the ratio of sizes that OpenSlide states (4.016 for
    250 → 62 px) drifts by up to a px over the level. Where an integer explains both sizes to
    within their rounding, that integer is the truth.

    Args:
        stated: Level-0 px per level px as the reader states it.
        level: Size of the level (level px).
        level_0: Size of level 0 (level-0 px).
    """
    whole = round(stated)
    explained = all(
        abs(full / whole - part) <= 1
        for full, part in ((level_0.width, level.width), (level_0.height, level.height))
    )
    # Padded levels (Philips) are longer than their content; there the statement itself is exact.
    return float(whole) if explained or abs(stated - whole) < 1e-6 else stated
