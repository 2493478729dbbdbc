"""A package is loaded only if every part of it is what it says it is."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.description import REFERENCE, WEIGHTS
from wsi_pipeline.model.package import MIN_REFERENCE_PATCHES, ModelPackage, load_package
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.testing import make_stub_package


@pytest.fixture
def folder(stub_package: ModelPackage, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(stub_package.folder, tmp_path / "package"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "model.yaml"
    facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(yaml.safe_dump(facts), encoding="utf-8")


def test_a_sound_package_loads(stub_package: ModelPackage, folder: Path) -> None:
    package = load_package(folder)
    assert package.sha256 == stub_package.sha256
    assert package.description == stub_package.description
    patches, probabilities = package.reference()
    assert patches.shape == (MIN_REFERENCE_PATCHES, 64, 64, 3)
    assert probabilities.shape == (MIN_REFERENCE_PATCHES,)
    assert load_package(folder, expect=package.sha256) == package


def test_another_package_than_expected_is_refused(folder: Path) -> None:
    with pytest.raises(PackageError, match="another package than expected"):
        load_package(folder, expect="0" * 64)


@pytest.mark.parametrize("name", ["weights.safetensors", "reference.npz"])
def test_an_altered_file_is_refused_by_name(folder: Path, name: str) -> None:
    whole = bytearray((folder / name).read_bytes())
    whole[len(whole) // 2] ^= 1
    (folder / name).write_bytes(whole)
    with pytest.raises(PackageError, match=f"{name} was altered"):
        load_package(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "reference.npz", "model.yaml"])
def test_a_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(PackageError, match=f"cannot read {name}"):
        load_package(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda facts: facts.update(mpp=None), "exactly one of mpp and level"),
        (lambda facts: facts.update(level=0), "exactly one of mpp and level"),
        (lambda facts: facts.update(positive="cancer"), "not among the classes"),
        (lambda facts: facts.update(tolerance={"bf16": 0.1}), "no tolerance for fp32"),
        (lambda facts: facts["files"].pop("reference.npz"), "no SHA-256 for reference.npz"),
        (lambda facts: facts["threshold"].update(value=1.5), "threshold.value"),
        (lambda facts: facts.update(name="../evil"), "name"),
        (lambda facts: facts.pop("licence"), "licence"),
        (lambda facts: facts.update(extra=1), "extra"),
        (lambda facts: facts.update(format=2), "format"),
        (lambda facts: facts["architecture"].update(name="a/b/c"), "architecture.name"),
        (lambda facts: facts["architecture"].update(name="graph"), "SHA-256 for network.bin"),
        (lambda facts: facts.update(classes=["tumour"]), "two classes"),
        (lambda facts: facts.update(classes=["tumour", "tumour"]), "same name"),
        (lambda facts: facts.update(task="multiclass", head="sigmoid"), "softmax"),
        (lambda facts: facts.update(task="multilabel", head="softmax"), "exclude one another"),
        (
            lambda facts: facts.update(classes=["normal", {"name": "tumour", "colour": "red"}]),
            "no colour",
        ),
        (lambda facts: facts.update(task="multiclass"), "one for each class"),
        (lambda facts: facts["files"].update({"../../etc/passwd": "0"}), "own folder"),
    ],
)
def test_a_description_out_of_range_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    edit(folder, change)
    with pytest.raises(PackageError, match=reason):
        load_package(folder)


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "", "!!python/object:os.system {}"])
def test_a_description_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "model.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PackageError, match=r"model\.yaml is not valid"):
        load_package(folder)


PATCHES = np.zeros((MIN_REFERENCE_PATCHES, 64, 64, 3), np.uint8)
VALUES = np.zeros(MIN_REFERENCE_PATCHES, np.float32)


@pytest.mark.parametrize(
    ("patches", "probabilities"),
    [
        (PATCHES[:-1], VALUES[:-1]),
        (PATCHES, VALUES[:-1]),
        (PATCHES[:, :60], VALUES),
        (PATCHES[..., :1], VALUES),
        (PATCHES.astype(np.float32), VALUES),
        (PATCHES, VALUES * np.nan),
    ],
)
def test_a_reference_of_the_wrong_shape_is_refused(
    folder: Path, patches: Any, probabilities: Any
) -> None:
    np.savez(folder / "reference.npz", patches=patches, probabilities=probabilities)
    facts = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    with pytest.raises(PackageError, match=r"reference\.npz must hold at least"):
        write_description(folder, {k: v for k, v in facts.items() if k != "files"})


def test_a_reference_that_is_none_is_refused(folder: Path) -> None:
    facts = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    facts.pop("files")
    (folder / "reference.npz").write_bytes(b"nothing")
    with pytest.raises(PackageError, match=r"reference\.npz cannot be read"):
        write_description(folder, facts)
    np.savez(folder / "reference.npz", patches=PATCHES)
    with pytest.raises(PackageError, match=r"reference\.npz cannot be read"):
        write_description(folder, facts)
    # A pickle in it would be code: it is never run.
    harmful = np.array([object()], dtype=object)
    np.savez(folder / "reference.npz", patches=harmful, probabilities=VALUES)
    with pytest.raises(PackageError, match=r"reference\.npz cannot be read"):
        write_description(folder, facts)


def test_every_change_makes_another_package(tmp_path: Path) -> None:
    one = make_stub_package(tmp_path / "one")
    other = make_stub_package(tmp_path / "other", threshold={"value": 0.6, "chosen": "by hand"})
    again = make_stub_package(tmp_path / "again")
    assert one.sha256 == again.sha256 != other.sha256


def test_scores_for_prediction_sets_are_pinned_and_checked(folder: Path) -> None:
    facts = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    facts.pop("files")
    assert load_package(folder).conformal_scores() is None
    np.savez(folder / "conformal.npz", scores=np.array([0.1, 0.3]))
    scores = write_description(folder, facts).conformal_scores()
    assert scores is not None
    assert scores.tolist() == [0.1, 0.3]
    for wrong in (np.array([0.1, 1.2]), np.array([0.1], np.float32), np.zeros((2, 2)), np.zeros(0)):
        np.savez(folder / "conformal.npz", scores=wrong)
        with pytest.raises(PackageError, match=r"conformal\.npz must hold scores"):
            write_description(folder, facts)
    (folder / "conformal.npz").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(PackageError, match=r"conformal\.npz cannot be read"):
        write_description(folder, facts)


def test_of_files_that_are_not_used_none_is_read(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"altered")
    expected = hashlib.sha256((folder / "model.yaml").read_bytes()).hexdigest()
    assert len(load_package(folder, expect=expected, only=(REFERENCE,)).reference()[0])
    with pytest.raises(PackageError, match="was altered"):
        load_package(folder, expect=expected, only=(WEIGHTS,))
    with pytest.raises(PackageError, match="another package"):
        load_package(folder, expect="0" * 64, only=(REFERENCE,))
