"""Explanations of tiles are of the very px that the model was given, normalised ones too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.messages import Answered, QueryItem, WorkerSetup
from workers.tile_desk import TileDesk
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.service.jobs.submission import fingerprint_of
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.service.slides import LINKED
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.storage import open_storage
from wsi_pipeline.testing import make_stub_package, write_pyramid
from wsi_pipeline.testing.stained import draw_stained
from wsi_pipeline.tiles.patches import read_input

TARGET = {
    "haematoxylin": (0.65, 0.704286, 0.285458),
    "eosin": (0.0722, 0.9919, 0.1048),
    "concentrations": (0.8, 0.5),
}


class Drawing:
    """Keeps what is to be explained, and what was stored."""

    def __init__(self) -> None:
        self.pixels: list[NDArray[np.uint8]] = []

    def draw(self, *given: Any) -> tuple[bytes, str]:
        self.pixels.append(given[2])
        return b"picture", "none"

    def put(self, key: str, content: bytes) -> None:
        assert (key, content) == ("key", b"picture")


@pytest.mark.parametrize("stain", [None, {"method": "macenko", "target": TARGET}])
def test_px_are_those_of_the_analysis(tmp_path: Path, stain: dict[str, Any] | None) -> None:
    path = tmp_path / "a.tiff"
    write_pyramid(path, draw_stained(512, 512, strength=(0.5, 0.7), glass=128))
    package = make_stub_package(tmp_path / "model", preprocessing={"stain": stain})
    settings = ServiceSettings(data_dir=tmp_path / "data", device="cpu")
    drawing, storage = Drawing(), open_storage(settings.storage_url)
    desk = TileDesk(WorkerSetup.of(settings), storage, drawing, drawing)  # type: ignore[arg-type]  # what it needs of both
    analysis = AnalysisSettings()
    prepared = prepare(path, package, analysis)
    column, row = (int(value) for value in prepared.plan.cells[3])
    facts = {
        "class": "tumour",
        "column": column,
        "row": row,
        "config": analysis.model_dump(mode="json"),
        "fingerprint": fingerprint_of(package, analysis),
        "slide_location": f"{LINKED}{path}",
        "slide_sha256": slide_sha256(slide_files(path)),
    }
    (answer,) = desk.why(package, [QueryItem("question", facts, "key")])
    assert isinstance(answer, Answered)
    raw = read_input(prepared.reader, prepared.plan.grid, column, row)
    (shown,) = drawing.pixels
    if prepared.stain is None:
        assert np.array_equal(shown, raw)
    else:
        assert np.array_equal(shown, prepared.stain.recolouring()(raw))
        assert not np.array_equal(shown, raw)
