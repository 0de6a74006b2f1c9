"""Tracks like real ones, drawn from a seed: a polygon whose corners are bends with eased entries and exits.

Its corners are random places, joined by a short tour that does not cross itself, as real tracks fold into the land they
have. Sharp ones become hairpins, others bends or sweepers, and some long straights get a chicane. The lane's width
varies smoothly on each side. The result is the text of a centreline CSV, like the survey of a track that is not there.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from envs import centreline_csv
from envs.errors import InputError

if TYPE_CHECKING:
    from envs.curve import Array

PREFIX = "generated:"
"""Begins the name of a generated circuit: `generated:SEED` or `generated:SEED:LENGTH`."""

SHORTEST, LONGEST = 1000.0, 7000.0
"""Of the tracks [m]."""

_TRIES = 200
_CORNER_EVERY = 330.0  # one corner of the polygon on so many metres
_SHARPEST = math.radians(140.0)  # turn of a corner: beyond, its legs lie too close together
_HAIRPIN = math.radians(100.0)  # turn from which a corner is a hairpin
_WIDEST = 350.0  # radius of a bend [m]
_EASE = 0.3  # share of a bend over which its curvature rises, and over which it falls again
_STEP = 1.0  # at which a track is drawn before points are chosen from it [m]


def named(name: str) -> str:
    """The text of the circuit that a name asks for.

    Raises:
        InputError: the name is not `generated:SEED` or `generated:SEED:LENGTH`.
    """
    seed, length = asked(name)
    return generate(seed, length)


def asked(name: str) -> tuple[int, float | None]:
    """The seed and the length [m] that the name of a generated circuit asks for.

    Raises:
        InputError: it is no such name.
    """
    found = re.fullmatch(rf"{PREFIX}(\d{{1,18}})(?::(\d{{1,6}}))?", name)
    length = float(found[2]) if found and found[2] else None
    if not found or not (length is None or SHORTEST <= length <= LONGEST):
        raise InputError(
            f"{name!r} names no generated circuit: write {PREFIX}SEED or {PREFIX}SEED:LENGTH, whole numbers, the length"
            f" from {SHORTEST:g} to {LONGEST:g} m"
        )
    return int(found[1]), length


def generate(seed: int, length: float | None = None) -> str:
    """A track that can be driven, the same for the same arguments.

    Args:
        seed: of all that is drawn, not negative.
        length: of the track, met within 2 % [m]; drawn if not given.

    Returns:
        A centreline CSV.

    Raises:
        RuntimeError: no draw of this seed is a road.
    """
    asked = length or float(np.random.default_rng([seed, 0]).uniform(SHORTEST, LONGEST))
    for attempt in range(1, _TRIES):
        text = _draw(np.random.default_rng([seed, attempt]), asked, f"A generated track, seed {seed}.")
        if text is not None:
            return text
    raise RuntimeError(f"no track of {asked:.0f} m with seed {seed} in {_TRIES} draws")


def _draw(random: np.random.Generator, length: float, title: str) -> str | None:
    """One draw, or None where it is no road."""
    corners = _polygon(random, length)
    bends = random.uniform(size=len(corners))
    path = _rounded(corners, bends)
    for _ in range(5):  # bends cut corners by what does not grow with the track
        if path is None:
            return None
        corners = corners * (length / _arc(path)[-1])
        path = _rounded(corners, bends)
    if path is None:
        return None
    points = _surveyed(random, path)
    rows = np.column_stack([points, _width(random, len(points)), _width(random, len(points))])
    lines = "".join(f"{x:.3f}, {y:.3f}, {right:.2f}, {left:.2f}\n" for x, y, right, left in rows)
    text = f"# {title}\n# {', '.join(centreline_csv.COLUMNS)}\n{lines}"
    try:
        road = centreline_csv.read(text, title)
    except InputError:
        return None
    return text if abs(road.lane.curve.length / length - 1.0) < 0.02 else None


def _polygon(random: np.random.Generator, length: float) -> Array:
    """(n, 2) corners in driving order [m], with chicanes on some long sides."""
    count = max(5, round(length / _CORNER_EVERY * random.uniform(0.8, 1.3)))
    size = length / 0.75 / math.sqrt(count)  # of a square in which a short tour through so many places is that long
    shape = np.array([1.0, random.uniform(0.45, 1.0)])
    places = np.empty((0, 2))
    while len(places) < count:
        place = random.uniform(size=2) * size * shape / math.sqrt(shape[1])
        if not len(places) or np.hypot(*(places - place).T).min() > 0.55 * size / math.sqrt(count):
            places = np.vstack([places, place])
    tour = _tour(places)
    if random.uniform() < 0.5:
        tour = tour[::-1]
    corners: list[Array] = []
    for here, there in zip(tour, np.roll(tour, -1, axis=0), strict=True):
        corners.append(here)
        along = there - here
        far = float(np.hypot(*along))
        if far > 350.0 and random.uniform() < 0.3:
            along /= far
            aside = np.array([-along[1], along[0]]) * random.uniform(9.0, 16.0) * random.choice([-1.0, 1.0])
            middle, half = here + along * far * random.uniform(0.4, 0.6), random.uniform(22.0, 32.0)
            corners += [middle - half * along + aside, middle + half * along - aside]
    return np.array(corners)


def _tour(places: Array) -> Array:
    """The places in an order whose closed tour does not cross itself: no two sides can be exchanged to shorten it.

    Source: G. A. Croes, A Method for Solving Traveling-Salesman Problems, Operations Research 6, 1958 ("2-opt").
    """
    count = len(places)
    far = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    order = list(range(count))
    better = True
    while better:
        better = False
        for i in range(count - 1):
            for j in range(i + 2, count - (i == 0)):
                a, b, c, d = order[i], order[i + 1], order[j], order[(j + 1) % count]
                if far[a, c] + far[b, d] < far[a, b] + far[c, d] - 1e-9:
                    order[i + 1 : j + 1] = order[i + 1 : j + 1][::-1]
                    better = True
    return places[order]


def _rounded(corners: Array, bends: Array) -> Array | None:
    """(m, 2) the closed path round the corners, from the middle of the longest straight; None if a bend has no room.

    Args:
        corners: (n, 2) of the polygon.
        bends: (n,) from 0 to 1, how wide each bend is within what its corner allows.
    """
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    sides = np.hypot(*after.T)
    headings = np.arctan2(after[:, 1], after[:, 0])
    turns = np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], np.sum(before * after, axis=1))
    room = 0.48 * np.minimum(sides, np.roll(sides, 1))
    pieces, reach = [], np.empty(len(corners))
    for i, (turn, share) in enumerate(zip(np.abs(turns), bends, strict=True)):
        unit, legs = _bend(turn)
        widest = min(room[i] / legs, _WIDEST)
        if turn > _SHARPEST or widest < 10.0:
            return None
        # Hairpins and sweepers are as common as what lies between: the radius is drawn by its logarithm.
        tightest = min(widest, 10.0 if turn > _HAIRPIN else 18.0)
        radius = tightest * (widest / tightest) ** share
        reach[i] = radius * legs
        start = headings[i] - turns[i]
        mirrored = unit * np.array([1.0, np.sign(turns[i])]) * radius
        axes = np.array([[math.cos(start), math.sin(start)], [-math.sin(start), math.cos(start)]])
        pieces.append(corners[i] - reach[i] * axes[0] + mirrored @ axes)
    straights = sides - reach - np.roll(reach, -1)
    first = int(np.argmax(straights))
    path = np.concatenate([pieces[(first + 1 + k) % len(pieces)] for k in range(len(pieces))])
    path = np.vstack([(path[0] + path[-1]) / 2.0, path])
    arc = _arc(path)
    at = np.arange(0.0, arc[-1], _STEP)
    closed = np.vstack([path, path[:1]])
    return np.stack([np.interp(at, arc, closed[:, 0]), np.interp(at, arc, closed[:, 1])], axis=1)


def _bend(turn: float) -> tuple[Array, float]:
    """A bend to the left with eased ends: (k, 2) points from the origin along x, and how far its corner lies ahead.

    Both for a smallest radius of 1; they grow with it.
    """
    count = max(40, int(80.0 * turn))
    part = (np.arange(count) + 0.5) / count
    curvature = np.minimum(1.0, np.minimum(part, 1.0 - part) / _EASE)
    step = turn / (1.0 - _EASE) / count
    heading = np.cumsum(curvature) * step - curvature * step / 2.0
    points = np.cumsum(np.column_stack([np.cos(heading), np.sin(heading)]) * step, axis=0)
    points = np.vstack([np.zeros(2), points])
    return points, float(np.hypot(*points[-1])) / 2.0 / math.cos(turn / 2.0)


def _arc(path: Array) -> Array:
    """(m + 1,) distance along a closed path at each of its points, and once round [m]."""
    return np.concatenate(([0.0], np.cumsum(np.hypot(*(np.roll(path, -1, axis=0) - path).T))))


def _surveyed(random: np.random.Generator, path: Array) -> Array:
    """Points of the path 2 to 8 m apart, close together where it bends, as a survey has them."""
    heading = np.arctan2(*(np.roll(path, -1, axis=0) - path).T[::-1])
    bend = np.abs(np.angle(np.exp(1j * (np.roll(heading, -3) - np.roll(heading, 3))))) / 6.0
    chosen = [0]
    while True:
        here = chosen[-1]
        wanted = 2.0 + 6.0 * math.exp(-bend[here] * 60.0) * random.uniform(0.5, 1.0)
        chosen.append(here + max(2, round(wanted / _STEP)))
        if chosen[-1] > len(path) - 3:
            return np.asarray(path[chosen[:-1]])


def _width(random: np.random.Generator, count: int) -> Array:
    """(count,) width of one side, from 3 to 7.5 m: a few slow waves that close after a lap."""
    around = math.tau * np.arange(count) / count
    wave = sum(random.normal() / k * np.sin(k * around + random.uniform(0.0, math.tau)) for k in range(1, 7))
    middle = random.uniform(4.2, 6.2)
    return np.asarray(np.clip(middle + 0.7 * wave, 3.0, 7.5))
