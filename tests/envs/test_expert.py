"""The expert laps every circuit: its table is `python -m benchmarks.world --laps`."""

from __future__ import annotations

import inspect
import math
from typing import NamedTuple

import numpy as np
import pytest

from envs import circuit as circuits
from envs import expert
from envs.car_parameters import CarParameters
from envs.conditions import Conditions, draw
from envs.true_state import PREVIEW_POINTS, PREVIEW_STEP, TrueState
from envs.world import World

DIRECTIONS: tuple[circuits.Direction, ...] = ("forward", "reverse")
BENCHMARK = [(name, direction) for name in circuits.names("benchmark") for direction in DIRECTIONS]
TRAINING = [(name, direction) for name in circuits.names("training") for direction in DIRECTIONS]


class Lap(NamedTuple):
    outcome: str | None
    average_speed: float
    deviation: float


def lap(name: str, direction: circuits.Direction, conditions: Conditions) -> Lap:
    with World(circuits.load(name).facing(direction), conditions, camera=None) as world:
        offsets = [abs(world.reset().progress.offset)]
        while world.outcome is None:
            offsets.append(abs(world.step(expert.command(world.true_state)).observation.progress.offset))
        return Lap(world.outcome, world.progress.distance / world.time, float(np.mean(offsets)))


@pytest.mark.parametrize(("name", "direction"), BENCHMARK)
def test_laps_the_benchmark(name: str, direction: circuits.Direction) -> None:
    result = lap(name, direction, draw("nominal", 0, name, direction))
    assert result.outcome == "completed"
    assert result.deviation < 0.10
    assert result.average_speed > (8.5 if name == "many_curves" else 9.5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "direction"), TRAINING)
def test_laps_the_training_circuits(name: str, direction: circuits.Direction) -> None:
    result = lap(name, direction, draw("nominal", 0, name, direction))
    assert result.outcome == "completed"
    assert result.deviation < 0.10
    assert result.average_speed > 8.0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "direction"), BENCHMARK + TRAINING)
def test_laps_in_varied_conditions(name: str, direction: circuits.Direction) -> None:
    assert lap(name, direction, draw("varied", 0, name, direction)).outcome == "completed"
    result = lap(name, direction, draw("training", 0, name, direction))
    assert result.outcome == "completed"
    assert result.deviation < 0.20  # it sees neither the grip nor the pushes, which in a bend may exceed it


def test_laps_with_the_least_grip() -> None:
    result = lap("many_curves", "forward", Conditions(grip=0.6, start_offset=0.8, start_heading=0.14))
    assert result.outcome == "completed"
    assert result.deviation < 0.10


@pytest.mark.parametrize("grip", [0.6, 1.0])
def test_comes_back_after_being_led_astray(grip: float) -> None:
    with World(circuits.load("simple"), Conditions(grip=grip), camera=None) as world:
        world.reset()
        farthest = 0.0
        while world.outcome is None:
            wanted = expert.command(world.true_state)
            astray = 0.25 * (-1) ** (world.step_index // 80) if world.step_index % 80 < 10 else 0.0
            world.step(wanted._replace(steering=wanted.steering + astray))
            farthest = max(farthest, abs(world.progress.offset))
            if world.step_index % 80 == 79:
                assert abs(world.progress.offset) < 0.3
        assert world.outcome == "completed"
        assert farthest > 0.5


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


def test_never_asks_for_more_than_the_tyres_hold() -> None:
    astray = straight(11.0)
    astray = astray._replace(offset=2.5, preview=astray.preview - (0.0, 2.5))
    car = CarParameters()
    curvature = math.tan(expert.steering(astray)) / (car.wheelbase + car.understeer * 11.0**2)
    assert curvature * 11.0**2 == pytest.approx(-expert.LATERAL_LIMIT)
    assert expert.speed(astray) < 0.8 * expert.TOP_SPEED


def test_steers_back_to_the_centreline() -> None:
    state = straight(8.0)
    left_of_it = state._replace(offset=0.5, preview=state.preview - (0.0, 0.5))
    assert expert.steering(left_of_it) < -0.01


def test_sees_nothing_but_the_true_state() -> None:
    assert list(inspect.signature(expert.command).parameters) == ["state"]
