"""Makes a package of an encoder and the networks behind its features, whole or not at all."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wsi_pipeline import durable
from wsi_pipeline.errors import TrainingError
from wsi_pipeline.features.bag import TileMark
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.model.slide_level_section import SlideFigure
from wsi_pipeline.slide_level.attention.head_file import HEADS, Heads, save_heads
from wsi_pipeline.training.slides.conclusion import SlideConclusion, fitted_on
from wsi_pipeline.training.slides.table import LabelledSlides

#: Files of the encoder that are not handed on: a slide-level answer it had.
_NOT_HANDED_ON = frozenset({DESCRIPTION, HEADS, "slide-level.npz"})


def write_slide_package(
    folder: Path,
    encoder: ModelPackage | None,
    heads: Heads,
    conclusion: SlideConclusion,
    found: LabelledSlides,
    naming: dict[str, str],
    tiles: TileMark,
) -> None:
    """Write encoder, networks and description, then move them into place.

    Without an encoder, or of survival, whose answer is no class, only the networks are written:
    ``wsi run`` cannot use them, :mod:`wsi_pipeline.slide_level.attention` can.

    Args:
        folder: A package that is there is replaced when the new one is complete.
        encoder: What made the features.
        heads: The networks.
        conclusion: Calibration, rule and figures.
        found: The slides.
        naming: ``name``, ``version`` and, where stated, ``licence`` of the package.
        tiles: How the tiles were cut that the features are of.

    Raises:
        TrainingError: it cannot be written; what was trained and an earlier package are kept.
    """
    try:
        with durable.replacing_folder(folder) as fresh:
            save_heads(fresh / HEADS, heads, conclusion.calibration)
            if encoder is None or conclusion.rule is None:
                return
            for name in encoder.description.files:
                if name not in _NOT_HANDED_ON:
                    shutil.copyfile(encoder.folder / name, fresh / name)
            fields = encoder.description.model_dump(mode="json", exclude={"files"})
            section = _section(heads, conclusion, found, tiles)
            write_description(fresh, {**fields, **naming, "slide_level": section})
    except OSError as error:
        raise TrainingError(
            folder,
            f"the package cannot be written: {error.strerror or error}; free some space and start "
            "the same command again: what was trained is kept",
        ) from error


def _section(
    heads: Heads, conclusion: SlideConclusion, found: LabelledSlides, tiles: TileMark
) -> dict[str, Any]:
    assert conclusion.rule is not None
    held_out = conclusion.report["held_out"]
    total = sum(held_out["slides"].values())
    metrics = {
        name: SlideFigure(**held_out[name]).model_dump()
        for name in ("auc", "accuracy")
        if held_out[name]["value"] is not None
    }
    return {
        "kind": heads.design.kind,
        "classes": list(found.classes),
        "negative": conclusion.negative,
        "fitted": f"{len(heads.members)} networks on the features of this package, each on a part "
        "of the groups; slide labels only",
        "slides": held_out["slides"],
        "patients": held_out["groups"],
        "calibration": {
            "method": "one slope and an offset for each class, of the networks' mean logarithms",
            "fitted": fitted_on(total),
        },
        "rule": conclusion.rule.model_dump(mode="json"),
        "tiles": asdict(tiles),
        "metrics": metrics,
    }
