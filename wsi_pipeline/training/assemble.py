"""From a cohort or a folder of images to what is to be trained."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsi_pipeline.cohort import Cohort
from wsi_pipeline.errors import CohortError
from wsi_pipeline.training.check import (
    Surveyed,
    check_apart,
    check_classes,
    check_pairing,
    check_slides,
)
from wsi_pipeline.training.folds import fold_of
from wsi_pipeline.training.images import Folder, FolderSource, Picture, split_images
from wsi_pipeline.training.patch_source import SlideSource
from wsi_pipeline.training.request import Naming, Order
from wsi_pipeline.training.run import Observer
from wsi_pipeline.training.session import Job


def jobs_of_cohort(cohort: Cohort, order: Order, observer: Observer) -> list[Job]:
    """Check a cohort and say what is to be trained from it: one package, or one per fold.

    Test slides are looked at by name only; nothing of them is read.

    Raises:
        CohortError: the cohort cannot be trained on; the message names the slides.
    """
    included = [slide for slide in cohort if slide.split != "excluded"]
    check_pairing(included, cohort.source)
    chosen = cohort.of("train", "validation")
    if order.folds:
        undecided = (None, "train", "validation")
        chosen = Cohort(tuple(s for s in cohort if s.split in undecided), cohort.source)
    else:
        _check_split(cohort)
    surveyed = check_slides(
        chosen, order.recipe, threads=order.threads, observer=observer, skip_bad=order.skip_bad
    )
    left_out = sorted({slide.name for slide in chosen} - {one.slide.name for one in surveyed})
    if not order.folds:
        train = [one for one in surveyed if one.slide.split == "train"]
        validation = [one for one in surveyed if one.slide.split == "validation"]
        return [_slide_job(order, cohort, train, validation, left_out, order.out)]
    folds = fold_of(surveyed, order.folds, order.seed)
    return [
        _slide_job(
            order,
            cohort,
            [one for one, fold in zip(surveyed, folds, strict=True) if fold != number],
            [one for one, fold in zip(surveyed, folds, strict=True) if fold == number],
            left_out,
            order.out / f"fold-{number + 1}",
        )
        for number in range(order.folds)
    ]


def job_of_images(folder: Folder, order: Order, *, grouped: bool) -> Job:
    """What is to be trained from a folder of images; a fifth of them is kept for the test.

    Raises:
        CohortError: a class is missing in a part.
    """
    train, validation, test = split_images(folder.pictures, order.seed)
    for use, part in (("training", train), ("validation", validation), ("the test", test)):
        for tumour in (False, True):
            if not any(picture.tumour == tumour for picture in part):
                name = folder.classes[int(tumour)]
                raise CohortError(
                    folder.path, f"there is no image of {name} for {use}; more groups are needed"
                )
    recipe = order.recipe
    by = "groups found in their names" if grouped else "images (patients are unknown)"
    told = (
        f"{len(folder.pictures):,} images of {folder.path.name} ({folder.classes[0]}, "
        f"{folder.classes[1]}), split by {by}: {len(train):,} trained on, {len(validation):,} "
        f"validated on, {len(test):,} held out; recipe {recipe.name}, start {recipe.init}"
    )
    facts: dict[str, Any] = {
        "kind": "images",
        "folder": str(folder.path),
        "classes": list(folder.classes),
        "positive": folder.classes[1],
        "split_by": "group" if grouped else "image",
        "note": "groups are whole in one part"
        if grouped
        else "patients are unknown: images of one patient may be in several parts, and figures "
        "may be better than they would be for new patients",
        "copies": folder.duplicates,
        "left_out": list(folder.left_out),
        "parts": {
            name: _counts(part)
            for name, part in (("train", train), ("validation", validation), ("test", test))
        },
    }
    naming = Naming(order.name, order.version, order.licence, told, False, folder.classes)
    return Job(
        recipe=recipe,
        train=FolderSource(train, recipe.patch_px),
        validation=FolderSource(validation, recipe.patch_px),
        test=FolderSource(test, recipe.patch_px),
        naming=naming,
        facts=facts,
        out=order.out,
        search=order.search,
    )


def _check_split(cohort: Cohort) -> None:
    if not any(slide.split in ("train", "validation") for slide in cohort):
        raise CohortError(
            cohort.source,
            "no slide is in train or validation; decide with `wsi dataset split`, or use --folds",
        )


def _slide_job(
    order: Order,
    cohort: Cohort,
    train: Sequence[Surveyed],
    validation: Sequence[Surveyed],
    left_out: list[str],
    out: Path,
) -> Job:
    check_classes(train, "training", cohort.source)
    check_classes(validation, "validation", cohort.source)
    check_apart(train, validation)
    recipe = order.recipe
    synthetic = any(one.synthetic for one in (*train, *validation))
    patients = len({one.slide.patient for one in (*train, *validation)})
    centres = sorted({one.slide.centre for one in (*train, *validation)} - {""})
    where = f" and {len(centres)} centres ({', '.join(centres)})" if centres else ""
    at = (
        f"pyramid level {', '.join(map(str, recipe.levels))}"
        if recipe.levels
        else f"{recipe.mpp:g} µm/px"
    )
    told = (
        f"{'synthetic slides (`wsi synth`), no real tissue: ' if synthetic else ''}"
        f"{len(train)} slides trained on and {len(validation)} validated on, of {patients} "
        f"patients{where}; patches at {at}, tumour by the rule {recipe.labels.rule!r}; recipe "
        f"{recipe.name}, start {recipe.init}"
    )
    facts: dict[str, Any] = {
        "kind": "slides",
        "cohort": None if cohort.source is None else str(cohort.source),
        "synthetic": synthetic,
        "patients": {
            "train": sorted({one.slide.patient for one in train}),
            "validation": sorted({one.slide.patient for one in validation}),
        },
        "slides": [
            _told(one, part)
            for part, several in (("train", train), ("validation", validation))
            for one in several
        ],
        "left_out": left_out,
        "not_used": [slide.name for slide in cohort if slide.split in ("test", "excluded")],
    }
    per_slide = recipe.sampling.per_slide
    return Job(
        recipe=recipe,
        train=SlideSource([one.tiles for one in train], per_slide=per_slide, seed=order.seed),
        validation=SlideSource([one.tiles for one in validation]),
        test=None,
        naming=replace(
            Naming(order.name, order.version, order.licence, told, synthetic),
            name=order.name if out == order.out else f"{order.name}-{out.name}",
        ),
        facts=facts,
        out=out,
        search=order.search,
    )


def _told(one: Surveyed, part: str) -> dict[str, Any]:
    return {
        "slide": one.slide.name,
        "part": part,
        "patient": one.slide.patient,
        "centre": one.slide.centre,
        "label": one.slide.label,
        "annotation": one.slide.annotated,
        "tumour_candidates": one.tiles.tumour,
        "normal_candidates": one.tiles.normal,
        "synthetic": one.synthetic,
        "warnings": list(one.warnings),
    }


def _counts(pictures: Sequence[Picture]) -> dict[str, int]:
    positives = sum(picture.tumour for picture in pictures)
    return {
        "images": len(pictures),
        "positive": positives,
        "groups": len({picture.group for picture in pictures}),
    }
