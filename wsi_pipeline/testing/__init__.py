"""Support for tests: fakes beside their interfaces, makers of small files, and contract suites.

Shipped with the package so that whoever implements a reader or a runtime can hold it to the same
contract as the built-in ones. Importing it loads neither torch nor OpenVINO.
"""

from wsi_pipeline.testing.contracts import check_predictor, check_reader
from wsi_pipeline.testing.models import FakePredictor, make_package, make_stub_package, red_share
from wsi_pipeline.testing.slides import ArraySlide, read_levels, write_pyramid, write_vips_pyramid
from wsi_pipeline.testing.truth import BoxTruth

__all__ = [
    "ArraySlide",
    "BoxTruth",
    "FakePredictor",
    "check_predictor",
    "check_reader",
    "make_package",
    "make_stub_package",
    "read_levels",
    "red_share",
    "write_pyramid",
    "write_vips_pyramid",
]
