"""Probabilities in numpy are those of the graph; a map that does not fit is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.model.card import card
from wsi_pipeline.model.conversion import carry_graph
from wsi_pipeline.model.description import ONNX, REFERENCE, ModelDescription
from wsi_pipeline.model.head import inside_margins, probabilities
from wsi_pipeline.model.runtime import choose_runtime
from wsi_pipeline.testing.maps import make_map_package
from wsi_pipeline.testing.models import model_fields

_FINE = {"stride_px": 1, "margin_px": 8}


def described(patch_px: int = 64, **changed: Any) -> ModelDescription:
    fields = model_fields(patch_px, **{"architecture": {"name": "onnx"}, **changed})
    return ModelDescription.model_validate(
        {**fields, "files": dict.fromkeys((ONNX, REFERENCE), "")}
    )


def mapped(**changed: Any) -> ModelDescription:
    usual = {"output": "map", "map": {"stride_px": 4, "margin_px": 8}}
    return described(**{**usual, **changed})


def test_each_head() -> None:
    logits = np.array([[0.0, 2.0], [-3.0, 1.0]], np.float32)
    share = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    binary = described(head="softmax")
    np.testing.assert_allclose(probabilities(binary, logits), share[:, 1], rtol=1e-6)
    warm = described(head="softmax", calibration={"temperature": 2.0})
    flatter = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(warm, logits), flatter[:, 1], rtol=1e-6)
    several = described(task="multilabel")
    np.testing.assert_allclose(probabilities(several, logits), 1 / (1 + np.exp(-logits)), rtol=1e-6)
    ready = described(head="none", calibration={"temperature": 2.0})
    np.testing.assert_array_equal(probabilities(ready, logits[:, :1]), logits[:, 0])
    with pytest.raises(ValueError, match=r"answers with \[2, 2\] numbers"):
        probabilities(described(), logits)


def test_margins_are_cut_and_cells_pooled() -> None:
    pooled = mapped(map={"stride_px": 4, "margin_px": 8, "pool": 3}, head="none")
    assert (pooled.tile_px, pooled.cell_px, pooled.margin_px, pooled.answer) == (48, 12, 8, (4, 4))
    values = np.random.default_rng(0).random((2, 1, 16, 16)).astype(np.float32)
    found = probabilities(pooled, values)
    expected = values[:, 0, 2:14, 2:14].reshape(2, 4, 3, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    # Without padding of its own: 8 px are lost at each side already.
    assert inside_margins(mapped(), 12, 12) == slice(0, 12)
    for wrong in ((15, 15), (16, 12), (17, 17), (10, 10)):
        with pytest.raises(ValueError, match="do not fit"):
            inside_margins(mapped(), *wrong)


def test_lengths_of_a_resized_patch() -> None:
    about = mapped(patch_px=128, preprocessing={"resize": {"px": 64}})
    assert (about.input_px, about.tile_px, about.cell_px, about.margin_px) == (64, 96, 8, 16)
    assert about.answer == (12, 12)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"map": None}, "output: map needs"),
        ({"output": "classes"}, "output: map needs"),
        ({"architecture": {"name": "resnet18"}}, "only a graph or an ONNX file"),
        ({"preprocessing": {"crop": 32}}, "choose another patch_px"),
        ({"map": {"stride_px": 4, "margin_px": 32}}, "no multiple of 4 px"),
        ({"map": {"stride_px": 4, "margin_px": 8, "pool": 5}}, "no multiple of 20 px"),
        (
            {"patch_px": 96, "preprocessing": {"resize": {"px": 64}}, "map": _FINE},
            "whole number of px",
        ),
    ],
)
def test_what_cannot_be_is_refused(changed: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValidationError, match=cause):
        mapped(**changed)


def test_runtimes_of_each_kind_of_network() -> None:
    assert choose_runtime("auto", "cpu", "onnx").name == "onnxruntime"
    assert choose_runtime("auto", "cpu", "graph").name == "openvino"
    assert choose_runtime("auto", "cpu").name == "openvino"
    for name, device, network in (
        ("torch", "cpu", "graph"),
        ("openvino", "cpu", "onnx"),
        ("auto", "cuda:0", "graph"),
    ):
        with pytest.raises(UsageError, match=f"holds its network as {network}, which only"):
            choose_runtime(name, device, network)


def test_a_graph_that_does_not_fit_its_description_is_refused(tmp_path: Path) -> None:
    package = make_map_package(tmp_path / "package", units=3)
    assert "a map, 4 px a cell, without margins of 16 px" in card(package)
    yaml = package.folder / "model.yaml"
    yaml.write_text(yaml.read_text().replace("stride_px: 4", "stride_px: 8"))
    with pytest.raises(PackageError, match="numbers of its map"):
        carry_graph(type(package)(package.folder, package.description, ""), tmp_path / "cache")
