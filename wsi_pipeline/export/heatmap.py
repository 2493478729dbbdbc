"""The heatmap: a PNG of a class's probability over the slide, with all it takes to read it."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wsi_pipeline.errors import UsageError
from wsi_pipeline.export.backdrop import read_backdrop
from wsi_pipeline.export.decision import Decision, decide
from wsi_pipeline.export.destination import check_free, draft
from wsi_pipeline.export.options import Palette
from wsi_pipeline.export.painting import colours, paint, rasterise, swatch
from wsi_pipeline.geometry import Size
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.slide_answer_record import STATE_WORDS
from wsi_pipeline.tiles.plan import Coverage

#: Longer side of the slide's picture in px.
SIDE = 1600
_SIDES = (400, 8000)
NOTICE = "Research use only – not for diagnosis"

_INK, _QUIET, _ALARM = "#1b1b1f", "#5f6068", "#a84300"
#: Lengths of the layout in px of a picture with a side of :data:`SIDE`.
_MARGIN, _HEADER, _FOOTER, _SIDEBAR = 48, 190, 104, 400
_LINE = 40
_LEAST = Size(1180, 620)
_DPI = 100
_LEGEND = {
    Coverage.GLASS: "glass, too little tissue",
    Coverage.EMPTY: "not scanned",
    Coverage.UNREADABLE: "unreadable",
    Coverage.REJECTED: "rejected (quality)",
}


def write_heatmap(
    result: Result,
    path: Path,
    *,
    slide: Path | None = None,
    threshold: float | None = None,
    palette: Palette = "viridis",
    side: int = SIDE,
    of: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the heatmap of a result as PNG; see :func:`draw_heatmap`.

    Memory: some 20 bytes per px of the picture, and what
    :func:`~wsi_pipeline.export.backdrop.read_backdrop` takes.

    Args:
        result: The result.
        path: The file.
        slide: The slide's file, to show the tissue; None: a neutral ground.
        threshold: Probability (0-1) at and above which a cell is tumour; None takes the result's.
        palette: Colours of the probability.
        side: Longer side of the slide's picture in px.
        of: The class whose probability is shown; None takes the positive one.
        overwrite: Whether a file there may be replaced.

    Raises:
        UsageError: an option is out of range, or a file is in the way.
        SlideError: the slide cannot be read.
        ResultError: the result is damaged or of another slide.
    """
    check_free(path, overwrite=overwrite)
    figure, _ = draw_heatmap(
        result, slide=slide, threshold=threshold, palette=palette, side=side, of=of
    )
    with draft(path, overwrite=overwrite) as new:
        # No time in it: equal results give equal pictures.
        figure.savefig(new, format="png", metadata={"Software": "wsi-pipeline"})


def draw_heatmap(
    result: Result,
    *,
    slide: Path | None = None,
    threshold: float | None = None,
    palette: Palette = "viridis",
    side: int = SIDE,
    of: str | None = None,
) -> tuple[Figure, Axes]:
    """Draw the heatmap.

    The axes hold the slide's full extent, its data coordinates are level-0 px, and one px of the
    picture is one px of the figure at its own resolution: nothing is resampled on the way to the
    file, so ``axes.transData`` says exactly where a level-0 px is.

    Returns:
        The figure and the axes of the slide's picture.

    Raises:
        UsageError: an option is out of range.
        SlideError: the slide cannot be read.
        ResultError: the result is damaged or of another slide.
    """
    if not _SIDES[0] <= side <= _SIDES[1]:
        raise UsageError(f"a picture of {side} px is not between {_SIDES[0]} and {_SIDES[1]}")
    decision = decide(result, threshold, of)
    size = decision.picture_size(side)
    backdrop = None if slide is None else read_backdrop(result, slide, size)
    raster = rasterise(decision, size)
    unit = side / SIDE
    picture = paint(raster, palette, backdrop, line_px=max(1, round(2 * unit)))
    sheet = _Sheet(size, unit, _HEADER + (_LINE if result.model.notice else 0))
    axes = sheet.axes(0, 0, size.width, size.height)
    axes.imshow(
        picture,
        extent=(0, decision.slide.width, decision.slide.height, 0),
        interpolation="nearest",
        aspect="auto",
    )
    _frame(axes, unit)
    _header(sheet, result, decision)
    _colour_bar(sheet, decision, palette)
    _legend(sheet, decision)
    _scale_bar(sheet, decision)
    sheet.text(0, size.height + 66 * unit, NOTICE, 19, colour=_QUIET)
    return sheet.figure, axes


