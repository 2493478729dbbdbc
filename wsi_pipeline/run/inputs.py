"""Which slides a command line means, and what each result will be called."""

import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wsi_pipeline.slide.files import (
    DICOM_SUFFIXES,
    PICTURE_SUFFIXES,
    SLIDE_SUFFIXES,
    dicom_series,
    slide_name,
)
from wsi_pipeline.slide.integrity import is_dicom
from wsi_pipeline.stitch.layout import SUFFIX

#: Masks lie beside their slides under this name; see ``wsi synth``.
_MASK_ENDING = "_mask"


@dataclass(frozen=True, slots=True)
class Entry:
    """One slide of a run.

    Attributes:
        path: File, or folder of DICOM files.
        name: Of the result, relative to the output folder, without suffix.
    """

    path: Path
    name: Path

    def result(self, out: Path) -> Path:
        """Where its result goes."""
        return out / self.name.with_name(self.name.name + SUFFIX)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the arguments of a run came to.

    Attributes:
        slides: Distinct slides with distinct names.
        ignored: Files in searched folders that are not slides.
        problems: Arguments that led to nothing, with the reason.
    """

    slides: tuple[Entry, ...]
    ignored: tuple[Path, ...]
    problems: tuple[tuple[Path, str], ...]


def expand(arguments: Sequence[str]) -> Inputs:
    """Find the slides that files, folders (searched through) and glob patterns stand for.

    PNG and JPEG are slides where they are named or match a pattern. In a folder they are ignored:
    there they are thumbnails, exports and heat maps as a rule.

    Two slides whose results would have one name get their suffixes into the names.
    """
    slides: dict[Path, Entry] = {}
    ignored: list[Path] = []
    problems: list[tuple[Path, str]] = []
    for argument in arguments:
        paths = [Path(argument)]
        if not paths[0].exists() and glob.has_magic(argument):
            paths = sorted(Path(match) for match in glob.glob(argument, recursive=True))  # noqa: PTH207 - absolute patterns
            if not paths:
                problems.append((Path(argument), "no file matches this pattern"))
        for path in paths:
            if not path.exists():
                problems.append((path, "no such file or folder"))
            elif path.is_dir():
                before = len(ignored)
                found = list(_search(path, path, ignored))
                if not found:
                    problems.append((path, _without_slides(path, ignored[before:])))
                for entry in found:
                    slides.setdefault(entry.path.resolve(), entry)
            else:
                slides.setdefault(path.resolve(), Entry(path, Path(slide_name(path))))
    return Inputs(tuple(_distinct(list(slides.values()))), tuple(ignored), tuple(problems))


def _without_slides(folder: Path, ignored: Sequence[Path]) -> str:
    suffixes = sorted({f.suffix for f in ignored if f.suffix.lower() in PICTURE_SUFFIXES})
    if not suffixes:
        return "is a folder without slides"
    return (
        f"is a folder without slides; its {' and '.join(suffixes)} files are taken for slides only "
        f"where a pattern names them: '{folder / f'*{suffixes[0]}'}', with --slide-mpp"
    )


def _search(
    folder: Path, root: Path, ignored: list[Path], above: tuple[Path, ...] = ()
) -> Iterator[Entry]:
    """Slides in a folder and below it, each named by its place below ``root``."""
    if folder.resolve() in above:
        return  # a link back up
    above = (*above, folder.resolve())
    try:
        items = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    except OSError:
        # Not ours to read, or gone since: the folders beside it are still worth a look.
        ignored.append(folder)
        return
    dicom = [f for f in items if f.is_file() and _is_dicom_slide(f)]
    series: dict[str | None, Path] = {}
    for file in dicom:
        series.setdefault(dicom_series(file), file)
    place = folder.relative_to(root)
    if len(series) == 1 and len(dicom) == len(items):
        # A folder of nothing but one series is one slide, called as the folder is.
        yield Entry(folder, place.parent / folder.resolve().name)
    else:
        yield from (Entry(file, place / slide_name(file)) for file in series.values())
    companions = {f.stem for f in items if f.suffix.lower() == ".mrxs"}
    for item in items:
        suffix = item.suffix.lower()
        if item.is_dir():
            if suffix in SLIDE_SUFFIXES:
                yield Entry(item, place / slide_name(item))  # will fail and be named for it
            elif suffix != SUFFIX and item.name not in companions:
                yield from _search(item, root, ignored, above)
        elif suffix in SLIDE_SUFFIXES and not item.stem.endswith(_MASK_ENDING):
            yield Entry(item, place / slide_name(item))
        elif item not in dicom:
            ignored.append(item)


def _is_dicom_slide(file: Path) -> bool:
    try:
        return file.suffix.lower() in DICOM_SUFFIXES or (not file.suffix and is_dicom(file))
    except OSError:
        return False  # nobody can read it; it is named among the ignored


def _distinct(entries: list[Entry]) -> Iterator[Entry]:
    count = Counter(entry.name for entry in entries)
    taken: set[Path] = set()
    for entry in entries:
        name = entry.name
        if count[name] > 1:
            name = name.with_name(entry.path.name)
        number, free = 1, name
        while free in taken:
            number += 1
            free = name.with_name(f"{name.name}-{number}")
        taken.add(free)
        yield replace(entry, name=free)
