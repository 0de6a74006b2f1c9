"""The expert: pure pursuit of the centreline at a speed that its bends allow. It sees the true state, and no image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from envs.chassis import chassis
from envs.command import Command, normalised
from envs.true_state import PREVIEW_POINTS, PREVIEW_STEP

if TYPE_CHECKING:
    from envs.true_state import TrueState

TOP_SPEED = 11.5
"""[m/s]"""

LATERAL = 4.0
"""Lateral acceleration in a bend [m/s^2]; with `BRAKING` it stays below the 5.9 that a grip of 0.6 gives."""

BRAKING = 2.5
"""Deceleration planned before a bend [m/s^2]."""

REACTION = 0.3
"""The car's speed follows its command by so much later [s]."""

LOOK_AHEAD_TIME = 0.45
"""How far ahead it aims, by speed [s] ..."""

SHORTEST_LOOK_AHEAD = 3.0
"""... and at least [m]."""

_AHEAD = PREVIEW_STEP * np.arange(1, PREVIEW_POINTS + 1)


def command(state: TrueState) -> Command:
    """The expert's command; a pure function of the state."""
    return normalised(speed(state), steering(state))


def steering(state: TrueState) -> float:
    """Steering angle that leads the rear axle through the point on the centreline it aims at [rad].

    R. C. Coulter, "Implementation of the Pure Pursuit Path Tracking Algorithm", CMU-RI-TR-92-01.
    """
    aim = max(SHORTEST_LOOK_AHEAD, LOOK_AHEAD_TIME * state.speed)
    wheelbase = chassis().wheelbase
    x = float(np.interp(aim, _AHEAD, state.preview[:, 0])) + wheelbase / 2.0
    y = float(np.interp(aim, _AHEAD, state.preview[:, 1]))
    return math.atan2(2.0 * wheelbase * y, x * x + y * y)


def speed(state: TrueState) -> float:
    """The highest speed from which every bend in view can still be taken [m/s]."""
    here = LATERAL / max(abs(state.curvature), 1e-6)
    room = np.maximum(0.0, _AHEAD - REACTION * state.speed)
    ahead = LATERAL / np.maximum(np.abs(state.preview_curvature), 1e-6) + 2.0 * BRAKING * room
    return min(TOP_SPEED, math.sqrt(min(here, float(ahead.min()))))
