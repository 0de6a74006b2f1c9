"""The car against what mechanics says: grip, braking, turning, rest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pybullet
import pytest

from envs.car import CONTROL_HZ, Car, CarParameters, CarState, ackermann, connect
from envs.chassis import GRAVITY, chassis
from envs.command import Command, normalised

if TYPE_CHECKING:
    from collections.abc import Iterable


def driven(commands: Iterable[Command], *, speed: float = 0.0, grip: float = 1.0, yaw: float = 0.0) -> list[CarState]:
    """States of a fresh car before the first and after each command."""
    client = connect()
    try:
        car = Car(client, grip=grip)
        car.place(0.0, 0.0, yaw, speed)
        states = [car.state()]
        for command in commands:
            car.apply(command)
            car.step()
            states.append(car.state())
        return states
    finally:
        pybullet.disconnect(client)


def way(states: list[CarState]) -> float:
    return math.hypot(states[-1].x - states[0].x, states[-1].y - states[0].y)


def test_description_gives_a_small_car() -> None:
    car = chassis()
    assert car.mass == pytest.approx(900.0)
    assert car.wheelbase == pytest.approx(2.5)
    assert car.track == pytest.approx(1.44)


def test_place_is_where_the_state_says() -> None:
    state = driven([], yaw=-2.0, speed=7.0)[0]
    assert state == pytest.approx(CarState(0, 0, 0, 0, 0, -2.0, 7.0, 0, 0), abs=1e-9)


@pytest.mark.parametrize("grip", [0.6, 1.0])
def test_rests_without_creeping(grip: float) -> None:
    states = driven([normalised(0.0, 0.0)] * 10 * CONTROL_HZ, grip=grip)
    assert way(states) < 0.002
    assert max(abs(state.z) for state in states) < 0.001


@pytest.mark.parametrize("speed", [1.0, 5.0, 12.0])
def test_reaches_the_speed_it_is_told(speed: float) -> None:
    last = driven([normalised(speed, 0.0)] * 160)[-1]
    assert last.speed == pytest.approx(speed, rel=0.01)
    assert abs(last.y) < 0.1


def test_acceleration_is_limited() -> None:
    speeds = np.array([state.speed for state in driven([normalised(15.0, 0.0)] * 60)])
    assert np.diff(speeds).max() * CONTROL_HZ <= CarParameters().max_acceleration * 1.02


@pytest.mark.parametrize("grip", [0.5, 1.0])
@pytest.mark.parametrize("speed", [8.0, 12.0])
def test_braking_distance(grip: float, speed: float) -> None:
    states = driven([normalised(0.0, 0.0)] * 150, speed=speed, grip=grip)
    assert states[-1].speed == pytest.approx(0.0, abs=0.01)
    shortest = speed**2 / (2.0 * min(CarParameters().max_braking, grip * GRAVITY))
    # The gain lets the brake go gently over the last metre: half of speed_gain x the speed where it takes over.
    assert shortest * 0.98 < way(states) < shortest * 1.06 + 0.6


@pytest.mark.parametrize("steering", [0.02, 0.05, 0.1, 0.2, -0.1])
def test_turns_on_the_radius_of_its_wheelbase(steering: float) -> None:
    last = driven([normalised(4.0, steering)] * 200, speed=4.0)[-1]
    assert last.speed / last.yaw_rate == pytest.approx(chassis().wheelbase / math.tan(steering), rel=0.02)
    assert last.steering == pytest.approx(steering)


@pytest.mark.parametrize("grip", [0.6, 1.0])
def test_grip_ends_where_friction_says(grip: float) -> None:
    radius = 20.0
    steering = math.atan(chassis().wheelbase / radius)
    limit = math.sqrt(grip * GRAVITY * radius)

    def radius_at(speed: float) -> float:
        last = driven([normalised(speed, steering)] * 120, speed=speed, grip=grip)[-1]
        return last.speed / last.yaw_rate

    assert radius_at(0.95 * limit) == pytest.approx(radius, rel=0.04)
    assert radius_at(1.05 * limit) > 1.06 * radius  # it slides wide ...
    beyond = driven([normalised(1.2 * limit, steering)] * 120, speed=1.2 * limit, grip=grip)
    sideways = max(abs(state.speed * state.yaw_rate) for state in beyond[40:])
    assert sideways < 1.1 * grip * GRAVITY  # ... and never turns harder than friction can


def test_steering_takes_its_time() -> None:
    angles = np.array([state.steering for state in driven([normalised(3.0, 0.5)] * 20, speed=3.0)])
    assert np.diff(angles).max() == pytest.approx(CarParameters().steering_rate / CONTROL_HZ)
    assert angles[-1] == pytest.approx(0.5)


def test_neither_tips_nor_shakes_at_speed() -> None:
    slalom = [normalised(12.0, 0.5 * math.sin(0.3 * i)) for i in range(200)]
    states = driven(slalom, speed=12.0)
    assert max(abs(state.roll) for state in states) < 0.1
    steady = driven([normalised(12.0, 0.04)] * 200, speed=12.0)[100:]
    assert np.ptp([state.z for state in steady]) < 0.001
    assert np.ptp([state.yaw_rate for state in steady]) < 0.01


def test_leans_outwards_and_dips_its_nose() -> None:
    left = driven([normalised(8.0, 0.1)] * 100, speed=8.0)[-1]
    assert 0.005 < left.roll < 0.05  # the left side, inside the bend, rises
    braking = driven([normalised(0.0, 0.0)] * 10, speed=12.0)[-1]
    assert 0.002 < braking.pitch < 0.03


def test_left_and_right_mirror_each_other() -> None:
    left = driven([normalised(6.0, 0.2)] * 60, speed=6.0)[-1]
    right = driven([normalised(6.0, -0.2)] * 60, speed=6.0)[-1]
    assert (right.y, right.yaw, right.roll) == pytest.approx((-left.y, -left.yaw, -left.roll), rel=0.01, abs=0.005)


def test_ackermann_axles_meet_on_the_rear_axles_line() -> None:
    car = chassis()
    left, right = ackermann(0.4, car)
    centre = car.wheelbase / math.tan(0.4)
    assert math.tan(left) == pytest.approx(car.wheelbase / (centre - car.track / 2.0))
    assert math.tan(right) == pytest.approx(car.wheelbase / (centre + car.track / 2.0))
    assert ackermann(0.0, car) == (0.0, 0.0)


def test_any_commands_leave_it_whole() -> None:
    random = np.random.default_rng(7)
    held = np.repeat(random.uniform(-1.0, 1.0, (500, 2)), random.integers(1, 39, 500), axis=0)[:10_000]
    assert len(held) > 9_000
    states = np.array(driven((Command(*row) for row in held.tolist()), grip=0.8))
    assert np.isfinite(states).all()
    assert np.abs(states[:, 2]).max() < 0.1  # z
    assert np.abs(states[:, 3:5]).max() < 0.15  # roll, pitch
    assert np.abs(states[:, 6]).max() < 15.5  # speed


def test_same_commands_same_bits() -> None:
    commands = [normalised(9.0, 0.2 * math.sin(i / 5.0)) for i in range(100)]
    first = driven(commands)
    driven([Command(1.0, 1.0)] * 30, grip=0.7)
    assert driven(commands) == first


def test_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="nan"):
        driven([Command(math.nan, 0.0)])
