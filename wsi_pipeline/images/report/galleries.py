"""Small pictures of the images that a person should see first."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from wsi_pipeline.classes import Classes
from wsi_pipeline.errors import ImageError
from wsi_pipeline.images.evaluation import labels_of
from wsi_pipeline.images.picture import read_picture
from wsi_pipeline.images.table import Row
from wsi_pipeline.page.document import data_uri
from wsi_pipeline.page.markup import section, tag, text

#: Images of a gallery, and the longer side of a picture in px.
SHOWN, SIDE = 24, 160


def errors_section(rows: Sequence[Row], classes: Classes) -> str:
    """The wrong answers that the model is surest of; empty without any.

    They show labels that are wrong as often as they show the model's faults. Labels that the model
    does not know are no errors of it.
    """
    wrong = [row for row in rows if _is_wrong(row, classes)]
    wrong.sort(key=lambda row: (-_probability(row), str(row.outcome.image.path)))
    return section(
        "errors",
        "The most confident errors",
        "Of the images whose label is another class than the predicted one, those with the highest "
        "probability. A wrong label is shown here as often as a fault of the model.",
        _gallery(wrong[:SHOWN]),
    )


def review_section(rows: Sequence[Row]) -> str:
    """The images to look at again, the least certain first; empty without any."""
    doubtful = [row for row in rows if row.verdict is not None and row.verdict.review]
    doubtful.sort(key=lambda row: (_probability(row), str(row.outcome.image.path)))
    return section(
        "review",
        "Look at these again",
        f"The least certain first; {min(SHOWN, len(doubtful))} of {len(doubtful):,}. images.csv "
        "marks all of them.",
        _gallery(doubtful[:SHOWN]),
    )


def thumbnail(row: Row, side: int = SIDE) -> str | None:
    """A picture of an image as a data URI; None where it cannot be read any more.

    Args:
        row: Of the table.
        side: The longer side in px; a smaller image stays as it is.
    """
    try:
        pixels = read_picture(row.outcome.image.path).pixels
    except ImageError:
        return None
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return data_uri(np.asarray(image))


def caption(row: Row) -> str:
    """What is known of an image, in HTML."""
    verdict, image = row.verdict, row.outcome.image
    lines = []
    if verdict is not None:
        called = " + ".join(verdict.called) or "none"
        lines.append(tag("b", text(f"{called} {verdict.probability:.2f}")))
        if verdict.reason:
            lines.append(tag("span", text(verdict.reason)))
    if image.label:
        lines.append(tag("span", text(f"label: {image.label}")))
    if image.source:
        lines.append(tag("span", text(image.source)))
    lines.append(tag("span", text(image.path.name)))
    if row.explanation:
        lines.append(tag("a", "why?", href=row.explanation))
    return "".join(lines)


def figure(row: Row) -> str:
    """One picture with its caption; empty where the image cannot be read any more."""
    picture = thumbnail(row)
    if picture is None:
        return ""
    image = f'<img src="{picture}" alt="{text(row.outcome.image.path.name)}">'
    return tag("figure", image + tag("figcaption", caption(row)), cls="patch")


def _gallery(rows: Sequence[Row]) -> str:
    pictures = "".join(figure(row) for row in rows)
    return tag("div", pictures, cls="gallery") if pictures else ""


def _is_wrong(row: Row, classes: Classes) -> bool:
    if row.verdict is None or not row.outcome.image.label:
        return False
    labels = set(labels_of(row.outcome.image.label, classes))
    return labels <= set(classes.names) and labels != set(row.verdict.called)


def _probability(row: Row) -> float:
    assert row.verdict is not None  # others are in no gallery
    return row.verdict.probability
