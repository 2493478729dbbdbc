"""Names of slides in files, tables and results."""

import pytest

from wsi_pipeline.evaluation.slide_names import listed, slide_key, slide_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("test_001", "test_001"),
        (" test_001.tif ", "test_001"),
        ("a/b/test_001.tiff", "test_001"),
        ("C:\\slides\\test_001.SVS", "test_001"),
        ("results/test_001.zarr", "test_001"),
        ("test_001.zarr.zip", "test_001"),
        ("test_001.tif.csv", "test_001"),
        ("TCGA-A1.B2.svs", "TCGA-A1.B2"),
        ("slide.v2", "slide.v2"),
        (".tif", ".tif"),
        ("folder/", "folder"),
    ],
)
def test_endings_and_folders_are_no_part_of_a_name(text: str, name: str) -> None:
    assert slide_name(text) == name


def test_case_tells_no_slides_apart() -> None:
    assert slide_key("Test_001.TIF") == slide_key("test_001")
    assert slide_key("test_001") != slide_key("test_010")


def test_many_names_are_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed("abcd", 2) == "a, b and 2 more"
