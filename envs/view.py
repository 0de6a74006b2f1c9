"""How the camera is built, where the car carries it, and where each of its pixels looks.

Image coordinates: u to the right, v down, pixel (0, 0) centred on u = v = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from envs.look import Mount

FRAME_SHAPE = (66, 200, 3)
"""Height, width and RGB of a frame."""

MIDDLE = ((FRAME_SHAPE[1] - 1) / 2.0, (FRAME_SHAPE[0] - 1) / 2.0)
"""Image coordinates (u, v) of the optical axis."""

_LOWEST = 0.05  # a camera below this height, in a car that is falling over, sees as if from there [m]


class Pose(Protocol):
    """Where the car is: a point on the road under it [m], then rotations about its x, y and z axes [rad].

    The car's axes are turned by yaw, then pitch (nose down positive), then roll (left side up positive). Its speed
    [m/s], along its forward axis, and its yaw rate [rad/s] show only in a picture with an exposure time.
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
    @property
    def speed(self) -> float: ...  # noqa: D102
    @property
    def yaw_rate(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class CameraGeometry:
    """How the camera is built and mounted.

    Attributes:
        fov: horizontal field of view; 85 degrees show the inside of a hairpin [rad].
        forward: of the car's reference point, midway between the axles [m].
        left: of it [m].
        height: above the road when the car rests [m].
        tilt: below the car's forward axis; it lays the horizon on the upper third [rad].
        turn: about the optical axis, clockwise as seen from behind [rad].
    """

    fov: float = math.radians(85.0)
    forward: float = 1.0
    left: float = 0.0
    height: float = 1.2
    tilt: float = math.radians(5.5)
    turn: float = 0.0

    @property
    def focal(self) -> float:
        """Focal length [pixels]."""
        return FRAME_SHAPE[1] / 2.0 / math.tan(self.fov / 2.0)

    def moved(self, mount: Mount) -> CameraGeometry:
        """The same camera, sitting other than it should."""
        return replace(self, tilt=self.tilt + mount.tilt, turn=self.turn + mount.turn, left=self.left + mount.shift)


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


class Projection:
    """Turns poses of the car into views of one camera on it; what does not change with the pose is worked out once.

    Args:
        geometry: of the camera.
    """

    def __init__(self, geometry: CameraGeometry) -> None:
        ct, st = math.cos(geometry.tilt), math.sin(geometry.tilt)
        cn, sn = math.cos(geometry.turn), math.sin(geometry.turn)
        f, (u, v) = geometry.focal, MIDDLE
        # The camera's own axes in those of the car (forward, left, up).
        ahead, left, above = (ct, 0.0, -st), (st * sn, cn, ct * sn), (st * cn, -sn, ct * cn)
        # What one pixel to the right, one pixel down, and pixel (0, 0) are in the car's axes.
        self._right = tuple(-a / f for a in left)
        self._down = tuple(-a / f for a in above)
        self._corner = tuple(a + (u * b + v * c) / f for a, b, c in zip(ahead, left, above, strict=True))
        self._place = (geometry.forward, geometry.left, geometry.height)

    def view(self, pose: Pose) -> View:
        """Where the camera is and where its pixels look when the car is at `pose`."""
        cr, sr = math.cos(pose.roll), math.sin(pose.roll)
        cp, sp = math.cos(pose.pitch), math.sin(pose.pitch)
        cy, sy = math.cos(pose.yaw), math.sin(pose.yaw)
        # Rows of Rz(yaw) Ry(pitch) Rx(roll): the world's axes in those of the car.
        x = (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr)
        y = (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr)
        z = (-sp, cp * sr, cp * cr)
        right, down, corner, place = self._right, self._down, self._corner, self._place
        return View(
            x=pose.x + _dot(x, place),
            y=pose.y + _dot(y, place),
            z=max(pose.z + _dot(z, place), _LOWEST),
            east=(_dot(x, right), _dot(x, down), _dot(x, corner)),
            north=(_dot(y, right), _dot(y, down), _dot(y, corner)),
            sink=(-_dot(z, right), -_dot(z, down), -_dot(z, corner)),
        )


def view_of(pose: Pose, geometry: CameraGeometry) -> View:
    """Where a camera on the car is and where its pixels look."""
    return Projection(geometry).view(pose)


def _dot(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
