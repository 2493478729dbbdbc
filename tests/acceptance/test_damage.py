"""Bad input: one clear line, exit 3, nothing left behind, the good slides finished."""

import shutil
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from acceptance_support import Wsi
from tiff_support import liars
from uploads_support import write_slide

from wsi_pipeline.stitch.verification import verify

#: Names of files whose directories lie, by what is wrong with them.
LIARS = {
    "last leads to the first": "circle.tiff",
    "a ring below": "ring.tiff",
    "endless": "endless.tiff",
    "huge, level 1": "huge.tiff",
}


@pytest.mark.slow
def test_every_bad_file_is_named_and_the_good_slide_is_done(
    wsi: Wsi, slide: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "in"
    bad.mkdir()
    shutil.copy(slide, bad / "good.tiff")
    (bad / "text.svs").write_text("not a slide\n")
    (bad / "empty.svs").touch()
    (bad / "folder.svs").mkdir()
    (bad / "truncated.tiff").write_bytes(slide.read_bytes()[: slide.stat().st_size // 2])
    (bad / "bomb.svs").write_bytes(_jpeg_bomb())
    _bomb_in_a_tile(bad / "bomb-tile.tiff")
    _enormous_tile(bad / "enormous-tile.tiff")
    write_slide(tmp_path / "small.tiff")
    for name, data in liars((tmp_path / "small.tiff").read_bytes()).items():
        if name in LIARS:
            (bad / LIARS[name]).write_bytes(data)
    missing, empty = tmp_path / "missing.svs", tmp_path / "nothing-here"
    empty.mkdir()
    out = tmp_path / "out"
    code, summary = wsi.run(bad, missing, empty, "-o", out)
    assert code == 3
    rows = {Path(row["slide"]).name: row for row in summary["slides"]}
    assert rows["good.tiff"]["status"] == "done"
    verify(out / "good.zarr")
    failed = {name: row["reason"] for name, row in rows.items() if row["status"] == "failed"}
    assert failed.keys() == {
        "text.svs",
        "empty.svs",
        "folder.svs",
        "truncated.tiff",
        "bomb.svs",
        "bomb-tile.tiff",
        "enormous-tile.tiff",
        *LIARS.values(),
        "missing.svs",
        "nothing-here",
    }
    for name, reason in failed.items():
        assert name in reason
        assert "\n" not in reason
        assert "unexpected" not in reason
    assert "truncated" in failed["truncated.tiff"]
    for name in ("circle.tiff", "ring.tiff"):
        assert "lead in a circle" in failed[name]
    assert "more than 1,024 TIFF directories" in failed["endless.tiff"]
    assert "claims 2,147,483,648 × 2,147,483,648 px" in failed["huge.tiff"]
    left = {path.name for path in out.iterdir()}
    assert left == {"good.zarr", "summary.csv", "summary.json"}


def test_info_tells_liars_in_one_line(wsi: Wsi, tmp_path: Path) -> None:
    write_slide(tmp_path / "small.tiff")
    path = tmp_path / "endless.tiff"
    path.write_bytes(liars((tmp_path / "small.tiff").read_bytes())["endless"])
    told = wsi("info", path)
    assert told.returncode == 3
    assert told.stderr.startswith(f"wsi: {path}: it has more than 1,024 TIFF directories")
    assert told.stderr.count("\n") == 1


@pytest.mark.slow
def test_unreadable_tissue_fails_unless_it_is_allowed(
    wsi: Wsi, slide: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.tiff"
    _damage_one_tissue_tile(slide, damaged)
    code, summary = wsi.run(damaged, "-o", tmp_path / "strict")
    assert code == 3
    assert "--allow-unreadable" in summary["slides"][0]["reason"]
    assert sorted(p.name for p in (tmp_path / "strict").iterdir()) == [
        "summary.csv",
        "summary.json",
    ]
    code, summary = wsi.run(damaged, "-o", tmp_path / "lax", "--allow-unreadable", 0.2)
    assert code == 0
    assert summary["slides"][0]["unreadable"] > 0
    assert "could not be read" in summary["slides"][0]["warnings"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_unreadable_and_every_truncated_real_slide(
    wsi: Wsi, data: Path, tmp_path: Path
) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    for path in (data / "slides" / "unreadable").iterdir():
        shutil.copy(path, inputs)
    for path in (data / "slides").glob("*.*"):
        whole = path.read_bytes()
        for step in range(20):
            length = len(whole) - 1 if step == 0 else len(whole) * step // 20
            folder = inputs / f"{path.stem}-{step}"
            folder.mkdir()
            (folder / path.name).write_bytes(whole[:length])
    for step in range(20):
        folder = inputs / f"dicom-{step}"
        shutil.copytree(data / "slides" / "boxes-dicom", folder)
        file = folder / "boxes_0.dcm"
        file.chmod(0o644)
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) - 1 if step == 0 else len(whole) * step // 20])
    code, summary = wsi.run(inputs, "-o", tmp_path / "out", limit=800)
    assert code == 3
    assert len(summary["slides"]) >= 104
    for row in summary["slides"]:
        assert row["status"] == "failed", row
        assert "unexpected" not in row["reason"], row
        assert row["slide"] in row["reason"], row
    assert not list((tmp_path / "out").rglob("*.zarr*"))


def _jpeg_bomb() -> bytes:
    """A small JPEG whose header claims 65,500 × 65,500 px."""
    stream = bytearray(imagecodecs.jpeg8_encode(np.zeros((256, 256, 3), np.uint8)))
    header = stream.find(b"\xff\xc0")
    stream[header + 5 : header + 9] = struct.pack(">HH", 65500, 65500)
    return bytes(stream)


def _bomb_in_a_tile(path: Path) -> None:
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            (_jpeg_bomb() for _ in range(16)),
            shape=(1024, 1024, 3),
            dtype=np.uint8,
            tile=(256, 256),
            compression="jpeg",
            photometric="ycbcr",
            resolution=(40000, 40000),
            resolutionunit="CENTIMETER",
        )


def _enormous_tile(path: Path) -> None:
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(
            (_jpeg_bomb() for _ in range(1)),
            shape=(60000, 60000, 3),
            dtype=np.uint8,
            tile=(60000, 60000),
            compression="jpeg",
            photometric="ycbcr",
            resolution=(40000, 40000),
            resolutionunit="CENTIMETER",
        )


def _damage_one_tissue_tile(source: Path, target: Path) -> None:
    with tifffile.TiffFile(source) as tiff:
        page = tiff.pages.first
        columns = -(-page.imagewidth // page.tilewidth)
        index = (1200 // page.tilelength) * columns + 1500 // page.tilewidth
        offset, count = page.dataoffsets[index], page.databytecounts[index]
    data = bytearray(source.read_bytes())
    data[offset : offset + count] = bytes(count)
    target.write_bytes(data)
