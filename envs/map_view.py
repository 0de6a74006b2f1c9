"""A picture of the whole circuit from above, north up: the road, the way driven, the car."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from envs.strips import Strips

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from envs.car import CarState
    from envs.circuit import Circuit
    from envs.curve import Array
    from envs.painting import Image

SHAPE = (540, 720, 3)
"""Height, width and RGB of a picture."""

_BORDER = 20.0  # around the road [pixels]
_NARROWEST = 0.7  # line that is shown [pixels]
_WAY = (255, 190, 40)
_CAR = ((1.0, 0.0), (-0.7, 0.6), (-0.4, 0.0), (-0.7, -0.6))  # an arrowhead, forward and left
_CAR_SIZE = 11.0  # half of its length: a car in its true size would not be seen [pixels]
_LINE = (cv2.LINE_AA, 4)  # smooth, and fractional bits of coordinates


class MapView:
    """A map of one circuit.

    Lines that are narrower than a pixel are left out; dashes and wear are not shown.

    Args:
        circuit: in the direction in which it is driven.
    """

    def __init__(self, circuit: Circuit) -> None:
        strips = Strips(circuit.facing("forward"))
        low, high = circuit.points.min(axis=0) - strips.reach, circuit.points.max(axis=0) + strips.reach
        room = np.array(SHAPE[1::-1]) - 2.0 * _BORDER
        self._scale = float((room / (high - low)).min())
        self._middle = (low + high) / 2.0
        self._empty = np.full(SHAPE, circuit.markings.ground, np.uint8)
        for strip in strips.strips:
            if (strip.left - strip.right).min() * self._scale < _NARROWEST:
                continue
            borders = (strip.left, strip.right)
            outline = [self._pixels(strips.points + border[:, None] * strips.across) for border in borders]
            cv2.fillPoly(self._empty, outline, strip.colour, *_LINE)
        start = [circuit.pose(0.0, offset)[:2] for offset in (float(circuit.left[0]), -float(circuit.right[0]))]
        cv2.polylines(self._empty, [self._pixels(np.array(start))], False, (255, 255, 255), 2, *_LINE)  # noqa: FBT003 - OpenCV's

    def picture(self, car: CarState, way: Sequence[tuple[float, float]]) -> Image:
        """The map as it is now.

        Args:
            car: where it is.
            way: that it has driven, (x, y) [m].

        Returns:
            `SHAPE` uint8 RGB, a new array.
        """
        picture = self._empty.copy()
        cv2.polylines(picture, [self._pixels(np.array(way))], False, _WAY, 2, *_LINE)  # noqa: FBT003 - OpenCV's
        cosine, sine = np.cos(car.yaw), np.sin(car.yaw)
        turned = np.array(_CAR) @ np.array(((cosine, sine), (-sine, cosine)))
        outline = [self._pixels(np.array([car.x, car.y]) + turned * (_CAR_SIZE / self._scale))]
        cv2.fillPoly(picture, outline, (255, 255, 255), *_LINE)
        cv2.polylines(picture, outline, True, (20, 20, 24), 1, *_LINE)  # noqa: FBT003 - OpenCV's
        return picture

    def _pixels(self, places: Array) -> npt.NDArray[np.int32]:
        """(n, 2) places [m] in the picture, as OpenCV takes them."""
        pixels = (places - self._middle) * (self._scale, -self._scale) + (SHAPE[1] / 2.0, SHAPE[0] / 2.0)
        return np.asarray(np.rint(pixels * (1 << _LINE[1])), np.int32)
