"""A circuit as a drawing: dots in a terminal, or an SVG map with the road in its true widths."""

from __future__ import annotations

import math
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from envs.strips import Strips

if TYPE_CHECKING:
    from envs.circuit import Circuit
    from envs.curve import Array
    from envs.strips import Strip

_COLUMNS, _ROWS = 72, 20  # of a terminal's characters, at most
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BRAILLE = 0x2800  # a character with no dots; each dot adds its number. Unicode chapter 21.1
_ARROWS = "→↗↑↖←↙↓↘"
_SHARE = 0.3  # of a drawing's width that its scale bar takes at most


def terminal(circuit: Circuit) -> str:
    """Lines of text: the centreline in braille dots, an arrow where it starts, and a scale."""
    low, high = circuit.points.min(axis=0), circuit.points.max(axis=0)
    dot = float(max((high - low) / (2.0 * _COLUMNS - 2.0, 4.0 * _ROWS - 4.0)))
    places = np.rint((circuit.points - low) / dot).astype(np.int64)
    columns, rows = places[:, 0], places[:, 1].max() - places[:, 1]
    cells = np.zeros((int(rows.max()) // 4 + 1, int(columns.max()) // 2 + 1), np.int64)
    np.bitwise_or.at(cells, (rows // 4, columns // 2), _DOTS[rows % 4, columns % 2])
    text = [[chr(_BRAILLE + cell) if cell else " " for cell in row] for row in cells.tolist()]
    arrow = _ARROWS[round(float(circuit.heading[0]) / (math.pi / 4.0)) % 8]
    text[int(rows[0]) // 4][int(columns[0]) // 2] = arrow
    metres = _round(_SHARE * 2.0 * dot * _COLUMNS)
    bar = f"├{'─' * max(0, round(metres / (2.0 * dot)) - 2)}┤ {metres:g} m   {arrow} start, driven {circuit.direction}"
    return "\n".join([*("".join(row).rstrip() for row in text), bar])


def svg(circuit: Circuit) -> str:
    """An SVG map: what is painted, north up, the start line with an arrow, and a scale bar."""
    strips = Strips(circuit.facing("forward"), sag=0.02, longest=25.0)
    low, high = circuit.points.min(axis=0) - strips.reach, circuit.points.max(axis=0) + strips.reach
    unit = float((high - low).max()) / 100.0  # sizes of text and marks go with the map's
    low, high = low - unit * np.array([3.0, 8.0]), high + unit * np.array([3.0, 8.0])
    width, height = high - low
    metres = _round(_SHARE * float(width))
    paths = [
        f'<path fill="rgb{strip.colour}" fill-opacity="{1.0 - strip.wear:g}" fill-rule="evenodd"'
        f' d="{_path(strips, strip)}"/>'
        for strip in strips.strips
    ]
    text = f'font-family="sans-serif" font-size="{2.5 * unit:.1f}" fill="white"'
    x, y = low[0] + 2.0 * unit, low[1] + 2.0 * unit
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{900.0 * height / width:.0f}"'
                f' viewBox="{low[0]:.1f} {-high[1]:.1f} {width:.1f} {height:.1f}">'
            ),
            f"<title>{escape(circuit.name)}</title>",
            (
                f'<rect x="{low[0]:.1f}" y="{-high[1]:.1f}" width="{width:.1f}" height="{height:.1f}"'
                f' fill="rgb{circuit.markings.ground}"/>'
            ),
            *paths,
            *_start(circuit, unit),
            f'<path stroke="white" stroke-width="{0.4 * unit:.2f}" d="M{x:.1f} {-y:.1f}h{metres:g}"/>',
            f'<text {text} x="{x:.1f}" y="{-y - unit:.1f}">{metres:g} m</text>',
            (
                f'<text {text} x="{x:.1f}" y="{-high[1] + 4.0 * unit:.1f}">{escape(circuit.name)},'
                f" {circuit.length:.0f} m, {circuit.direction}</text>"
            ),
            "</svg>\n",
        ]
    )


def _path(strips: Strips, strip: Strip) -> str:
    """A strip's outline: both borders all round, or each painted piece by itself."""
    left, right = (strips.points + border[:, None] * strips.across for border in (strip.left, strip.right))
    if strip.painted is None:
        return _closed(left) + _closed(right)
    starts = [0, *(np.flatnonzero(np.diff(strip.painted)) + 1).tolist(), len(left)]
    pieces = [np.arange(a, b + 1) % len(left) for a, b in pairwise(starts) if strip.painted[a]]
    return "".join(_closed(np.concatenate([left[piece], right[piece[::-1]]])) for piece in pieces)


def _closed(points: Array) -> str:
    return "M" + " ".join(f"{x:.2f} {y:.2f}" for x, y in points * (1.0, -1.0)) + "Z"


def _start(circuit: Circuit, unit: float) -> list[str]:
    """The start line across the road, and an arrow beside it in driving direction."""
    heading = float(circuit.heading[0])
    (x1, y1, _), (x2, y2, _) = circuit.pose(0.0, float(circuit.left[0])), circuit.pose(0.0, -float(circuit.right[0]))
    beside = -float(circuit.right[0]) - 3.0 * unit
    tail, tip = np.array(circuit.pose(0.0, beside)[:2]), np.array([math.cos(heading), math.sin(heading)])
    aside = np.array([-tip[1], tip[0]])
    head = [tail + 5.0 * unit * tip, tail + 3.0 * unit * tip + unit * aside, tail + 3.0 * unit * tip - unit * aside]
    return [
        f'<path stroke="white" stroke-width="{max(1.0, 0.5 * unit):.2f}" d="M{x1:.2f} {-y1:.2f}L{x2:.2f} {-y2:.2f}"/>',
        (
            f'<path stroke="white" stroke-width="{0.6 * unit:.2f}" d="M{tail[0]:.2f} {-tail[1]:.2f}'
            f'l{3.0 * unit * tip[0]:.2f} {-3.0 * unit * tip[1]:.2f}"/>'
        ),
        f'<path fill="white" d="{_closed(np.array(head))}"/>',
    ]


def _round(metres: float) -> float:
    """The largest of 1, 2, 5, 10 ... that is not more [m]."""
    power = 10.0 ** math.floor(math.log10(metres))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= metres)
