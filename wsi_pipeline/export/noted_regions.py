"""Tumour regions as GeoJSON with what people said of them.

The file is the one :func:`~wsi_pipeline.export.geojson.write_geojson` wrote, region by region a
line, with metadata added where there are notes. QuPath reads ``properties.metadata``, a map of
texts, and shows them with the annotation; the entry ``ANNOTATION_DESCRIPTION`` is what it calls
the annotation's description. Nothing else of the file differs.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: Where QuPath keeps an annotation's description.
DESCRIPTION = "ANNOTATION_DESCRIPTION"
_SEPARATOR = ",\n"


@dataclass(frozen=True, slots=True)
class RegionNote:
    """What somebody said of a region.

    Attributes:
        author: Who, as the workspace calls them.
        verdict: ``agree``, ``disagree`` or None.
        comment: Free text, or nothing.
        changed_at: When, with its time zone.
    """

    author: str
    verdict: str | None
    comment: str
    changed_at: datetime

    @property
    def text(self) -> str:
        """One paragraph: who, when, verdict, comment."""
        said = ". ".join(part for part in ((self.verdict or "").capitalize(), self.comment) if part)
        return f"{self.author}, {self.changed_at.isoformat(timespec='seconds')}: {said}"


def with_notes(lines: Iterable[str], notes: Mapping[int, Sequence[RegionNote]]) -> Iterator[str]:
    """The lines of a file of regions, with the notes in them.

    Args:
        lines: Of a file of :func:`~wsi_pipeline.export.geojson.write_geojson`, with their ends.
        notes: By the numbers of the positive class's regions, from 1 on, which come first.
    """
    # The first line holds what is said of the file, then one region follows the other.
    for number, line in enumerate(lines):
        if number not in notes or not line.startswith("{"):
            yield line
            continue
        text, separator = line.rstrip(_SEPARATOR), ""
        if line.endswith(_SEPARATOR):
            separator = _SEPARATOR
        elif line.endswith("\n"):
            separator = "\n"
        feature = json.loads(text)
        feature["properties"]["metadata"] = metadata_of(notes[number])
        yield json.dumps(feature, ensure_ascii=False, allow_nan=False) + separator


def metadata_of(notes: Sequence[RegionNote]) -> dict[str, str]:
    """A region's notes as QuPath's metadata: texts by name."""
    verdicts: dict[str, Any] = {
        name: sum(note.verdict == verdict for note in notes)
        for name, verdict in (("Agree", "agree"), ("Disagree", "disagree"))
    }
    texts = {f"Note {number}": note.text for number, note in enumerate(notes, start=1)}
    described = {DESCRIPTION: "\n".join(note.text for note in notes)}
    return {**{name: str(count) for name, count in verdicts.items()}, **texts, **described}
