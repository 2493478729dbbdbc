"""What a training makes the stain of its slides or images like, and how each of them is stained."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wsi_pipeline.errors import TrainingError
from wsi_pipeline.grid import make_grid
from wsi_pipeline.images.picture import read_picture
from wsi_pipeline.images.placement import Intake
from wsi_pipeline.images.stain_target import read_target
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.stain.appearance import StainFit, median_appearance
from wsi_pipeline.stain.fit import fit_stain
from wsi_pipeline.stain.normalisation import StainTarget
from wsi_pipeline.tiles.plan import make_plan, spread
from wsi_pipeline.tiles.stain import fit_tissue
from wsi_pipeline.training.images import Example
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.recipe_sections import FROM_TRAINING

#: Training images whose stain is looked at, at most, for the usual one of all.
_MOST_IMAGES = 256


def fit_training_slide(reader: SlideReader, recipe: Recipe, threads: int) -> StainFit | None:
    """How a slide is stained, by the very tiles that ``wsi run`` looks at with its usual settings.

    Args:
        reader: The slide.
        recipe: Its method, patch and resolution.
        threads: Threads that read patches whose tissue a coarse level leaves open.

    Returns:
        None where the recipe leaves stain as it is.

    Raises:
        SlideError: the slide cannot be read.
    """
    method = recipe.stain.method
    if method == "none":
        return None
    level = recipe.levels[0] if recipe.levels else None
    resolution = choose_resolution(reader.info, mpp=recipe.mpp, level=level)
    grid = make_grid(reader.info, resolution, patch=recipe.patch_px, stride=recipe.patch_px)
    plan = make_plan(
        reader, grid, min_tissue=recipe.sampling.min_tissue, exact=False, threads=threads
    )
    return fit_tissue(reader, plan, method)


def fit_images(images: Sequence[Example], recipe: Recipe) -> list[StainFit]:
    """How training images are stained, each as the square that a model is given; a sample of them.

    Raises:
        ImageError: one cannot be read any more.
    """
    method = recipe.stain.method
    if method == "none" or recipe.stain.target != FROM_TRAINING:
        return []
    intake, found = Intake(recipe.images), []
    for index in spread(len(images), _MOST_IMAGES).tolist():
        pixels = read_picture(images[index].path).pixels
        square = intake(pixels, recipe.patch_px)
        inside = square.placement.inside(pixels.shape[1], pixels.shape[0], recipe.patch_px)
        found.append(fit_stain(method, square.pixels[inside].reshape(-1, 3)))
    return found


def choose_target(recipe: Recipe, fits: Iterable[StainFit | None]) -> StainTarget | None:
    """What all slides or images of a training are made like.

    Args:
        recipe: Says how, and what like.
        fits: Of the slides or images trained on, of which the usual one is taken unless the recipe
            names a file.

    Returns:
        None where the recipe leaves stain as it is.

    Raises:
        TrainingError: the stain of none of them can be told.
        UsageError: the file is no target.
    """
    method = recipe.stain.method
    if method == "none":
        return None
    if recipe.stain.target != FROM_TRAINING:
        return read_target(Path(recipe.stain.target), method)
    known = [one for one in fits if one is not None]
    usual = median_appearance([one.appearance for one in known if one.appearance is not None])
    if usual is None:
        reason = known[0].reason if known else "there is none"
        raise TrainingError(
            Path(recipe.name),
            f"the stain of no training slide or image can be told ({reason}), so there is nothing "
            "to make all like; name a picture with stain.target, or leave out stain",
        )
    return StainTarget(method, usual)


def stain_facts(target: StainTarget | None, fits: Sequence[StainFit | None]) -> dict[str, Any]:
    """What a report says of it; empty where stain stays as it is."""
    if target is None:
        return {}
    made = [target.of(one) for one in fits if one is not None]
    return {
        "stain": {
            "method": target.method,
            "target": asdict(target.target),
            "looked_at": len(made),
            "not_normalised": sum(bool(one.warning) for one in made),
        }
    }
