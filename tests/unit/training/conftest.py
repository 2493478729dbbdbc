"""Patches in memory, recipes for them, and a place to train."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsi_pipeline.training.device import Team, repeatable
from wsi_pipeline.training.loader import Loader
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.request import Naming
from wsi_pipeline.training.run import Run, Silence
from wsi_pipeline.training.session import Job, Place

MakeRun = Callable[..., Run]
MakeJob = Callable[..., Job]
PATCH = 32


class MemorySource:
    """Patches in memory: tumour is darker and redder, both are noisy.

    Attributes:
        reads: Numbers of the patches asked for.
    """

    patch_px = PATCH
    classes = 2
    stain = None

    def __init__(self, count: int, *, units: int = 4, seed: int = 0, contrast: float = 25) -> None:
        rng = np.random.default_rng(seed)
        self.units = tuple(f"unit-{seed}-{i}" for i in range(units))
        self.unit = np.sort(rng.integers(0, units, count)).astype(np.int32)
        self.tumour = rng.random(count) < 0.4
        self.tumour[:2] = True, False
        self.label = self.tumour.astype(np.int64)
        self.steady = rng.random(count) < 0.8
        self.identity = f"{count} {seed} {contrast}"
        base = np.where(self.tumour[:, None], [160, 90, 150], [160 + contrast, 115, 175])
        noise = rng.normal(0, 30, (count, PATCH, PATCH, 3))
        self.patches = (base[:, None, None] + noise).clip(0, 255).astype(np.uint8)
        self.reads: list[int] = []

    def read(self, index: int, dx: int = 0, dy: int = 0) -> NDArray[np.uint8]:
        self.reads.append(index)
        return np.roll(self.patches[index], (dy, dx), (0, 1))


def small_recipe(**changes: Any) -> Recipe:
    """Seconds on one core: two convolutions on patches of 32 px."""
    return Recipe.model_validate(
        {
            "name": "small",
            "architecture": {"name": "baseline", "pooling": "average", "dropout": 0.3},
            "patch_px": PATCH,
            "mpp": 0.5,
            "labels": {"rule": "any", "central_px": 16},
            "sampling": {"stride": 16, "jitter": 2, "patches": 48, "validation_patches": 40},
            "optimiser": {"learning_rate": 0.003},
            "epochs": 3,
            "batch": 8,
            "checkpoint_steps": 2,
            **changes,
        }
    )


@pytest.fixture
def train_source() -> MemorySource:
    return MemorySource(60, seed=1)


@pytest.fixture
def validation_source() -> MemorySource:
    return MemorySource(50, seed=2)


@pytest.fixture
def one_thread() -> Iterator[None]:
    with repeatable(1):
        yield


@pytest.fixture
def make_run(
    tmp_path: Path,
    train_source: MemorySource,
    validation_source: MemorySource,
    one_thread: None,
) -> Iterator[MakeRun]:
    with Loader(2) as loader:

        def make(folder: str = "work", recipe: Recipe | None = None, **changes: Any) -> Run:
            path = tmp_path / folder
            path.mkdir(exist_ok=True)
            facts: dict[str, Any] = {
                "train": train_source,
                "validation": validation_source,
                "seed": 3,
                "device": torch.device("cpu"),
                "team": Team(),
                "threads": 1,
                "loader": loader,
                "observer": Silence(),
            }
            return Run(recipe=recipe or small_recipe(), folder=path, **{**facts, **changes})

        yield make


@pytest.fixture
def place(one_thread: None) -> Iterator[Place]:
    with Loader(2) as loader:
        yield Place(3, torch.device("cpu"), Team(), 1, loader, Silence(), "fp32")


@pytest.fixture
def make_job(
    tmp_path: Path, train_source: MemorySource, validation_source: MemorySource
) -> MakeJob:
    def make(out: str = "package", **changes: Any) -> Job:
        facts: dict[str, Any] = {
            "recipe": small_recipe(),
            "train": train_source,
            "validation": validation_source,
            "test": None,
            "naming": Naming("small", "1", "none", "noise", synthetic=True),
            "facts": {},
            "out": tmp_path / out,
        }
        return Job(**{**facts, **changes})

    return make


@pytest.fixture(scope="session")
def memory() -> type[MemorySource]:
    return MemorySource


@pytest.fixture(scope="session")
def small() -> Callable[..., Recipe]:
    return small_recipe
