"""Images that a model was made from are found again by their files."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from wsi_pipeline.errors import PackageError
from wsi_pipeline.images.seen import Seen, seen_of, write_seen
from wsi_pipeline.model.package import SEEN, ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.testing.models import make_stub_package

FILES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(9)]


def with_seen(folder: Path, train: list[str], validation: list[str]) -> ModelPackage:
    make_stub_package(folder)
    write_seen(folder, train, validation)
    facts = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    facts.pop("files")
    return write_description(folder, facts)


def test_images_are_counted_as_often_as_they_come(tmp_path: Path) -> None:
    package = with_seen(tmp_path / "m", [*FILES[:4], FILES[0]], FILES[4:6])
    assert seen_of(package, FILES) == Seen(4, 2)
    assert seen_of(package, [FILES[0], FILES[0], FILES[8]]) == Seen(2, 0)
    assert seen_of(package, []) == Seen(0, 0)
    assert SEEN in package.description.files


def test_what_is_told_of_them() -> None:
    assert str(Seen(0, 0)) == ""
    assert "1,200 that the model was trained on: figures" in str(Seen(1200, 0))
    told = str(Seen(1, 2))
    assert "1 that the model was trained on and 2 that its threshold" in told


def test_a_package_that_says_nothing_is_no_proof(tmp_path: Path) -> None:
    assert seen_of(make_stub_package(tmp_path / "m"), FILES) is None


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    package = with_seen(tmp_path / "m", FILES[:2], FILES[2:3])
    facts = yaml.safe_load((package.folder / "model.yaml").read_text(encoding="utf-8"))
    facts.pop("files")
    np.savez(package.folder / SEEN, train=np.zeros(2), validation=np.zeros(1))
    with pytest.raises(PackageError, match=r"seen\.npz must hold uint64"):
        write_description(package.folder, facts)
    (package.folder / SEEN).write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(PackageError, match=r"seen\.npz cannot be read"):
        write_description(package.folder, facts)