def round_length(at_most_um: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50, … µm that is not longer than asked for."""
    power = 10.0 ** np.floor(np.log10(at_most_um))
    return float(max(step * power for step in (1, 2, 5) if step * power <= at_most_um * 1.0000001))


class _Sheet:
    """A figure laid out in px from the top left corner of the slide's picture.

    Args:
        picture: Size of the slide's picture in px.
        unit: Px per layout unit.
        header: Height of the header in layout units.
    """

    def __init__(self, picture: Size, unit: float, header: float) -> None:
        self.picture = picture
        self.unit = unit
        self.left, self.top = round(_MARGIN * unit), round(header * unit)
        body_width = max(picture.width, round(_LEAST.width * unit) - round(_SIDEBAR * unit))
        body_height = max(picture.height, round(_LEAST.height * unit))
        self.sidebar = body_width + round(40 * unit)
        self.width = self.left + body_width + round(_SIDEBAR * unit)
        self.height = self.top + body_height + round(_FOOTER * unit)
        self.figure = Figure(
            figsize=(self.width / _DPI, self.height / _DPI), dpi=_DPI, facecolor="white"
        )
        FigureCanvasAgg(self.figure)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        box = (
            (self.left + x) / self.width,
            1 - (self.top + y + height) / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(box)

    def block(self, x: float, y: float, width: float, height: float) -> None:
        """A rectangle of ink."""
        corner = ((self.left + x) / self.width, 1 - (self.top + y + height) / self.height)
        self.figure.add_artist(
            Rectangle(corner, width / self.width, height / self.height, color=_INK, linewidth=0)
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        height: float,
        *,
        colour: str = _INK,
        bold: bool = False,
    ) -> None:
        """Write words whose line has its middle at ``y``; ``height`` is the font's."""
        self.figure.text(
            (self.left + x) / self.width,
            1 - (self.top + y) / self.height,
            words,
            fontsize=height * self.unit * 72 / _DPI,
            color=colour,
            weight="bold" if bold else "normal",
            ha="left",
            va="center_baseline",
            parse_math=False,
        )


def _frame(axes: Axes, unit: float) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#c9c9ce")
        spine.set_linewidth(0.8 * unit)


def _header(sheet: _Sheet, result: Result, decision: Decision) -> None:
    unit, model, top = sheet.unit, result.model, -sheet.top
    sheet.text(0, top + 48 * unit, _shortened(result.name, sheet, 23), 34, bold=True)
    score = result.slide_score
    percent = 100 * decision.tumour_mm2 / decision.analysed_mm2 if decision.analysed_mm2 else 0
    facts = [
        "no tissue was analysed" if score is None else f"Slide score {score:.3f}{_state(result)}",
        f"{decision.of.name} area {decision.tumour_mm2:,.3g} mm² ({percent:.3g} % of analysed "
        "tissue)",
        "outline: most likely class" if decision.likely else f"threshold {decision.threshold:.3g}",
    ]
    sheet.text(0, top + 98 * unit, "   ·   ".join(facts), 22)
    words = f"{_capital(decision.measure)} by {model.name} {model.version}"
    sheet.text(0, top + 140 * unit, _shortened(words, sheet, 14), 22, colour=_QUIET)
    if model.notice:
        words = _shortened(model.notice, sheet, 15)
        sheet.text(0, top + 180 * unit, words, 22, colour=_ALARM, bold=True)


def _state(result: Result) -> str:
    """Interval and state of a fitted answer; without one the score stands alone."""
    answer = result.record.slide_answer
    if answer is None or answer.low is None or answer.high is None:
        return ""
    return f" ({answer.low:.3f}–{answer.high:.3f}), {STATE_WORDS[answer.state].lower()}"


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _shortened(words: str, sheet: _Sheet, letter: float) -> str:
    """Words that fit the sheet's width when a wide letter takes ``letter`` units."""
    room = int((sheet.width - 2 * sheet.left) / (letter * sheet.unit))
    return words if len(words) <= room else f"{words[: room - 1]}…"


def _colour_bar(sheet: _Sheet, decision: Decision, palette: Palette) -> None:
    unit = sheet.unit
    height = round(360 * unit)
    sheet.text(sheet.sidebar, 12 * unit, _capital(decision.measure), 20, bold=True)
    bar = sheet.axes(sheet.sidebar, 42 * unit, round(36 * unit), height)
    steps = colours(palette, np.linspace(1, 0, height)) / 255
    bar.imshow(steps[:, None, :], extent=(0, 1, 0, 1), aspect="auto", interpolation="nearest")
    bar.set_xticks([])
    bar.set_yticks([])
    for spine in bar.spines.values():
        spine.set_visible(False)
    threshold = -1.0 if decision.likely else decision.threshold
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        if abs(value - threshold) < 0.06:
            continue  # the threshold's own label stands there
        y = 42 * unit + (1 - value) * height
        sheet.text(sheet.sidebar + 52 * unit, y, f"{value:g}", 18, colour=_QUIET)
    if decision.likely:
        return
    bar.plot([-0.14, 1.25], [threshold, threshold], color=_INK, linewidth=2 * unit, clip_on=False)
    y = 42 * unit + (1 - threshold) * height
    sheet.text(sheet.sidebar + 52 * unit, y, f"{threshold:.3g}  threshold", 18, bold=True)


def _legend(sheet: _Sheet, decision: Decision) -> None:
    unit = sheet.unit
    top, step = 440 * unit, 38 * unit
    outlined = "most likely this class" if decision.likely else "at or above the threshold"
    _entry(sheet, top, Coverage.CLASSIFIED, outlined)
    counts = np.bincount(decision.coverage.ravel(), minlength=len(Coverage))
    if counts[Coverage.SCREENED]:
        share = 100 * counts[Coverage.SCREENED] / decision.coverage.size
        top += step
        words = f"screened: surely below, {'< 1' if share < 1 else f'{share:.0f}'} %"
        sheet.text(sheet.sidebar + 52 * unit, top, words, 18, colour=_QUIET)
    present = [item for item in _LEGEND if counts[item]]
    if not present:
        return
    top += 62 * unit
    sheet.text(sheet.sidebar, top, "Not analysed", 20, bold=True)
    for index, item in enumerate(present, start=1):
        share = 100 * counts[item] / decision.coverage.size
        words = f"{_LEGEND[item]}, {'< 1' if share < 1 else f'{share:.0f}'} %"
        _entry(sheet, top + index * step, item, words)


def _entry(sheet: _Sheet, middle: float, item: Coverage, words: str) -> None:
    unit = sheet.unit
    width, height = round(36 * unit), round(26 * unit)
    axes = sheet.axes(sheet.sidebar, middle - height / 2, width, height)
    axes.imshow(swatch(item, width, height), interpolation="nearest", aspect="auto")
    _frame(axes, unit)
    sheet.text(sheet.sidebar + 52 * unit, middle, words, 18, colour=_QUIET)


def _scale_bar(sheet: _Sheet, decision: Decision) -> None:
    """Below the picture, where it hides nothing."""
    unit, picture = sheet.unit, sheet.picture
    um_per_px = decision.slide.width * decision.mpp_0.x / picture.width
    length_um = round_length(min(picture.width, 320 * unit) * um_per_px)
    length = length_um / um_per_px
    words = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    sheet.block(0, picture.height + 24 * unit, length, 7 * unit)
    sheet.text(length + 14 * unit, picture.height + 27 * unit, words, 19)
