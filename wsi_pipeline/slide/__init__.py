"""(1) Slides: opening, checking, identifying and reading pixels. The only door to OpenSlide."""

from wsi_pipeline.slide.info import Level, SlideInfo
from wsi_pipeline.slide.opening import open_slide
from wsi_pipeline.slide.openslide_reader import DecodedTiles
from wsi_pipeline.slide.reader import SlideReader

__all__ = ["DecodedTiles", "Level", "SlideInfo", "SlideReader", "open_slide"]
