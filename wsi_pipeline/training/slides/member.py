"""The training of one network, from start to early stop; a kill loses the last seconds only."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsi_pipeline.errors import StoppedError
from wsi_pipeline.slide_level.attention.design import HeadDesign
from wsi_pipeline.slide_level.attention.forward import Array
from wsi_pipeline.slide_level.attention.head_file import shapes
from wsi_pipeline.slide_level.attention.networks import Seen, new_network
from wsi_pipeline.training.checkpoint import load, save
from wsi_pipeline.training.slides.bags import Bags
from wsi_pipeline.training.slides.losses import class_loss, cluster_loss, cox_loss
from wsi_pipeline.training.slides.recipe import SlideRecipe
from wsi_pipeline.training.slides.scaling import fit_scaling
from wsi_pipeline.training.slides.table import LabelledSlide

#: Seconds between checkpoints at least.
_CHECKPOINT_SECONDS = 2.0
#: Bytes of scaled features that are kept from one epoch to the next.
_KEPT_BYTES = 2**30


@dataclass(frozen=True)
class Member:
    """What one network is trained from.

    Attributes:
        recipe: How.
        design: The network.
        bags: Features by the number of a slide.
        slides: By the same numbers.
        train: Numbers of the slides trained on.
        inner: Of those that decide when it ends; none: it ends after ``epochs``.
        key: Of everything random: the seed, the repeat, the fold.
        epochs: At most.
        device: Computes.
        stopped: Asked after every epoch; for tests and for those who embed this.
    """

    recipe: SlideRecipe
    design: HeadDesign
    bags: Bags
    slides: Sequence[LabelledSlide]
    train: Sequence[int]
    inner: Sequence[int]
    key: tuple[int, ...]
    epochs: int
    device: torch.device
    stopped: Callable[[], bool] = lambda: False


@dataclass
class _State:
    """Where a training is."""

    epoch: int = 0
    waited: int = 0
    best_epoch: int = -1
    best_loss: float = float("inf")
    history: list[dict[str, float]] | None = None


class MemberTraining:
    """Trains one network.

    Args:
        member: From what.
        file: The checkpoint.
    """

    def __init__(self, member: Member, file: Path) -> None:
        self._member, self._file = member, file
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_number(*member.key))
            self._scaling = fit_scaling(member.bags, member.train, member.recipe.components)
            trained = member.design.model_copy(update={"features": self._scaling.kept})
            network = new_network(trained, member.recipe.dropout)
        self._network = network.to(member.device)
        recipe = member.recipe
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        labels = [member.slides[index].label for index in member.train]
        counts = np.bincount(labels, minlength=member.design.outputs).clip(1)
        weights = len(labels) / (len(counts) * counts)
        self._weights = torch.tensor(weights, dtype=torch.float32, device=member.device)
        self._state = _State(history=[])
        self._kept: dict[int, Array] = {}
        self._best = self._parameters()
        self._restore()

    def train(
        self, advanced: Callable[[int], None] = lambda _: None
    ) -> tuple[dict[str, Array], list[dict[str, float]]]:
        """Train to the end.

        Args:
            advanced: Told how many epochs more are done; in the end, of all there could be.

        Returns:
            The best weights, without an inner part the last ones, for features as they are; and the
            losses of every epoch.

        Raises:
            StoppedError: it was asked to stop; the same call continues.
        """
        recipe, state, epochs = self._member.recipe, self._state, self._member.epochs
        history = state.history or []
        saved = time.monotonic()
        advanced(state.epoch)
        while state.epoch < epochs and state.waited < recipe.patience:
            loss = self._epoch()
            history.append({"train": loss})
            if self._member.inner:
                inner = history[-1]["inner"] = self._inner_loss()
                counts = state.epoch + 1 >= min(recipe.least_epochs, epochs)
            else:
                inner, counts = -float(state.epoch), True  # every epoch is better than the last
            state.waited += int(counts)
            if counts and inner < state.best_loss:
                state.best_loss, state.best_epoch, state.waited = inner, state.epoch, 0
                self._best = self._parameters()
            state.epoch, state.history = state.epoch + 1, history
            advanced(1)
            stopped = self._member.stopped()
            if stopped or time.monotonic() - saved > _CHECKPOINT_SECONDS:
                self._save()
                saved = time.monotonic()
            if stopped:
                raise StoppedError("stopped; what was trained is kept")
        advanced(epochs - state.epoch)
        return self._folded(), history

    @property
    def best_epochs(self) -> int:
        """How many epochs the best weights had."""
        return self._state.best_epoch + 1

    def _epoch(self) -> float:
        member, recipe = self._member, self._member.recipe
        rng = np.random.default_rng([*member.key, self._state.epoch])
        order = rng.permutation(np.asarray(member.train))
        total = 0.0
        self._network.train()
        with torch.random.fork_rng(devices=[]):
            # Dropout of an epoch depends on nothing before it.
            torch.manual_seed(_number(*member.key, self._state.epoch))
            for start in range(0, len(order), recipe.batch):
                batch = order[start : start + recipe.batch].tolist()
                seen = self._see(batch, rng)
                loss = self._loss(seen, batch)
                self._optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch's own lacks types
                self._optimiser.step()
                total += float(loss.detach()) * len(batch)
        return total / len(order)

    def _inner_loss(self) -> float:
        self._network.eval()
        inner = list(self._member.inner)
        with torch.inference_mode():
            seen = self._see(inner, None)
            return float(self._loss(seen, inner, clustering=False))

    def _see(self, slides: Sequence[int], rng: np.random.Generator | None) -> list[Seen]:
        """What the network says of slides; with random numbers, of some of their tiles."""
        bags, most = [], self._member.recipe.tiles
        for index in slides:
            values = self._scaled(index)
            if rng is not None and len(values) > most:
                values = values[np.sort(rng.choice(len(values), most, replace=False))]
            bags.append(torch.from_numpy(values).to(self._member.device))
        seen: list[Seen] = self._network(bags)
        return seen

    def _scaled(self, index: int) -> Array:
        """What the network is given of a slide, ``(n, kept)``."""
        known = self._kept.get(index)
        if known is None:
            known = self._scaling.apply(self._member.bags[index])
            if sum(one.nbytes for one in self._kept.values()) + known.nbytes <= _KEPT_BYTES:
                self._kept[index] = known
        return known

    def _loss(
        self, seen: Sequence[Seen], batch: Sequence[int], *, clustering: bool = True
    ) -> Tensor:
        recipe, device = self._member.recipe, self._member.device
        slides = [self._member.slides[index] for index in batch]
        logits = torch.stack([one.logits for one in seen])
        if recipe.target == "survival":
            times = torch.tensor([slide.time for slide in slides], device=device)
            events = torch.tensor([slide.event for slide in slides], device=device)
            return cox_loss(logits[:, 0], times, events)
        labels = torch.tensor([slide.label for slide in slides], device=device)
        loss = class_loss(logits, labels, self._weights)
        instance = getattr(self._network, "instance", None)
        if not clustering or instance is None:
            return loss
        clusters = []
        for one, slide in zip(seen, slides, strict=True):
            scores = instance(one.hidden).reshape(len(one.hidden), -1, 2)
            clusters.append(cluster_loss(scores, one, slide.label, recipe.clustering.tiles))
        weight = recipe.clustering.weight
        return (1 - weight) * loss + weight * torch.stack(clusters).mean()

    def _parameters(self) -> dict[str, Tensor]:
        found = self._network.state_dict()
        return {name: tensor.detach().cpu().clone() for name, tensor in found.items()}

    def _folded(self) -> dict[str, Array]:
        """The best weights without what only training needs, of features as they are."""
        weights = {name: self._best[name].numpy() for name in shapes(self._member.design)}
        weight, bias = self._scaling.folded(weights["stem.weight"], weights["stem.bias"])
        return {**weights, "stem.weight": weight, "stem.bias": bias}

    def _save(self) -> None:
        content: dict[str, Any] = {
            "key": list(self._member.key),
            "state": vars(self._state),
            "network": self._parameters(),
            "best": self._best,
            "optimiser": self._optimiser.state_dict(),
        }
        save(self._file.parent, self._file.name, content)

    def _restore(self) -> None:
        content = load(self._file.parent, self._file.name)
        if content is None or content["key"] != list(self._member.key):
            return
        self._state = _State(**content["state"])
        self._network.load_state_dict(content["network"])
        self._best = content["best"]
        self._optimiser.load_state_dict(content["optimiser"])


def _number(*key: int) -> int:
    """A seed for torch out of several numbers."""
    return int(np.random.SeedSequence(key).generate_state(1)[0])
