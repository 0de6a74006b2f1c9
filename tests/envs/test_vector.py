"""Gymnasium's vector environments: each lap in them is the lap of the same seed alone, in whatever process it runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.env import HotlapEnv, identifier
from envs.true_state import TrueState

if TYPE_CHECKING:
    from pathlib import Path

    from gymnasium.vector import VectorEnv

LAP = "hotlap/Lap-v0"
SEEDS = [11, 12]
WAYS: dict[str, dict[str, Any]] = {
    "sync": {"vectorization_mode": "sync"},
    "fork": {"vectorization_mode": "async", "vector_kwargs": {"context": "fork"}},
    "spawn": {"vectorization_mode": "async", "vector_kwargs": {"context": "spawn"}},
    "pipes": {"vectorization_mode": "async", "vector_kwargs": {"context": "spawn", "shared_memory": False}},
}
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)  # from Python 3.12 on


def vector(
    way: str, circuit: str = "simple", mode: AutoresetMode = AutoresetMode.NEXT_STEP, **asked: Any
) -> VectorEnv[Any, Any, Any]:
    settings = {"autoreset_mode": mode} | WAYS[way].get("vector_kwargs", {})
    how = WAYS[way] | {"vector_kwargs": settings}
    return gymnasium.make_vec(LAP, num_envs=len(SEEDS), circuit=circuit, **how, **asked)


def actions(count: int) -> np.ndarray:
    """(count, 2 laps, 2) of which the second steers out of its lane."""
    swing = 0.1 * np.sin(np.arange(count))
    speed = np.full(count, 0.4)
    return np.stack((np.stack((speed, swing), 1), np.stack((speed, np.full(count, 1.0)), 1)), 1).astype(np.float32)


@pytest.mark.parametrize("way", WAYS)
def test_each_lap_is_that_of_its_seed_alone(way: str) -> None:
    together = vector(way, conditions="varied")
    alone = [HotlapEnv(conditions="varied") for _ in SEEDS]
    frames, _ = together.reset(seed=SEEDS)
    for i, seed in enumerate(SEEDS):
        assert np.array_equal(frames[i], alone[i].reset(seed=seed)[0])
    for action in actions(15):
        frames, rewards, terminated, truncated, infos = together.step(action)
        for i, lap in enumerate(alone):
            frame, reward, over, late, info = lap.step(action[i])
            assert np.array_equal(frames[i], frame)
            assert (rewards[i], terminated[i], truncated[i]) == (reward, over, late)
            state = infos["true_state"][i]
            assert isinstance(state, TrueState)
            assert state.offset == info["true_state"].offset
            assert np.array_equal(state.preview, info["true_state"].preview)
            assert infos["outcome"][i] == info["outcome"]
    together.close()
    for lap in alone:
        lap.close()


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("way", ["sync", "spawn"])
def test_a_lap_that_is_over_starts_anew_as_the_mode_says(way: str, mode: AutoresetMode) -> None:
    together, alone = vector(way, mode=mode), HotlapEnv()
    together.reset(seed=SEEDS)
    alone.reset(seed=SEEDS[1])
    for action in actions(200):
        frames, _, terminated, _, infos = together.step(action)
        frame, *_, info = alone.step(action[1])
        if terminated[1]:
            break
    assert list(terminated) == [False, True]
    assert info["outcome"] == "left_lane"
    again, _ = alone.reset()
    if mode is AutoresetMode.SAME_STEP:
        assert np.array_equal(frames[1], again)
        assert np.array_equal(infos["final_obs"][1], frame)
        assert infos["final_info"]["outcome"][1] == "left_lane"
        assert infos["outcome"][1] is None
    else:
        assert np.array_equal(frames[1], frame)
        assert infos["outcome"][1] == "left_lane"
        if mode is AutoresetMode.NEXT_STEP:
            frames, rewards, terminated, _, infos = together.step(action)
            assert (rewards[1], bool(terminated[1])) == (0.0, False)
        else:
            frames, infos = together.reset(options={"reset_mask": np.array([False, True])})
        assert np.array_equal(frames[1], again)
        assert infos["outcome"][1] is None
    together.close()
    alone.close()


def test_files_generated_tracks_and_variants_are_circuits_too(tmp_path: Path) -> None:
    around = np.linspace(0.0, 2.0 * math.pi, 60, endpoint=False)
    rows = [f"{80 * math.cos(a):.3f}, {60 * math.sin(a):.3f}, 4.0, 3.5" for a in around]
    track = tmp_path / "own.csv"
    track.write_text("\n".join(["# x_m, y_m, w_tr_right_m, w_tr_left_m", *rows]), encoding="utf-8")
    for circuit in (str(track), "generated:4", "montreal+wall+worn"):
        together = vector("spawn", circuit, direction="reverse")
        frames, _ = together.reset(seed=SEEDS)
        alone = HotlapEnv(circuit, "reverse")
        assert np.array_equal(frames[0], alone.reset(seed=SEEDS[0])[0])
        alone.close()
        together.close()


def test_pictures_of_all_laps() -> None:
    together = vector("spawn", render_mode="rgb_array", view="map")
    together.reset(seed=SEEDS)
    pictures = together.render()
    assert pictures is not None
    assert [picture.shape for picture in pictures] == [(540, 720, 3)] * 2
    assert not np.array_equal(*pictures)
    together.close()


def test_resets_share_the_painting() -> None:
    environment = HotlapEnv("montreal")
    environment.reset(seed=1)
    kept = len(environment._painting._tiles)
    environment.reset(seed=1)
    assert len(environment._painting._tiles) == kept > 0
    environment.close()


def test_an_environment_can_be_closed_twice_and_used_again() -> None:
    environment = gymnasium.make(identifier("simple"))
    environment.reset(seed=1)
    environment.close()
    environment.close()
    lap = HotlapEnv()
    first, _ = lap.reset(seed=1)
    lap.close()
    lap.close()
    assert np.array_equal(lap.reset(seed=1)[0], first)
    lap.close()
