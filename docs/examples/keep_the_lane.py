"""Stable-Baselines3 learns to keep the lane from the camera's frames: `python docs/examples/keep_the_lane.py`.

PPO learns to steer at a fixed speed, on eight training circuits side by side. Then it drives benchmark circuits that it
has never seen, as an untrained network did before. `docs/train-with-stable-baselines.md` explains the choices.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

import envs.env  # noqa: F401  registers hotlap's environments
from envs.circuit import names
from envs.command import normalised
from envs.env import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SPEED = 7.0  # the network only steers [m/s]
HOLD = 2  # control steps for which a command holds: it decides ten times a second
TOP_ROW = 24  # of the frame; above it is sky
SMALL = (25, 10)  # what the network sees, width and height [pixels]
HALF_LANE = 3.0  # of the training circuits [m]
TRAINING = names("training")[:8]
STEPS = 32_768  # decisions of all circuits together


class Steering(gymnasium.ActionWrapper[Any, Any, Any]):
    """The action is the steering alone, (1,) in [-1, 1], held for `HOLD` control steps; the reward is their sum [m]."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.action_space = Box(-1.0, 1.0, (1,), np.float32)
        self._speed = normalised(SPEED, 0.0).speed

    def action(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """The environment's (speed, steering)."""
        return np.array([self._speed, action[0]], np.float32)

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steer until the next decision, or until the lap is over."""
        won = 0.0
        for _ in range(HOLD):
            frame, reward, terminated, truncated, info = super().step(action)
            won += float(reward)
            if terminated or truncated:
                break
        return frame, won, terminated, truncated, info


class Centred(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Metres count less towards the lane's edge. It reads the true state, so it is for training alone."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """The step, its reward times one less the square of the offset in half lanes."""
        frame, reward, terminated, truncated, info = self.env.step(action)
        return (
            frame,
            float(reward) * (1.0 - (info["true_state"].offset / HALF_LANE) ** 2),
            terminated,
            truncated,
            info,
        )


class SmallFrame(gymnasium.ObservationWrapper[Any, Any, Any]):
    """The road part of the frame, shrunk and flattened: (750,) float32 in [-1, 1]."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = Box(-1.0, 1.0, (3 * SMALL[0] * SMALL[1],), np.float32)

    def observation(self, observation: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network sees of a frame, (66, 200, 3) uint8."""
        small = cv2.resize(observation[TOP_ROW:], SMALL, interpolation=cv2.INTER_AREA)
        return small.ravel().astype(np.float32) / 127.5 - 1.0


def course(circuit: str, *, training: bool) -> gymnasium.Env[Any, Any]:
    """The environment of a named circuit as the network drives it."""
    env: gymnasium.Env[Any, Any] = Steering(gymnasium.make(identifier(circuit)))
    return SmallFrame(Centred(env) if training else env)


def learner(seed: int) -> PPO:
    """A network that has learned nothing yet, on the training circuits."""
    torch.set_num_threads(1)  # so small a network is slower on more
    circuits = DummyVecEnv([partial(course, name, training=True) for name in TRAINING])
    return PPO(
        "MlpPolicy",
        circuits,
        learning_rate=1e-3,
        n_steps=256,  # decisions on each circuit between two updates
        batch_size=256,
        n_epochs=5,
        gamma=0.97,  # what lies three seconds ahead counts about a third
        policy_kwargs={"net_arch": [64, 64], "log_std_init": -1.0},  # wilder steering leaves the lane at once
        seed=seed,
        device="cpu",
    )


def metres(model: PPO, circuit: str, seeds: Iterable[int]) -> list[float]:
    """How far it drives before the lap is over or the lane is left, for each seed of the environment [m]."""
    env = course(circuit, training=False)
    distances = []
    for seed in seeds:
        seen, _ = env.reset(seed=seed)
        distance, over = 0.0, False
        while not over:
            action, _ = model.predict(seen, deterministic=True)
            seen, won, terminated, truncated, _ = env.step(action)
            distance += float(won)
            over = terminated or truncated
        distances.append(distance)
    env.close()
    return distances


def main() -> None:
    """Train, and print how far the network drives before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS, help="decisions to learn from")
    parser.add_argument("--seed", type=int, default=1, help="of everything that training draws")
    parser.add_argument("--save", metavar="FILE", help="write the trained model here")
    arguments = parser.parse_args()
    model = learner(arguments.seed)
    report("untrained", model)
    model.learn(arguments.steps)
    report("trained", model)
    if arguments.save:
        model.save(arguments.save)


def report(what: str, model: PPO) -> None:
    """Print how far it drives on the benchmark circuits, which it was not trained on."""
    for circuit in names("benchmark"):
        driven = metres(model, circuit, range(1000, 1005))
        print(f"{what:10} {circuit:14} median {statistics.median(driven):5.0f} m, least {min(driven):5.0f} m")


if __name__ == "__main__":
    main()
