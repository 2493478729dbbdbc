"""A file that is read at places, and closed with its last user."""

import gc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.shared_file import SharedFile
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide
from wsi_pipeline.testing import write_pyramid

WHITE = np.full((300, 400, 3), 255, np.uint8)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_bytes_come_from_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(10)))
    file = SharedFile(tmp_path / "a")
    assert file.size == 10
    assert file.read(3, 4) == bytes([3, 4, 5, 6])
    assert file.read(8, 4) == bytes([8, 9])  # it ends there
    assert file.read(20, 4) == b""
    assert file.read(3, 4) == bytes([3, 4, 5, 6])  # there is no position


def test_a_closed_file_reads_nothing_of_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ours")
    (tmp_path / "b").write_bytes(b"another's")
    file = SharedFile(tmp_path / "a")
    file.close()
    file.close()
    # It may get the number that the closed one had.
    with (tmp_path / "b").open("rb"), pytest.raises(OSError, match="Bad file descriptor"):
        file.read(0, 4)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SharedFile(tmp_path / "none")


@pytest.mark.parametrize("kind", ["openslide", "tiff", "picture"])
def test_slides_that_nobody_holds_leave_no_file_open(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.png" if kind == "picture" else "a.tiff")
    if kind == "openslide":
        write_slide(SynthSpec(parse_size("1000x800"), seed=1), path)
    elif kind == "tiff":
        write_pyramid(path, WHITE, downsamples=(1,))
    else:
        Image.fromarray(WHITE).save(path)
    open_slide(path)
    gc.collect()
    before = _open_files()
    for _ in range(5):
        reader = open_slide(path)
        assert reader.info.size.area
        del reader
    gc.collect()
    assert _open_files() == before
