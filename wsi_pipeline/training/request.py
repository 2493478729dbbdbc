"""What a user asks of a training, beside the data; loads no torch."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from wsi_pipeline.training.recipe import Recipe, changed


@dataclass(frozen=True, slots=True)
class Naming:
    """What a package says of itself.

    Attributes:
        name: Letters, digits, dot, dash, underscore.
        version: Of the model.
        licence: Of the weights.
        data: What it was trained on.
        synthetic: Whether any of that was drawn by ``wsi synth``.
        classes: By their numbers; of two the positive one is the last.
        positive: The class of interest.
    """

    name: str
    version: str
    licence: str
    data: str
    synthetic: bool
    classes: tuple[str, ...] = ("normal", "tumour")
    positive: str = "tumour"


def package_name(folder: Path) -> str:
    """A package's name made of its folder's."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).lstrip("._-")
    return name or "model"


@dataclass(frozen=True, slots=True)
class Order:
    """What a user asks for, beside the data.

    Attributes:
        recipe: How to train.
        out: The package's folder; with folds, the folder of the packages.
        name: Of the package.
        version: Of the package.
        licence: Of the weights.
        seed: Of everything random.
        folds: 0, or how many parts patients are dealt into.
        search: ``KEY=A,B`` terms.
        skip_bad: Leave out what cannot be used.
        threads: Of the network on the CPU.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        restart: Discard an unfinished training.
        overwrite: Replace a package that is there.
    """

    recipe: Recipe
    out: Path
    name: str
    version: str
    licence: str
    seed: int
    folds: int
    search: tuple[str, ...]
    skip_bad: bool
    threads: int
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    restart: bool = False
    overwrite: bool = False

    def of_images(self, side: int | None) -> "Order":
        """The same for images: validated on all of them, in patches of a side in px, if given."""
        fitting = ["sampling.validation_patches=null"]
        if side is not None:
            # A recipe for slides is one for images from here on, whose labels need no place.
            fitting += [f"patch_px={side}"]
        return replace(self, recipe=changed(self.recipe, ["made_for=images", *fitting]))

    @property
    def readers(self) -> int:
        """Threads that read patches, and slides checked at once."""
        return max(2, len(os.sched_getaffinity(0)))
