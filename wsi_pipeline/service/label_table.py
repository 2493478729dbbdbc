"""Labels of images as a table that a training takes, and names that any system can unpack."""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping

from wsi_pipeline.service.image_labels import LabelledRow

#: Names in an archive.
TABLE, DISAGREEMENTS, FOLDER = "labels.csv", "disagreements.csv", "images"
_COLUMNS = ("path", "label", "group", "source", "sha256")
#: Bytes of one part of a name: file systems take 255, and something may be added.
_PART_BYTES = 180
#: Characters that Windows allows in no name.
_UNSAFE = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f]')
#: Names of devices there, with any suffix.
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


def label_table(rows: Iterable[LabelledRow], paths: Mapping[str, str] | None = None) -> str:
    """The table (CSV) of the images whose users agree.

    Args:
        rows: Labelled images.
        paths: Path of each image by its id; None: its name.
    """
    lines: list[tuple[str, ...]] = []
    for row in rows:
        if row.agreed is not None:
            path = row.name if paths is None else paths[row.image_id]
            lines.append((path, row.agreed, "", "", row.sha256))
    return _csv(_COLUMNS, lines)


def disagreements(rows: Iterable[LabelledRow]) -> str:
    """The images about which users disagree (CSV): a row for each label."""
    lines = [
        (row.name, given.label, given.key_name, row.sha256)
        for row in rows
        if row.agreed is None
        for given in row.labels
    ]
    return _csv(("path", "label", "author", "sha256"), lines)


def archive_paths(rows: Iterable[LabelledRow]) -> dict[str, str]:
    """Where each image lies in an archive, by its id: its name made safe, below ``images``.

    No path leads out of the folder, none is twice there, not even where capitals do not count,
    and none is a folder of another.
    """
    paths: dict[str, str] = {}
    files: set[str] = set()
    folders: set[str] = set()
    for row in rows:
        path = "/".join([FOLDER, *(_safe(part) for part in row.name.split("/"))])
        while not _fits(path, files, folders):
            path = f"{FOLDER}/{row.image_id[:8]}/{path.removeprefix(FOLDER + '/')}"
        files.add(path.casefold())
        folders.update(_parents(path))
        paths[row.image_id] = path
    return paths


def _fits(path: str, files: set[str], folders: set[str]) -> bool:
    key = path.casefold()
    return key not in files and key not in folders and not files & _parents(path)


def _parents(path: str) -> set[str]:
    parts = path.casefold().split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts))}


def _safe(part: str) -> str:
    """One part of a name as every system takes it."""
    safe = _UNSAFE.sub("_", part.strip())
    safe = re.sub(r"[. ]+$", lambda end: "_" * len(end[0]), safe) or "_"
    if _DEVICE.match(safe):
        safe = f"_{safe}"
    if len(safe.encode()) > _PART_BYTES:
        # The suffix stays: it says what the file is.
        stem, dot, suffix = safe.rpartition(".")
        if not dot or len(suffix) > 10:
            stem, suffix = safe, ""
        digest = hashlib.sha256(safe.encode()).hexdigest()[:16]
        short = stem.encode()[: _PART_BYTES - 40].decode(errors="ignore")
        safe = f"{short}-{digest}{'.' if suffix else ''}{suffix}"
    return safe


def _csv(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return text.getvalue()
