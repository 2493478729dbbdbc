"""Deep Zoom: the pyramid of tiles viewers ask for, over the whole slide in its level-0 frame.

A Deep Zoom *zoom level* is no pyramid level of the slide: the finest, ``finest``, has the slide's
level-0 size, each coarser one half of it, rounded up, down to 1 × 1 px at zoom level 0. Px
(i, j) of a zoom level shows the level-0 box from (i·d, j·d) to ((i + 1)·d, (j + 1)·d), where
d = 2^(finest - level) exactly: what is drawn in level-0 px over the tiles lands on its tissue.
"""

from dataclasses import dataclass

from api.slides.region_picture import Area
from wsi_pipeline.geometry import Size

#: Side of a tile in px of its zoom level. Twice the side scanners use: a screen takes 12 requests
#: instead of 40, and a tile begins where a tile of the file begins.
TILE_PX = 512
#: Tiles share no px: a shared one would cost reading up to five more tiles of the file.
OVERLAP_PX = 0

_DESCRIPTOR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008"'
    ' Format="{format}" Overlap="{overlap}" TileSize="{tile}">'
    '<Size Width="{width}" Height="{height}"/></Image>\n'
)


@dataclass(frozen=True, slots=True)
class DeepZoom:
    """Geometry of the tiles of one slide.

    Attributes:
        size: Of the slide in level-0 px.
        tile: Side of a tile in px of its zoom level.
    """

    size: Size
    tile: int = TILE_PX

    @property
    def finest(self) -> int:
        """The zoom level of level-0 px: the last one."""
        return (max(self.size.width, self.size.height) - 1).bit_length()

    def downsample(self, level: int) -> int:
        """Level-0 px per px of a zoom level."""
        return 1 << (self.finest - level)

    def level_size(self, level: int) -> Size:
        """Size of a zoom level in its px."""
        downsample = self.downsample(level)
        return Size(-(-self.size.width // downsample), -(-self.size.height // downsample))

    def grid(self, level: int) -> Size:
        """Columns and rows of tiles of a zoom level."""
        size = self.level_size(level)
        return Size(-(-size.width // self.tile), -(-size.height // self.tile))

    def area(self, level: int, column: int, row: int) -> Area | None:
        """What a tile shows; None if there is no such tile."""
        if not 0 <= level <= self.finest:
            return None
        grid = self.grid(level)
        if not (0 <= column < grid.width and 0 <= row < grid.height):
            return None
        size, downsample = self.level_size(level), self.downsample(level)
        left, top = column * self.tile, row * self.tile
        shown = Size(min(self.tile, size.width - left), min(self.tile, size.height - top))
        return Area(left * downsample, top * downsample, downsample, downsample, shown)

    def descriptor(self, image_format: str) -> str:
        """The ``.dzi`` file (XML).

        Args:
            image_format: Last part of the tiles' names.
        """
        return _DESCRIPTOR.format(
            format=image_format,
            overlap=OVERLAP_PX,
            tile=self.tile,
            width=self.size.width,
            height=self.size.height,
        )
