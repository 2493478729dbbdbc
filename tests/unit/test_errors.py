"""Errors cross process borders whole, and read as one line."""

import inspect
import pickle
from pathlib import Path

import pytest

from wsi_pipeline import errors
from wsi_pipeline.errors import (
    CohortError,
    ImageError,
    PackageError,
    ResultError,
    SlideError,
    TrainingError,
    WsiError,
)

CLASSES = [
    item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, WsiError)
]
#: Those that are made of what is at fault and the cause.
STRUCTURED = (SlideError, ImageError, PackageError, ResultError, CohortError, TrainingError)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: str(kind.__name__))
def test_an_error_survives_pickling(kind: type[WsiError]) -> None:
    structured = issubclass(kind, STRUCTURED)
    error = kind(Path("/slides/a.svs"), "is broken; copy it again") if structured else kind("no")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_a_message_is_one_line_that_names_the_file() -> None:
    error = SlideError(Path("/slides/a.svs"), "cannot be\n  read\tat all")
    assert str(error) == "/slides/a.svs: cannot be read at all"


def test_everything_can_be_caught_at_once() -> None:
    assert len(CLASSES) > 8
    assert all(issubclass(kind, WsiError) for kind in CLASSES)
