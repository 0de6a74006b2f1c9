"""The car as it looks from behind: a few convex solids, drawn one over the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from envs.car_parameters import CarParameters
from envs.ground import lit

if TYPE_CHECKING:
    from envs.car import CarState
    from envs.curve import Array
    from envs.look import Light
    from envs.markings import Colour
    from envs.painting import Image
    from envs.view import View

_LENGTH, _WIDTH = 3.5, 1.6  # of the body [m]
_WHEEL_RADIUS, _WHEEL_WIDTH = 0.3, 0.18  # [m]
_AXLE = CarParameters().wheelbase / 2.0  # before or behind the car's reference point [m]
_SUN = np.array([0.4, 0.3, 0.85])  # where the light on the car comes from, in the world
_AMBIENT = 0.55  # share of the light that comes from everywhere
_PAINT: Colour = (214, 62, 44)
_GLASS: Colour = (46, 54, 66)
_TYRE: Colour = (38, 38, 40)
_LAMP: Colour = (150, 16, 16)
_SHADOW = 0.6  # share of the light left under the car
_LEAST = 0.1  # depth of what is drawn [m]
_SHIFT = 4  # fractional bits of the coordinates given to OpenCV


class _Solid(NamedTuple):
    """A convex solid.

    Attributes:
        faces: each (k, 3), its corners anticlockwise as seen from outside, in the car's axes [m].
        colours: of the faces.
    """

    faces: list[Array]
    colours: list[Colour]


class CarDrawing:
    """Draws the car into pictures.

    Args:
        light: on it.
    """

    def __init__(self, light: Light) -> None:
        self._light = light
        half, side = _LENGTH / 2.0, _WIDTH / 2.0
        body = _frustum((-half, half, side, 0.2), (-half, half - 0.1, side, 0.82), _PAINT, _PAINT)
        cabin = _frustum((-half, 1.0, 0.74, 0.82), (-half + 0.35, 0.25, 0.62, 1.45), _PAINT, _GLASS)
        lamps = [_box((-half - 0.01, y - 0.12, 0.6), (-half + 0.1, y + 0.12, 0.78), _LAMP) for y in (-0.62, 0.62)]
        self._rigid = [body, cabin, *lamps]

    def draw(self, canvas: Image, view: View, car: CarState) -> None:
        """Draw the car and its shadow over a picture of its surroundings.

        Args:
            canvas: (height, width, 3) uint8 RGB, changed in place.
            view: of the camera, whose pixels are the canvas's.
            car: where it is and how it leans and steers.
        """
        turn = _rotation(car.roll, car.pitch, car.yaw)
        place = np.array([car.x, car.y, car.z])
        onto = np.linalg.inv(np.array((view.east, view.north, np.negative(view.sink))))
        eye = np.array([view.x, view.y, view.z])
        self._shade(canvas, onto, eye, turn, place)
        # In this order none hides a later one from a view above and behind; the wheels stand in the body.
        for solid in (*self._wheels(car.steering), *self._rigid):
            faces = [face @ turn.T + place for face in solid.faces]
            for face, colour in zip(faces, solid.colours, strict=True):
                normal = np.cross(face[1] - face[0], face[2] - face[1])
                if normal @ (eye - face[0]) > 0.0:
                    _fill(canvas, (face - eye) @ onto.T, self._shaded(colour, normal / np.linalg.norm(normal)))

    def _shaded(self, colour: Colour, normal: Array) -> tuple[float, ...]:
        share = _AMBIENT + (1.0 - _AMBIENT) * max(0.0, float(normal @ _SUN))
        return tuple((lit(colour, self._light) * share).tolist())

    @staticmethod
    def _shade(canvas: Image, onto: Array, eye: Array, turn: Array, place: Array) -> None:
        """Darken the road under the car."""
        x, y = _LENGTH / 2.0 + 0.1, _WIDTH / 2.0 + 0.1
        corners = np.array([[x, y, 0.0], [-x, y, 0.0], [-x, -y, 0.0], [x, -y, 0.0]]) @ turn.T + place
        corners[:, 2] = 0.0
        dark = np.zeros(canvas.shape[:2], np.uint8)
        _fill(dark, (corners - eye) @ onto.T, (255.0,))
        where = dark > 0
        canvas[where] = np.rint(canvas[where] * (1.0 - (1.0 - _SHADOW) * (dark[where] / 255.0))[:, None])

    @staticmethod
    def _wheels(steering: float) -> list[_Solid]:
        found = []
        for x, angle in ((-_AXLE, 0.0), (_AXLE, steering)):
            for y in (-_WIDTH / 2.0 + 0.1, _WIDTH / 2.0 - 0.1):
                wheel = _wheel()
                turn = _rotation(0.0, 0.0, angle)
                found.append(wheel._replace(faces=[f @ turn.T + (x, y, _WHEEL_RADIUS) for f in wheel.faces]))
        return found


def _box(low: tuple[float, float, float], high: tuple[float, float, float], colour: Colour) -> _Solid:
    middle, side = (low[1] + high[1]) / 2.0, (high[1] - low[1]) / 2.0
    solid = _frustum((low[0], high[0], side, low[2]), (low[0], high[0], side, high[2]), colour, colour)
    return solid._replace(faces=[face + np.array([0.0, middle, 0.0]) for face in solid.faces])


def _frustum(
    bottom: tuple[float, float, float, float], top: tuple[float, float, float, float], roof: Colour, sides: Colour
) -> _Solid:
    """Two rectangles (rear x, front x, half width, z) above each other, and what is between."""
    lower, upper = (np.array([[x1, -y, z], [x1, y, z], [x0, y, z], [x0, -y, z]]) for x0, x1, y, z in (bottom, top))
    around = [np.stack((lower[i], lower[(i + 1) % 4], upper[(i + 1) % 4], upper[i])) for i in range(4)]
    return _Solid([upper, lower[::-1], *around], [roof, roof, *[sides] * 4])


def _wheel() -> _Solid:
    angles = np.arange(14) * (math.tau / 14)
    rim = np.stack((_WHEEL_RADIUS * np.cos(angles), np.zeros(14), _WHEEL_RADIUS * np.sin(angles)), axis=1)
    right, left = (rim + np.array([0.0, y, 0.0]) for y in (-_WHEEL_WIDTH / 2.0, _WHEEL_WIDTH / 2.0))
    tread = [np.stack((right[i], left[i], left[i - 1], right[i - 1])) for i in range(14)]
    return _Solid([right, left[::-1], *tread], [_TYRE] * 16)


def _rotation(roll: float, pitch: float, yaw: float) -> Array:
    """The car's axes in the world's: turned by yaw, then pitch, then roll."""
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (math.cos, math.sin))
    return np.array(
        (
            (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
            (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
            (-sp, cp * sr, cp * cr),
        )
    )


def _fill(canvas: Image, corners: Array, colour: tuple[float, ...]) -> None:
    """Fill a convex polygon of (k, 3) corners (u, v, 1) times depth, none of it behind the camera."""
    if corners[:, 2].min() < _LEAST:
        return
    places = np.rint(corners[:, :2] / corners[:, 2:] * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(canvas, places, colour, cv2.LINE_AA, _SHIFT)
