"""The plot of what a smaller model costs and gains: median inference time against position deviation."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.standing import Standing

COLOURS = {"torch": "#0072B2", "onnxruntime": "#D55E00", "openvino": "#009E73"}
"""Okabe and Ito's colours, which people with any colour vision can tell apart, by runtime."""

OTHER = "#CC79A7"
SETTINGS: Any = {"svg.hashsalt": "hotlap", "svg.fonttype": "path", "font.size": 8.0}
SIZE = (10.0, 7.0)  # [inch]
ROOM = (0.065, 0.07, 0.925, 0.86)
"""The axes: left, bottom, width and height as shares of the picture; the legend lies above."""

DPI = 72.0
"""So that a unit of the picture is a point, as in the SVG."""

LABEL = 6.5  # [points]
LETTER, LINE = 0.58, 1.3
"""Width of a letter and height of a line as shares of the label's size, on the safe side."""

DISTANCES = (0.0, 5.0, 12.0, 20.0, 30.0, 42.0, 56.0, 72.0, 92.0, 116.0, 144.0, 180.0, 220.0)
"""How far from the edge of its mark a label is tried [points]."""

DIRECTIONS = 16
LEAST_AREA, AREA_PER_MB = 18.0, 160.0  # [points^2]


class Box(NamedTuple):
    """A rectangle in the picture [points]: its left lower corner, width and height."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """The area that both cover [points²]."""
        wide = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        high = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0.0, wide) * max(0.0, high)


class Mark(NamedTuple):
    """One model in the plot.

    Attributes:
        name: of the model.
        runtime: that runs it.
        latency: median inference time [ms].
        deviation: position deviation MAE [m]; None where it completed nothing, and is drawn at the upper edge.
        size: of the artifact [MB].
        shape: matplotlib's marker: all, some or no cases completed.
    """

    name: str
    runtime: str
    latency: float
    deviation: float | None
    size: float
    shape: str


def picture(ranked: Sequence[Standing]) -> bytes | None:
    """The plot as SVG, the same bytes for the same figures; None where no model was both driven and timed."""
    marks = [mark for standing in ranked if (mark := _mark(standing)) is not None]
    if not marks:
        return None
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE, dpi=DPI)
        canvas: Any = FigureCanvasSVG(figure)
        _draw(figure.add_axes(ROOM), marks)
        stream = io.BytesIO()
        canvas.print_svg(stream, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _mark(standing: Standing) -> Mark | None:
    """A model's mark; None where it was not driven or not timed."""
    latency = standing.value("inference_p50").value
    tally = standing.counts
    if latency is None or not tally.counted:
        return None
    size = standing.value("artifact_size").value or 0.0
    shape = "o" if standing.completed_all else "^" if tally.completed else "X"
    deviation = standing.value("deviation_mae").value if tally.completed else None
    return Mark(standing.name, str(standing.facts["runtime"]), 1e3 * latency, deviation, size, shape)


def _draw(axes: Any, marks: Sequence[Mark]) -> None:
    """All marks with their names, axes and legend."""
    known = [mark.deviation for mark in marks if mark.deviation is not None]
    top = 1.4 * max(known, default=0.1)
    places = [(mark.latency, top if mark.deviation is None else mark.deviation) for mark in marks]
    _frame(axes, places, failed=len(known) < len(marks))
    for mark, (x, y) in zip(marks, places, strict=True):
        style = {"c": COLOURS.get(mark.runtime, OTHER), "edgecolors": "black", "linewidths": 0.5}
        axes.scatter([x], [y], s=_area(mark), marker=mark.shape, alpha=0.6, zorder=2, **style)
    centres = [(float(x), float(y)) for x, y in axes.transData.transform(places)]
    radii = [math.sqrt(_area(mark) / math.pi) for mark in marks]
    window = axes.get_window_extent()
    room = Box(window.x0, window.y0, window.width, window.height)
    boxes = label_places(centres, radii, [mark.name for mark in marks], room)
    for mark, place, (x, y), radius, box in zip(marks, places, centres, radii, boxes, strict=True):
        # The line leads from the mark to the nearest point of the name, and only where that is not beside it.
        near = (min(max(x, box.x), box.x + box.width), min(max(y, box.y), box.y + box.height))
        if math.dist(near, (x, y)) > radius + DISTANCES[2]:
            ends = axes.transData.inverted().transform([near])
            axes.plot([place[0], ends[0][0]], [place[1], ends[0][1]], color="grey", linewidth=0.4, zorder=1)
        middle = (box.x - x, box.y + box.height / 2.0 - y)
        axes.annotate(mark.name, place, middle, textcoords="offset points", va="center", fontsize=LABEL, zorder=3)
    _legend(axes, marks)


