"""Networks are read as they were written, or refused by name."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from wsi_pipeline.errors import PackageError
from wsi_pipeline.slide_level.attention.answer import ask, ranked
from wsi_pipeline.slide_level.attention.design import HeadDesign
from wsi_pipeline.slide_level.attention.forward import forward
from wsi_pipeline.slide_level.attention.head_file import Heads, load_heads, save_heads, shapes
from wsi_pipeline.slide_level.calibration import SlideCalibration

DESIGN = HeadDesign(kind="abmil", features=6, outputs=2, hidden=8, attention=4)


def heads_of(members: int) -> Heads:
    rng = np.random.default_rng(members)
    made = [
        {name: rng.normal(0, 1, shape).astype(np.float32) for name, shape in shapes(DESIGN).items()}
        for _ in range(members)
    ]
    return Heads(DESIGN, tuple(made))


def test_networks_and_calibration_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    calibration = SlideCalibration(0.7, np.array([0, 0.25]), rng.random((5, 3)))
    one, other = tmp_path / "one", tmp_path / "other"
    save_heads(one, heads_of(12), calibration)
    save_heads(other, heads_of(12), calibration)
    assert one.read_bytes() == other.read_bytes()
    found, fitted = load_heads(one)
    assert found.design == DESIGN
    assert fitted is not None
    assert (fitted.slope, *fitted.offsets) == (0.7, 0, 0.25)
    assert np.array_equal(fitted.drawn, calibration.drawn)
    for member, expected in zip(found.members, heads_of(12).members, strict=True):
        assert all(np.array_equal(member[name], expected[name]) for name in expected)


@pytest.mark.parametrize("damage", ["no file", "no tensors", "shape", "nan", "too many"])
def test_what_is_not_such_a_file_is_refused(tmp_path: Path, damage: str) -> None:
    path, heads = tmp_path / "heads", heads_of(2)
    if damage == "no tensors":
        path.write_bytes(b"nothing")
    elif damage == "shape":
        save_heads(
            path, Heads(DESIGN, ({**heads.members[0], "out.bias": np.zeros(3, np.float32)},))
        )
    elif damage == "nan":
        lost = {**heads.members[0], "out.bias": np.full(2, np.nan, np.float32)}
        save_heads(path, Heads(DESIGN, (lost,)))
    elif damage == "too many":
        save_heads(path, heads_of(26))
    with pytest.raises(PackageError, match=str(path)):
        load_heads(path)


def test_another_file_of_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(safetensors.numpy.save({"x": np.zeros(3, np.float32)}))
    with pytest.raises(PackageError, match="no slide-level networks"):
        load_heads(path)


def test_all_networks_are_asked_and_unreadable_tiles_are_left_out() -> None:
    heads = heads_of(3)
    tiles = np.random.default_rng(2).normal(0, 1, (9, 6)).astype(np.float32)
    lost = tiles.copy()
    lost = np.insert(lost, 4, np.nan, axis=0)
    answer = ask(heads, lost)
    assert answer is not None
    expected = [forward(DESIGN, member, tiles) for member in heads.members]
    assert np.allclose(answer.logits, [logits for logits, _ in expected])
    assert np.isnan(answer.attention[4])
    assert np.allclose(np.delete(answer.attention, 4), np.mean([a for _, a in expected], axis=0))
    assert ask(heads, lost[4:5]) is None


def test_ranks_are_within_the_slide() -> None:
    found = ranked(np.array([0.1, np.nan, 0.4, 0.1, 0.3], np.float32))
    assert np.array_equal(
        found, np.array([1 / 6, np.nan, 1, 1 / 6, 2 / 3], np.float32), equal_nan=True
    )
    assert ranked(np.array([1], np.float32)).tolist() == [1]
    assert ranked(np.empty(0, np.float32)).size == 0
