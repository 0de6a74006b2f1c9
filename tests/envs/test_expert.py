"""The expert laps every circuit: its table is `python -m benchmarks.world --laps`."""

from __future__ import annotations

import inspect
from typing import NamedTuple

import numpy as np
import pytest

from envs import circuit as circuits
from envs import expert
from envs.conditions import Conditions, draw
from envs.true_state import PREVIEW_POINTS, PREVIEW_STEP, TrueState
from envs.world import World

CASES = [(name, direction) for name in circuits.names() for direction in ("forward", "reverse")]


class Lap(NamedTuple):
    outcome: str | None
    average_speed: float
    deviation: float


def lap(name: str, direction: circuits.Direction, conditions: Conditions) -> Lap:
    with World(circuits.load(name).facing(direction), conditions, camera=False) as world:
        offsets = [abs(world.reset().progress.offset)]
        while world.outcome is None:
            offsets.append(abs(world.step(expert.command(world.true_state)).observation.progress.offset))
        return Lap(world.outcome, world.progress.distance / world.time, float(np.mean(offsets)))


@pytest.mark.parametrize(("name", "direction"), CASES)
def test_laps_every_circuit(name: str, direction: circuits.Direction) -> None:
    result = lap(name, direction, draw("nominal", 0, name, direction))
    assert result.outcome == "completed"
    assert result.deviation < 0.10
    assert result.average_speed > 8.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("name", "direction"), CASES)
def test_laps_every_circuit_in_varied_conditions(name: str, direction: circuits.Direction, seed: int) -> None:
    result = lap(name, direction, draw("varied", seed, name, direction))
    assert result.outcome == "completed"
    assert result.deviation < 0.15


def test_laps_with_the_least_grip() -> None:
    result = lap("simple", "forward", Conditions(grip=0.6, start_offset=0.8, start_heading=0.14))
    assert result.outcome == "completed"


def straight(speed: float, bend_at: int | None = None, curvature: float = 0.1) -> TrueState:
    ahead = PREVIEW_STEP * np.arange(1.0, PREVIEW_POINTS + 1)
    bends = np.zeros(PREVIEW_POINTS)
    if bend_at is not None:
        bends[bend_at:] = curvature
    return TrueState(speed, 0.0, 0.0, 0.0, np.column_stack((ahead, np.zeros(PREVIEW_POINTS))), bends)


def test_goes_straight_at_top_speed() -> None:
    assert expert.speed(straight(10.0)) == expert.TOP_SPEED
    assert expert.steering(straight(10.0)) == 0.0


def test_brakes_for_a_bend_in_view_and_not_before() -> None:
    in_the_bend = (expert.LATERAL / 0.1) ** 0.5
    assert expert.speed(straight(10.0, bend_at=PREVIEW_POINTS - 1)) == expert.TOP_SPEED
    assert expert.speed(straight(10.0, bend_at=0)) == pytest.approx(in_the_bend)
    halfway = expert.speed(straight(10.0, bend_at=4))
    assert in_the_bend < halfway < expert.TOP_SPEED


def test_steers_back_to_the_centreline() -> None:
    state = straight(8.0)
    left_of_it = state._replace(offset=0.5, preview=state.preview - (0.0, 0.5))
    assert expert.steering(left_of_it) < -0.01


def test_sees_nothing_but_the_true_state() -> None:
    assert list(inspect.signature(expert.command).parameters) == ["state"]
