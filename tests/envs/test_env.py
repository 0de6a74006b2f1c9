"""The Gymnasium environments: they pass its checker without a warning, and a seed settles everything."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs import circuit as circuits
from envs.env import HotlapEnv, identifier
from envs.errors import InputError
from envs.expert import command


@pytest.mark.parametrize("name", circuits.names())
def test_every_circuit_is_registered(name: str) -> None:
    environment = gymnasium.make(identifier(name)).unwrapped
    assert isinstance(environment, HotlapEnv)
    assert environment._circuit.name == name
    environment.close()


def test_identifiers_are_camel_case() -> None:
    assert identifier("many_curves") == "hotlap/ManyCurves-v0"
    assert identifier("train_1") == "hotlap/Train1-v0"


@pytest.mark.parametrize("conditions", ["nominal", "varied", "loss_5"])
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_passes_gymnasiums_checker(render_mode: str | None, conditions: str) -> None:
    environment = gymnasium.make(identifier("simple"), conditions=conditions, render_mode=render_mode)
    check_env(environment.unwrapped)  # warnings are errors in these tests
    environment.close()


def test_a_lost_frame_is_the_last_one_in_an_array_of_its_own() -> None:
    environment = HotlapEnv(conditions="loss_5")
    frames = [environment.reset(seed=1)[0]]
    frames += [environment.step(np.array([0.3, 0.0], np.float32))[0] for _ in range(20)]
    again = [np.array_equal(one, two) for one, two in pairwise(frames)]
    assert 5 < sum(again) < 20
    assert not any(np.shares_memory(one, two) for one, two in pairwise(frames))
    environment.close()


def trajectory(environment: HotlapEnv, seed: int, steps: int) -> str:
    digest = hashlib.sha256(environment.reset(seed=seed)[0].tobytes())
    environment.action_space.seed(1)
    for _ in range(steps):
        frame, reward, terminated, truncated, _ = environment.step(environment.action_space.sample())
        digest.update(frame.tobytes() + np.float64(reward).tobytes())
        if terminated or truncated:
            break
    return digest.hexdigest()


def test_a_seed_settles_everything() -> None:
    one, other = HotlapEnv(conditions="varied"), HotlapEnv(conditions="varied")
    alone = trajectory(one, 11, 40)
    assert trajectory(other, 12, 40) != alone
    assert trajectory(other, 11, 40) == alone
    one.close()
    other.close()


def test_each_reset_draws_anew() -> None:
    environment = HotlapEnv()
    first, _ = environment.reset(seed=4)
    second, _ = environment.reset()
    again, _ = environment.reset(seed=4)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again)
    environment.close()


def test_rewards_are_the_metres_of_the_lap() -> None:
    environment = HotlapEnv("simple", "reverse")
    _, info = environment.reset(seed=0)
    total, over = 0.0, False
    while not over:
        action = np.array(command(info["true_state"]), dtype=np.float32)
        _, reward, terminated, truncated, info = environment.step(action)
        total, over = total + reward, terminated or truncated
    assert (info["outcome"], terminated, truncated) == ("completed", True, False)
    assert total == pytest.approx(circuits.load("simple").length, abs=1.0)
    environment.close()


def test_standing_still_terminates_as_a_stall() -> None:
    environment = HotlapEnv()
    environment.reset(seed=0)
    for _ in range(100):
        _, reward, terminated, truncated, info = environment.step(np.array([-1.0, 0.0], dtype=np.float32))
        assert abs(reward) < 1e-3
    assert (terminated, truncated, info["outcome"]) == (True, False, "stalled")
    environment.close()


def test_refuses_unknown_words() -> None:
    with pytest.raises(InputError, match="direction is 'backwards'"):
        HotlapEnv(direction="backwards")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="conditions is 'mild'"):
        HotlapEnv(conditions="mild")
    with pytest.raises(InputError, match="no circuit 'nowhere'"):
        HotlapEnv("nowhere")
    with pytest.raises(RuntimeError, match=r"reset\(\) first"):
        HotlapEnv().step(np.zeros(2, dtype=np.float32))
