"""What one training works with, and what it gives back."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.head_shape import HeadShape
from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.model.network import Classifier
from wsi_pipeline.model.torch_runtime import exact_fp32
from wsi_pipeline.stain.perturbation import three_stains
from wsi_pipeline.training.augment import placed, recolour
from wsi_pipeline.training.checkpoint import CHECKPOINT, State, load
from wsi_pipeline.training.device import Team, on_device
from wsi_pipeline.training.head_recipe import two_stage
from wsi_pipeline.training.initial_weights import new_classifier
from wsi_pipeline.training.loader import Batch, Loader
from wsi_pipeline.training.patch_source import PatchSource
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.sampling import Epoch
from wsi_pipeline.training.selection import AnyFigures


class Observer(Protocol):
    """Is told how a training goes on."""

    def stage(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Something begins that has ``total`` parts, ``done`` of which were done earlier."""
        ...

    def advanced(self, parts: int, note: str = "") -> None:
        """Some parts are done."""
        ...

    def says(self, line: str) -> None:
        """Something worth keeping on the screen."""
        ...


class Silence:
    """An :class:`Observer` that tells nobody."""

    def stage(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Nothing."""

    def advanced(self, parts: int, note: str = "") -> None:
        """Nothing."""

    def says(self, line: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Run:
    """One training: what it is made from and where it runs.

    Attributes:
        recipe: How.
        train: Patches trained on.
        validation: Patches validated on; no unit of theirs is trained on.
        seed: Of everything random.
        folder: Keeps checkpoints and logs.
        device: Computes.
        team: The processes that share the work.
        threads: Of torch on the CPU.
        loader: Reads patches.
        observer: Is told.
        precision: ``bf16`` (with fp32 weights) or ``fp32``.
        stopped: Asked after every step; for tests and for those who embed this.
        classes: Names of the classes, one logit each; empty: normal and tumour, with one logit.
    """

    recipe: Recipe
    train: PatchSource
    validation: PatchSource
    seed: int
    folder: Path
    device: torch.device
    team: Team
    threads: int
    loader: Loader
    observer: Observer = field(default_factory=Silence)
    precision: str = "fp32"
    stopped: Callable[[], bool] = lambda: False
    classes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides the weights; a checkpoint of another is not resumed."""
        facts = {
            "recipe": self.recipe.fingerprint,
            "seed": self.seed,
            "threads": self.threads,
            "device": self.device.type,
            "precision": self.precision,
            "processes": self.team.size,
            "classes": self.classes,
            "torch": torch.__version__,
            "train": digest(self.train),
            "validation": digest(self.validation),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def new_classifier(self, head: HeadShape | None = None) -> Classifier:
        """A classifier of this run's recipe and classes; weights of no use yet.

        Args:
            head: In place of the last layer; None: what gradient descent trains.
        """
        return new_classifier(self.recipe, self.classes, head or self.two_stage)

    @property
    def two_stage(self) -> HeadShape | None:
        """The shape of the head, where gradient descent trains one of two stages."""
        if self.recipe.head.kind != "two-stage":
            return None
        return two_stage(self.recipe.head, self.classes)

    def saved(self) -> dict[str, Any] | None:
        """The last checkpoint of this very training; None if it has not begun.

        Raises:
            UsageError: the folder holds another training's.
        """
        content = load(self.folder, CHECKPOINT)
        if content is not None and content["state"]["fingerprint"] != self.fingerprint:
            raise UsageError(
                f"{self.folder} holds an unfinished training of other slides, settings or "
                "versions; repeat those, choose another -o, or delete it with --restart"
            )
        return content

    def pixels(self, batch: Batch, epoch: Epoch) -> torch.Tensor:
        """A batch on the device, recoloured and placed: float ``(n, 3, patch, patch)``, 0-255."""
        if self.device.type == "cuda":
            # The loader has pinned them, so that nothing is copied here.
            pixels = on_device(torch.from_numpy(batch.patches), self.device)
            pixels = pixels.permute(0, 3, 1, 2).float()
        else:
            pixels = as_pixels(batch.patches)
        if epoch.colours is not None:
            target = None if self.train.stain is None else self.train.stain.target
            colours = torch.from_numpy(epoch.colours[batch.places])
            pixels = recolour(pixels, colours, three_stains(target))
        if epoch.placed is not None:
            pixels = placed(pixels, torch.from_numpy(epoch.placed[batch.places]))
        return pixels


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        classifier: With the best weights, on the CPU, temperature 1.
        state: History and the best epoch.
        figures: Of the best weights on the validation patches.
        validation: The patches it was validated on.
        labels: Numbers of their classes, ``(n,)``.
        logits: What the best weights say of them, float64: ``(n,)``, or ``(n, classes)`` of a run
            that names its classes.
        details: What the method has to tell of its choices.
        head: In place of the linear layer, if anything.
    """

    classifier: Classifier
    state: State
    figures: AnyFigures
    validation: Epoch
    labels: NDArray[np.int64]
    logits: NDArray[np.float64]
    details: dict[str, Any] = field(default_factory=dict)
    head: HeadShape | None = None

    def architecture(self, given: Architecture) -> dict[str, Any]:
        """The recipe's architecture with this head, for the description."""
        return given.model_copy(update={"head": self.head}).model_dump()


def digest(source: PatchSource) -> str:
    """SHA-256 (hex) of which patches a source has and what they are called."""
    found = hashlib.sha256(json.dumps([source.units, source.identity]).encode())
    for array in (source.unit, source.label, source.steady):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def score(
    run: Run, classifier: Classifier, source: PatchSource, epoch: Epoch
) -> NDArray[np.float64]:
    """Logits of patches in fp32, in order, ``(n,)`` or ``(n, classes)``; shared by the team."""
    every = np.arange(len(epoch))[run.team.rank :: run.team.size]
    groups = [every[i : i + run.recipe.batch] for i in range(0, len(every), run.recipe.batch)]
    was_training = classifier.training
    classifier.eval()
    found: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    # The threshold is fitted to these, and used on answers in fp32 that are not of TF32 either.
    with torch.inference_mode(), exact_fp32():
        for batch in run.loader.batches(source, epoch, groups):
            logits = classifier.logits(run.pixels(batch, epoch))
            found.append((batch.places, logits.double().cpu().numpy()))
            run.observer.advanced(len(batch.places) * run.team.size)
    classifier.train(was_training)
    values = np.empty((len(epoch), len(run.classes)) if run.classes else len(epoch))
    for part in run.team.gather(found):
        for places, logits in part:
            values[places] = logits
    return values
