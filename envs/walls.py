"""Walls beside the road, drawn over the picture of the flat ground: panels between posts, below a coping.

A wall is cut where it turns its other side to the camera and where it comes closer by a step of depth. From the
farthest to the nearest, no such part hides a later one (the painter's algorithm).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from envs import survey
from envs.backdrop import seen
from envs.curve import Curve
from envs.ground import lit
from envs.kept import Kept
from envs.lane import Lane

if TYPE_CHECKING:
    import numpy.typing as npt

    from envs.circuit import Circuit
    from envs.curve import Array
    from envs.lane import Flags
    from envs.look import Look
    from envs.markings import Wall
    from envs.painting import Image
    from envs.view import CameraGeometry, View

    Places = npt.NDArray[np.int32]

COPING = 0.8
"""Share of a wall's height at which its coping begins."""

_SHADES = (1.0, 0.7, 1.15)  # brightness of panels, posts and the coping
_SPACING = 4.0  # of posts [m]
_CUTS = (0.0, 0.3, 1.5, 2.75)  # from a post's beginning: its end, and points that make bends round [m]
# Depths at which a wall is cut, to be hazier behind; the last is where it ends [m].
_STEPS = (26.0, 57.0, 72.0, 90.0)
_STEPS_IN_FOG = (6.0, 12.0, 18.0, 26.0, 40.0, 57.0, 72.0, 90.0)
_DETAIL = 26.0  # depth up to which coping and posts are about a pixel wide, and drawn [m]
_QUAD = (np.array([0, 0, 2, 2]), np.array([0, 1, 1, 0]))  # level and end of a piece's corners
_NEAR = 0.2  # depth from which on something is seen [m]
_LEAST = 0.1  # that anything is taken to have [m]
_CELL = 16.0  # side of the squares for each of which the walls nearby are looked up once [m]
_FINE_WITHIN = 28.0  # of a square's middle, bends are round [m]
_SECTORS = 8  # directions for each of which that is done
_HALF_VIEW = math.radians(70.0)  # to either side of a sector, nothing beyond is seen
_KEPT = 512
_SHIFT = 4  # fractional bits of the coordinates given to OpenCV


class Feet(NamedTuple):
    """Points at which walls stand, in the order in which they follow each other.

    Attributes:
        points: (n, 2) [m].
        joined: (n - 1,) whether there is wall from each point to the next.
        post: (n - 1,) whether that is a post.
    """

    points: Array
    joined: Flags
    post: Flags


class _Part(NamedTuple):
    """Pieces that follow each other, show the camera the same side, and lie in the same step of depth.

    Attributes:
        step: of depth.
        begin: the first foot.
        end: one past the last foot.
        u: (end - begin,) image coordinates of the feet, growing.
        nearness: (end - begin,) one over their depths, linear along a straight piece's picture [1/m].
        left: least of `u` in the picture.
        right: largest of it.
    """

    step: int
    begin: int
    end: int
    u: Array
    nearness: Array
    left: float
    right: float

    def hides(self, other: _Part) -> bool:
        """Whether this stands before the other somewhere in the picture."""
        left, right = max(self.left, other.left), min(self.right, other.right)
        if self is other or left >= right:
            return False
        middle = (left + right) / 2.0
        mine, its = (np.interp(middle, part.u, part.nearness) for part in (self, other))
        return bool(mine > its)


