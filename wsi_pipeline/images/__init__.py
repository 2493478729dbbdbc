"""Single images: cells and patches that are classified by themselves, without a slide."""

from wsi_pipeline.images.picture import MAX_IMAGE_PX, SUFFIXES, Picture, read_picture

__all__ = ["MAX_IMAGE_PX", "SUFFIXES", "Picture", "read_picture"]
