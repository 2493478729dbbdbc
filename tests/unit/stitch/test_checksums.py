"""What is given away is compared with its checksums: every byte of every file counts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.classes import TUMOUR_OR_NORMAL
from wsi_pipeline.errors import ResultError
from wsi_pipeline.export.archive import write_zip
from wsi_pipeline.stitch import checksums
from wsi_pipeline.stitch.checksums import SHARD_CHUNKS, check_files, local_store
from wsi_pipeline.stitch.layout import ATTRIBUTES, MASK_CHUNK, MASK_SHARD, mask_path
from wsi_pipeline.stitch.result import Result

TUMOUR_LABEL = mask_path(TUMOUR_OR_NORMAL)

#: Of the root's own metadata no checksum knows the spaces between the parts.
_ROOT = "zarr.json"


@pytest.fixture
def store(make_store: Callable[..., Result]) -> Path:
    return make_store().path


def names_in(store: Path) -> list[str]:
    return sorted(path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file())


def test_the_names_are_the_layouts() -> None:
    assert (MASK_SHARD // MASK_CHUNK) ** 2 == SHARD_CHUNKS
    assert f"{TUMOUR_LABEL}/" in checksums._SHARDED
    other = replace(TUMOUR_OR_NORMAL, task="multiclass")
    assert f"{mask_path(other)}/" in checksums._SHARDED
    assert checksums._ATTRIBUTES == ATTRIBUTES


@pytest.mark.parametrize("whole_bytes", [2**20, 64])
def test_sound_bytes_are_given_as_they_are(
    store: Path, whole_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a file is read as a whole or not."""
    monkeypatch.setattr(checksums, "_WHOLE_BYTES", whole_bytes)
    check_files(store)
    chance = np.random.default_rng(2)
    checked = local_store(store)
    for name in names_in(store):
        data = (store / name).read_bytes()
        assert checked.read(name, 0, len(data)) == data
        for _ in range(5):
            start = int(chance.integers(len(data)))
            length = int(chance.integers(1, len(data) - start + 1))
            assert checked.read(name, start, length) == data[start : start + length], name


def test_every_flipped_byte_is_noticed(store: Path, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    checked = local_store(store)
    for name in names_in(store):
        path = store / name
        whole = path.read_bytes()
        for _ in range(3):
            at = int(chance.integers(len(whole)))
            altered = bytearray(whole)
            altered[at] ^= 1 << int(chance.integers(8))
            if name == _ROOT and whole[at : at + 1].isspace():
                continue
            path.write_bytes(altered)
            with pytest.raises(ResultError, match="damaged") as told:
                checked.read(name, at, 1)
            assert name in told.value.cause
            with pytest.raises(ResultError, match="damaged"):
                check_files(store)
        for shorter in (whole[:-1], whole[:1], b""):
            path.write_bytes(shorter)
            with pytest.raises(ResultError, match="damaged"):
                check_files(store)
        path.write_bytes(whole)
    (store / "0" / "c" / "0" / "0").write_bytes(b"not a chunk")
    with pytest.raises(ResultError, match="0/c/0/0"):
        write_zip(Result(store), tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_every_missing_file_is_noticed(store: Path) -> None:
    for name in names_in(store):
        path = store / name
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(ResultError, match="damaged") as told:
            check_files(store)
        assert f"{name} is missing" in told.value.cause
        path.write_bytes(whole)
    check_files(store)


def test_damage_beside_what_is_asked_for_is_no_matter(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer still gets the sound chunks of a shard."""
    monkeypatch.setattr(checksums, "_WHOLE_BYTES", 1)
    name = f"{TUMOUR_LABEL}/0/c/0/0"
    data = bytearray((store / name).read_bytes())
    last = len(data) - checksums._INDEX_BYTES - 1
    data[last] ^= 1
    (store / name).write_bytes(data)
    checked = local_store(store)
    assert checked.read(name, 0, 10) == data[:10]
    with pytest.raises(ResultError, match="damaged"):
        checked.read(name, last, 1)
