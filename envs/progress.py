"""The judge: how far the car has come along the circuit, where in the lane it is, and when the case is over.

It reads positions and a circuit, nothing else: no simulator, no image, nothing that a driver says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs.curve import wrapped

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

_ALMOST = 1.0 - 1e-9  # of a step, where the next point is not reached


class ProgressState(NamedTuple):
    """Where the car is on the circuit.

    Attributes:
        s: arc of the centreline beside the car, in [0, length) [m].
        distance: centreline metres won since the start, laps added up; falls when driving back [m].
        offset: from the centreline, positive to the left [m].
        heading_error: car's heading less the centreline's, in [-pi, pi] [rad].
        curvature: of the centreline beside the car, positive to the left [1/m].
        left: from the centreline to the left lane edge beside the car [m].
        right: from the centreline to the right lane edge beside the car [m].
    """

    s: float
    distance: float
    offset: float
    heading_error: float
    curvature: float
    left: float
    right: float


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
        # Plain numbers in tuples: one row at a time is read, which arrays are slow at. The first row is there again
        # behind the last one, so that each has a next one.
        turn = wrapped(np.roll(circuit.heading, -1) - circuit.heading)
        columns = (
            *circuit.points.T,
            np.cos(circuit.heading),
            np.sin(circuit.heading),
            circuit.heading,
            turn,
            circuit.curvature,
            circuit.left,
            circuit.right,
        )
        self._rows = list(zip(*(column.tolist() for column in columns), strict=True))
        self._rows.append(self._rows[0])
        self._index = int(np.argmin(np.hypot(circuit.points[:, 0] - x, circuit.points[:, 1] - y)))
        self._place = self._follow(x, y)
        self._distance = 0.0

    def update(self, x: float, y: float, yaw: float) -> ProgressState:
        """Follow the car to (x, y) [m], where it points to `yaw` [rad]."""
        place = self._follow(x, y)
        t = place - self._index
        # The foot moves by few metres: the shorter way round is the way it went.
        won = (place - self._place) * self._step
        if abs(won) > self._length / 2.0:
            won -= math.copysign(self._length, won)
        self._place = place
        self._distance += won
        ax, ay, atx, aty, heading, turn, a_curvature, a_left, a_right = self._rows[self._index]
        bx, by, btx, bty, _, _, b_curvature, b_left, b_right = self._rows[self._index + 1]
        u = 1.0 - t
        curvature = u * a_curvature + t * b_curvature
        aside = u * ((y - ay) * atx - (x - ax) * aty) + t * ((y - by) * btx - (x - bx) * bty)
        return ProgressState(
            place * self._step,
            self._distance,
            # Between two points the centreline is an arc, not its chord: take off the arc's height over the chord.
            aside - curvature * self._step**2 * t * u / 2.0,
            math.remainder(yaw - heading - t * turn, math.tau),
            curvature,
            u * a_left + t * b_left,
            u * a_right + t * b_right,
        )

    def _follow(self, x: float, y: float) -> float:
        """Move `_index` to the last point that (x, y) is not behind; its foot counted in points, in [0, n)."""
        rows, count = self._rows, self._count
        i = self._index
        px, py, tx, ty, *_ = rows[i]
        behind = (x - px) * tx + (y - py) * ty
        looks = self._reach
        while behind < 0.0 and looks:
            i = i - 1 if i else count - 1
            px, py, tx, ty, *_ = rows[i]
            behind = (x - px) * tx + (y - py) * ty
            looks -= 1
        px, py, tx, ty, *_ = rows[i + 1]
        before = (x - px) * tx + (y - py) * ty
        looks = self._reach
        while before >= 0.0 and looks:
            i = i + 1 if i + 1 < count else 0
            px, py, tx, ty, *_ = rows[i + 1]
            behind, before = before, (x - px) * tx + (y - py) * ty
            looks -= 1
        self._index = i
        if behind < 0.0:
            return float(i)
        return i + (min(behind / (behind - before), _ALMOST) if before < 0.0 else _ALMOST)


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
        limits: of patience.
    """

    def __init__(self, length: float, limits: Limits) -> None:
        self._length = length
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
        if state.offset > state.left or -state.offset > state.right:
            return LEFT_LANE
        if state.distance >= self._length:
            return COMPLETED
        if time - self._best_at >= self._limits.stall_s - ROUNDING:
            return STALLED
        if time >= self._time_limit - ROUNDING:
            return TIMEOUT
        return None
