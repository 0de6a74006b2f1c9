"""Contestants of the peers' benchmark that cheat or break; `tests/test_peers.py` lets them run."""

from __future__ import annotations

import numpy as np

from benchmarks.peers.simulator import Setting


class Still:
    """It gives the same picture for ever; after three frames an episode is over."""

    picture = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)

    def __init__(self) -> None:
        print("this is no answer")
        self.setting = Setting("still 1", "10x10", "nothing moves")
        self.over = True
        self.seeds: list[int] = []

    def begin(self, seed: int) -> None:
        self.seeds.append(seed)
        self.over, self.frames = False, 0

    def decide(self) -> int:
        return self.frames

    def step(self, action: int) -> np.ndarray:
        self.frames = action + 1
        self.over = self.frames == 3
        return self.picture


class Black(Still):
    """Its pictures show nothing."""

    picture = np.zeros((10, 10, 3), np.uint8)


class Broken(Still):
    """It does not start."""

    def begin(self, seed: int) -> None:  # noqa: ARG002
        raise OSError("no software OpenGL")


class Mortal(Still):
    """It dies on the road."""

    def step(self, action: int) -> np.ndarray:  # noqa: ARG002
        raise SystemExit(7)
