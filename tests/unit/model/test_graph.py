"""A graph that a package carries is used if it is whole and of this package, and never else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.graph import find_graph, keep_graph
from wsi_pipeline.model.package import ModelPackage, load_package


@pytest.fixture
def carrying(stub_package: ModelPackage, tmp_path: Path) -> ModelPackage:
    """A package with two files in the place of a graph: nothing here reads what is in them."""
    shutil.copytree(stub_package.folder, tmp_path / "package")
    package = load_package(tmp_path / "package")
    made = tmp_path / "made.xml"
    made.write_text("<net/>")
    made.with_suffix(".bin").write_bytes(b"weights")
    keep_graph(package, made)
    return package


def test_a_package_is_the_same_with_its_graph(
    carrying: ModelPackage, stub_package: ModelPackage
) -> None:
    assert load_package(carrying.folder, expect=stub_package.sha256) == carrying
    graph = find_graph(carrying)
    assert graph is not None
    assert graph.read_text() == "<net/>"
    assert graph.with_suffix(".bin").read_bytes() == b"weights"
    assert find_graph(stub_package) is None


def test_another_graph_takes_the_place_of_the_first(carrying: ModelPackage, tmp_path: Path) -> None:
    (tmp_path / "made.xml").write_text("<net2/>")
    keep_graph(carrying, tmp_path / "made.xml")
    graph = find_graph(carrying)
    assert graph is not None
    assert graph.read_text() == "<net2/>"
    assert not list(carrying.folder.glob(".openvino*"))


def _changed(**facts: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "graph.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))

    return change


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        (lambda folder: (folder / "fp32.bin").write_bytes(b"weightz"), "was altered"),
        (lambda folder: (folder / "fp32.xml").unlink(), "cannot be read"),
        (lambda folder: (folder / "graph.json").write_text("{"), "cannot be read"),
        (_changed(package="0" * 64), "of another package or version"),
        (_changed(revision=0), "of another package or version"),
    ],
)
def test_what_is_not_whole_or_not_its_own_is_refused(
    carrying: ModelPackage, harm: Callable[[Path], object], cause: str
) -> None:
    harm(carrying.folder / "openvino")
    with pytest.raises(PackageError, match=f"{cause}.*wsi models convert"):
        find_graph(carrying)
