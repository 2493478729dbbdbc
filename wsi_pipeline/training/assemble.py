"""From a cohort or a folder of images to what is to be trained."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsi_pipeline.cohort import Cohort
from wsi_pipeline.errors import CohortError
from wsi_pipeline.images.placement import Intake
from wsi_pipeline.training.check import (
    Surveyed,
    check_apart,
    check_classes,
    check_pairing,
    check_slides,
)
from wsi_pipeline.training.folds import fold_of
from wsi_pipeline.training.image_split import split_examples
from wsi_pipeline.training.images import Example, Examples, ImageSource
from wsi_pipeline.training.patch_source import SlideSource
from wsi_pipeline.training.request import Naming, Order
from wsi_pipeline.training.run import Observer
from wsi_pipeline.training.session import Job
from wsi_pipeline.training.stain import choose_target, fit_images, stain_facts


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


def job_of_images(examples: Examples, order: Order, test_source: str | None = None) -> Job:
    """What is to be trained from single images; a fifth of them is kept for the test.

    Args:
        examples: The images.
        order: What is asked for.
        test_source: A source that is kept for the test as a whole, beside that fifth.

    Raises:
        UsageError: there is no such source.
        CohortError: a class is missing in a part.
    """
    split = split_examples(examples, order.seed, test_source)
    recipe, classes = order.recipe, examples.classes
    parts = {
        name: part
        for name in ("train", "validation", "test", "external")
        if (part := getattr(split, name))
    }
    by = "groups (patients, slides or smears)" if examples.grouped else "images (groups unknown)"
    sources = sorted({one.source for one in examples.images if one.source})
    told = (
        f"{len(examples.images):,} images of {examples.origin.name} ({', '.join(classes)}), split "
        f"by {by}: {len(split.train):,} trained on, {len(split.validation):,} validated on, "
        f"{len(split.test):,} held out; recipe {recipe.name}, start {recipe.init}"
    )
    facts: dict[str, Any] = {
        "kind": "images",
        "origin": str(examples.origin),
        "classes": list(classes),
        "positive": examples.positive,
        "sources": sources,
        "test_source": test_source,
        "split_by": "group" if examples.grouped else "image",
        "note": "groups are whole in one part"
        if examples.grouped
        else "groups are unknown: images of one patient or slide may be in several parts, and "
        "figures may be better than they would be for new patients",
        "alike": examples.alike,
        "alike_note": f"{examples.alike:,} images hold the same picture as another one (copies, "
        "resized, recompressed, turned); such images are whole in one part",
        "kept_apart": split.kept_apart,
        "doubtful": list(examples.doubtful),
        "left_out": list(examples.left_out),
        "parts": {name: _counts(part, classes) for name, part in parts.items()},
    }
    naming = Naming(
        order.name, order.version, order.licence, told, False, classes, examples.positive
    )
    fits = fit_images(split.train, recipe)
    stain = choose_target(recipe, fits)
    facts |= stain_facts(stain, fits)
    intake = Intake(recipe.images, stain)
    found = {
        name: ImageSource(part, len(classes), recipe.patch_px, intake)
        for name, part in parts.items()
    }
    return Job(
        recipe=recipe,
        train=found["train"],
        validation=found["validation"],
        test=found["test"],
        naming=naming,
        facts=facts,
        out=order.out,
        search=order.search,
        external=found.get("external"),
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
    fits = [one.tiles.stain for one in train]
    stain = choose_target(recipe, fits)
    facts |= stain_facts(stain, [*fits, *(one.tiles.stain for one in validation)])
    return Job(
        recipe=recipe,
        train=SlideSource(
            [one.tiles for one in train], per_slide=per_slide, seed=order.seed, stain=stain
        ),
        validation=SlideSource([one.tiles for one in validation], stain=stain),
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


def _counts(images: Sequence[Example], classes: Sequence[str]) -> dict[str, Any]:
    return {
        "images": len(images),
        "groups": len({image.group for image in images}),
        "of_class": {
            name: sum(image.label == number for image in images)
            for number, name in enumerate(classes)
        },
    }