def _area(mark: Mark) -> float:
    """Area of a mark [points²]."""
    return LEAST_AREA + AREA_PER_MB * mark.size


def _frame(axes: Any, places: Sequence[tuple[float, float]], *, failed: bool) -> None:
    """Axes with room for names around all places, and a line below those that completed nothing."""
    xs, ys = ([place[axis] for place in places] for axis in (0, 1))
    margin = max(1.35, (max(xs) / min(xs)) ** 0.12)
    axes.set(
        xscale="log", yscale="log", xlim=(min(xs) / margin, max(xs) * margin), ylim=(min(ys) / 1.25, max(ys) * 1.1)
    )
    axes.set_xlabel("median inference time, pre-processing included (ms)")
    axes.set_ylabel("position deviation MAE (m)")
    axes.grid(visible=True, which="both", linewidth=0.3, alpha=0.5, zorder=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "2357" else "")
        axis.set_tick_params(which="both", labelsize=7.0)
    if failed:
        axes.axhline(max(ys) / 1.15, color="black", linewidth=0.6, linestyle="--")


def _legend(axes: Any, marks: Sequence[Mark]) -> None:
    """What colours and shapes mean, above the axes."""
    for runtime in dict.fromkeys(mark.runtime for mark in marks):
        axes.scatter([], [], c=COLOURS.get(runtime, OTHER), label=runtime)
    for shape, text in (("o", "completed all"), ("^", "completed some"), ("X", "completed none: no deviation to show")):
        axes.scatter([], [], c="white", edgecolors="black", marker=shape, label=text)
    axes.scatter([], [], s=LEAST_AREA + AREA_PER_MB, c="white", edgecolors="grey", label="area of 1 MB")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=7, fontsize=7.0, frameon=False)


def label_places(
    centres: Sequence[tuple[float, float]], radii: Sequence[float], names: Sequence[str], room: Box
) -> list[Box]:
    """Where each name is written: as near to its mark as it lies on no other name or mark, within the room.

    Where there is no such place, that of least overlap. All lengths are in points.

    Args:
        centres: of the marks.
        radii: of the marks.
        names: to write.
        room: that names must stay in.
    """
    discs = [Box(x - r, y - r, 2.0 * r, 2.0 * r) for (x, y), r in zip(centres, radii, strict=True)]
    placed: list[Box] = []
    for (x, y), radius, name in zip(centres, radii, names, strict=True):
        width, height = LETTER * LABEL * len(name), LINE * LABEL
        best, least = Box(x + radius + 2.0, y - height / 2.0, width, height), math.inf
        for step in range(len(DISTANCES) * DIRECTIONS):
            away, turn = radius + 2.0 + DISTANCES[step // DIRECTIONS], 2.0 * math.pi * (step % DIRECTIONS) / DIRECTIONS
            right, up = math.cos(turn), math.sin(turn)
            # The box touches the point at that distance with the side that faces the mark.
            left, low = x + away * right - width * (1.0 - right) / 2.0, y + away * up - height * (1.0 - up) / 2.0
            box = Box(left, low, width, height)
            covered = sum(box.overlap(other) for other in (*placed, *discs)) + width * height - box.overlap(room)
            if covered < least - 1e-6:
                best, least = box, covered
            if least < 1e-6:
                break
        placed.append(best)
    return placed
