"""The judge: how far the car has come along the circuit, where in the lane it is, and when the case is over.

It reads positions and a circuit, nothing else: no simulator, no image, nothing that a driver says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from envs.circuit import Circuit

COMPLETED = "completed"
LEFT_LANE = "left_lane"
STALLED = "stalled"
TIMEOUT = "timeout"

REACH = 4.0
"""How far along the circuit one update looks, either way [m]; a car at 15 m/s moves 0.75 m between two."""

ROUNDING = 1e-9
"""What a sum of control steps may lack of a whole second [s]."""


class ProgressState(NamedTuple):
    """Where the car is on the circuit.

    Attributes:
        s: arc of the centreline beside the car, in [0, length) [m].
        distance: centreline metres won since the start, laps added up; falls when driving back [m].
        offset: from the centreline, positive to the left [m].
        heading_error: car's heading less the centreline's, in [-pi, pi] [rad].
        curvature: of the centreline beside the car, positive to the left [1/m].
    """

    s: float
    distance: float
    offset: float
    heading_error: float
    curvature: float


class Progress:
    """Follows one car round one circuit.

    The centreline's tangent is interpolated between its points, so that each place in the lane has exactly one foot on
    the centreline, which moves without jumps: a car that drives `l` metres within `d` metres of the centreline wins at
    most `l / (1 - k d)` metres, `k` the largest curvature. The foot is sought from the last one onwards, never
    elsewhere: where two parts of a circuit nearly touch, the car stays on the one it came by.

    Args:
        circuit: any circuit whose lane is narrower than its bends.
        x: of the car at the start [m].
        y: of the car at the start [m].
    """

    def __init__(self, circuit: Circuit, x: float, y: float) -> None:
        self._count = len(circuit.points)
        self._step = circuit.length / self._count
        self._length = circuit.length
        self._reach = max(1, math.ceil(REACH / self._step))
        # Plain lists: one number at a time is read, which arrays are slow at.
        self._points: list[list[float]] = circuit.points.tolist()
        self._tangents: list[list[float]] = np.column_stack((np.cos(circuit.heading), np.sin(circuit.heading))).tolist()
        self._heading: list[float] = circuit.heading.tolist()
        self._curvature: list[float] = circuit.curvature.tolist()
        self._index = int(np.argmin(np.hypot(circuit.points[:, 0] - x, circuit.points[:, 1] - y)))
        self._place = self._foot(x, y)
        self._distance = 0.0

    def update(self, x: float, y: float, yaw: float) -> ProgressState:
        """Follow the car to (x, y) [m], where it points to `yaw` [rad]."""
        before = self._place
        self._place = place = self._foot(x, y)
        # The foot moves by few metres: the shorter way round is the way it went.
        won = (place - before) * self._step
        self._distance += won - self._length * round(won / self._length)
        i = self._index
        j = (i + 1) % self._count
        t = place - i
        curvature = (1.0 - t) * self._curvature[i] + t * self._curvature[j]
        # Between two points the centreline is an arc, not its chord: take off the arc's height over the chord.
        height = curvature * self._step**2 * t * (1.0 - t) / 2.0
        heading = self._heading[i] + t * _wrapped(self._heading[j] - self._heading[i])
        return ProgressState(
            s=place * self._step % self._length,
            distance=self._distance,
            offset=(1.0 - t) * self._aside(i, x, y) + t * self._aside(j, x, y) - height,
            heading_error=_wrapped(yaw - heading),
            curvature=curvature,
        )

    def _foot(self, x: float, y: float) -> float:
        """The place on the centreline beside (x, y), counted in points from the first one, in [0, n)."""
        i = self._index
        behind = self._ahead(i, x, y)
        for _ in range(self._reach):
            if behind >= 0.0:
                break
            i -= 1
            behind = self._ahead(i, x, y)
        before = self._ahead(i + 1, x, y)
        for _ in range(self._reach):
            if before < 0.0:
                break
            i += 1
            behind, before = before, self._ahead(i + 1, x, y)
        self._index = i % self._count
        t = behind / (behind - before) if behind >= 0.0 > before else float(before >= 0.0)
        return (self._index + min(t, 1.0 - 1e-12)) % self._count

    def _ahead(self, i: int, x: float, y: float) -> float:
        """How far (x, y) lies ahead of a point along its tangent [m]."""
        (px, py), (tx, ty) = self._points[i % self._count], self._tangents[i % self._count]
        return (x - px) * tx + (y - py) * ty

    def _aside(self, i: int, x: float, y: float) -> float:
        """How far (x, y) lies to the left of a point's tangent [m]."""
        (px, py), (tx, ty) = self._points[i], self._tangents[i]
        return (y - py) * tx - (x - px) * ty


@dataclass(frozen=True)
class Limits:
    """When a case is over without a lap.

    Attributes:
        stall_s: this long without progress is a stall [s].
        stall_m: less than this is no progress [m].
        min_average_speed: the time limit allows for this over the lap, and 30 s [m/s].
    """

    stall_s: float = 5.0
    stall_m: float = 0.5
    min_average_speed: float = 1.0

    def time_limit(self, length: float) -> float:
        """Longest simulated time for a lap of `length` [m] [s]."""
        return length / self.min_average_speed + 30.0


class Judge:
    """Says when a case is over, and with which outcome.

    Args:
        length: of the lap [m].
        width: of the lane, edge to edge [m].
        limits: of patience.
    """

    def __init__(self, length: float, width: float, limits: Limits) -> None:
        self._length = length
        self._half_width = width / 2.0
        self._limits = limits
        self._time_limit = limits.time_limit(length)
        self._best = 0.0
        self._best_at = 0.0

    def outcome(self, state: ProgressState, time: float) -> str | None:
        """The outcome after `time` simulated seconds; None while the case goes on.

        A car that leaves the lane in the same step in which it finishes the lap has left the lane.
        """
        if state.distance >= self._best + self._limits.stall_m:
            self._best, self._best_at = state.distance, time
        if abs(state.offset) > self._half_width:
            return LEFT_LANE
        if state.distance >= self._length:
            return COMPLETED
        if time - self._best_at >= self._limits.stall_s - ROUNDING:
            return STALLED
        if time >= self._time_limit - ROUNDING:
            return TIMEOUT
        return None


def _wrapped(angle: float) -> float:
    """The same angle in [-pi, pi] [rad]."""
    return math.remainder(angle, math.tau)
