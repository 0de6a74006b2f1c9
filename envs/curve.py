"""Closed plane curves at equal steps of arc: a periodic cubic spline through points, or straights and arcs in a row.

Right-handed, x forward, y left; headings are measured from the x axis to the left [rad], curvature is positive to the
left [1/m]. Everything here is plain NumPy in a fixed order, so a curve is the same bytes wherever NumPy is the same.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = npt.NDArray[np.float64]

LONGEST_STEP = 0.5
"""Longest step of arc between two points of a curve [m]."""

_DENSE_STEP = 0.1
"""Spacing at which a spline's arc length is integrated [m]; Simpson's rule there is exact to a micrometre."""


class Curve(NamedTuple):
    """A closed curve; its first point is not repeated at the end.

    Attributes:
        points: (n, 2) points at equal steps of arc [m].
        heading: (n,) direction of travel in (-pi, pi] [rad].
        curvature: (n,) positive to the left [1/m].
        length: once round [m].
    """

    points: Array
    heading: Array
    curvature: Array
    length: float


class Straight(NamedTuple):
    """A straight piece of a curve, `length` long [m]."""

    length: float


class Arc(NamedTuple):
    """A circular piece of a curve: `radius` [m], and `angle` [rad], positive to the left."""

    radius: float
    angle: float


def steps_of(length: float) -> int:
    """Number of equal steps, none longer than `LONGEST_STEP`, in a closed curve of `length` [m]."""
    return max(4, math.ceil(length / LONGEST_STEP - 1e-9))


def wrapped(angle: Array) -> Array:
    """Angles [rad] brought into (-pi, pi]."""
    turned = np.pi - (np.pi - angle) % (2.0 * np.pi)
    return np.where(turned <= -np.pi, np.pi, turned)  # the remainder of a tiny negative number is a whole turn


def through_points(knots: Array) -> Curve:
    """The closed cubic spline through `knots`, parametrised by chord length.

    Its curvature is continuous, also where the last knot meets the first.

    Args:
        knots: (n, 2) points in order, n at least 3, neighbours distinct, the first one not repeated [m].
    """
    return splined(knots)[0]


def splined(knots: Array) -> tuple[Curve, Array]:
    """As `through_points`; and the parameter (m,) at the curve's points: chords added up from the first knot [m]."""
    after = np.roll(knots, -1, axis=0)
    chord = np.hypot(*(after - knots).T)
    bend = _second_derivatives(knots, chord)
    start = np.concatenate(([0.0], np.cumsum(chord)))

    # Arc length as a function of the parameter: Simpson's rule over short intervals between dense nodes.
    counts = np.maximum(1, np.ceil(chord / _DENSE_STEP)).astype(np.int64)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    nodes = np.repeat(start[:-1], counts) + np.repeat(chord, counts) * within / np.repeat(counts, counts)
    nodes = np.append(nodes, start[-1])
    middle = (nodes[:-1] + nodes[1:]) / 2.0
    rate = np.hypot(*_evaluate(knots, chord, bend, start, nodes)[1].T)
    rate_middle = np.hypot(*_evaluate(knots, chord, bend, start, middle)[1].T)
    pieces = np.diff(nodes) * (rate[:-1] + 4.0 * rate_middle + rate[1:]) / 6.0
    travelled = np.concatenate(([0.0], np.cumsum(pieces)))
    length = float(travelled[-1])

    n = steps_of(length)
    parameter = np.interp(length * np.arange(n) / n, travelled, nodes)
    points, first, second = _evaluate(knots, chord, bend, start, parameter)
    speed = np.hypot(first[:, 0], first[:, 1])
    curvature = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / speed**3
    return Curve(points, np.arctan2(first[:, 1], first[:, 0]), curvature, length), parameter


def smoothed(values: Array, length: float, sigma: float) -> Array:
    """Values round a closed curve without their rapid changes: Gaussian smoothing, twice ("twicing").

    What one smoothing S takes away is smoothed and put back, S x + S (x - S x), so that what is longer than a few
    sigma stays: of a sine the part exp(-w) is left by S, w = (2 pi sigma / its period)^2 / 2, and 1 - (1 - exp(-w))^2
    here. A circle of radius r shrinks by no more than sigma^4 / (4 r^3).

    Args:
        values: (n, k) at equal steps round the curve.
        length: of the curve, in the unit of `sigma`.
        sigma: of the Gaussian.

    Source: J. W. Tukey, Exploratory Data Analysis, 1977, chapter 16.
    """
    frequency = np.fft.rfftfreq(len(values), d=length / len(values))
    kept = np.exp(-0.5 * (2.0 * np.pi * sigma * frequency) ** 2)
    kept *= 2.0 - kept
    return np.asarray(np.fft.irfft(np.fft.rfft(values, axis=0) * kept[:, None], n=len(values), axis=0))


