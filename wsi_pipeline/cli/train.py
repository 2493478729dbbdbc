"""``wsi train``: from slides with outlined tumour to a model package."""

import json as json_format
import os
import sys
from pathlib import Path

from wsi_pipeline.cli.screen_options import PromiseOption, ScreenOption
from wsi_pipeline.cli.slide_level_options import (
    AlphaOption,
    DeltaOption,
    FalseAlarmsOption,
    GroupingOption,
    HoldOutOption,
    KindOption,
    NegativeOption,
    PackageOption,
)
from wsi_pipeline.cli.train_options import (
    CohortArgument,
    DeviceOption,
    EncoderOption,
    FeaturesOption,
    FoldsOption,
    GroupFromOption,
    ImagesOption,
    InitOption,
    JsonOption,
    LabelsOption,
    LevelOption,
    LicenceOption,
    ListOption,
    MppOption,
    NameOption,
    OutOption,
    OverwriteOption,
    PositiveOption,
    PrecisionOption,
    QuietOption,
    RecipeOption,
    RestartOption,
    SearchOption,
    SeedOption,
    SetOption,
    SkipBadOption,
    TestSourceOption,
    ThreadsOption,
    ThresholdByOption,
    VersionOption,
)
from wsi_pipeline.cli.train_slides import train_slide_labels
from wsi_pipeline.cli.training_progress import TrainingDisplay
from wsi_pipeline.cli.training_report import print_report
from wsi_pipeline.cohort.table import read_cohort
from wsi_pipeline.errors import UsageError
from wsi_pipeline.training.recipe import load_recipe
from wsi_pipeline.training.recipe_file import read_facts, shipped
from wsi_pipeline.training.request import Order, package_name
from wsi_pipeline.training.slides.recipe import is_for_slide_labels

#: Threads torch uses unless told: more change the order of sums, and help little beyond.
_MOST_THREADS = 8


