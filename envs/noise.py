"""The noise of the camera's sensor: a pure function of (seed, step)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from envs import chance
from envs.view import FRAME_SHAPE

if TYPE_CHECKING:
    from envs.look import Noise
    from envs.painting import Image

_BANK_FRAMES = 4  # random numbers kept, in frames


class NoiseBank:
    """Sensor noise: for each step another stretch of one row of random numbers.

    Kept as what to add and what to take away, since OpenCV adds bytes to bytes with saturation ten times as fast as
    anything else.
    """

    def __init__(self, noise: Noise) -> None:
        size = math.prod(FRAME_SHAPE)
        self._choices = (_BANK_FRAMES - 1) * size
        self._seed = noise.seed
        self._more: Image | None = None
        if noise.sigma > 0.0:
            random = np.random.Generator(np.random.Philox(noise.seed))
            drawn = np.rint(noise.sigma * random.standard_normal(_BANK_FRAMES * size, np.float32))
            self._more = np.clip(drawn, 0, 255).astype(np.uint8)
            self._less = np.clip(-drawn, 0, 255).astype(np.uint8)

    def add(self, frame: Image, step: int) -> None:
        """Add the noise of a step to a frame, in place."""
        if self._more is None:
            return
        start = chance.bits(self._seed, step) % self._choices
        part = slice(start, start + frame.size)
        cv2.add(frame, self._more[part].reshape(FRAME_SHAPE), dst=frame)
        cv2.subtract(frame, self._less[part].reshape(FRAME_SHAPE), dst=frame)
