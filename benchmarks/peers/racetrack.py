"""highway-env's racetrack with its grey picture, which it draws from above.

Its trap: with SDL's "dummy" video driver it gives black pictures at a false speed. The workers' environment names no
driver.
"""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import gymnasium
import highway_env
import numpy as np

from benchmarks.peers.simulator import Setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIG = {
    "observation": {
        "type": "GrayscaleObservation",
        "observation_shape": (200, 66),
        "stack_size": 1,
        "weights": [0.2989, 0.5870, 0.1140],
    },
    "offscreen_rendering": True,
}


class Racetrack:
    """It keeps its lane, with one other car on the track."""

    def __init__(self) -> None:
        gymnasium.register_envs(highway_env)
        self._env = gymnasium.make("racetrack-v1", config=CONFIG)
        config = cast("Any", self._env.unwrapped).config
        substeps = config["simulation_frequency"] // config["policy_frequency"]
        self.setting = Setting(
            f"highway-env {version('highway-env')}",
            "200x66 grey, from above",
            f"1/{config['policy_frequency']} s, {substeps} physics steps; `racetrack-v1`",
        )
        self.over = True

    def begin(self, seed: int) -> None:
        """Start an episode."""
        self._env.reset(seed=seed)
        self.over = False

    def decide(self) -> NDArray[np.float32]:
        """Steer back to the middle of the lane; the speed is the simulator's own."""
        car = cast("Any", self._env.unwrapped).vehicle
        along, offset = car.lane.local_coordinates(car.position)
        astray = math.remainder(car.heading - car.lane.heading_at(along + car.speed * 0.2), math.tau)
        return np.array([-0.15 * offset - 0.8 * astray], np.float32).clip(-1.0, 1.0)

    def step(self, action: NDArray[np.float32]) -> NDArray[np.uint8]:
        """One decision."""
        frame, _, terminated, truncated, _ = self._env.step(action)
        self.over = bool(terminated or truncated)
        return cast("NDArray[np.uint8]", frame)
