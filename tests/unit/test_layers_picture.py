"""The picture of the layers in the documentation shows the imports as they are."""

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def layers() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "layers.py"))


def test_the_picture_shows_the_imports(layers: dict[str, Any]) -> None:
    drawn = layers["draw"](layers["imports"]())
    shown = (ROOT / "docs" / "images" / "layers.svg").read_text(encoding="utf-8")
    assert drawn == shown, "run `python docs/layers.py` and commit the picture"


def test_only_what_nothing_else_implies_is_drawn(layers: dict[str, Any]) -> None:
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert layers["ranks"](graph) == {"a": 2, "b": 1, "c": 0}
    assert layers["reduced"](graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_parts_that_import_each_other_are_named(layers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a > b > a"):
        layers["ranks"]({"a": {"b"}, "b": {"a"}})
