"""Collections of single images: a folder, a folder per class, a table, or one image."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wsi_pipeline.errors import CohortError
from wsi_pipeline.images.picture import REFUSED, SUFFIXES

#: Endings of the tables that are read.
TABLES = frozenset({".csv", ".tsv", ".parquet"})
_COLUMNS = ("path", "label", "group", "source")


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image and what is known of it.

    Attributes:
        path: Its file.
        label: Name of its class; None: not known.
        group: What may not be split between training and test: a patient, a slide, a smear.
        source: Laboratory or origin.
    """

    path: Path
    label: str | None = None
    group: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    """Images in the order of their paths.

    Attributes:
        images: None of them twice.
        origin: The folder, the table or the image.
        problems: Rows that were left out and why, one line each; empty unless that was allowed.
    """

    images: tuple[LabelledImage, ...]
    origin: Path
    problems: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all labels, in alphabetical order."""
        return tuple(sorted({image.label for image in self.images if image.label is not None}))

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of all sources, in alphabetical order."""
        return tuple(sorted({one.source for one in self.images if one.source is not None}))

    @property
    def grouped(self) -> bool:
        """Whether the group of every image is known."""
        return all(image.group is not None for image in self.images)


def read_collection(
    path: Path, *, labels: Path | None = None, skip_bad: bool = False
) -> Collection:
    """The images that a path names, with what is known of them; no image is opened.

    Args:
        path: An image; a folder, whose inner folders are the labels of the images in them, and
            where files directly in it have no label; or a table, CSV or Parquet, with the column
            ``path`` (absolute, or relative to the table) and, as far as known, ``label``,
            ``group`` and ``source``.
        labels: A table of the same form that says more of these images. What it says counts.
        skip_bad: Leave out rows that cannot be used and say so under ``problems``.

    Raises:
        CohortError: there is no image, or a row cannot be used: its file is absent, or two rows
            say different things of one file.
    """
    problems: list[str] = []
    images = _images(path, problems)
    if labels is not None:
        images = _labelled(images, labels, problems)
    if problems and not skip_bad:
        more = f" (and {len(problems) - 1:,} more)" if len(problems) > 1 else ""
        table = path if labels is None else labels
        raise CohortError(table, f"{problems[0]}{more}; correct it, or pass --skip-bad")
    if not images:
        raise CohortError(path, f"holds no image ({', '.join(sorted(SUFFIXES))})")
    return Collection(tuple(sorted(images, key=lambda one: one.path)), path, tuple(problems))


def _images(path: Path, problems: list[str]) -> list[LabelledImage]:
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() in TABLES:
        return _of_table(path, problems)
    if not path.exists():
        raise CohortError(path, "there is no such image, folder or table")
    return [LabelledImage(path)]


def image_files(folder: Path) -> list[Path]:
    """The images of a folder and of those in it, by path; also kinds that are refused by name."""
    found = []
    for file in folder.rglob("*"):
        # Hidden files are no images: macOS keeps its own beside each one.
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        # A link to nothing is an image that is missing, and is named when it is read.
        there = file.is_file() or (file.is_symlink() and not file.exists())
        if file.suffix.lower() in SUFFIXES | REFUSED and not hidden and there:
            found.append(file)
    return sorted(found)


def _of_folder(folder: Path) -> list[LabelledImage]:
    found = []
    for file in image_files(folder):
        inner = file.relative_to(folder).parts
        found.append(LabelledImage(file, inner[0] if len(inner) > 1 else None))
    return found


def _of_table(table: Path, problems: list[str]) -> list[LabelledImage]:
    found: dict[Path, LabelledImage] = {}
    refused: set[Path] = set()
    for line, row in _rows(table):
        name = row["path"]
        if not name:
            problems.append(f"row {line} names no path")
            continue
        path = table.parent / name
        image = LabelledImage(path, row["label"], row["group"], row["source"])
        other = found.setdefault(path.resolve(), image)
        if not path.is_file():
            problems.append(f"row {line}: there is no file {name}")
            refused.add(path.resolve())
        elif replace(other, path=path) != image:
            problems.append(f"row {line} says of {name}: {_told(image)}; before: {_told(other)}")
            refused.add(path.resolve())
    return [image for place, image in found.items() if place not in refused]


def _labelled(images: list[LabelledImage], table: Path, problems: list[str]) -> list[LabelledImage]:
    """Images with what a table says of them."""
    known = {image.path.resolve(): image for image in _of_table(table, problems)}
    found = []
    for image in images:
        told = known.pop(image.path.resolve(), None)
        if told is not None:
            image = LabelledImage(  # noqa: PLW2901 - the same image, of which more is known
                image.path,
                told.label or image.label,
                told.group or image.group,
                told.source or image.source,
            )
        found.append(image)
    problems += [f"{one.path} has a label and is not among the images" for one in known.values()]
    return found


def _told(image: LabelledImage) -> str:
    facts = (("label", image.label), ("group", image.group), ("source", image.source))
    return ", ".join(f"{name} {value}" for name, value in facts if value) or "nothing"


def _rows(table: Path) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Rows by the number that a person counts, the head being row 1; empty fields are None."""
    try:
        rows = _parquet(table) if table.suffix.lower() == ".parquet" else _csv(table)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise CohortError(table, f"cannot be read: {reason}") from error
    names = [str(name or "").strip().lower() for name in rows[0]] if rows else []
    if "path" not in names:
        raise CohortError(
            table, f"has no column path; its first row must name {', '.join(_COLUMNS)}"
        )
    twice = [name for name, count in Counter(names).items() if name in _COLUMNS and count > 1]
    if twice:
        raise CohortError(table, f"has two columns {twice[0]}")
    for number, row in enumerate(rows[1:], start=2):
        values = dict(zip(names, row, strict=False))
        if any(values.values()):
            yield number, {name: values.get(name) or None for name in _COLUMNS}


def _csv(table: Path) -> list[list[str | None]]:
    text = table.read_text(encoding="utf-8-sig")
    head = text.partition("\n")[0]
    # The sign that divides the names of the columns; spreadsheets write semicolons or tabs.
    delimiter = max(",;\t", key=head.count)
    return [
        [value.strip() for value in row]
        for row in csv.reader(io.StringIO(text), delimiter=delimiter)
    ]


def _parquet(table: Path) -> list[list[str | None]]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - most tables are CSV

    content = pq.read_table(table)
    rows = [
        [None if v is None else str(v).strip() for v in row.values()] for row in content.to_pylist()
    ]
    return [list(content.column_names), *rows]
