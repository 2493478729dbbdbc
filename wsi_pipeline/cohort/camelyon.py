"""What file names of CAMELYON16 and 17 say, and which slides of CAMELYON16 are exceptions."""

import csv
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Literal, get_args

from wsi_pipeline.cohort.table import Annotated, Label, Split
from wsi_pipeline.geometry import Mpp

_CAMELYON16 = re.compile(r"(normal|tumor|test)_(\d{3})", re.IGNORECASE)
_CAMELYON17 = re.compile(r"(patient_(\d{3}))_node_\d", re.IGNORECASE)
#: CAMELYON16's training slides of Radboud come first, then Utrecht's.
_LAST_OF_RUMC = {"normal": 100, "tumor": 70}
#: µm per px of the two centres' scanners; what the files of test slides tell them apart by.
_CENTRE_MPP = {"RUMC": 0.243, "UMCU": 0.2265}
_MPP_TOLERANCE = 0.005
#: CAMELYON17's training patients come in blocks of so many from each centre.
_PATIENTS_OF_CENTRE, _TRAINING_PATIENTS = 20, 100


@dataclass(frozen=True, slots=True)
class Named:
    """What a file name says; None and empty: nothing.

    Attributes:
        challenge: 16 or 17.
        label: Of the slide.
        patient: Whose it is.
        centre: Where it comes from.
        split: ``test`` for the challenge's test slides.
        annotated: Where it is an exception.
        note: What the exception is.
    """

    challenge: Literal[16, 17]
    label: Label | None = None
    patient: str = ""
    centre: str = ""
    split: Split | None = None
    annotated: Annotated | None = None
    note: str = ""


def read_name(name: str, mpp: Mpp | None = None) -> Named | None:
    """What a slide's name says if it is one of the challenges'; None if it is not.

    CAMELYON16: ``normal_001``, ``tumor_001``, ``test_001``; the first two say label and centre.
    A test slide says neither; its scanner's resolution tells the centre. CAMELYON17:
    ``patient_000_node_0`` says the patient, and for the training patients, 20 from each of five
    centres, the centre.

    Args:
        name: The file's name without suffix; capitals do not matter.
        mpp: µm per level-0 px as the file states it.
    """
    if match := _CAMELYON16.fullmatch(name):
        named = _of_16(match[1].lower(), int(match[2]), mpp)
        exception = exceptions().get(name.lower())
        if exception is None:
            return named
        return replace(
            named,
            split=exception.split or named.split,
            annotated=exception.annotated,
            note=exception.note,
        )
    if match := _CAMELYON17.fullmatch(name):
        patient = int(match[2])
        known = patient < _TRAINING_PATIENTS
        centre = f"centre_{patient // _PATIENTS_OF_CENTRE}" if known else ""
        return Named(17, patient=match[1].lower(), centre=centre)
    return None


def _of_16(kind: str, number: int, mpp: Mpp | None) -> Named:
    if kind == "test":
        return Named(16, centre=_centre_by(mpp), split="test")
    centre = "RUMC" if number <= _LAST_OF_RUMC[kind] else "UMCU"
    return Named(16, "tumour" if kind == "tumor" else "normal", centre=centre)


@dataclass(frozen=True, slots=True)
class Exceptional:
    """A row of ``camelyon16.csv``."""

    annotated: Annotated | None
    split: Split | None
    note: str


@cache
def exceptions() -> dict[str, Exceptional]:
    """CAMELYON16's known exceptions, by name in small letters; the table comes with the package.

    Source: the data set's README (Litjens et al., GigaScience 2018), which lists the slides that
    are not annotated exhaustively, and the organisers' later corrections.
    """
    table = resources.files("wsi_pipeline.cohort").joinpath("camelyon16.csv")
    return {
        row["slide"]: Exceptional(_annotated(row["annotation"]), _split(row["split"]), row["note"])
        for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    }


def _centre_by(mpp: Mpp | None) -> str:
    if mpp is None:
        return ""
    near = [name for name, value in _CENTRE_MPP.items() if abs(mpp.mean - value) < _MPP_TOLERANCE]
    return near[0] if near else ""


def _split(text: str) -> Split | None:
    return next((one for one in get_args(Split) if one == text), None)


def _annotated(text: str) -> Annotated | None:
    return next((one for one in get_args(Annotated) if one == text), None)
