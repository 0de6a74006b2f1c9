"""A picture from behind and above the car: the same ground, light, fog and walls as its camera sees, and the car."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from envs.backdrop import SKY, Backdrop, seen
from envs.car_drawing import CarDrawing
from envs.ground import SPAN, Ground, lit
from envs.painting import TEXEL, TILE
from envs.view import CameraGeometry, View
from envs.walls import Walls

if TYPE_CHECKING:
    from envs.car import CarState
    from envs.curve import Array
    from envs.look import Look
    from envs.painting import Image, Painting

SHAPE = (360, 640, 3)
"""Height, width and RGB of a picture."""

_FINE = 2  # the picture is drawn so many times larger and shrunk
_BEHIND, _ABOVE = 7.5, 3.2  # where the view stands, from the car's reference point [m]
_TILT = math.radians(13.0)  # below the horizon
_FOV = math.radians(62.0)  # horizontal
_AHEAD = (4.0, 9.0, 22.0, 45.0, 60.0)  # from the view to the middle of what each level of the painting shows [m]
_SKY_RISE = 0.35  # of a ray at which the sky has its colour of high above


class ChaseView:
    """A view that follows the car, under one episode's look.

    What lies over the camera's own picture is not in it: night, glare, rain on the lens, noise.

    Args:
        painting: of the circuit.
        look: of the episode.
    """

    def __init__(self, painting: Painting, look: Look) -> None:
        self._ground = Ground(painting, look, levels=len(_AHEAD))
        self._height, self._width = SHAPE[0] * _FINE, SHAPE[1] * _FINE
        self._focal = self._width / 2.0 / math.tan(_FOV / 2.0)
        usual = CameraGeometry()
        self._haze = Backdrop(look, painting.ground, usual).haze
        self._walls = Walls(painting.circuit, look, usual, self._haze)
        self._car = CarDrawing(look.light)
        # The view neither rolls nor pitches: how far down a row's rays lead is always the same.
        down = (np.arange(self._height, dtype=np.float64) - (self._height - 1) / 2.0) / self._focal
        sink: Array = math.sin(_TILT) + math.cos(_TILT) * down
        self._first = int(np.searchsorted(sink, 0.0)) + 1
        self._behind = self._backdrop(sink, look)
        self._seen = seen(_ABOVE / sink[self._first :], look.fog, usual).astype(np.float32)[:, None, None]

    def picture(self, car: CarState) -> Image:
        """What is seen: `SHAPE` uint8 RGB, a new array."""
        view = self._view(car)
        canvas = np.repeat(self._behind, self._width, axis=1)
        canvas[self._first :] = self._road(view, car.yaw)
        self._walls.draw(canvas, view)
        self._car.draw(canvas, view, car)
        return np.asarray(cv2.resize(canvas, SHAPE[1::-1], interpolation=cv2.INTER_AREA), np.uint8)

    def _view(self, car: CarState) -> View:
        """From behind the car, in the direction in which it points."""
        cy, sy, ct, st = math.cos(car.yaw), math.sin(car.yaw), math.cos(_TILT), math.sin(_TILT)
        right = np.array((sy, -cy, 0.0)) / self._focal
        down = np.array((-st * cy, -st * sy, -ct)) / self._focal
        corner = np.array((ct * cy, ct * sy, -st)) - (self._width - 1) / 2.0 * right - (self._height - 1) / 2.0 * down
        rays = np.stack((right, down, corner), axis=1)
        east, north, sink = (tuple(row) for row in (rays * ((1.0,), (1.0,), (-1.0,))).tolist())
        return View(car.x - _BEHIND * cy, car.y - _BEHIND * sy, _ABOVE, east, north, sink)

    def _road(self, view: View, yaw: float) -> Image:
        """The ground below the horizon, from the coarse levels of the painting to the fine ones, out of the haze."""
        rows = np.full((self._height - self._first, self._width, 4), (*self._haze, 0), np.uint8)
        rays = np.array((view.east, view.north, view.sink))
        rays[:, 2] += rays[:, 1] * self._first
        for level in reversed(range(len(_AHEAD))):
            texel = TEXEL * (1 << level)
            side = texel * TILE
            aim = np.array([view.x + _AHEAD[level] * math.cos(yaw), view.y + _AHEAD[level] * math.sin(yaw)])
            column, row = (int(part) for part in np.floor(aim / side + 0.5) - SPAN // 2)
            start = (np.array([view.x, view.y]) - np.array([column, row]) * side) / texel - 0.5
            matrix = np.stack(
                (start[0] * rays[2] + view.z / texel * rays[0], start[1] * rays[2] + view.z / texel * rays[1], rays[2])
            )
            cv2.warpPerspective(
                self._ground.window(level, column, row),
                matrix,
                (self._width, len(rows)),
                dst=rows,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_TRANSPARENT,
            )
        hazy = self._haze + self._seen * (rows[..., :3] - self._haze.astype(np.float32))
        return np.asarray(np.rint(hazy), np.uint8)

    def _backdrop(self, sink: Array, look: Look) -> Image:
        """(height, 1, 3) sky down to the horizon."""
        low, high = (lit(colour, look.light) for colour in SKY)
        rise = np.clip(-sink / _SKY_RISE, 0.0, 1.0)[:, None]
        sky = low + (high - low) * rise
        fog = np.exp(-look.fog.extinction * 40.0 / np.maximum(-sink, 1e-3))[:, None]
        return np.asarray(np.rint(self._haze + (sky - self._haze) * fog), np.uint8)[:, None]