def from_segments(segments: Sequence[Straight | Arc]) -> tuple[Curve, Array, float]:
    """Straights and arcs one after the other, from the origin along the x axis.

    Returns:
        The curve, the (2,) gap from the first point to where the last segment ends [m], and the heading error there
        [rad]; a closed curve has neither, and a gap that is left is spread evenly along the curve.
    """
    lengths = np.array([seg.length if isinstance(seg, Straight) else seg.radius * abs(seg.angle) for seg in segments])
    kappas = np.array(
        [0.0 if isinstance(seg, Straight) else math.copysign(1.0 / seg.radius, seg.angle) for seg in segments]
    )
    start = np.concatenate(([0.0], np.cumsum(lengths)))
    headings = np.concatenate(([0.0], np.cumsum(kappas * lengths)))
    corners = np.zeros((len(segments) + 1, 2))
    for i, (size, kappa) in enumerate(zip(lengths, kappas, strict=True)):
        corners[i + 1] = corners[i] + _along(headings[i], kappa, np.array([size]))[0]

    length = float(start[-1])
    n = steps_of(length)
    s = length * np.arange(n) / n
    which = np.minimum(np.searchsorted(start, s, side="right") - 1, len(segments) - 1)
    points = np.empty((n, 2))
    heading = np.empty(n)
    for i in range(len(segments)):
        here = which == i
        points[here] = corners[i] + _along(headings[i], kappas[i], s[here] - start[i])
        heading[here] = headings[i] + kappas[i] * (s[here] - start[i])
    gap = corners[-1] - corners[0]
    points -= gap * (s / length)[:, None]
    error = float(wrapped(headings[-1:])[0])
    return Curve(points, wrapped(heading), kappas[which], length), gap, error


def _along(heading: float, kappa: float, s: Array) -> Array:
    """(k, 2) displacements after distances `s` (k,) [m] from `heading` [rad] with constant curvature `kappa` [1/m]."""
    half = kappa * s / 2.0
    chord = s * np.sinc(half / np.pi)
    return np.stack([chord * np.cos(heading + half), chord * np.sin(heading + half)], axis=1)


def _evaluate(knots: Array, chord: Array, bend: Array, start: Array, at: Array) -> tuple[Array, Array, Array]:
    """Points of the spline at parameters `at`, and its first and second derivatives there, each (k, 2)."""
    i = np.clip(np.searchsorted(start, at, side="right") - 1, 0, len(knots) - 1)
    j = (i + 1) % len(knots)
    h = chord[i][:, None]
    b = (at - start[i])[:, None] / h
    a = 1.0 - b
    points = a * knots[i] + b * knots[j] + ((a**3 - a) * bend[i] + (b**3 - b) * bend[j]) * h**2 / 6.0
    first = (knots[j] - knots[i]) / h + ((3.0 * b**2 - 1.0) * bend[j] - (3.0 * a**2 - 1.0) * bend[i]) * h / 6.0
    return points, first, a * bend[i] + b * bend[j]


def _second_derivatives(knots: Array, chord: Array) -> Array:
    """Second derivatives (n, 2) of the periodic cubic spline at its knots.

    The cyclic tridiagonal system is solved by the Sherman-Morrison formula and elimination: linear in the number of
    knots, so a surveyed track of thousands of points costs no more than it must.
    Source: Press et al., Numerical Recipes, 3rd edition, sections 2.4, 2.7.2 and 3.3.
    """
    n = len(knots)
    before = np.roll(chord, 1)
    slope = (np.roll(knots, -1, axis=0) - knots) / chord[:, None]
    right = 6.0 * (slope - np.roll(slope, 1, axis=0))
    diagonal = 2.0 * (before + chord)
    corner = float(chord[-1])
    gamma = -float(diagonal[0])
    diagonal = diagonal.copy()
    diagonal[0] -= gamma
    diagonal[-1] -= corner * corner / gamma
    spike = np.zeros(n)
    spike[0], spike[-1] = gamma, corner
    solution = _tridiagonal(chord[:-1], diagonal, np.column_stack([right, spike]))
    y, z = solution[:, :2], solution[:, 2]
    factor = (y[0] + y[-1] * corner / gamma) / (1.0 + z[0] + z[-1] * corner / gamma)
    return np.asarray(y - z[:, None] * factor)


def _tridiagonal(off: Array, diagonal: Array, right: Array) -> Array:
    """Solve a symmetric tridiagonal system for several right-hand sides.

    Args:
        off: (n - 1,) entries beside the diagonal.
        diagonal: (n,) entries on it.
        right: (n, k) right-hand sides.
    """
    # Plain numbers: each depends on the one before, and arrays are slow at single numbers.
    beside: list[float] = off.tolist()
    pivots: list[float] = diagonal.tolist()
    for i, entry in enumerate(beside):
        pivots[i + 1] -= entry * entry / pivots[i]
    columns: list[list[float]] = right.T.tolist()
    for out in columns:
        for i, entry in enumerate(beside):
            out[i + 1] -= entry / pivots[i] * out[i]
        out[-1] /= pivots[-1]
        for i in range(len(beside) - 1, -1, -1):
            out[i] = (out[i] - beside[i] * out[i + 1]) / pivots[i]
    return np.array(columns).T
