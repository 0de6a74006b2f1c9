"""The command a driver gives, and the one place where it is mapped to metres per second and radians."""

from __future__ import annotations

from typing import NamedTuple

MAX_SPEED = 15.0
"""Speed that a speed command of +1 asks for [m/s]; -1 asks for standstill."""

MAX_STEERING = 0.5
"""Steering angle that a steering command of +1 asks for [rad], to the left."""


class Command(NamedTuple):
    """A driver's answer to one frame, each part in [-1, 1].

    Attributes:
        speed: -1 is standstill, +1 is `MAX_SPEED`.
        steering: -1 is full right, +1 is full left.
    """

    speed: float
    steering: float


def speed_of(command: Command) -> float:
    """Target speed of a command [m/s]."""
    return (command.speed + 1.0) / 2.0 * MAX_SPEED


def steering_of(command: Command) -> float:
    """Target steering angle of a command [rad], positive to the left."""
    return command.steering * MAX_STEERING


def normalised(speed: float, steering: float) -> Command:
    """The command for a target speed [m/s] and steering angle [rad], clipped to what the car can be asked for."""
    return Command(
        speed=min(1.0, max(-1.0, 2.0 * speed / MAX_SPEED - 1.0)),
        steering=min(1.0, max(-1.0, steering / MAX_STEERING)),
    )
