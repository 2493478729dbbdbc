"""The sections of the map: points that open their image, mean images, similar pairs."""

from collections.abc import Mapping, Sequence
from itertools import cycle

from wsi_pipeline.classes import PALETTE, Classes
from wsi_pipeline.images.data_map import DataMap, Point
from wsi_pipeline.images.report.galleries import caption
from wsi_pipeline.page.markup import counted, panel, section, tag, text

_SIDE, _MARGIN, _RADIUS = 560, 12, 4.5
_UNKNOWN = "unknown"


def map_sections(drawn: DataMap | None, classes: Classes) -> str:
    """All sections of the map; empty where there is none."""
    if drawn is None:
        return ""
    kind = "label" if drawn.labelled else "predicted class"
    what = counted(drawn.images, "image")
    if len(drawn.points) < drawn.images:
        what = f"{len(drawn.points):,} of {what}, evenly over the table"
    lead = (
        f"{what}, by what the network makes of them before its last layer, laid flat by UMAP "
        "(McInnes et al. 2018): images that lie near one another are alike for the model; wide "
        "distances mean little. A point opens its image."
    )
    kinds = _colours([one.kind for one in drawn.points], classes)
    charts = [panel(f"By {kind}", _points(drawn.points, [p.kind for p in drawn.points], kinds))]
    sources = [one.row.outcome.image.source or _UNKNOWN for one in drawn.points]
    if len(set(sources)) > 1:
        charts.append(panel("By source", _points(drawn.points, sources, _colours(sources, None))))
    opened = "".join(_opened(place, point) for place, point in enumerate(drawn.points))
    return (
        section("map", "Map of the data", text(lead), tag("div", "".join(charts), cls="pair"))
        + tag("div", opened)
        + _means(drawn, kind)
        + _similar(drawn, kind)
    )


def _colours(names: Sequence[str], classes: Classes | None) -> dict[str, str]:
    known = {} if classes is None else {one.name: one.colour for one in classes.planes}
    spare = cycle(PALETTE)
    return {name: known.get(name) or next(spare) for name in sorted(set(names))}


def _points(points: Sequence[Point], names: Sequence[str], colours: Mapping[str, str]) -> str:
    inner = _SIDE - 2 * _MARGIN
    circles = [
        f'<a href="#image-{place}"><circle cx="{_MARGIN + point.x * inner:.1f}" '
        f'cy="{_MARGIN + point.y * inner:.1f}" r="{_RADIUS}" fill="{colours[name]}">'
        f"<title>{text(name)}: {text(point.row.outcome.image.path.name)}</title></circle></a>"
        for place, (point, name) in enumerate(zip(points, names, strict=True))
    ]
    svg = (
        f'<svg class="map" viewBox="0 0 {_SIDE} {_SIDE}" role="img" aria-label="Map of the images">'
        f"{''.join(circles)}</svg>"
    )
    legend = "".join(
        tag(
            "span",
            tag("i", "", cls="swatch", style=f"background:{colour}")
            + text(f"{name} ({list(names).count(name):,})"),
            cls="chip",
        )
        for name, colour in colours.items()
    )
    return svg + tag("div", legend, cls="chips")


def _opened(place: int, point: Point) -> str:
    """The image of a point, which is shown when the point is chosen."""
    name = text(point.row.outcome.image.path.name)
    image = f'<img src="{point.picture}" alt="{name}">' if point.picture else ""
    links = tag("a", "open the file", href=point.row.outcome.image.path.resolve().as_uri())
    links += tag("a", "close", href="#map")
    return tag(
        "figure",
        image + tag("figcaption", caption(point.row) + links),
        cls="patch opened",
        id=f"image-{place}",
    )


def _means(drawn: DataMap, kind: str) -> str:
    pictures = "".join(
        tag(
            "figure",
            f'<img src="{picture}" alt="mean of {text(name)}">'
            + tag(
                "figcaption",
                tag("b", text(name))
                + (tag("span", text(source)) if source else "")
                + tag("span", counted(count, "image")),
            ),
            cls="patch",
        )
        for (name, source), (picture, count) in drawn.means.items()
    )
    return section(
        "means",
        "Mean images",
        f"The mean of each {kind} and source, all images stretched to one square. Where the means "
        "of two sources differ in colour or size, so may the answers.",
        tag("div", pictures, cls="gallery"),
    )


def _similar(drawn: DataMap, kind: str) -> str:
    pairs = []
    for one, other, alike in drawn.similar:
        pictures = "".join(
            tag(
                "figure",
                f'<img src="{point.picture}" alt="{text(point.row.outcome.image.path.name)}">'
                + tag("figcaption", caption(point.row)),
                cls="patch",
            )
            for point in (drawn.points[one], drawn.points[other])
        )
        pairs.append(
            panel(f"cosine similarity {alike:.4f}", tag("div", pictures, cls="gallery two"))
        )
    return section(
        "similar",
        "The most similar images of different classes",
        f"Images of different {kind}s whose features are most similar. Some are the same image "
        "twice, or have a wrong label; others are where classes are hard to tell apart.",
        tag("div", "".join(pairs), cls="pair") if pairs else "",
    )
