"""Ours: the Gymnasium environment as a user steps it, and the same world seen by PyBullet's own renderer."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

import gymnasium

from benchmarks.peers.simulator import Setting
from envs import circuit as circuits
from envs import expert
from envs.bullet_camera import BulletCamera
from envs.car import CONTROL_HZ
from envs.car_parameters import CarParameters
from envs.conditions import draw
from envs.env import HotlapEnv, identifier
from envs.world import World

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from envs.command import Command

CIRCUIT = "many_curves"
FRAME = f"1/{CONTROL_HZ} s, {CarParameters().physics_hz // CONTROL_HZ} physics steps; the expert on `{CIRCUIT}`"


class Hotlap:
    """The registered environment, driven by the expert."""

    def __init__(self) -> None:
        self.setting = Setting("hotlap", "200x66 RGB", FRAME)
        self.over = True
        self._env = gymnasium.make(identifier(CIRCUIT))
        self._world: World | None = None
        self._earlier: Counter[str] = Counter()

    def begin(self, seed: int) -> None:
        """Start a lap, elsewhere on the circuit and under other conditions."""
        self._earlier = self.parts()
        _, self._info = self._env.reset(seed=seed)
        self._world = cast("HotlapEnv", self._env.unwrapped).world
        self.over = False

    def decide(self) -> Command:
        """The expert's command."""
        return expert.command(self._info["true_state"])

    def step(self, action: Command) -> NDArray[np.uint8]:
        """One control step."""
        frame, _, terminated, truncated, self._info = self._env.step(action)
        self.over = bool(terminated or truncated)
        return cast("NDArray[np.uint8]", frame)

    def parts(self) -> Counter[str]:
        """Wall time inside all steps so far, as the laps' worlds split it [ns]."""
        return self._earlier + Counter(self._world.split_ns if self._world else {})


class HotlapInBullet:
    """The world with PyBullet's software renderer for a camera, driven by the expert."""

    def __init__(self) -> None:
        self.setting = Setting("hotlap", "200x66 RGB", FRAME)
        self.over = True
        circuit = circuits.load(CIRCUIT)
        self._world = World(circuit, draw("nominal", 0, circuit.name, circuit.direction), camera=BulletCamera)

    def begin(self, seed: int) -> None:  # noqa: ARG002  every lap is the same
        """Start a lap."""
        self._world.reset()
        self.over = False

    def decide(self) -> Command:
        """The expert's command."""
        return expert.command(self._world.true_state)

    def step(self, action: Command) -> NDArray[np.uint8]:
        """One control step."""
        self.over = self._world.step(action).outcome is not None
        return self._world.frame
