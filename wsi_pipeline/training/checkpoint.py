"""Checkpoints: written whole or not at all, so that a kill at any moment loses little.

A full disk leaves the previous one as it was.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from wsi_pipeline import durable
from wsi_pipeline.errors import TrainingError

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"


@dataclass(slots=True)
class State:
    """Where a training is; what a checkpoint keeps beside weights and optimiser.

    Attributes:
        fingerprint: Of all that decides the training; another's checkpoint is not resumed.
        round: 0, then one for every round with hard negatives.
        epoch: Epochs finished, over all rounds.
        round_epochs: Of them in this round.
        step: Steps finished of the epoch under way.
        loss: Sum of the losses of these steps.
        waited: Epochs since the best one.
        best: Figures of the best weights so far; None before the first validation.
        best_epoch: Which epoch's they are.
        history: One entry per finished epoch.
        hard: Normal patches that come up more often, by their numbers.
        steps: Steps in all.
        seconds: Time spent on them.
        finished: Nothing is left to do.
    """

    fingerprint: str
    round: int = 0
    epoch: int = 0
    round_epochs: int = 0
    step: int = 0
    loss: float = 0.0
    waited: int = 0
    best: dict[str, Any] | None = None
    best_epoch: int = -1
    history: list[dict[str, Any]] = field(default_factory=list)
    hard: list[int] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    finished: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def save(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all.

    Raises:
        TrainingError: the disk is full or cannot be written; what was there is still there.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(folder / name, buffer.getbuffer())


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file under its name when it is complete.

    Raises:
        TrainingError: it cannot be written; a file that was there is still there.
    """
    try:
        durable.write_bytes(path, content)
    except OSError as error:
        kept = "the last checkpoint is kept" if path.exists() else "nothing was lost"
        raise TrainingError(
            path,
            f"cannot be written: {error.strerror or error} ({len(content) / 1e6:.0f} MB); "
            f"{kept}. Free some space and start the same command again: it continues",
        ) from error


def load(folder: Path, name: str) -> dict[str, Any] | None:
    """What :func:`save` wrote; None if there is none.

    Raises:
        TrainingError: it cannot be read.
    """
    path = folder / name
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch meets damage with many kinds of error
        raise TrainingError(
            path, f"is damaged ({type(error).__name__}); delete it, or use --restart"
        ) from error
    return content
