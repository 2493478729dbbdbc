"""The optimiser of a recipe, and how its learning rate goes on; both are torch's and timm's."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import Tensor

from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.recipe_sections import Optimiser


def make_optimiser(parameters: Iterable[Tensor], settings: Optimiser) -> torch.optim.Optimizer:
    """The optimiser of a recipe."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay)
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(
            parameters,
            lr=rate,
            alpha=settings.alpha,
            momentum=settings.momentum,
            weight_decay=decay,
        )
    made: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "nadam": torch.optim.NAdam,
        "radam": torch.optim.RAdam,
    }
    return made[settings.name](parameters, lr=rate, weight_decay=decay)


class Rates:
    """Sets the learning rate of each epoch.

    Args:
        optimiser: Whose rate it is.
        recipe: Says how it goes on.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, recipe: Recipe) -> None:
        self._optimiser, self._recipe = optimiser, recipe
        self._plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._cosine: CosineLRScheduler | None = None
        schedule, rate = recipe.schedule, recipe.optimiser.learning_rate
        if schedule.name == "plateau":
            self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimiser, "max", schedule.factor, schedule.patience, threshold=0.0
            )
        if schedule.name == "cosine":
            self._cosine = CosineLRScheduler(
                optimiser,
                t_initial=recipe.epochs,
                lr_min=rate / 100,
                warmup_t=schedule.warm_up,
                warmup_lr_init=rate / 10,
            )

    def begin(self, epoch: int) -> None:
        """Set the rate of an epoch, from 0 on; of a plateau it stays as it was left."""
        settings = self._recipe.optimiser
        if self._cosine is not None:
            # At the end of an epoch's steps the next one's place on the curve would be too late.
            self._cosine.step(epoch)
        elif self._plateau is None:
            for group in self._optimiser.param_groups:
                group["lr"] = settings.learning_rate * settings.decay**epoch

    def end(self, metric: float) -> None:
        """Note how an epoch ended: the larger, the better."""
        if self._plateau is not None:
            self._plateau.step(metric)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {} if self._plateau is None else dict(self._plateau.state_dict())

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        if self._plateau is not None and state:
            self._plateau.load_state_dict(state)
