"""The demo model and the demo run: everything made here, nothing downloaded, all synthetic."""

from wsi_pipeline.demo.models import find_or_build

__all__ = ["find_or_build"]