def train(
    cohort: CohortArgument = None,
    *,
    out: OutOption = None,
    recipe: RecipeOption = "linear-probe",
    set_: SetOption = None,
    list_: ListOption = False,
    mpp: MppOption = None,
    level: LevelOption = None,
    init: InitOption = None,
    threshold_by: ThresholdByOption = None,
    seed: SeedOption = 1,
    folds: FoldsOption = 0,
    search: SearchOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    images: ImagesOption = None,
    labels: LabelsOption = None,
    slide_level: PackageOption = None,
    screen: ScreenOption = None,
    promise: PromiseOption = 0.001,
    kind: KindOption = "regions-logistic",
    alpha: AlphaOption = 0.05,
    delta: DeltaOption = 0.1,
    false_alarms: FalseAlarmsOption = 0.2,
    hold_out: HoldOutOption = 0.0,
    grouping: GroupingOption = None,
    negative: NegativeOption = None,
    test_source: TestSourceOption = None,
    positive: PositiveOption = None,
    group_from: GroupFromOption = None,
    features: FeaturesOption = None,
    encoder: EncoderOption = None,
    name: NameOption = None,
    version: VersionOption = None,
    licence: LicenceOption = "not stated",
    skip_bad: SkipBadOption = False,
    restart: RestartOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a model package that wsi run uses as it is.

    Patches are read from the slides as in inference; no folders of patches are written. Every
    slide is checked before training starts. Temperature and threshold are fitted on validation
    slides only, and test slides are never opened. [bold]OUT.train.json[/] is the report. After an
    interruption or a kill, the same command continues, with identical results.

    [bold]Examples[/]

    A few minutes on a CPU:

        wsi train cohort.csv -o models/probe --recipe linear-probe

    Inception v3 from ImageNet weights, at level 1:

        wsi train cohort.csv -o models/lab --recipe camelyon-inception-v3 --level 1

    Without a network, with weights from a file, and fewer epochs:

        wsi train cohort.csv -o models/lab --recipe camelyon-vgg16 --init vgg16.pth --set epochs=3

    Five-fold cross-validation by patient; a small search:

        wsi train cohort.csv -o models/folds --folds 5

        wsi train cohort.csv -o models/best --recipe camelyon-baseline --search learning_rate=1e-3,1e-4 --search batch=16,32

    Images sorted into folders, of two classes or more; a laboratory kept for the test:

        wsi train --images colorectal -o models/colorectal --recipe colorectal-mobilenet

        wsi train --images cells.csv -o models/cells --recipe blood-cells-two-stage --test-source bccd

    An answer for whole slides, from results of validation slides; wsi run gives it from then on:

        wsi train results --slide-level models/lab --labels cohort.csv -o models/lab-2

    A screen, with which a model's runs take a fraction of the time, by the splits of the cohort:

        wsi train cohort.csv --screen models/lab -o models/lab-screened

    Slides of which only the label is known, by the features of their tiles:

        wsi train labels.csv -o models/slides --recipe abmil --features features --encoder uni

    Several GPUs:

        torchrun --nproc-per-node 4 -m wsi_pipeline.cli train cohort.csv -o models/lab --recipe camelyon-inception-v3

    Exit codes: 0 trained, 2 wrong usage or an unusable table, 3 a file cannot be used, the training
    failed or the disk is full.
    """  # noqa: E501 - a command to copy stays on one line
    if list_:
        _print_recipes()
        return
    if out is None:
        raise UsageError("name the folder for the package: -o FOLDER")
    if screen is not None:
        # Loads torch and the pipeline, which take longer than finding a wrong option.
        from wsi_pipeline.cli.screen import train_screen  # noqa: PLC0415

        train_screen(
            screen,
            cohort,
            out,
            promise=promise,
            seed=seed,
            device=device,
            overwrite=overwrite,
            json=json,
            quiet=quiet,
        )
        return
    if slide_level is not None:
        results, slide_table = _results_and_labels(cohort, labels, images)
        # Loads scikit-learn, which takes longer than finding a wrong option.
        from wsi_pipeline.cli.slide_level import fit_slide_level  # noqa: PLC0415
        from wsi_pipeline.training.slide_level.fit import SlideOrder  # noqa: PLC0415

        fit_slide_level(
            slide_level,
            results,
            slide_table,
            SlideOrder(
                out, kind, alpha, delta, false_alarms, hold_out, seed, version or "", overwrite
            ),
            grouping=grouping,
            negative=negative,
            json=json,
            quiet=quiet,
        )
        return
    if cohort is not None and is_for_slide_labels(recipe):
        train_slide_labels(
            cohort,
            out,
            recipe,
            set_ or (),
            features=features,
            encoder=encoder,
            positive=positive,
            folds=folds,
            naming=(name or package_name(out), version or "1", licence),
            seed=seed,
            threads=threads,
            device=device,
            skip_bad=skip_bad,
            restart=restart,
            overwrite=overwrite,
            json=json,
            quiet=quiet,
        )
        return
    if features is not None or encoder is not None:
        raise UsageError("--features and --encoder need a recipe for slide labels: see --list")
    if (cohort is None) == (images is None):
        raise UsageError("give a cohort table, or --images FOLDER")
    of_images = any((labels, test_source, positive, group_from))
    _check(of_images=of_images, images=images is not None, folds=folds, sized=(mpp, level))
    levels = None if level is None else _levels(level)
    if images is not None and mpp is None and levels is None:
        levels = (0,)  # nothing says how large the images' px are
    chosen = load_recipe(
        recipe, set_ or (), mpp=mpp, levels=levels, init=init, threshold=threshold_by
    )
    table = None if cohort is None else read_cohort(cohort)
    order = Order(
        recipe=chosen,
        out=out,
        name=name or package_name(out),
        version=version or "1",
        licence=licence,
        seed=seed,
        folds=folds,
        search=tuple(search or ()),
        skip_bad=skip_bad,
        threads=threads or min(_MOST_THREADS, len(os.sched_getaffinity(0))),
        device=device,
        precision=precision,
        restart=restart,
        overwrite=overwrite,
    )
    with TrainingDisplay(quiet=quiet) as display:
        display.stage("starting")
        # Imports torch, which takes longer than finding a wrong option.
        from wsi_pipeline.training.command import train_cohort, train_images  # noqa: PLC0415

        if table is not None:
            report = train_cohort(table, order, display)
        else:
            assert images is not None
            resize = any(change.startswith("patch_px=") for change in set_ or ())
            report = train_images(
                images,
                order,
                display,
                labels=labels,
                positive=positive,
                group_from=group_from,
                test_source=test_source,
                resize=resize,
            )
    if json:
        sys.stdout.write(json_format.dumps(report) + "\n")
    elif not quiet:
        print_report(report)


def _results_and_labels(
    results: Path | None, labels: Path | None, images: Path | None
) -> tuple[Path, Path]:
    """What ``--slide-level`` needs.

    Raises:
        UsageError: one of them is missing, or images are given.
    """
    if results is None or labels is None or images is not None:
        raise UsageError("--slide-level needs a folder of results or slides, and --labels TABLE")
    return results, labels


def _check(
    *, of_images: bool, images: bool, folds: int, sized: tuple[float | None, str | None]
) -> None:
    """Raise where options contradict each other."""
    if of_images and not images:
        raise UsageError("--labels, --test-source, --positive and --group-from need --images")
    if images and folds:
        raise UsageError("--folds needs patients, and images have none")
    if None not in sized:
        raise UsageError("give --mpp or --level, not both")
    if folds == 1:
        raise UsageError("--folds takes 2 or more")


def _levels(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--level {text}: write a level, or several as 3,4,5") from None


def _print_recipes() -> None:
    for name in shipped():
        sys.stdout.write(f"{name:<24}{read_facts(name)['about']}\n")
