"""A slide is cut into tiles like those that the answer for slides was trained on, or refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks_support import with_networks

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import SlideMetadataError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.run.checked_slide import check_slide
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.copies import copy_package
from wsi_pipeline.testing.models import NORMAL_COLOUR


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.5 µm/px."""
    path = tmp_path_factory.mktemp("slides") / "a.tiff"
    write_pyramid(path, np.full((256, 384, 3), NORMAL_COLOUR, np.uint8))
    return path


def trained_on(package: ModelPackage, folder: Path, tiles: dict[str, Any] | None) -> ModelPackage:
    made, _ = with_networks(package, folder / "networks")
    section = made.description.slide_level
    assert section is not None
    fields = section.model_dump(mode="json") | {"tiles": tiles}
    return copy_package(made, folder / "trained", slide_level=fields)


@pytest.mark.parametrize(
    "tiles", [None, {}, {"patch_px": 64}, {"mpp": 0.5}, {"patch_px": 64, "mpp": 0.46}]
)
def test_tiles_like_those_it_was_trained_on_are_taken(
    stub_package: ModelPackage, slide: Path, tmp_path: Path, tiles: dict[str, Any] | None
) -> None:
    package = trained_on(stub_package, tmp_path, tiles)
    check_slide(slide, package, AnalysisSettings()).reader.close()


@pytest.mark.parametrize(
    ("tiles", "asked", "told"),
    [
        (
            {"patch_px": 64, "mpp": 0.25},
            {},
            r"a\.tiff: would be cut into tiles of 64 px at 0\.5 µm/px, and test-model answers for "
            r"slides by tiles of 64 px at 0\.25 µm/px; give --mpp 0\.25",
        ),
        ({"mpp": 0.5}, {"mpp": 1.0}, r"64 px at 1 µm/px, .*; give --mpp 0\.5 "),
        ({"mpp": 1.0}, {"level": 0}, r"64 px at 0\.5 µm/px, .*and no level"),
        ({"patch_px": 32}, {}, r"tiles of 32 px at 0\.5 µm/px; train it anew on features"),
    ],
)
def test_others_are_refused_in_one_line(
    stub_package: ModelPackage,
    slide: Path,
    tmp_path: Path,
    tiles: dict[str, Any],
    asked: dict[str, Any],
    told: str,
) -> None:
    package = trained_on(stub_package, tmp_path, tiles)
    with pytest.raises(SlideMetadataError, match=told) as error:
        check_slide(slide, package, AnalysisSettings.model_validate(asked))
    assert "\n" not in str(error.value)
