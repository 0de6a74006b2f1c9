"""What the oracle may know: the car's true place in the lane and the lane ahead. Models never see it."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from envs.car import CarState
    from envs.circuit import Circuit
    from envs.progress import ProgressState

PREVIEW_POINTS = 16
"""Centreline points ahead."""

PREVIEW_STEP = 2.5
"""Arc from one of them to the next, and from the car to the first [m]."""

_LAYOUT = struct.Struct(f">{4 + 3 * PREVIEW_POINTS}d")


class TrueState(NamedTuple):
    """The car in its lane.

    Attributes:
        speed: along the car's forward axis [m/s].
        offset: of the car's centre from the centreline, positive to the left [m].
        heading_error: car's heading less the centreline's, positive when turned to the left [rad].
        curvature: of the centreline beside the car, positive when it bends to the left [1/m].
        preview: centreline ahead in the car's frame, x forward and y left, (16, 2) float64 [m].
        preview_curvature: at those points, (16,) float64 [1/m].
    """

    speed: float
    offset: float
    heading_error: float
    curvature: float
    preview: NDArray[np.float64]
    preview_curvature: NDArray[np.float64]

    def pack(self) -> bytes:
        """The state as 52 big-endian float64, in the order of the attributes."""
        return _LAYOUT.pack(*self[:4], *self.preview.ravel(), *self.preview_curvature)

    @staticmethod
    def unpack(data: bytes) -> TrueState:
        """The state that `pack` packed.

        Raises:
            ValueError: not as long as a state is.
        """
        if len(data) != _LAYOUT.size:
            raise ValueError(f"a true state has {_LAYOUT.size} bytes, not {len(data)}")
        numbers = np.frombuffer(data, dtype=">f8").astype(np.float64)
        preview, curvature = np.split(numbers[4:], [2 * PREVIEW_POINTS])
        speed, offset, heading_error, bend = numbers[:4].tolist()
        return TrueState(speed, offset, heading_error, bend, preview.reshape(PREVIEW_POINTS, 2), curvature)


class Outlook:
    """The lane ahead of a car on one circuit.

    Args:
        circuit: in the direction in which it is driven.
    """

    def __init__(self, circuit: Circuit) -> None:
        count = len(circuit.points)
        self._step = circuit.length / count
        self._ahead = PREVIEW_STEP / self._step * np.arange(1, PREVIEW_POINTS + 1)
        # x, y, curvature, with the lap's beginning once more behind its end: no index runs over.
        lap = np.column_stack((circuit.points, circuit.curvature))
        self._road = lap[np.arange(count + int(self._ahead[-1]) + 3) % count]
        self._onward = np.diff(self._road, axis=0)

    def state(self, car: CarState, progress: ProgressState) -> TrueState:
        """The true state of a car."""
        place = progress.s / self._step + self._ahead
        first = place.astype(np.intp)
        road = self._onward.take(first, axis=0)
        road *= (place - first)[:, np.newaxis]
        road += self._road.take(first, axis=0)
        x, y = road[:, 0] - car.x, road[:, 1] - car.y
        cosine, sine = math.cos(car.yaw), math.sin(car.yaw)
        preview = np.empty((PREVIEW_POINTS, 2))
        preview[:, 0] = cosine * x + sine * y
        preview[:, 1] = cosine * y - sine * x
        return TrueState(
            speed=car.speed,
            offset=progress.offset,
            heading_error=progress.heading_error,
            curvature=progress.curvature,
            preview=preview,
            preview_curvature=road[:, 2],
        )
