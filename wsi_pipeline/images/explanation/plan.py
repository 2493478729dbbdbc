"""Which packages can be explained, and where the pictures of a run lie. Loads no torch."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wsi_pipeline.errors import PackageError
from wsi_pipeline.images.table import Row
from wsi_pipeline.model.package import ModelPackage

FOLDER = "explanations"
_NAME_LETTERS = 60


def check_explainable(package: ModelPackage) -> None:
    """Refuse a package that torch cannot build.

    Raises:
        PackageError: it holds its network as a graph.
    """
    kind = package.description.architecture.kind
    if kind != "weights":
        raise PackageError(
            package.name,
            f"holds its network as {kind}, into whose layers nothing here can look: only packages "
            "of weights can be explained; leave out --explain",
        )


def with_pictures(rows: Sequence[Row], out: Path) -> list[Row]:
    """The rows, which name their pictures where there are any."""
    return [
        replace(row, explanation=str(picture_path(row, out).relative_to(out)))
        if row.verdict is not None and picture_path(row, out).exists()
        else row
        for row in rows
    ]


def picture_path(row: Row, out: Path) -> Path:
    """Where the picture of an image that has an answer lies, or will lie."""
    assert row.outcome.answer is not None  # whoever asks has one
    stem = re.sub(r"[^\w.-]+", "_", row.outcome.image.path.stem)[:_NAME_LETTERS]
    return out / FOLDER / f"{stem}-{row.outcome.answer.sha256[:12]}.jpg"
