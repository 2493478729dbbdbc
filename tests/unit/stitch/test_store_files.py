"""Files that are made in memory are those that zarr would have written."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from wsi_pipeline.stitch.small_array import write_small
from wsi_pipeline.stitch.store_files import StoreFiles


def fill(root: zarr.Group) -> None:
    values = np.arange(35, dtype=np.float32).reshape(5, 7)
    write_small(root, "labels/coverage/0", values.astype(np.uint8), 254, {})
    write_small(root, "tiles/probability", values[0], -1.0, {})
    root.attrs["ome"] = {"version": "0.5"}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_files_are_those_of_zarr(tmp_path: Path) -> None:
    fill(zarr.create_group(tmp_path / "zarr", zarr_format=3))
    files = StoreFiles(tmp_path / "ours")
    fill(files.root)
    files.write()
    written = contents(tmp_path / "ours")
    assert written == contents(tmp_path / "zarr")
    assert {"labels/coverage/0/c/0/0", "labels/zarr.json", "zarr.json"} <= written.keys()


def test_what_changed_is_written_again_and_nothing_else(tmp_path: Path) -> None:
    files = StoreFiles(tmp_path / "store")
    fill(files.root)
    files.write()
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    files.root.attrs["ours"] = 1
    write_small(files.root, "tiles/x", np.zeros(3), -1, {})
    files.write()
    written = {name for name, data in contents(tmp_path / "store").items() if data}
    assert written == {"zarr.json", "tiles/x/zarr.json", "tiles/x/c/0"}
    assert dict(zarr.open_group(tmp_path / "store", mode="r").attrs) == {
        "ome": {"version": "0.5"},
        "ours": 1,
    }


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        StoreFiles(tmp_path)
