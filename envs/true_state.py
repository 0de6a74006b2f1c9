"""What the oracle may know: the car's true place in the lane and the lane ahead. Models never see it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        return TrueState(*numbers[:4].tolist(), preview.reshape(PREVIEW_POINTS, 2), curvature)
