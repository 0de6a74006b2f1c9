"""A standard trainer learns to drive: docs/examples/keep_the_lane.py, seen by a test."""

from __future__ import annotations

import runpy
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed; `make test` installs it")

FILE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "keep_the_lane.py"
CIRCUIT = "many_curves"  # tagged "benchmark": no training circuit
SEEDS = range(1000, 1007)
FAR = 300.0  # [m]


@pytest.fixture(scope="module")
def example() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(FILE)))


def test_the_environment_passes_the_trainer_s_checker(example: SimpleNamespace) -> None:
    from stable_baselines3.common.env_checker import check_env  # noqa: PLC0415  absent where this module is skipped

    check_env(example.course("simple", training=True), skip_render_check=True)


def test_it_never_trains_on_the_circuits_that_it_is_judged_by(example: SimpleNamespace) -> None:
    from envs.circuit import names  # noqa: PLC0415

    assert not set(example.TRAINING) & set(names("benchmark"))


def test_the_reward_is_the_metres_won_and_less_of_them_off_the_centre(example: SimpleNamespace) -> None:
    straight: Any = [0.0]
    plain, shaped = (example.course("simple", training=training) for training in (False, True))
    for env in (plain, shaped):
        env.reset(seed=5)
    for _ in range(10):
        _, won, _, _, info = plain.step(straight)
        _, counted, *_ = shaped.step(straight)
        offset = info["true_state"].offset
        assert counted == pytest.approx(won * (1.0 - (offset / example.HALF_LANE) ** 2))


@pytest.mark.slow
def test_it_learns_to_keep_the_lane_of_a_circuit_it_has_never_seen(example: SimpleNamespace) -> None:
    model = example.learner(seed=1)
    untrained = statistics.median(example.metres(model, CIRCUIT, SEEDS))
    model.learn(example.STEPS)
    trained = statistics.median(example.metres(model, CIRCUIT, SEEDS))
    print(f"median metres on {CIRCUIT}: untrained {untrained:.0f}, trained {trained:.0f}")
    assert untrained < FAR / 3.0
    assert trained >= FAR
