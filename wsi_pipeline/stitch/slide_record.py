"""What a result says of its slide. Lengths in px are of level 0 but where the level is named."""

from dataclasses import dataclass

from wsi_pipeline.geometry import Mpp, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRecord:
    """A level of the slide: its size in px, and level-0 px per px of it."""

    width: int
    height: int
    downsample: float

    @property
    def size(self) -> Size:
        """Of the level, px of the level."""
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRecord:
    """The slide.

    Attributes:
        name: Its file's name without suffix.
        sha256: Of its files.
        vendor: As OpenSlide calls it.
        width: Of level 0, px.
        height: Of level 0, px.
        mpp: µm per level-0 px that the analysis used.
        mpp_source: ``file``, or ``override`` where it was given by hand.
        mpp_file: What the file states; None if nothing.
        levels: The finest first.
        level: Which of them was analysed.
        colours_corrected: Why px were decoded otherwise than the file says; empty where they were
            not, and in results older than this.
    """

    name: str
    sha256: str
    vendor: str = ""
    width: int
    height: int
    mpp: Mpp
    mpp_source: str = "file"
    mpp_file: Mpp | None = None
    levels: tuple[LevelRecord, ...]
    level: int
    colours_corrected: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.level < len(self.levels):
            raise ValueError(f"there is no level {self.level} of {len(self.levels)}")

    @property
    def size(self) -> Size:
        """Of level 0, px."""
        return Size(self.width, self.height)

    @property
    def analysed(self) -> LevelRecord:
        """The level that was analysed."""
        return self.levels[self.level]
