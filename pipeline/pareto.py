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
SIZE = (9.0, 6.0)  # [inch]
LEAST_AREA, AREA_PER_MB = 18.0, 160.0  # [points^2]


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
        figure = Figure(figsize=SIZE, layout="constrained")
        canvas: Any = FigureCanvasSVG(figure)
        axes: Any = figure.add_subplot()
        _draw(axes, marks)
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
    top = 1.3 * max(known, default=0.1)
    places = [(mark.latency, top if mark.deviation is None else mark.deviation) for mark in marks]
    for mark, (x, y) in zip(marks, places, strict=True):
        area = LEAST_AREA + AREA_PER_MB * mark.size
        colour = COLOURS.get(mark.runtime, OTHER)
        axes.scatter([x], [y], s=area, c=colour, marker=mark.shape, alpha=0.6, edgecolors="black", linewidths=0.5)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("median inference time, pre-processing included (ms)")
    axes.set_ylabel("position deviation MAE (m)")
    axes.grid(visible=True, which="both", linewidth=0.3, alpha=0.5)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    for mark, place, at in zip(marks, places, _label_places(places), strict=True):
        axes.annotate(
            mark.name,
            xy=place,
            xytext=at,
            fontsize=6.0,
            arrowprops={"arrowstyle": "-", "linewidth": 0.3, "color": "grey"},
        )
    for runtime in dict.fromkeys(mark.runtime for mark in marks):
        axes.scatter([], [], c=COLOURS.get(runtime, OTHER), label=runtime)
    for shape, text in (("o", "completed all"), ("^", "completed some"), ("X", "completed none (upper edge)")):
        axes.scatter([], [], c="white", edgecolors="black", marker=shape, label=text)
    axes.legend(loc="upper left", fontsize=7.0)


def _label_places(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where each name is written: beside its mark, and moved up until no other name lies there.

    Reckoned in logarithms, in boxes of the size of a name.
    """
    if not places:
        return []
    xs, ys = ([math.log10(place[axis]) for place in places] for axis in (0, 1))
    wide = max(max(xs) - min(xs), 0.1) * 0.13
    high = max(max(ys) - min(ys), 0.1) * 0.025
    taken: list[tuple[float, float]] = []
    for x, y in zip(xs, ys, strict=True):
        at = (x + 0.12 * wide, y + 0.5 * high)
        while any(abs(at[0] - other[0]) < wide and abs(at[1] - other[1]) < high for other in taken):
            at = (at[0], at[1] + 0.5 * high)
        taken.append(at)
    return [(10**x, 10**y) for x, y in taken]
