"""The expert: pure pursuit of the centreline at a speed that its bends allow. It sees the true state, and no image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from envs.car_parameters import CarParameters
from envs.command import Command, normalised
from envs.true_state import PREVIEW_POINTS, PREVIEW_STEP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from envs.true_state import TrueState

TOP_SPEED = 11.5
"""[m/s]"""

LATERAL = 4.0
"""Lateral acceleration in a bend of the centreline [m/s^2]."""

LATERAL_LIMIT = 5.0
"""Lateral acceleration that getting back to the centreline may take; a grip of 0.6 gives 5.9 [m/s^2]."""

BRAKING = 2.5
"""Deceleration planned before a bend [m/s^2]."""

REACTION = 0.3
"""The car's speed follows its command by so much later [s]."""

LOOK_AHEAD_TIME = 0.4
"""How far ahead it aims, by speed [s] ..."""

SHORTEST_LOOK_AHEAD = 3.0
"""... and at least [m]."""

_CAR = CarParameters()
_AHEAD: NDArray[np.float64] = PREVIEW_STEP * np.arange(1.0, PREVIEW_POINTS + 1.0)


def command(state: TrueState) -> Command:
    """The expert's command; a pure function of the state."""
    return normalised(speed(state), steering(state))


def steering(state: TrueState) -> float:
    """Steering angle towards the point it aims at, no further than the tyres hold at this speed [rad]."""
    hold = LATERAL_LIMIT / max(abs(state.speed), 1.0) ** 2
    return math.atan((_CAR.wheelbase + _CAR.understeer * state.speed**2) * min(hold, max(-hold, pursuit(state))))


def speed(state: TrueState) -> float:
    """The highest speed at which it can follow its own arc, and every bend in view later on [m/s]."""
    own = LATERAL_LIMIT / max(abs(pursuit(state)), 1e-6)
    here = LATERAL / max(abs(state.curvature), 1e-6)
    room = np.maximum(0.0, _AHEAD - REACTION * state.speed)
    ahead = LATERAL / np.maximum(np.abs(state.preview_curvature), 1e-6) + 2.0 * BRAKING * room
    return min(TOP_SPEED, math.sqrt(min(own, here, float(ahead.min()))))


def pursuit(state: TrueState) -> float:
    """Curvature of the arc that leads the rear axle to the point on the centreline that it aims at [1/m].

    R. C. Coulter, "Implementation of the Pure Pursuit Path Tracking Algorithm", CMU-RI-TR-92-01, for an axle that
    slips: on the arc it moves not along the car but outwards by its tyres' slip angle, which is the arc's curvature
    times `rear_slip` times the speed squared.
    """
    aim = max(SHORTEST_LOOK_AHEAD, LOOK_AHEAD_TIME * state.speed)
    x = float(np.interp(aim, _AHEAD, state.preview[:, 0])) + _CAR.wheelbase / 2.0
    y = float(np.interp(aim, _AHEAD, state.preview[:, 1]))
    return 2.0 * y / (x * x + y * y - 2.0 * x * _CAR.rear_slip * state.speed**2)