class Walls:
    """Both walls of one circuit, under one episode's look.

    Args:
        circuit: whose markings may have a wall; if they have none, there is nothing to draw.
        look: light and fog of the episode.
        geometry: of the camera.
        haze: RGB of what is too far away to be seen, (3,).
    """

    def __init__(self, circuit: Circuit, look: Look, geometry: CameraGeometry, haze: Array) -> None:
        wall = circuit.markings.wall
        self._feet = feet(circuit, wall) if wall else None
        self._levels = np.array([[0.0], [COPING], [1.0]]) * (wall.height if wall else 0.0)
        self._steps = np.array(_STEPS_IN_FOG if look.fog.extinction > 0.0 else _STEPS)
        self._colours = _colours(wall, look, self._steps, geometry, haze) if wall else []
        self._near: Kept[tuple[int, int, int], Feet] = Kept(_KEPT)

    def draw(self, canvas: Image, view: View) -> None:
        """Draw the walls over a picture of ground and sky.

        Args:
            canvas: (height, width, 3 or 4) uint8, red, green and blue first; changed in place.
            view: of the camera, whose pixels are the canvas's.
        """
        if self._feet is None:
            return
        # The way from the camera to a place, times this: (u, v, 1) times the place's depth.
        onto = np.linalg.inv(np.array((view.east, view.north, np.negative(view.sink))))
        near = self._around(self._feet, view, onto[2])
        if len(near.points) < 2:
            return
        feet = near.points @ onto[:, :2].T - onto @ (view.x, view.y, view.z)
        _clip(feet, near.joined)
        raised = feet[None] + self._levels[..., None] * onto[:, 2]
        places = raised[..., :2] / np.maximum(raised[..., 2:], _LEAST)
        _inset(places[..., 1])
        places = np.rint(places * (1 << _SHIFT)).astype(np.int32)
        posts = np.flatnonzero(near.post)
        quads = places[_QUAD[0], posts[:, None] + _QUAD[1]]
        for part in self._parts(feet, near.joined, canvas.shape[1]):
            panel, dark, bright = self._colours[part.step]
            foot, middle, top = places[:, part.begin : part.end]
            back = top[::-1]
            _fill(canvas, [np.concatenate((foot, back))], panel)
            if self._steps[part.step] <= _DETAIL:
                first, last = np.searchsorted(posts, (part.begin, part.end - 1))
                if first < last:
                    _fill(canvas, list(quads[first:last]), dark)
                _fill(canvas, [np.concatenate((middle, back))], bright)

    def _parts(self, feet: Array, joined: Flags, width: int) -> list[_Part]:
        """What is to be filled in a picture of that width, from far to near."""
        depth = np.maximum(feet[:, 2], _LEAST)
        step = np.searchsorted(self._steps, (depth[:-1] + depth[1:]) / 2.0)
        seen_at_all = (depth[:-1] > _LEAST) & (depth[1:] > _LEAST) & (step < len(self._steps))
        nearness = 1.0 / depth
        u = feet[:, 0] * nearness
        key = np.where(joined & seen_at_all, 2 * step + (u[:-1] < u[1:]), -1)
        cuts = [0, *(np.flatnonzero(key[1:] != key[:-1]) + 1).tolist(), len(key)]
        parts = []
        for k, begin, last in zip(key[cuts[:-1]].tolist(), cuts, cuts[1:], strict=False):
            if k >= 0:
                here = slice(begin, last + 1) if k & 1 else slice(last, begin - 1 if begin else None, -1)
                along = u[here]
                left, right = max(float(along[0]), 0.0), min(float(along[-1]), float(width))
                if left < right:
                    parts.append(_Part(k >> 1, begin, last + 1, along, nearness[here], left, right))
        return _far_first(parts)

    def _around(self, feet: Feet, view: View, ahead: Array) -> Feet:
        """What of the walls may be seen from the square in which the camera is, looking about there."""
        column, row = math.floor(view.x / _CELL), math.floor(view.y / _CELL)
        sector = round(math.atan2(ahead[1], ahead[0]) / math.tau * _SECTORS) % _SECTORS
        near = self._near.get((column, row, sector))
        if near is None:
            middle = np.array([column + 0.5, row + 0.5]) * _CELL
            near = _thinned(feet, middle, sector * math.tau / _SECTORS)
            self._near.put((column, row, sector), near)
        return near


