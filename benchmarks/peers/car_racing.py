"""Gymnasium's CarRacing-v3 as it comes."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import gymnasium
import numpy as np

from benchmarks.peers.simulator import Setting

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CarRacing:
    """It follows the tiles of its track."""

    def __init__(self) -> None:
        self.setting = Setting(
            f"Gymnasium {version('gymnasium')}", "96x96 RGB, from above", "1/50 s, 1 physics step; `CarRacing-v3`"
        )
        self.over = True
        self._env = gymnasium.make("CarRacing-v3")

    def begin(self, seed: int) -> None:
        """Start a lap of a new track."""
        self._env.reset(seed=seed)
        game = cast("Any", self._env.unwrapped)
        self._track = np.array([tile[2:4] for tile in game.track])
        self.over = False

    def decide(self) -> NDArray[np.float32]:
        """Towards the centreline five tiles ahead, at about 20 m/s."""
        hull = cast("Any", self._env.unwrapped).car.hull
        nearest = int(np.argmin(np.linalg.norm(self._track - hull.position, axis=1)))
        x, y = hull.GetLocalPoint(self._track[(nearest + 5) % len(self._track)].tolist())
        gas = 0.1 if hull.linearVelocity.length < 20.0 else 0.0
        return np.array([math.atan2(x, y), gas, 0.0], np.float32).clip(-1.0, 1.0)

    def step(self, action: NDArray[np.float32]) -> NDArray[np.uint8]:
        """One step."""
        frame, _, terminated, truncated, _ = self._env.step(action)
        self.over = bool(terminated or truncated)
        return cast("NDArray[np.uint8]", frame)
