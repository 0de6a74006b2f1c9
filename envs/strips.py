"""A road as strips along its centreline, each of one colour: what a painting fills, in the order it fills it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envs.circuit import Circuit
    from envs.curve import Array
    from envs.lane import Flags, Index
    from envs.markings import Colour, Line

_BLOCK = 8  # pieces that are looked for together


class Strip(NamedTuple):
    """A strip of one colour along the road.

    Attributes:
        left: (n,) its left border, to the left of the centreline [m].
        right: (n,) its right border, likewise; less than `left`.
        colour: RGB.
        painted: (n,) whether it is painted from each point to the next; None where it is everywhere.
        wear: share of the paint that is gone.
    """

    left: Array
    right: Array
    colour: Colour
    painted: Flags | None = None
    wear: float = 0.0


class Strips:
    """The strips of one circuit, in the order they are painted.

    Args:
        circuit: forward.
        sag: how far a straight piece between two points may stray from the curve [m].
        longest: of these pieces [m].

    Attributes:
        strips: each as wide as the circuit says at `points`.
        points: (n, 2) of the centreline, as few as its bends allow [m].
        across: (n, 2) unit vectors to the left there.
        reach: from the centreline to the farthest border [m].
    """

    def __init__(self, circuit: Circuit, sag: float = 0.001, longest: float = 4.0) -> None:
        lines = (circuit.markings.edges, circuit.markings.centre)
        dashes = [_dashes(line, circuit.length) for line in lines]
        s = np.unique(np.concatenate([_places(circuit, sag, longest), *dashes]))
        self.points = _at(circuit.points, circuit, s)
        across = _at(_across(circuit.points), circuit, s)
        self.across = across / np.hypot(across[:, :1], across[:, 1:])
        middle = (s + np.append(s[1:], circuit.length)) / 2.0
        painted = [_painted(marks, middle) for marks in dashes]
        left, right = _at(circuit.left, circuit, s), _at(circuit.right, circuit, s)
        self.strips = _layers(circuit, left, right, painted)
        self.reach = max(float(np.abs(border).max()) for strip in self.strips for border in (strip.left, strip.right))
        blocks = np.arange(0, len(s), _BLOCK)[:, None] + np.arange(_BLOCK + 1)
        boxed = self.points[np.minimum(blocks, len(s)) % len(s)]
        self._low, self._high = boxed.min(axis=1) - self.reach, boxed.max(axis=1) + self.reach

    def runs(self, corner: Array, side: float) -> Iterator[Index]:
        """Stretches of the road that may touch the square at `corner` with `side` [m]: indices of points, in order."""
        near = np.all((self._high >= corner) & (self._low <= corner + side), axis=1)
        count = len(self.points)
        if near.all():
            yield np.arange(count + 1) % count
            return
        hits = np.flatnonzero(near).tolist()
        breaks = [0, *(k for k in range(1, len(hits)) if hits[k] != hits[k - 1] + 1), len(hits)]
        for begin, end in pairwise(breaks):
            if begin < end:
                yield np.arange(hits[begin] * _BLOCK, min((hits[end - 1] + 1) * _BLOCK, count) + 1) % count


def _layers(circuit: Circuit, left: Array, right: Array, painted: list[Flags | None]) -> list[Strip]:
    """Road and lines over each other; `painted` is where the edge lines and the centre line are."""
    markings = circuit.markings
    strips = [Strip(left + markings.shoulder, -right - markings.shoulder, markings.asphalt)]
    if (edges := markings.edges) is not None:
        paint = (edges.colour, painted[0], edges.wear)
        strips += [Strip(left, left - edges.width, *paint), Strip(edges.width - right, -right, *paint)]
    if (centre := markings.centre) is not None:
        half = np.full(len(left), centre.width / 2.0)
        strips.append(Strip(half, -half, centre.colour, painted[1], centre.wear))
    return strips


def _places(circuit: Circuit, sag: float, longest: float) -> Array:
    """Arcs of the circuit's points that are kept: more where it bends or its width changes [m]."""
    step = circuit.step
    bend = np.abs(circuit.curvature)
    for side in (circuit.left, circuit.right):
        bend = np.maximum(bend, np.abs(np.roll(side, -1) - 2.0 * side + np.roll(side, 1)) / step**2)
    # A chord of length h on a curve of radius r strays from it by h^2 / (8 r).
    pieces = np.cumsum(np.maximum(np.sqrt(bend / (8.0 * sag)), 1.0 / longest) * step)
    return circuit.s[np.unique(np.searchsorted(pieces, np.arange(pieces[0], pieces[-1])))]


def _at(values: Array, circuit: Circuit, s: Array) -> Array:
    """Values at the circuit's points, (n,) or (n, 2), between them at arcs `s` [m]."""
    place = s / circuit.step
    first = np.minimum(place.astype(np.int64), len(values) - 1)
    part = (place - first).reshape(-1, *(1,) * (values.ndim - 1))
    return np.asarray((1.0 - part) * values[first] + part * values[(first + 1) % len(values)])


def _across(points: Array) -> Array:
    """(n, 2) unit vectors to the left of the centreline."""
    along = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    along /= np.hypot(along[:, :1], along[:, 1:])
    return np.stack([-along[:, 1], along[:, 0]], axis=1)


def _dashes(line: Line | None, length: float) -> Array:
    """Arcs at which a line begins and ends in turn [m]; empty where it is unbroken or not there.

    Paint and gap are stretched a little, so that a lap holds a whole number of them.
    """
    if line is None or line.dash is None:
        return np.empty(0)
    paint, gap = line.dash
    count = max(1, round(length / (paint + gap)))
    begin = np.arange(count) * (length / count)
    return np.sort(np.concatenate([begin, begin + length / count * paint / (paint + gap)]))


def _painted(dashes: Array, s: Array) -> npt.NDArray[np.bool_] | None:
    """Which of the arcs `s` lie on paint; None where there are no dashes."""
    return np.searchsorted(dashes, s) % 2 == 1 if len(dashes) else None
