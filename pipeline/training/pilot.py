"""Who drives while frames are collected or a network is tried: a network, the expert, and a hand that nudges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from envs.command import Command
from pipeline.networks import to_input

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

CALM_SECONDS = 2.5
"""Mean time between two nudges [s]."""

NUDGE_SECONDS = (0.3, 0.9)
"""How long a nudge lasts, evenly drawn [s]."""

NUDGE_STEERING = 0.16
"""Largest nudge of the normalised steering: at 11 m/s and for 0.9 s it moves the car by about 1.5 m."""

NUDGE_SPEED = (-0.5, 0.15)
"""Range of the nudge of the normalised speed, so that bends are also seen at speeds the expert would not choose."""

SAFE_SHARE = 0.6
"""A nudge ends where the car is this share of the way from the centreline to the lane's edge."""


def answer(network: nn.Module, frame: npt.NDArray[np.uint8]) -> Command:
    """The network's command for one frame, as the torch driver gives it: clamped to [-1, 1].

    Args:
        network: in evaluation mode.
        frame: ``(66, 200, 3)`` uint8 RGB.
    """
    with torch.inference_mode():
        speed, steering = network(to_input(frame)).clamp_(-1.0, 1.0)[0].tolist()
    return Command(speed, steering)


class Nudges:
    """Short pushes at the wheel and the pedal, so that the expert's answer to a car gone astray is seen too.

    Args:
        generator: the times and sizes are drawn from it.
        control_hz: steps in a second [1/s].
        half_width: from the centreline to the lane's edge [m].
    """

    def __init__(self, generator: np.random.Generator, control_hz: float, half_width: float) -> None:
        self._generator = generator
        self._hz = control_hz
        self._safe = SAFE_SHARE * half_width
        self._left = 0
        self._nudge = Command(0.0, 0.0)

    def on(self, command: Command, offset: float) -> Command:
        """What reaches the car when `command` is given at `offset` from the centreline [m]; called once a step."""
        if self._left > 0 and abs(offset) > self._safe:
            self._left = 0
        if self._left == 0:
            if abs(offset) < self._safe and self._generator.random() < 1.0 / (CALM_SECONDS * self._hz):
                self._left = round(self._generator.uniform(*NUDGE_SECONDS) * self._hz)
                self._nudge = Command(
                    self._generator.uniform(*NUDGE_SPEED), self._generator.uniform(-NUDGE_STEERING, NUDGE_STEERING)
                )
            return command
        self._left -= 1
        return Command(*(min(1.0, max(-1.0, mine + other)) for mine, other in zip(command, self._nudge, strict=True)))
