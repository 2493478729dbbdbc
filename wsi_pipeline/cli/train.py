"""``wsi train``: from slides with outlined tumour to a model package."""

import json as json_format
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

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
from wsi_pipeline.cli.train_slides import train_slide_labels
from wsi_pipeline.cli.training_progress import TrainingDisplay
from wsi_pipeline.cli.training_report import print_report
from wsi_pipeline.cohort.table import read_cohort
from wsi_pipeline.errors import UsageError
from wsi_pipeline.training.recipe import load_recipe
from wsi_pipeline.training.recipe_file import read_facts, shipped
from wsi_pipeline.training.request import Order, package_name
from wsi_pipeline.training.slides.recipe import is_for_slide_labels

_WHAT = "Patches"
_HOW = "Training"
_IMAGES = "Images instead of slides"
_SLIDES = "Slide labels only (abmil, clam-sb, transmil, mean-pool)"
#: Threads torch uses unless told: more change the order of sums, and help little beyond.
_MOST_THREADS = 8


def train(
    cohort: Annotated[
        Path | None,
        typer.Argument(
            help="The cohort table: slides, labels, patients, splits, annotations. With "
            "--slide-level a folder of results, or of slides.",
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder for the package. Report, checkpoints and logs are beside it.",
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe, or a YAML file. See --list.")
    ] = "linear-probe",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change the recipe: epochs=3, labels.rule=any, sampling.patches=2000. May be "
            "repeated.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Print the shipped recipes and exit.")
    ] = False,
    mpp: Annotated[
        float | None,
        typer.Option(help="µm per px of the patches.", rich_help_panel=_WHAT),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="Pyramid level of the patches; several are merged: 3,4,5.", rich_help_panel=_WHAT
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="imagenet, efficientnet-lite0 (installed), random, a weights file or a model "
            "package.",
            metavar="imagenet|efficientnet-lite0|random|PATH",
            rich_help_panel=_HOW,
        ),
    ] = None,
    threshold_by: Annotated[
        str | None,
        typer.Option(
            help="recall=0.95, youden or fpr=0.05, on the validation patches.",
            metavar="RULE",
            rich_help_panel=_HOW,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0, rich_help_panel=_HOW)] = 1,
    folds: Annotated[
        int,
        typer.Option(
            help="Cross-validate: divide the patients into this many parts and train a package "
            "for each, in OUT/fold-1 and so on.",
            min=0,
            rich_help_panel=_HOW,
        ),
    ] = 0,
    search: Annotated[
        list[str] | None,
        typer.Option(
            help="Train with every combination, keep the best: learning_rate=1e-3,1e-4, "
            "weight_decay=0,1e-4, decay=1,0.9, batch=16,32. May be repeated.",
            metavar="KEY=A,B",
            rich_help_panel=_HOW,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda:N.", rich_help_panel=_HOW)
    ] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        typer.Option(
            help="fp32, or bf16 (weights stay fp32); auto: bf16 on GPUs.", rich_help_panel=_HOW
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            help="CPU threads of the network; with the same number, results are identical. "
            "[dim]\\[default: one per core, at most 8][/]",
            min=1,
            rich_help_panel=_HOW,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="A folder with one folder of images per class, or a table (CSV, Parquet) with "
            "the columns path, label and, if known, group and source; in place of a cohort.",
            metavar="DIR|TABLE",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="A table with path, label, group, source of the images in the folder; with "
            "--slide-level one of slides: slide, label, patient, split.",
            metavar="TABLE",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    slide_level: PackageOption = None,
    kind: KindOption = "regions-logistic",
    alpha: AlphaOption = 0.05,
    delta: DeltaOption = 0.1,
    false_alarms: FalseAlarmsOption = 0.2,
    hold_out: HoldOutOption = 0.0,
    grouping: GroupingOption = None,
    negative: NegativeOption = None,
    test_source: Annotated[
        str | None,
        typer.Option(
            help="Keep all images of this source for the test: a laboratory never trained on.",
            metavar="NAME",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            help="The class of interest. [dim]\\[default: of two classes the one that is not "
            "called normal, healthy or the like; of several the first such][/]",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    group_from: Annotated[
        str | None,
        typer.Option(
            help="A regular expression that finds whose an image is in its name, where no table "
            "says it; such images stay together.",
            metavar="REGEX",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the features of each slide's tiles: SLIDE.zarr, as wsi features "
            "writes it, or SLIDE.h5, as CLAM and TRIDENT do. [dim]\\[default: beside the table][/]",
            metavar="DIR",
            rich_help_panel=_SLIDES,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="The package that made the features: the new package computes them with it. "
            "Without it only the networks are written.",
            metavar="PACKAGE",
            rich_help_panel=_SLIDES,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the package. [dim]\\[default: its folder's][/]")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Of the package. [dim]\\[default: 1][/]")
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the weights.")] = "not stated",
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad", help="Leave out and report slides and images that cannot be used."
        ),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Delete an unfinished training of this package.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing package.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON on standard output.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
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
    if slide_level is not None:
        if cohort is None or labels is None or images is not None:
            raise UsageError(
                "--slide-level needs a folder of results or slides, and --labels TABLE"
            )
        # Loads scikit-learn, which takes longer than finding a wrong option.
        from wsi_pipeline.cli.slide_level import fit_slide_level  # noqa: PLC0415
        from wsi_pipeline.training.slide_level.fit import SlideOrder  # noqa: PLC0415

        fit_slide_level(
            slide_level,
            cohort,
            labels,
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
