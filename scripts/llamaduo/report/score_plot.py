"""The plot of scores against volume: V and C side by side, a line per model with its intervals."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import ceil, floor, log2
from statistics import median
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from llamaduo.report.curves import Curve, Panel, ScoreFigure
from llamaduo.report.scores import ALL_JUDGES
from llamaduo.report.svg import GRID, INK, MUTED, PAPER, SERIES, STYLE, to_svg

MARKERS = "osD^vPX*"
DASHES = (0, (5, 3))
PANEL_WIDTH, PANEL_HEIGHT = 3.05, 1.85  # inches, as the following
LEFT, RIGHT, BOTTOM, GAP_ACROSS, GAP_DOWN = 0.72, 0.12, 0.5, 0.28, 0.5
LEGEND: dict[str, Any] = {"handlelength": 2.2, "columnspacing": 1.6, "borderaxespad": 0.0, "borderpad": 0.2}
DODGE = 0.07
"""How far apart the models' points at one volume stand, in steps of the volume axis: their intervals overlap."""


def draw(figure: ScoreFigure, models: Sequence[str], name: str) -> str:
    """The figure as inline SVG. `models` fixes each model's colour and marker over all figures of a page."""
    with rc_context(STYLE):
        columns, rows = len(figure.rows[0]), len(figure.rows)
        handles = _legend_handles(figure, models)
        width = LEFT + RIGHT + columns * PANEL_WIDTH + (columns - 1) * GAP_ACROSS
        in_row = _fitting(handles, width)
        top = 0.42 + 0.19 * -(-len(handles) // in_row)
        height = top + BOTTOM + rows * PANEL_HEIGHT + (rows - 1) * GAP_DOWN
        canvas = Figure(figsize=(width, height))
        grid = canvas.subplots(rows, columns, squeeze=False, sharey="row")
        # Margins in inches, not a layout engine: it would draw every figure several times over.
        canvas.subplots_adjust(
            left=LEFT / width,
            right=1 - RIGHT / width,
            top=1 - top / height,
            bottom=BOTTOM / height,
            wspace=GAP_ACROSS / PANEL_WIDTH,
            hspace=GAP_DOWN / PANEL_HEIGHT,
        )
        axis = VolumeAxis(figure.volumes)
        for panels, line in zip(figure.rows, grid, strict=True):
            line[0].set_ylim(*_limits(panels))
            line[0].set_ylabel(_row_label(figure, panels[0]))
            for panel, axes in zip(panels, line, strict=True):
                _draw_panel(panel, axes, axis, models)
                axes.set_title(_title(panel), loc="left", fontweight="bold")
        for axes in grid[-1]:
            axes.set_xlabel("volume (synthetic samples)")
        corner = (0.1 / width, 1 - 0.02 / height)
        canvas.legend(handles=handles, loc="upper left", bbox_to_anchor=corner, ncols=in_row, **LEGEND)
        return to_svg(canvas, name, describe(figure))


def describe(figure: ScoreFigure) -> str:
    """The figure in words, for those who do not see it; the numbers are in the table that follows it."""
    judge = "the mean over the judges" if figure.judge == ALL_JUDGES else f"the judge {figure.judge}"
    parts = [f"Line plots of {figure.metric} against volume, task {figure.task}, graded by {judge}."]
    for panels in figure.rows:
        for curve in panels[0].curves:
            if curve.points:
                (first, start), (last, end) = curve.points[0], curve.points[-1]
                parts.append(
                    f"{curve.model} on data by {panels[0].generator}: V {start.value:.1f} at volume {first:,}"
                    + (f", {end.value:.1f} at {last:,}." if last != first else ".")
                )
    if figure.simulated:
        parts.append(f"Simulated services: {', '.join(figure.simulated)}.")
    return " ".join(parts)


class VolumeAxis:
    """Places of volumes: their logarithm to base 2, with 0 a step left of the smallest, and untuned left of all."""

    def __init__(self, volumes: Sequence[int]) -> None:
        self.volumes = volumes
        positive = [volume for volume in volumes if volume > 0]
        logs = [log2(volume) for volume in positive]
        self.step = median([after - before for before, after in pairwise(logs)] or [1.0])
        self._zero = logs[0] - self.step if logs else 0.0
        first = self._zero if 0 in volumes or not logs else logs[0]
        self.untuned = first - 1.5 * self.step
        self.last = logs[-1] if logs else self._zero

    def place(self, volume: int) -> float:
        """Where a volume stands."""
        return log2(volume) if volume else self._zero

    def dress(self, axes: Axes) -> None:
        """Ticks at untuned and at the volumes; where their labels would touch, every so many are left out."""
        places = [self.untuned, *(self.place(volume) for volume in self.volumes)]
        labels = ["untuned", *(short(volume) for volume in self.volumes)]
        start, end = self.untuned - 0.5 * self.step, self.last + 0.5 * self.step
        centres = [(place - start) / (end - start) * PANEL_WIDTH for place in places]
        halves = [0.5 * (0.07 * len(label) + 0.04) for label in labels]
        kept: list[int] = []
        for number in (0, 1, *range(len(places) - 1, 1, -1)):
            if all(abs(centres[number] - centres[other]) >= halves[number] + halves[other] for other in kept):
                kept.append(number)
        axes.set_xticks(places, [label if number in kept else "" for number, label in enumerate(labels)])
        axes.set_xlim(start, end)


def short(volume: int) -> str:
    """A volume as an axis shows it: thousands as k."""
    return f"{volume / 1000:g}k" if volume >= 1000 else str(volume)


def _draw_panel(panel: Panel, axes: Axes, axis: VolumeAxis, models: Sequence[str]) -> None:
    axis.dress(axes)
    axes.grid(axis="y")
    axes.axvline((axis.untuned + axis.place(axis.volumes[0])) / 2, color=GRID, linewidth=0.7)
    if panel.service is not None:
        axes.axhspan(panel.service.lower, panel.service.upper, color=MUTED, alpha=0.13, linewidth=0)
        axes.axhline(panel.service.value, color=MUTED, linewidth=1.6)
    if panel.threshold is not None:
        axes.axhline(panel.threshold, color=INK, linewidth=1.2, linestyle=DASHES)
    shown = [curve for curve in panel.curves if curve.points or curve.untuned]
    for number, curve in enumerate(shown):
        _draw_curve(curve, axes, axis, models.index(curve.model), (number - (len(shown) - 1) / 2) * DODGE * axis.step)
    if not shown:
        axes.text(0.5, 0.5, "no scores yet", transform=axes.transAxes, ha="center", va="center", color=MUTED)


def _draw_curve(curve: Curve, axes: Axes, axis: VolumeAxis, number: int, dodge: float) -> None:
    look = _look(number)
    if curve.points:
        places = [axis.place(volume) + dodge for volume, _ in curve.points]
        _errorbar(axes, places, [score for _, score in curve.points], look | {"linestyle": "-"})
    if curve.untuned is not None:
        _errorbar(axes, [axis.untuned + dodge], [curve.untuned], look | {"markerfacecolor": PAPER, "linestyle": "none"})


def _errorbar(axes: Axes, places: list[float], scores: Sequence[Any], look: dict[str, Any]) -> None:
    values = [score.value for score in scores]
    below = [max(score.value - score.lower, 0.0) for score in scores]
    above = [max(score.upper - score.value, 0.0) for score in scores]
    axes.errorbar(places, values, yerr=[below, above], elinewidth=1.1, capsize=2.2, clip_on=False, zorder=3, **look)


def _look(number: int) -> dict[str, Any]:
    return {
        "color": SERIES[number % len(SERIES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 5.0,
        "linewidth": 1.7,
    }


def _title(panel: Panel) -> str:
    if panel.criterion.zeta is None:
        return "V: mean score"
    return f"C: responses graded ≥ {panel.criterion.zeta:g}"


def _row_label(figure: ScoreFigure, panel: Panel) -> str:
    label = "V (0 to 100), C (%)"
    return f"data by {panel.generator}\n{label}" if len(figure.rows) > 1 else label


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """Limits at tens, around everything that the panels of a row show, and never narrower than 20."""
    shown = [bound for panel in panels if panel.threshold is not None for bound in [panel.threshold]]
    for panel in panels:
        scores = [panel.service] if panel.service else []
        for curve in panel.curves:
            scores += [score for _, score in curve.points] + ([curve.untuned] if curve.untuned else [])
        shown += [bound for score in scores for bound in (score.lower, score.upper)]
    if not shown:
        return 0.0, 100.0
    lower = max(floor((min(shown) - 2) / 10) * 10, 0)
    upper = min(ceil((max(shown) + 2) / 10) * 10, max(100, ceil(max(shown))))
    return (lower, upper) if upper - lower >= 20 else (max(upper - 20, 0), max(upper, 20))


def _legend_handles(figure: ScoreFigure, models: Sequence[str]) -> list[Line2D]:
    panels = [panel for row in figure.rows for panel in row]
    curves = [curve for panel in panels for curve in panel.curves]
    drawn = {curve.model for curve in curves if curve.points or curve.untuned}
    handles = [_key(model, **_look(models.index(model))) for model in models if model in drawn]
    if any(curve.untuned for curve in curves):
        handles.append(_key("untuned", marker="o", markerfacecolor=PAPER, color=MUTED, linestyle="none"))
    if any(panel.service for panel in panels):
        handles.append(_key(f"service itself ({figure.reference})", color=MUTED, linewidth=1.6))
    if any(panel.threshold is not None for panel in panels):
        handles.append(_key("threshold ε", color=INK, linewidth=1.2, linestyle=DASHES))
    if figure.simulated:
        handles.append(_key(f"SIMULATED: {', '.join(figure.simulated)}", linestyle="none"))
    return handles


def _fitting(handles: Sequence[Line2D], width: float) -> int:
    """How many columns of a legend fit into `width` inches, by the length of the labels; filled evenly."""
    lengths = [0.066 * len(str(handle.get_label())) + 0.55 for handle in handles]
    for rows in range(1, len(lengths) + 1):
        columns = -(-len(lengths) // rows)
        short_columns = columns * rows - len(lengths)
        ends = list(accumulate(rows - (column >= columns - short_columns) for column in range(columns)))
        widest = [max(lengths[start:end]) for start, end in pairwise([0, *ends])]
        if sum(widest) <= width - 0.2:
            return columns
    return 1


def _key(label: str, **look: Any) -> Line2D:
    return Line2D([], [], label=label, **look)
