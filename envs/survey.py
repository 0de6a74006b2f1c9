"""What a road must be before a car may drive on it: no crossing, no overlap, no bend too tight, each named by place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs.lane import BETWEEN, FOLD, NARROWEST, NEAREST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envs.curve import Array, Curve
    from envs.lane import Flags, Index, Lane

SMALLEST_RADIUS = 8.0
"""Smallest radius of the centreline [m]: the car's full lock turns 4.6 m, a guide line needs room to be followed."""

_LOOK_STEP = 1.0  # spacing at which a circuit is compared with itself [m]
_LOOP = 20.0  # no part of a road shorter than this comes back to where it was: half a turn is longer [m]
_PAIRS = 1 << 20  # compared at once
_ROUNDING = 1e-6  # [m]


class Fault(NamedTuple):
    """Why a road is none.

    Attributes:
        at: index of the point where.
        text: what, where and what to do.
    """

    at: int
    text: str


def fault(lane: Lane) -> Fault | None:
    """What is wrong with a road, or None."""
    return _meeting(lane) or _bend(lane) or _narrow(lane)


def fitted(lane: Lane) -> Lane:
    """The lane, narrowed smoothly where a bend would fold it or where it would overlap itself.

    One that cannot be mended so comes back as it was: `fault` says what is wrong with it.
    """
    unfolded = lane.unfolded()
    left, right = (np.full(len(lane.left), np.inf) for _ in range(2))
    for near in _near(unfolded):
        room = near.distance - BETWEEN
        for index, is_left, own, other in (
            (near.i, near.i_left, near.i_side, near.j_side),
            (near.j, near.j_left, near.j_side, near.i_side),
        ):
            share = room * own / (own + other)
            if share.size and share.min() < NEAREST:
                return lane
            np.minimum.at(left, index[is_left], share[is_left])
            np.minimum.at(right, index[~is_left], share[~is_left])
    narrowed = unfolded.below(left, right)
    return narrowed if (narrowed.left + narrowed.right).min() >= NARROWEST else lane


class _Near(NamedTuple):
    """Pairs of points of the road, (k,) each, that lie closer together than their lanes allow.

    Attributes:
        i: the earlier points.
        j: the later ones.
        distance: between them [m].
        i_left: whether j is to the left of i.
        i_side: how wide the lane is at i towards j [m].
        j_left: whether i is to the left of j.
        j_side: how wide the lane is at j towards i [m].
    """

    i: Index
    j: Index
    distance: Array
    i_left: Flags
    i_side: Array
    j_left: Flags
    j_side: Array


def _near(lane: Lane) -> Iterator[_Near]:
    """Where the road meets itself, in parts of bounded size.

    Two places further apart than half a turn about the inner edge (pi times its distance) must be both lanes apart: a
    road that bends no tighter than `_bend` allows always is, nearby (Schur's comparison theorem).
    """
    n = len(lane.left)
    index = np.arange(0, n, max(1, int(_LOOK_STEP / lane.step)))
    reach = max(2.0 * float(max(lane.left.max(), lane.right.max())), 2.0 * _LOOK_STEP)
    for first, second in _pairs(lane.curve.points[index], reach):
        i, j = index[first], index[second]
        distance = np.hypot(*(lane.curve.points[j] - lane.curve.points[i]).T)
        along = (j - i) * lane.step
        along = np.minimum(along, lane.curve.length - along)
        i_left, i_side = lane.side(i, j)
        j_left, j_side = lane.side(j, i)
        overlap = (distance < i_side + j_side - _ROUNDING) & (along >= math.pi * np.maximum(i_side, j_side) - _ROUNDING)
        bad = overlap | ((distance < 2.0 * _LOOK_STEP) & (along >= _LOOP))
        if bad.any():
            yield _Near(*(part[bad] for part in (i, j, distance, i_left, i_side, j_left, j_side)))


def _pairs(points: Array, reach: float) -> Iterator[tuple[Index, Index]]:
    """Every pair i < j of points that may lie within `reach` of each other, found by a grid of that size."""
    cell = np.floor((points - points.min(axis=0)) / reach).astype(np.int64) + 1
    rows = int(cell[:, 1].max()) + 2
    key = cell[:, 0] * rows + cell[:, 1]
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    beside = key[:, None] + np.array([-rows, 0, rows])  # in each column, three cells above each other stand in a row
    begin = np.searchsorted(ordered, beside - 1, side="left")
    count = np.searchsorted(ordered, beside + 1, side="right") - begin
    total = np.concatenate(([0], np.cumsum(count.sum(axis=1))))
    start = 0
    while start < len(points):
        end = max(start + 1, int(np.searchsorted(total, total[start] + _PAIRS, side="right")) - 1)
        runs = count[start:end].ravel()
        i = np.repeat(np.arange(start, end), count[start:end].sum(axis=1))
        within = np.arange(len(i)) - np.repeat(np.cumsum(runs) - runs, runs)
        j = order[np.repeat(begin[start:end].ravel(), runs) + within]
        yield i[j > i], j[j > i]
        start = end


def _meeting(lane: Lane) -> Fault | None:
    """The place where the road meets itself, where it does."""
    near = next(_near(lane), None)
    if near is None:
        return None
    curve, best = lane.curve, int(np.argmin(near.distance))
    i, j, distance = int(near.i[best]), int(near.j[best]), float(near.distance[best])
    again = f"at s={j * lane.step:.0f} m"
    if distance < 2.0 * _LOOK_STEP and _intersect(curve.points, i, j, 2 * max(1, int(_LOOK_STEP / lane.step))):
        return Fault(
            i,
            f"the centreline crosses itself {_place(curve, i)}, where it passes again {again}: move one of the two"
            " away",
        )
    need = float(near.i_side[best] + near.j_side[best])
    return Fault(
        i,
        f"the road overlaps itself {_place(curve, i)}: {distance:.1f} m from where it passes again {again}, and the"
        f" lanes between need {need:.3g} m: move the two apart or make the road narrower",
    )


def _bend(lane: Lane) -> Fault | None:
    """The bend that is tightest for what the car and the width allow, where it is tighter."""
    allowed = np.maximum(SMALLEST_RADIUS, lane.inner + FOLD)
    i = int(np.argmax(np.abs(lane.curve.curvature) * allowed))
    radius = 1.0 / max(abs(float(lane.curve.curvature[i])), 1e-9)
    if radius >= float(allowed[i]) * (1.0 - 1e-3):
        return None
    return Fault(
        i,
        f"the bend {_place(lane.curve, i)} has a radius of {radius:.1f} m; the smallest a"
        f" {lane.left[i] + lane.right[i]:.3g} m wide road may have is {allowed[i]:.3g} m: widen the bend",
    )


def _narrow(lane: Lane) -> Fault | None:
    """The place where the lane is narrowest, where that is too narrow."""
    width, side = lane.left + lane.right, np.minimum(lane.left, lane.right)
    i, k = int(np.argmin(width)), int(np.argmin(side))
    if width[i] < NARROWEST - _ROUNDING:
        return Fault(
            i,
            f"the lane {_place(lane.curve, i)} is {width[i]:.3g} m wide, less than the car needs: give {NARROWEST:g} m"
            " or more",
        )
    if side[k] < NEAREST - _ROUNDING:
        return Fault(
            k,
            f"the lane edge {_place(lane.curve, k)} is {side[k]:.2g} m from the centreline: give {NEAREST:g} m or more"
            " on each side",
        )
    return None


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