def feet(circuit: Circuit, wall: Wall) -> Feet:
    """Where the walls stand: beyond the lane edges by the wall's distance, less where a lane as wide had no room."""
    curve = Curve(circuit.points, circuit.heading, circuit.curvature, circuit.length)
    room = survey.fitted(Lane(curve, circuit.left + wall.distance, circuit.right + wall.distance))
    across = np.stack((-np.sin(circuit.heading), np.cos(circuit.heading)), axis=1)
    count = max(1, round(circuit.length / _SPACING))
    s = ((np.arange(count)[:, None] + np.array(_CUTS) / _SPACING) * (circuit.length / count)).ravel()
    s = np.append(s, circuit.length)
    points = []
    for offset in (np.maximum(room.left, circuit.left), -np.maximum(room.right, circuit.right)):
        line = circuit.points + offset[:, None] * across
        points.append(np.stack([np.interp(s, circuit.s, part, period=circuit.length) for part in line.T], axis=1))
    piece = np.arange(2 * len(s) - 1) % len(s)
    return Feet(np.concatenate(points), piece != len(s) - 1, piece % len(_CUTS) == 0)


def shades(wall: Wall, look: Look) -> Array:
    """(3, 3) RGB of panels, posts and the coping under a look's light."""
    return np.asarray(np.clip(np.outer(_SHADES, lit(wall.colour, look.light)), 0.0, 255.0))


def _colours(
    wall: Wall, look: Look, steps: Array, geometry: CameraGeometry, haze: Array
) -> list[list[tuple[int, ...]]]:
    """RGB of panels, posts and the coping up to each step of depth, through haze and fog; the fourth is not seen."""
    middles = (np.append(0.0, steps[:-1]) + steps) / 2.0
    share = seen(middles, look.fog, geometry)[:, None, None]
    rgb = np.rint(haze + share * (shades(wall, look) - haze)).astype(int)
    return [[(*colour, 0) for colour in step] for step in rgb.tolist()]


def _thinned(feet: Feet, middle: Array, heading: float) -> Feet:
    """The feet near a square with that middle, in the sector around a heading [rad]; far away only those of posts."""
    to = feet.points - middle
    away = np.hypot(to[:, 0], to[:, 1])
    ahead = to[:, 0] * math.cos(heading) + to[:, 1] * math.sin(heading)
    inside = (away < _STEPS[-1] + _CELL) & ((ahead > math.cos(_HALF_VIEW) * away) | (away < 2.0 * _CELL))
    inside &= (away < _FINE_WITHIN) | np.append(feet.post, True)  # the last foot ends a wall
    at = np.flatnonzero(inside)
    # There is wall between two feet that follow each other, or have only feet between them that are left out.
    joined = feet.joined[at[:-1]] & (np.diff(at) <= len(_CUTS))
    return Feet(feet.points[at], joined, feet.post[at[:-1]] & (np.diff(at) == 1))


def _far_first(parts: list[_Part]) -> list[_Part]:
    """The parts in an order in which none hides a later one."""
    parts.sort(key=lambda part: part.step)
    ordered = []
    while parts:
        # Of different steps the nearer hides the farther; parts of the same step are compared.
        rivals = [part for part in parts if part.step == parts[-1].step]
        last = next((part for part in rivals if not any(part.hides(other) for other in rivals)), rivals[-1])
        ordered.append(last)
        parts.remove(last)
    return ordered


def _clip(feet: Array, joined: Flags) -> None:
    """Move feet that are behind the camera, or too near, along the wall to where it comes into view."""
    behind = feet[:, 2] < _NEAR
    for i in np.flatnonzero((behind[:-1] != behind[1:]) & joined).tolist():
        near, far = (i, i + 1) if behind[i] else (i + 1, i)
        share = (_NEAR - feet[near, 2]) / (feet[far, 2] - feet[near, 2])
        feet[near] += share * (feet[far] - feet[near])


def _inset(v: Array) -> None:
    """Make up for OpenCV's smooth outlines, which reach a pixel beyond; (3, n) rows of foot, coping and top."""
    foot, middle, top = v
    inset = np.minimum((foot - top) / 2.0, 1.0)
    foot -= inset
    top += inset
    np.maximum(middle - 1.0, top, out=middle)


def _fill(canvas: Image, outlines: list[Places], colour: tuple[int, ...]) -> None:
    cv2.fillPoly(canvas, outlines, colour, cv2.LINE_AA, _SHIFT)
