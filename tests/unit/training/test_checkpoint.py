"""A checkpoint is there whole, or the one before it is."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wsi_pipeline.errors import TrainingError
from wsi_pipeline.training.checkpoint import CHECKPOINT, State, load, save

#: Saves a small checkpoint, then one that is larger than any file may become.
_FULL = """
import resource, sys, torch
from pathlib import Path
from wsi_pipeline.errors import TrainingError
from wsi_pipeline.training.checkpoint import save
folder = Path(sys.argv[1])
save(folder, "checkpoint.pt", {"weights": torch.arange(8.0)})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save(folder, "checkpoint.pt", {"weights": torch.zeros(100_000)})
except TrainingError as error:
    print(error)
"""


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state = State("print", epoch=2, step=3, history=[{"epoch": 1}], hard=[4, 5])
    save(tmp_path, CHECKPOINT, {"state": state.to_json(), "weights": torch.arange(3.0)})
    content = load(tmp_path, CHECKPOINT)
    assert content is not None
    assert State(**content["state"]) == state
    assert content["weights"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_nothing_is_there_before_anything_was_saved(tmp_path: Path) -> None:
    assert load(tmp_path, CHECKPOINT) is None


def test_a_write_that_fails_keeps_what_was_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "checkpoint.pt: cannot be written: File too large" in done.stdout
    assert "the last checkpoint is kept" in done.stdout
    assert "Free some space and start the same command again" in done.stdout
    content = load(tmp_path, CHECKPOINT)
    assert content is not None
    assert content["weights"].tolist() == list(range(8))
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    save(tmp_path, CHECKPOINT, {"weights": torch.zeros(1000)})
    content = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: is damaged .* use --restart"):
        load(tmp_path, CHECKPOINT)
