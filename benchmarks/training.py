"""Images per second of training beside the bare model's rate on batches that lie ready.

    python -m benchmarks.training --recipe camelyon-inception-v3

The bare rate is the same network, batch, precision, optimiser and device, over batches that are
on the device already: forward, backward, step. The training rate includes reading patches from
slides on disk, moving, turning and recolouring them. Both leave out the first steps. Turns
alternate, because the machine may be noisy; what is compared are medians. ``--out`` keeps the
figures as JSON.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsi_pipeline.cohort import Cohort, CohortSlide
from wsi_pipeline.synth import SynthSpec, parse_size, truth_paths, write_slide
from wsi_pipeline.training.check import check_slides
from wsi_pipeline.training.device import Team, choose_device, repeatable, room_on
from wsi_pipeline.training.initial_weights import (
    first_weights,
    new_classifier,
    use_repeatable_pooling,
)
from wsi_pipeline.training.loader import Loader
from wsi_pipeline.training.loop import Training
from wsi_pipeline.training.patch_source import SlideSource
from wsi_pipeline.training.recipe import Recipe, load_recipe
from wsi_pipeline.training.run import Run, Silence
from wsi_pipeline.training.schedule import make_optimiser

#: Batches that lie ready on the device, used in turns.
_READY = 4


class _Clock(Silence):
    """Notes when each step of an epoch ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self._epoch = False

    def stage(self, name: str, total: int | None = None, done: int = 0) -> None:  # noqa: ARG002 - the observer's signature
        self._epoch = name.startswith("epoch")

    def advanced(self, parts: int, note: str = "") -> None:  # noqa: ARG002 - as above
        if self._epoch:
            self.ends.append(time.perf_counter())


def main() -> None:
    """Draw slides, measure, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="camelyon-inception-v3")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--slides", type=int, default=4)
    parser.add_argument("--size", default="12000x10000")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/bench-training.json"))
    arguments = parser.parse_args()
    figures = measure(
        arguments.out.parent / "bench-training",
        recipe=arguments.recipe,
        changes=arguments.set,
        device=arguments.device,
        slides=arguments.slides,
        size=arguments.size,
        steps=arguments.steps,
        warm_up=arguments.warm_up,
        repeats=arguments.repeats,
    )
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def measure(
    folder: Path,
    *,
    recipe: str,
    changes: Sequence[str],
    device: str,
    slides: int,
    size: str,
    steps: int,
    warm_up: int,
    repeats: int,
) -> dict[str, Any]:
    """Figures of one recipe on one device.

    Args:
        folder: For the slides.
        recipe: Its name or file.
        changes: Of it, ``KEY=VALUE``.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        slides: How many are trained on.
        size: Of each, as ``12000x10000``.
        steps: How many are timed.
        warm_up: How many before are not; a multiple of ten on a GPU.
        repeats: Rounds.
    """
    where = choose_device(device, Team())
    once = [*changes, "init=random", "epochs=1"]
    batch = load_recipe(recipe, once).batch
    every = steps + warm_up
    once += [f"sampling.patches={every * batch}", "sampling.validation_patches=16"]
    loaded = load_recipe(recipe, [*once, f"checkpoint_steps={every}"])
    cores = len(os.sched_getaffinity(0))
    precision = "bf16" if where.type == "cuda" else "fp32"
    drawn = _slides(folder, slides, size)
    surveyed = check_slides(Cohort(drawn), loaded, threads=cores, observer=Silence())
    tiles = [one.tiles for one in surveyed]
    bare: list[float] = []
    training: list[float] = []
    with repeatable(min(8, cores)):
        for turn in range(repeats):
            bare.append(_bare(loaded, where, precision, steps, warm_up))
            clock = _Clock()
            with (
                tempfile.TemporaryDirectory() as work,
                Loader(max(2, cores), room_on(where)) as loader,
            ):
                run = Run(
                    recipe=loaded,
                    train=SlideSource(tiles),  # a cache of its own: tiles are decoded anew
                    validation=SlideSource(tiles),
                    seed=turn,
                    folder=Path(work),
                    device=where,
                    team=Team(),
                    threads=min(8, cores),
                    loader=loader,
                    observer=clock,
                    precision=precision,
                )
                Training(run).train()
            # Every tenth step and the last look at the loss, for which the device is waited for.
            took = clock.ends[-1] - clock.ends[warm_up - 1]
            training.append(steps * batch / took)
            print(f"turn {turn + 1}: bare {bare[-1]:.1f}, training {training[-1]:.1f} images/s")
    return {
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        "cores": cores,
        "recipe": recipe,
        "batch": batch,
        "precision": precision,
        "steps": steps,
        "bare_images_per_second": statistics.median(bare),
        "training_images_per_second": statistics.median(training),
        "share": statistics.median(training) / statistics.median(bare),
    }


def _slides(folder: Path, count: int, size: str) -> tuple[CohortSlide, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number in range(count):
        path = folder / f"train_{size}_{number}.tiff"
        if not path.exists():
            stain = "ac"[number % 2]
            write_slide(SynthSpec(parse_size(size), seed=900 + number, stain=stain), path)
        found.append(
            CohortSlide(
                name=path.stem,
                label="tumour",
                patient=path.stem,
                annotated="full",
                path=path,
                truth=truth_paths(path)[1],
                truth_kind="asap",
            )
        )
    return tuple(found)


def _bare(recipe: Recipe, device: torch.device, precision: str, steps: int, warm_up: int) -> float:
    """Images per second of forward, backward and step alone."""
    classifier = new_classifier(recipe)
    first_weights(classifier, recipe, 1)
    use_repeatable_pooling(classifier, device)
    classifier.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's overloads know one argument at a time
    optimiser = make_optimiser(classifier.parameters(), recipe.optimiser)
    rng = np.random.default_rng(1)
    shape = (recipe.batch, recipe.patch_px, recipe.patch_px, 3)
    ready = [
        torch.from_numpy(rng.integers(0, 256, shape, np.uint8)).to(device).permute(0, 3, 1, 2)
        for _ in range(_READY)
    ]
    labels = torch.arange(recipe.batch, device=device).remainder(2).float()
    began = 0.0
    for step in range(steps + warm_up):
        if step == warm_up:
            _wait(device)
            began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, precision == "bf16"):
            logits = classifier.logits(ready[step % _READY].float())
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch types it not
        optimiser.step()
    _wait(device)
    return steps * recipe.batch / (time.perf_counter() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
