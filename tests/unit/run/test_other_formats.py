"""Files that OpenSlide does not read are analysed like any slide; others are told apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.batch import run_batch
from wsi_pipeline.run.inputs import Entry, expand
from wsi_pipeline.run.observer import Observer, SilentObserver
from wsi_pipeline.run.summary import Outcome
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

MakeWork = Callable[..., Work]
#: Level-0 px of 0.5 µm; four patches of 64 px a side are tumour.
TUMOUR_PX = 128


@pytest.fixture
def image() -> NDArray[np.uint8]:
    image = np.full((448, 512, 3), NORMAL_COLOUR, np.uint8)
    image[:, :TUMOUR_PX] = TUMOUR_COLOUR
    return image


class Quiet:
    def begins(self, entry: Entry) -> Observer:  # noqa: ARG002 - it tells nobody
        return SilentObserver()

    def ended(self, outcome: Outcome) -> None:
        """It tells nobody."""


def run(slides: list[Path], out: Path, work: Work) -> dict[str, Outcome]:
    entries = expand([str(slide) for slide in slides]).slides
    outcomes = run_batch(entries, out, work, Quiet(), overwrite=False)
    return {Path(outcome.slide).name: outcome for outcome in outcomes}


def write_strips(path: Path, image: NDArray[np.uint8]) -> None:
    tifffile.imwrite(path, image, photometric="rgb", compression="lzw", rowsperstrip=32)


def test_strips_and_pictures_give_what_a_tiled_slide_gives(
    tmp_path: Path, image: NDArray[np.uint8], make_work: MakeWork
) -> None:
    tifffile.imwrite(tmp_path / "tiles.tif", image, photometric="rgb", tile=(128, 128))
    write_strips(tmp_path / "strips.tif", image)
    Image.fromarray(image).save(tmp_path / "roi.png")
    slides = [tmp_path / name for name in ("tiles.tif", "strips.tif", "roi.png")]
    outcomes = run(slides, tmp_path / "out", make_work(slide_mpp=0.5))
    assert {outcome.status for outcome in outcomes.values()} == {"done"}
    assert {outcome.tiles for outcome in outcomes.values()} == {7 * 8}
    assert {round(outcome.tumour_percent or 0, 4) for outcome in outcomes.values()} == {25.0}
    attributes = {name: verify(tmp_path / "out" / f"{name}.zarr").attributes for name in (
        "tiles", "strips", "roi")}  # fmt: skip
    # A computed level is a level of the mask, too; all that both have is the same.
    tiled, stripped = attributes["tiles"]["arrays"], attributes["strips"]["arrays"]
    assert {key: stripped[key] for key in tiled} == tiled
    assert attributes["roi"]["arrays"] == stripped
    # Without a spacing from the user there is none.
    refused = run(slides[2:], tmp_path / "other", make_work())["roi.png"]
    assert refused.status == "failed"
    assert "give it with --slide-mpp" in refused.reason


def test_a_damaged_strip_makes_its_tiles_unreadable(
    tmp_path: Path, image: NDArray[np.uint8], make_work: MakeWork
) -> None:
    path = tmp_path / "strips.tif"
    write_strips(path, image)
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages.first.dataoffsets[3], file.pages.first.databytecounts[3]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = b"\xff" * count
    path.write_bytes(data)
    refused = run([path], tmp_path / "out", make_work(slide_mpp=0.5))["strips.tif"]
    assert "at least 8 of 56 tissue tiles are lost" in refused.reason
    allowed = run([path], tmp_path / "out", make_work(slide_mpp=0.5, allow_unreadable=0.2))
    assert (allowed["strips.tif"].status, allowed["strips.tif"].unreadable) == ("done", 8)


def test_a_summary_tells_text_empty_truncated_and_unsupported_apart(
    tmp_path: Path, image: NDArray[np.uint8], make_work: MakeWork
) -> None:
    write_strips(tmp_path / "whole.tif", image)
    (tmp_path / "truncated.ndpi").write_bytes((tmp_path / "whole.tif").read_bytes()[:2000])
    (tmp_path / "whole.tif").unlink()
    (tmp_path / "text.svs").write_text("<html>please log in")
    (tmp_path / "empty.tiff").touch()
    tifffile.imwrite(tmp_path / "grey.tif", image[..., 0])
    (tmp_path / "archive.bif").write_bytes(b"PK\x03\x04" + bytes(90))
    outcomes = run([tmp_path], tmp_path / "out", make_work(slide_mpp=0.5))
    reasons = {name: outcome.reason for name, outcome in outcomes.items()}
    assert {outcome.status for outcome in outcomes.values()} == {"failed"}
    for name, cause in (
        ("text.svs", "is a web page, not a slide"),
        ("empty.tiff", "the file is empty"),
        ("truncated.ndpi", "the file is truncated"),
        ("grey.tif", "8-bit grey, one channel"),
        ("archive.bif", "is a ZIP archive"),
    ):
        assert cause in reasons[name]
