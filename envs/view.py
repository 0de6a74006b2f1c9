"""How the camera is built, where the car carries it, and where each of its pixels looks.

Image coordinates: u to the right, v down, pixel (0, 0) centred on u = v = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

FRAME_SHAPE = (66, 200, 3)
"""Height, width and RGB of a frame."""

MIDDLE = ((FRAME_SHAPE[1] - 1) / 2.0, (FRAME_SHAPE[0] - 1) / 2.0)
"""Image coordinates (u, v) of the optical axis."""

_LOWEST = 0.05  # a camera below this height, in a car that is falling over, sees as if from there [m]


class Pose(Protocol):
    """Where the car is: a point on the road under it [m], then rotations about its x, y and z axes [rad].

    The car's axes are turned by yaw, then pitch (nose down positive), then roll (left side up positive).
    """

    @property
    def x(self) -> float: ...  # noqa: D102 - the class says it
    @property
    def y(self) -> float: ...  # noqa: D102
    @property
    def z(self) -> float: ...  # noqa: D102
    @property
    def roll(self) -> float: ...  # noqa: D102
    @property
    def pitch(self) -> float: ...  # noqa: D102
    @property
    def yaw(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class CameraGeometry:
    """How the camera is built and mounted.

    Attributes:
        fov: horizontal field of view; 85 degrees show the inside of a hairpin [rad].
        forward: of the car's reference point, midway between the axles [m].
        left: of it [m].
        height: above the road when the car rests [m].
        tilt: below the car's forward axis; it lays the horizon on the upper third [rad].
    """

    fov: float = math.radians(85.0)
    forward: float = 1.0
    left: float = 0.0
    height: float = 1.2
    tilt: float = math.radians(5.5)

    @property
    def focal(self) -> float:
        """Focal length [pixels]."""
        return FRAME_SHAPE[1] / 2.0 / math.tan(self.fov / 2.0)


class View(NamedTuple):
    """Where the camera is and where each pixel looks.

    The ray through pixel (u, v) runs along (east . p, north . p, -sink . p) with p = (u, v, 1). Where sink . p is
    positive, it meets the road at (x, y) + z / (sink . p) * (east . p, north . p); elsewhere it goes to the sky.

    Attributes:
        x: of the camera [m].
        y: of it [m].
        z: of it above the road [m].
        east: (3,) along the world's x axis.
        north: (3,) along the world's y axis.
        sink: (3,) downwards.
    """

    x: float
    y: float
    z: float
    east: tuple[float, float, float]
    north: tuple[float, float, float]
    sink: tuple[float, float, float]


def view_of(pose: Pose, geometry: CameraGeometry) -> View:
    """Where a camera on the car is and where its pixels look."""
    cr, sr = math.cos(pose.roll), math.sin(pose.roll)
    cp, sp = math.cos(pose.pitch), math.sin(pose.pitch)
    cy, sy = math.cos(pose.yaw), math.sin(pose.yaw)
    # Columns of Rz(yaw) Ry(pitch) Rx(roll): the car's forward, left and up axes.
    forward = (cy * cp, sy * cp, -sp)
    left = (cy * sp * sr - sy * cr, sy * sp * sr + cy * cr, cp * sr)
    up = (cy * sp * cr + sy * sr, sy * sp * cr - cy * sr, cp * cr)
    ct, st = math.cos(geometry.tilt), math.sin(geometry.tilt)
    f, h = geometry.focal, (geometry.forward, geometry.left, geometry.height)
    place = [h[0] * a + h[1] * b + h[2] * c for a, b, c in zip(forward, left, up, strict=True)]
    rows = []
    for a, b, c in zip(forward, left, up, strict=True):
        ahead, above = ct * a - st * c, st * a + ct * c
        rows.append((-b / f, -above / f, ahead + (MIDDLE[0] * b + MIDDLE[1] * above) / f))
    east, north, rise = rows
    z = max(pose.z + place[2], _LOWEST)
    return View(pose.x + place[0], pose.y + place[1], z, east, north, (-rise[0], -rise[1], -rise[2]))
