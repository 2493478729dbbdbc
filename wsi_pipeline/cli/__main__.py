"""``python -m wsi_pipeline.cli`` is ``wsi``."""

from wsi_pipeline.cli import program

program()
