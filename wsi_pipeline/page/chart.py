"""Charts as inline SVG, drawn by hand: axes, lines, bands and points in the page's colours."""

from collections.abc import Callable, Sequence

from wsi_pipeline.page.markup import text

Point = tuple[float, float]
Scale = Callable[[float], float]


class Chart:
    """One chart with its axes; colours are classes that the page's style gives a meaning.

    Args:
        x_ticks: Positions and words along x.
        y_ticks: Positions and words along y.
        x_label: What x is.
        y_label: What y is.
        label: What the chart shows, for who cannot see it.
        x_scale: From values to 0-1; the identity if None.
        width: Of the whole, in units of its own.
        height: Of the whole, in units of its own.
    """

    def __init__(
        self,
        x_ticks: Sequence[tuple[float, str]],
        y_ticks: Sequence[tuple[float, str]],
        *,
        x_label: str,
        y_label: str,
        label: str,
        x_scale: Scale | None = None,
        width: int = 460,
        height: int = 380,
    ) -> None:
        self._scale: Scale = x_scale or (lambda value: value)
        self._left, self._top = 54, 12
        self._width, self._height = width - self._left - 16, height - self._top - 50
        self._label, self._size = label, (width, height)
        self._parts: list[str] = []
        right, bottom = self._left + self._width, self._top + self._height
        for value, words in x_ticks:
            x = self._x(value)
            self._parts.append(
                f'<line class="grid" x1="{x}" y1="{self._top}" x2="{x}" y2="{bottom}"/>'
            )
            self._text(x, bottom + 18, words, "middle", "tick")
        for value, words in y_ticks:
            y = self._y(value)
            self._parts.append(
                f'<line class="grid" x1="{self._left}" y1="{y}" x2="{right}" y2="{y}"/>'
            )
            self._text(self._left - 8, y + 4, words, "end", "tick")
        self._text(self._left + self._width / 2, height - 8, x_label, "middle", "name")
        middle = self._top + self._height / 2
        self._parts.append(
            f'<text class="name" text-anchor="middle" transform="translate(14 {middle:.1f}) '
            f'rotate(-90)">{text(y_label)}</text>'
        )

    def _x(self, value: float) -> float:
        return round(self._left + self._scale(value) * self._width, 2)

    def _y(self, value: float) -> float:
        return round(self._top + (1 - value) * self._height, 2)

    def _text(self, x: float, y: float, words: str, anchor: str, cls: str) -> None:
        self._parts.append(
            f'<text class="{cls}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{text(words)}</text>"
        )

    def line(self, points: Sequence[Point], cls: str) -> None:
        """A line through points."""
        path = " ".join(f"{self._x(x)},{self._y(y)}" for x, y in points)
        self._parts.append(f'<polyline class="line {cls}" points="{path}"/>')

    def band(
        self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], cls: str
    ) -> None:
        """The area between two lines."""
        upper = [f"{self._x(x)},{self._y(y)}" for x, y in zip(xs, highs, strict=True)]
        lower = [f"{self._x(x)},{self._y(y)}" for x, y in zip(xs, lows, strict=True)]
        self._parts.append(
            f'<polygon class="band {cls}" points="{" ".join([*upper, *reversed(lower)])}"/>'
        )

    def point(self, x: float, y: float, cls: str, note: str, interval: Point | None = None) -> None:
        """A dot, with a whisker if it has an interval; the note shows when pointed at."""
        across = self._x(x)
        if interval is not None:
            low, high = self._y(interval[0]), self._y(interval[1])
            self._parts.append(
                f'<line class="whisker {cls}" x1="{across}" y1="{low}" x2="{across}" y2="{high}"/>'
            )
        self._parts.append(
            f'<circle class="dot {cls}" cx="{across}" cy="{self._y(y)}" r="4">'
            f"<title>{text(note)}</title></circle>"
        )

    def bar(self, x_from: float, x_to: float, height: float, cls: str, note: str) -> None:
        """A bar from the bottom up."""
        left, right, top = self._x(x_from), self._x(x_to), self._y(height)
        wide, high = max(right - left - 1, 0.5), self._top + self._height - top
        self._parts.append(
            f'<rect class="bar {cls}" x="{left + 0.5:.2f}" y="{top}" width="{wide:.2f}" '
            f'height="{high:.2f}"><title>{text(note)}</title></rect>'
        )

    def svg(self) -> str:
        """The chart."""
        width, height = self._size
        return (
            f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{text(self._label)}">{"".join(self._parts)}</svg>'
        )


def unit_ticks(step: float = 0.2) -> list[tuple[float, str]]:
    """Ticks from 0 to 1."""
    count = round(1 / step)
    return [(index / count, f"{index / count:g}") for index in range(count + 1)]


def unit_chart(*, x_label: str, y_label: str, label: str) -> Chart:
    """A chart from 0 to 1 both ways, with the diagonal; arguments as of :class:`Chart`."""
    chart = Chart(unit_ticks(), unit_ticks(), x_label=x_label, y_label=y_label, label=label)
    chart.line([(0, 0), (1, 1)], "chance")
    return chart
