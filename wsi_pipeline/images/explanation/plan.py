"""Where the pictures of a run lie. Loads no torch."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wsi_pipeline.images.table import Row

FOLDER = "explanations"
_NAME_LETTERS, _SHA_LETTERS = 60, 12


def with_pictures(rows: Sequence[Row], out: Path) -> list[Row]:
    """The rows, which name their pictures where there are any."""
    return [
        replace(row, explanation=str(picture_path(row, out).relative_to(out)))
        if row.verdict is not None and picture_path(row, out).exists()
        else row
        for row in rows
    ]


def drawn_pictures(out: Path) -> list[Path]:
    """What earlier runs drew, by the form of the names: nothing else in the folder is theirs."""
    return list((out / FOLDER).glob(f"*-{'[0-9a-f]' * _SHA_LETTERS}.jpg"))


def picture_path(row: Row, out: Path) -> Path:
    """Where the picture of an image that has an answer lies, or will lie."""
    assert row.outcome.answer is not None  # whoever asks has one
    stem = re.sub(r"[^\w.-]+", "_", row.outcome.image.path.stem)[:_NAME_LETTERS]
    return out / FOLDER / f"{stem}-{row.outcome.answer.sha256[:_SHA_LETTERS]}.jpg"
