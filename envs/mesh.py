"""A circuit as flat faces of one colour each: the road in strips that lie side by side, and the walls along it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs.ground import lit
from envs.strips import Strips
from envs.walls import COPING, feet, shades

if TYPE_CHECKING:
    from envs.circuit import Circuit
    from envs.curve import Array
    from envs.look import Light, Look

SHORTEST = 1e-4
"""A face is at least so wide across the road [m]."""


class Faces(NamedTuple):
    """Quadrilaterals, each with the corners anticlockwise as it is seen.

    Attributes:
        corners: (n, 4, 3) [m].
        colours: (n, 3) RGB as they are lit, in [0, 255].
    """

    corners: Array
    colours: Array


def road(circuit: Circuit, light: Light) -> Faces:
    """The road and its markings at z = 0. No two faces lie over each other, so nothing has to be lifted off the ground.

    Across the road, the borders of all strips are sorted, and between two neighbours lies the strip that was painted
    last. Worn paint is shown whole.
    """
    strips = Strips(circuit.facing("forward"))
    count = len(strips.points)
    borders = np.stack([border for strip in strips.strips for border in (strip.left, strip.right)])
    here, there = borders, np.roll(borders, -1, axis=1)
    order = np.argsort(here + there, axis=0, kind="stable")
    here, there = (np.take_along_axis(ends, order, axis=0) for ends in (here, there))
    middle = (here + there) / 2.0
    between = (middle[:-1] + middle[1:]) / 2.0
    top = np.full(between.shape, -1)
    for k, strip in enumerate(strips.strips):
        left, right = ((border + np.roll(border, -1)) / 2.0 for border in (strip.left, strip.right))
        inside = (between < left) & (between > right)
        top[inside if strip.painted is None else inside & strip.painted] = k
    gap, piece = np.nonzero((top >= 0) & (np.diff(middle, axis=0) > SHORTEST))
    after = (piece + 1) % count
    corners = np.zeros((len(piece), 4, 3))
    for corner, (point, offset) in enumerate(
        (
            (piece, here[gap, piece]),
            (after, there[gap, piece]),
            (after, there[gap + 1, piece]),
            (piece, here[gap + 1, piece]),
        )
    ):
        corners[:, corner, :2] = strips.points[point] + offset[:, None] * strips.across[point]
    colours = np.array([lit(strip.colour, light) for strip in strips.strips])
    return Faces(corners, colours[top[gap, piece]])


def walls(circuit: Circuit, look: Look) -> Faces:
    """The walls, both sides of each; none where the circuit's markings have none."""
    wall = circuit.markings.wall
    if wall is None:
        return Faces(np.zeros((0, 4, 3)), np.zeros((0, 3)))
    standing, shade = feet(circuit, wall), shades(wall, look)
    piece = np.flatnonzero(standing.joined)
    ends = standing.points[piece[:, None] + np.array([0, 1, 1, 0])]
    corners, colours = [], []
    for low, high, which in (
        (0.0, COPING, standing.post[piece].astype(np.int64)),
        (COPING, 1.0, np.full(len(piece), 2)),
    ):
        heights = np.array([low, low, high, high]) * wall.height
        face = np.concatenate((ends, np.broadcast_to(heights[:, None], (len(piece), 4, 1))), axis=2)
        corners += [face, face[:, ::-1]]
        colours += [shade[which]] * 2
    return Faces(np.concatenate(corners), np.concatenate(colours))
