"""All networks of a training: one for every repeat and fold, without the groups of the fold."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline.errors import UsageError
from wsi_pipeline.slide_level.attention.design import HeadDesign
from wsi_pipeline.slide_level.attention.forward import forward
from wsi_pipeline.slide_level.attention.head_file import Heads
from wsi_pipeline.training.checkpoint import CHECKPOINT, load, save, write_whole
from wsi_pipeline.training.run import Observer
from wsi_pipeline.training.slides.bags import Bags
from wsi_pipeline.training.slides.folds import fold_of, inner_split
from wsi_pipeline.training.slides.member import Member, MemberTraining
from wsi_pipeline.training.slides.recipe import SlideRecipe
from wsi_pipeline.training.slides.table import LabelledSlides

#: Tells whose work a folder holds.
_IDENTITY = "training.json"


@dataclass(frozen=True)
class SlideJob:
    """What is to be trained, from what.

    Attributes:
        recipe: How.
        found: The slides.
        bags: Their features, by the same numbers.
        seed: Of everything random.
        folder: Keeps what is finished, and checkpoints.
        device: Computes.
        threads: Of torch on the CPU.
        observer: Is told.
        stopped: Asked after every epoch; for tests and for those who embed this.
    """

    recipe: SlideRecipe
    found: LabelledSlides
    bags: Bags
    seed: int
    folder: Path
    device: torch.device
    threads: int
    observer: Observer
    stopped: Callable[[], bool] = lambda: False

    @property
    def design(self) -> HeadDesign:
        """The network."""
        return self.recipe.design(self.bags.features, len(self.found.classes) or 1)

    def numbers(self, *, test: bool) -> list[int]:
        """Numbers of the slides that are kept for the test, or of all others."""
        slides = enumerate(self.found.slides)
        return [number for number, slide in slides if (slide.split == "test") == test]

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides the networks and what is measured of them."""
        slides = [
            [one.name, one.label, one.time, one.event, one.group, one.split]
            for one in self.found.slides
        ]
        facts = {
            "recipe": self.recipe.fingerprint,
            "seed": self.seed,
            "threads": self.threads,
            "device": self.device.type,
            "torch": torch.__version__,
            "classes": [*self.found.classes, self.found.positive],
            "slides": slides,
            "features": self.bags.sha256,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class CrossValidated:
    """Networks, and what each says of the slides it never saw.

    Attributes:
        heads: All networks, a repeat after the other, a fold after the other.
        numbers: Of the slides that were dealt out, ``(n,)``.
        fold: In which each was held out, by repeat, ``(repeats, n)``.
        logits: What the network that never saw it says of each, float64
            ``(repeats, n, outputs)``.
        histories: Losses of every epoch, of every network.
    """

    heads: Heads
    numbers: NDArray[np.int64]
    fold: NDArray[np.int64]
    logits: NDArray[np.float64]
    histories: tuple[list[dict[str, float]], ...]


def cross_validate(job: SlideJob) -> CrossValidated:
    """Train all networks, or go on with it.

    Raises:
        UsageError: the folder holds another training.
        CohortError: there are fewer groups of a class than folds.
        TrainingError: it cannot go on; what was trained is kept.
        StoppedError: it was asked to stop; the same call continues.
    """
    recipe, numbers = job.recipe, job.numbers(test=False)
    _claim(job)
    fold = np.array(
        [
            fold_of(job.found, numbers, recipe.folds, job.seed * 1000 + repeat)
            for repeat in range(recipe.repeats)
        ],
        np.int64,
    )
    logits = np.full((recipe.repeats, len(numbers), job.design.outputs), np.nan)
    members, histories = [], []
    count = recipe.repeats * recipe.folds
    for repeat in range(recipe.repeats):
        for one in range(recipe.folds):
            place = repeat * recipe.folds + one + 1
            epochs = recipe.epochs * (1 + recipe.refit)
            job.observer.stage(f"network {place} of {count}", epochs)
            rest = [n for n, f in zip(numbers, fold[repeat], strict=True) if f != one]
            trained = _member(job, rest, (job.seed, repeat, one))
            held_out = np.flatnonzero(fold[repeat] == one)
            for index in held_out:
                logits[repeat, index], _ = forward(
                    job.design, trained.weights, job.bags[numbers[index]]
                )
            members.append(trained.weights)
            histories.append(trained.history)
    return CrossValidated(
        Heads(job.design, tuple(members)),
        np.array(numbers, np.int64),
        fold,
        logits,
        tuple(histories),
    )


def clear(folder: Path) -> None:
    """Remove what only an unfinished training needs."""
    for path in (*folder.glob("network-*.pt"), folder / CHECKPOINT, folder / _IDENTITY):
        with suppress(OSError):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


@dataclass(frozen=True)
class _Trained:
    """A finished network; what its file holds."""

    weights: dict[str, NDArray[np.float32]]
    history: list[dict[str, float]]
    epochs: int


def _member(job: SlideJob, rest: Sequence[int], key: tuple[int, ...]) -> _Trained:
    """One network, trained now or earlier."""
    train, inner = inner_split([job.found.slides[n] for n in rest], job.recipe.inner, key)
    member = Member(
        recipe=job.recipe,
        design=job.design,
        bags=job.bags,
        slides=job.found.slides,
        train=[rest[place] for place in train],
        inner=[rest[place] for place in inner],
        key=key,
        epochs=job.recipe.epochs,
        device=job.device,
        stopped=job.stopped,
    )
    name = f"network-{key[1]}-{key[2]}"
    ended = _train(job, member, f"{name}.pt")
    if not job.recipe.refit:
        return ended
    again = replace(member, train=rest, inner=(), key=(*key, 1), epochs=ended.epochs)
    return replace(_train(job, again, f"{name}-all.pt"), history=ended.history)


def _train(job: SlideJob, member: Member, name: str) -> _Trained:
    earlier = load(job.folder, name)
    if earlier is not None:
        job.observer.advanced(member.epochs)
        weights = {key: one.numpy() for key, one in earlier["weights"].items()}
        return _Trained(weights, earlier["history"], earlier["epochs"])
    training = MemberTraining(member, job.folder / CHECKPOINT)
    weights, history = training.train(job.observer.advanced)
    tensors: dict[str, Any] = {key: torch.from_numpy(one) for key, one in weights.items()}
    kept = {"weights": tensors, "history": history, "epochs": training.best_epochs}
    save(job.folder, name, kept)
    return _Trained(weights, history, training.best_epochs)


def _claim(job: SlideJob) -> None:
    """Make the folder this training's.

    Raises:
        UsageError: it is another's.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    path = job.folder / _IDENTITY
    mine = json.dumps({"fingerprint": job.fingerprint})
    try:
        if path.read_text(encoding="utf-8") != mine:
            raise UsageError(
                f"{job.folder} holds an unfinished training of other slides, features or "
                "settings; repeat those, choose another -o, or delete it with --restart"
            )
    except FileNotFoundError:
        write_whole(path, mine.encode())
