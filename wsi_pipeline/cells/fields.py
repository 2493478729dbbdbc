"""Which files are fields, what each result is called, and what is kept of each field."""

import glob
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from wsi_pipeline import durable
from wsi_pipeline.cells.finder import Box, Kind
from wsi_pipeline.images.collection import image_files

#: Folders in the output folder: what is known of each field and the field drawn; measured cells.
FOLDER, MEASURED = "fields", "measured"
#: Raised when what is kept of a field changes its meaning: records of another one are not reused.
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Field:
    """One field to be analysed.

    Attributes:
        path: Its file.
        name: Of its results: below the folder it was found in, without suffix, distinct.
    """

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Fields:
    """What the arguments of a run came to.

    Attributes:
        fields: Distinct files with distinct names.
        problems: Arguments that led to nothing: one line each.
    """

    fields: tuple[Field, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellRecord:
    """What is known of one cell.

    Attributes:
        number: In its field, from 1.
        kind: What the finder says it is.
        box: In px of the field.
        cut: Whether the field's border cuts it.
        label: The class a model gives a white cell; empty for others and without a model.
        probabilities: Of all classes of the model, in their order; empty likewise.
        members: The prediction set; None where there is none.
        shape: Measurements by name; empty where none were asked for.
    """

    number: int
    kind: Kind
    box: Box
    cut: bool
    label: str = ""
    probabilities: tuple[float, ...] = ()
    members: tuple[str, ...] | None = None
    shape: dict[str, float] = field(default_factory=dict)

    @property
    def review(self) -> bool | None:
        """Whether a person has to look again: the set holds several classes, or none."""
        return None if self.members is None else len(self.members) != 1


@dataclass(frozen=True, slots=True)
class FieldRecord:
    """What is known of one field.

    Attributes:
        path: Its file, as found.
        name: Of its results.
        width: In px.
        height: In px.
        red_cell_px: Diameter of its usual red cell, px; 0 where there is none.
        cells: In order of their numbers.
        warnings: What a person should know.
    """

    path: str
    name: str
    width: int
    height: int
    red_cell_px: float
    cells: tuple[CellRecord, ...]
    warnings: tuple[str, ...] = ()

    def count(self, kind: Kind) -> int:
        """How many cells of a kind there are."""
        return sum(cell.kind == kind for cell in self.cells)


def find_fields(arguments: Sequence[str], out: Path) -> Fields:
    """The images that files, folders (searched through) and glob patterns stand for.

    Args:
        arguments: As given on the command line.
        out: Folder of the results: pictures that a run drew there are not fields.
    """
    found: dict[Path, Field] = {}
    problems: list[str] = []
    own = {(out / name).resolve() for name in (FOLDER, MEASURED)}
    for argument in arguments:
        paths = [Path(argument)]
        if not paths[0].exists() and glob.has_magic(argument):
            paths = sorted(Path(match) for match in glob.glob(argument, recursive=True))  # noqa: PTH207 - absolute patterns
            if not paths:
                problems.append(f"{argument}: no file matches this pattern")
        for path in paths:
            if not path.exists():
                problems.append(f"{path}: no such file or folder")
            elif not path.is_dir():
                found.setdefault(path.resolve(), Field(path, path.stem))
            else:
                inside = [
                    Field(one, one.relative_to(path).with_suffix("").as_posix())
                    for one in image_files(path)
                    if not own & set(one.resolve().parents)
                ]
                if not inside:
                    problems.append(f"{path}: is a folder without images")
                for one in inside:
                    found.setdefault(one.path.resolve(), one)
    return Fields(_distinct(list(found.values())), tuple(problems))


def _distinct(fields: list[Field]) -> tuple[Field, ...]:
    count = Counter(one.name for one in fields)
    taken: set[str] = set()
    named = []
    for one in fields:
        name = one.name
        if count[name] > 1:  # the same name with another suffix, or from another folder
            name = f"{name}{one.path.suffix}"
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free)
        named.append(replace(one, name=free))
    return tuple(named)


def key_of(content: bytes, settings: dict[str, Any]) -> str:
    """What a kept record must agree with: the file's content and everything that was asked for."""
    asked = json.dumps({"format": _FORMAT, **settings}, sort_keys=True)
    return hashlib.sha256(hashlib.sha256(content).digest() + asked.encode()).hexdigest()


def keep(path: Path, key: str, record: FieldRecord) -> None:
    """Write what is known of a field."""
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write_text(path, json.dumps({"key": key, "field": asdict(record)}) + "\n")


def kept(path: Path, key: str) -> FieldRecord | None:
    """What was kept of a field; None where nothing was, or something else was asked for."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["key"] != key:
            return None
        facts = stored["field"]
        facts["cells"] = tuple(_cell(cell) for cell in facts["cells"])
        return FieldRecord(**{**facts, "warnings": tuple(facts["warnings"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cell(facts: dict[str, Any]) -> CellRecord:
    facts["box"] = Box(**facts["box"])
    facts["probabilities"] = tuple(facts["probabilities"])
    if facts["members"] is not None:
        facts["members"] = tuple(facts["members"])
    return CellRecord(**facts)
