"""What goes on beside the look at an unknown slide."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import pytest

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.run import preparation
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.slide.probe import Probe

TIFF = b"II*\0"
DICOM = bytes(128) + b"DICM"


@pytest.mark.parametrize(
    ("name", "begins", "early"), [("a.svs", TIFF, True), ("a.dcm", DICOM, False)]
)
def test_a_slide_that_is_refused_is_not_hashed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, begins: bytes, *, early: bool
) -> None:
    """A slide of one file is hashed while it is looked at; of another the files are not known."""
    path = tmp_path / name
    path.write_bytes(begins)
    begun, asked = threading.Event(), list[Callable[[], bool]]()

    def hash_(files: Iterable[Path], stopped: Callable[[], bool]) -> str:
        assert list(files) == [path]
        asked.append(stopped)
        begun.set()
        return "0" * 64

    def refuse(path: Path) -> Probe:
        assert begun.wait(10 if early else 0.2) is early
        assert [stopped() for stopped in asked] == [False] * early
        raise DamagedSlideError(path, "damaged")

    monkeypatch.setattr(preparation, "slide_sha256", hash_)
    with pytest.raises(DamagedSlideError):
        prepare(path, cast(ModelPackage, None), AnalysisSettings(), prober=refuse)
    assert [stopped() for stopped in asked] == [True] * early
