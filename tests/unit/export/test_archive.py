"""The archive: the store as it is, readable in place."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr
from zarr.storage import ZipStore

from wsi_pipeline.export.archive import write_zip
from wsi_pipeline.stitch.result import Result

MakeResult = Callable[..., Result]


def test_zarr_reads_the_archive(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result()
    path = tmp_path / "out.zarr.zip"
    write_zip(result, path)
    with ZipStore(path, mode="r") as store:
        root = zarr.open_group(store, mode="r")
        assert root.attrs["wsi_pipeline"] == result.attributes
        for name in result.attributes["arrays"]:
            inside = root[name]
            assert isinstance(inside, zarr.Array)
            np.testing.assert_array_equal(np.asarray(inside[...]), result.array(name)[...])


def test_archive_is_plain_and_reproducible(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result()
    write_zip(result, tmp_path / "a.zip")
    for file in result.path.rglob("*"):
        os.utime(file, (1e9, 1e9))
    write_zip(result, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
        comment = json.loads(archive.comment)
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    names = [entry.filename for entry in entries]
    assert names[0] == "zarr.json"
    assert comment["ome"]["zipFile"]["centralDirectory"]["jsonFirst"] is True
    is_metadata = [name.endswith("zarr.json") for name in names]
    assert is_metadata == sorted(is_metadata, reverse=True)
    files = {str(f.relative_to(result.path)) for f in result.path.rglob("*") if f.is_file()}
    assert set(names) == files
