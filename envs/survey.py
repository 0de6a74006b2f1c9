"""What a road must be before a car may drive on it: no crossing, no overlap, no bend too tight, each named by place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from envs.curve import Array, Curve

SMALLEST_RADIUS = 8.0
"""Smallest radius of the centreline [m]: the car's full lock turns 4.6 m, a guide line needs room to be followed."""

_LOOK_STEP = 1.0
"""Spacing at which a circuit is compared with itself [m]."""


def fault(curve: Curve, width: float) -> str | None:
    """What is wrong with a road of `width` [m] along `curve`: what, where and what to do, or None."""
    return _crossing(curve, width) or _bend(curve, width)


def _bend(curve: Curve, width: float) -> str | None:
    """The tightest bend, where it is tighter than the car and the width allow."""
    i = int(np.argmax(np.abs(curve.curvature)))
    allowed = max(SMALLEST_RADIUS, 0.5 * width + 0.5)
    radius = 1.0 / max(abs(float(curve.curvature[i])), 1e-9)
    if radius >= allowed * (1.0 - 1e-3):
        return None
    return (
        f"the bend {_place(curve, i)} has a radius of {radius:.1f} m; the smallest a {width:g} m wide road may have is"
        f" {allowed:g} m: widen the bend"
    )


def _crossing(curve: Curve, width: float) -> str | None:
    """The place where the road meets itself, where it does.

    Two places further apart than a quarter turn about the inner edge (pi / 2 * width of arc) must be a width apart: a
    road that bends no tighter than `_bend` allows always is, nearby (Schur's comparison theorem).
    """
    n = len(curve.points)
    skip = max(1, int(_LOOK_STEP * n / curve.length))
    index = np.arange(0, n, skip)
    points = curve.points[index]
    arc = index * (curve.length / n)
    best: tuple[float, int, int] | None = None
    for start in range(0, len(index), 256):
        rows, later = slice(start, start + 256), slice(start, None)  # each pair once
        across = points[rows, None, 0] - points[None, later, 0]
        apart = points[rows, None, 1] - points[None, later, 1]
        apart *= apart
        across *= across
        apart += across
        along = np.abs(arc[rows, None] - arc[None, later])
        apart[np.minimum(along, curve.length - along) < math.pi / 2.0 * width] = np.inf
        row, column = np.unravel_index(int(np.argmin(apart)), apart.shape)
        found = (math.sqrt(apart[row, column]), int(index[start + row]), int(index[start + column]))
        if best is None or found < best:
            best = found
    if best is None or best[0] >= width:
        return None
    distance, i, j = best
    i, j = min(i, j), max(i, j)
    if distance < 2.0 * _LOOK_STEP and _intersect(curve.points, i, j, 2 * skip):
        return (
            f"the centreline crosses itself {_place(curve, i)}, where it passes again at"
            f" s={j * curve.length / n:.0f} m: move one of the two away"
        )
    return (
        f"the road overlaps itself {_place(curve, i)}: {distance:.1f} m from where it passes again at"
        f" s={j * curve.length / n:.0f} m, with a width of {width:g} m: move the two apart or make the road narrower"
    )


def _intersect(points: Array, i: int, j: int, reach: int) -> bool:
    """Whether the centreline near index `i` cuts the centreline near index `j`, `reach` steps to either side."""
    around = np.arange(-reach, reach + 1)
    n = len(points)
    a, b = points[(i + around) % n], points[(i + around + 1) % n]
    c, d = points[(j + around) % n], points[(j + around + 1) % n]

    def side(p: Array, q: Array, r: Array) -> Array:
        return np.asarray(
            (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])
        )

    a, b, c, d = a[:, None], b[:, None], c[None], d[None]
    return bool(np.any((side(a, b, c) * side(a, b, d) <= 0.0) & (side(c, d, a) * side(c, d, b) <= 0.0)))


def _place(curve: Curve, i: int) -> str:
    """Where index `i` is, in words."""
    x, y = curve.points[i]
    return f"at s={i * curve.length / len(curve.points):.0f} m (x={x:z.1f}, y={y:z.1f})"
