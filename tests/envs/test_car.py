"""The car as a driver meets it: rest, speed, braking, turning, grip, pushes, play."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pybullet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from envs.car import CONTROL_HZ, Car, CarState, connect
from envs.car_parameters import GRAVITY, CarParameters
from envs.command import Command, normalised

if TYPE_CHECKING:
    from collections.abc import Iterable

CAR = CarParameters()


def driven(
    commands: Iterable[Command],
    *,
    speed: float = 0.0,
    grip: float = 1.0,
    yaw: float = 0.0,
    play: float = 0.0,
    pushes: tuple[float, ...] = (),
) -> list[CarState]:
    """States of a fresh car before the first and after each command; the first steps may be pushed."""
    client = connect()
    try:
        car = Car(client, grip=grip, steering_play=play)
        car.place(0.0, 0.0, yaw, speed)
        states = [car.state()]
        for number, command in enumerate(commands):
            car.apply(command)
            if number < len(pushes):
                car.push(pushes[number])
            car.step()
            states.append(car.state())
        return states
    finally:
        pybullet.disconnect(client)


def way(states: list[CarState]) -> float:
    return math.hypot(states[-1].x - states[0].x, states[-1].y - states[0].y)


def test_place_is_where_the_state_says() -> None:
    state = driven([], yaw=-2.0, speed=7.0)[0]
    assert state == pytest.approx(CarState(0, 0, 0, 0, 0, -2.0, 7.0, 0, 0), abs=1e-9)


@pytest.mark.parametrize("grip", [0.0, 0.3, 1.0])
def test_rests_without_creeping(grip: float) -> None:
    states = driven([normalised(0.0, 0.2)] * 30 * CONTROL_HZ, grip=grip)
    assert way(states) < 1e-9
    assert max(abs(state.z) for state in states) < 1e-9


@pytest.mark.parametrize("grip", [0.3, 1.0])
def test_comes_to_rest_and_stays(grip: float) -> None:
    states = driven([normalised(8.0, 0.3)] * 20 + [normalised(0.0, -0.3)] * 300, speed=8.0, grip=grip)
    assert way(states[200:]) < 0.001


@pytest.mark.parametrize("speed", [1.0, 5.0, 12.0])
def test_reaches_the_speed_it_is_told(speed: float) -> None:
    last = driven([normalised(speed, 0.0)] * 160)[-1]
    assert last.speed == pytest.approx(speed, rel=0.01)
    assert abs(last.y) < 1e-6


@pytest.mark.parametrize("grip", [0.2, 1.0])
def test_acceleration_is_limited(grip: float) -> None:
    speeds = np.array([state.speed for state in driven([normalised(15.0, 0.0)] * 60, grip=grip)])
    most = np.diff(speeds[20:30]).max() * CONTROL_HZ
    # The front wheels drive, and the more they pull, the less they carry.
    front = grip * GRAVITY * CAR.front_share / (1.0 + grip * CAR.mass_centre_height / CAR.wheelbase)
    assert most == pytest.approx(min(CAR.max_acceleration, front), rel=0.01)


@pytest.mark.parametrize("grip", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("speed", [4.0, 8.0, 12.0])
def test_braking_distance(grip: float, speed: float) -> None:
    states = driven([normalised(0.0, 0.0)] * 150, speed=speed, grip=grip)
    assert states[-1].speed == pytest.approx(0.0, abs=0.001)
    braking = min(CAR.max_braking, grip * GRAVITY)
    # The speed controller takes over at `gentle` and lets the speed decay exponentially from there.
    gentle = braking / CAR.speed_gain
    expected = (speed**2 - gentle**2) / (2.0 * braking) + gentle * (1.0 / CAR.speed_gain - 0.5 / CONTROL_HZ)
    assert way(states) == pytest.approx(expected, rel=0.02, abs=0.03)


@pytest.mark.parametrize("target", [0.0, 3.0])
def test_never_rolls_back(target: float) -> None:
    assert min(state.speed for state in driven([normalised(target, 0.0)] * 100, speed=6.0)) > -0.05


@pytest.mark.parametrize("steering", [0.02, 0.05, 0.1, 0.2, -0.1])
def test_turns_on_the_radius_of_its_wheelbase_when_slow(steering: float) -> None:
    last = driven([normalised(2.0, steering)] * 200, speed=2.0)[-1]
    assert last.speed / last.yaw_rate == pytest.approx(CAR.wheelbase / math.tan(steering), rel=0.01)
    assert last.steering == pytest.approx(steering)


@pytest.mark.parametrize("grip", [0.4, 0.6, 1.0])
def test_grip_ends_where_friction_says(grip: float) -> None:
    """Too fast for its steering it slides wide, on the circle on which friction just holds it."""
    speed = math.sqrt(grip * GRAVITY * 20.0)
    rows = np.array(driven([normalised(speed, 0.3)] * 600, speed=speed, grip=grip))[200:]
    speeds, turning = rows[:, 6], rows[:, 7]
    assert (speeds * turning).mean() == pytest.approx(grip * GRAVITY, rel=0.02)
    assert (speeds / turning).mean() > 2.0 * CAR.wheelbase / math.tan(0.3)


def test_steering_takes_its_time() -> None:
    angles = np.array([state.steering for state in driven([normalised(3.0, 0.5)] * 20, speed=3.0)])
    assert np.diff(angles).max() == pytest.approx(CAR.steering_rate / CONTROL_HZ)
    assert angles[-1] == pytest.approx(0.5)


def test_play_lets_the_wheels_lag_behind() -> None:
    """Play of 0.04 rad: the wheels stand 0.02 behind the servo, on the side from which it last dragged them."""
    servo = [0.1, 0.09, 0.07, 0.05, 0.0, 0.03, 0.06]
    wheels = [0.08, 0.08, 0.08, 0.07, 0.02, 0.02, 0.04]
    held = [normalised(3.0, angle) for angle in servo for _ in range(5)]
    states = driven(held, speed=3.0, play=0.04)
    assert [state.steering for state in states[5::5]] == pytest.approx(wheels)


def test_without_play_nothing_lags() -> None:
    wavy = [normalised(3.0, 0.02 * math.sin(0.5 * i)) for i in range(40)]
    states = driven(wavy, speed=3.0)[1:]
    assert [state.steering for state in states] == pytest.approx([command.steering * 0.5 for command in wavy])


def test_a_push_on_ice_gives_its_speed_and_no_more() -> None:
    speed_left = 3.0 / CONTROL_HZ  # 3 m/s^2 for one control step
    states = driven([normalised(5.0, 0.0)] * 41, speed=5.0, grip=0.0, pushes=(3.0,))
    assert states[-1].y - states[1].y == pytest.approx(speed_left * 40 / CONTROL_HZ)
    assert states[1].y == pytest.approx(speed_left / 2.0 / CONTROL_HZ)
    assert states[-1].speed == pytest.approx(5.0)


@pytest.mark.parametrize("grip", [0.5, 1.0])
def test_a_standing_car_holds_against_a_push_weaker_than_its_grip(grip: float) -> None:
    states = driven([normalised(0.0, 0.0)] * 40, grip=grip, pushes=(3.0,) * 10)
    assert way(states) < 0.01


@pytest.mark.parametrize(("grip", "push"), [(0.2, 4.0), (0.3, 4.0), (0.3, -5.0)])
def test_a_standing_car_slides_under_a_push_stronger_than_its_grip(grip: float, push: float) -> None:
    friction, seconds = grip * GRAVITY, 10 / CONTROL_HZ
    excess = abs(push) - friction
    expected = 0.5 * excess * seconds**2 * (1.0 + excess / friction)  # while pushed, then until friction has stopped it
    states = driven([normalised(0.0, 0.0)] * 80, grip=grip, pushes=(push,) * 10)
    assert states[-1].y == pytest.approx(math.copysign(expected, push), rel=0.05)


def test_leans_outwards_and_dips_its_nose() -> None:
    left = driven([normalised(8.0, 0.1)] * 100, speed=8.0)[-1]
    sideways = left.speed * left.yaw_rate
    gradient = CAR.mass * CAR.mass_centre_height / CAR.roll_stiffness
    assert left.roll == pytest.approx(gradient * sideways, rel=0.03)  # the left side, inside the bend, rises
    braking = driven([normalised(0.0, 0.0)] * 10, speed=12.0)[-1]
    assert 0.01 < braking.pitch < 0.03


def test_neither_tips_nor_shakes_at_speed() -> None:
    slalom = [normalised(12.0, 0.5 * math.sin(0.3 * i)) for i in range(200)]
    assert max(abs(state.roll) for state in driven(slalom, speed=12.0)) < 0.1
    steady = driven([normalised(12.0, 0.04)] * 200, speed=12.0)[100:]
    assert np.ptp([state.z for state in steady]) < 0.001
    assert np.ptp([state.yaw_rate for state in steady]) < 0.001


def test_left_and_right_mirror_each_other() -> None:
    left = driven([normalised(9.0, 0.2)] * 60, speed=9.0, pushes=(2.0,))[-1]
    right = driven([normalised(9.0, -0.2)] * 60, speed=9.0, pushes=(-2.0,))[-1]
    assert (right.y, right.yaw, right.roll) == pytest.approx((-left.y, -left.yaw, -left.roll), abs=1e-9)


def test_north_is_like_east() -> None:
    commands = [normalised(9.0, 0.2 * math.sin(i / 5.0)) for i in range(100)]
    east, north = driven(commands, speed=9.0)[-1], driven(commands, speed=9.0, yaw=math.pi / 2.0)[-1]
    assert (north.x, north.y, north.yaw) == pytest.approx((-east.y, east.x, east.yaw + math.pi / 2.0), abs=1e-9)


def whole(states: list[CarState]) -> bool:
    rows = np.array(states)
    # z; roll and pitch; speed: a push may add to what the motors give.
    within = np.abs(rows[:, [2, 3, 4, 6]]).max(axis=0) < (0.1, 0.15, 0.15, 20.0)
    return bool(np.isfinite(rows).all() and within.all())


def test_ten_thousand_random_commands_leave_it_whole() -> None:
    random = np.random.default_rng(7)
    held = np.repeat(random.uniform(-1.0, 1.0, (600, 2)), random.integers(1, 39, 600), axis=0)[:10_000]
    assert len(held) == 10_000
    assert whole(driven((Command(*row) for row in held.tolist()), grip=0.8))


one = some.floats(-1.0, 1.0)
drives = some.lists(some.tuples(one, one, some.floats(-4.0, 4.0), some.integers(1, 30)), min_size=1, max_size=20)


@given(drives, some.floats(0.0, 1.1), some.floats(0.0, 0.1), some.floats(0.0, 15.0))
@settings(deadline=None, max_examples=60)
def test_any_commands_and_pushes_leave_it_whole(
    drive: list[tuple[float, float, float, int]], grip: float, play: float, speed: float
) -> None:
    commands = [Command(v, angle) for v, angle, _, steps in drive for _ in range(steps)]
    pushes = tuple(push for *_, push, steps in drive for _ in range(min(steps, 10)))
    assert whole(driven(commands, speed=speed, grip=grip, play=play, pushes=pushes))


def test_same_commands_same_bits() -> None:
    commands = [normalised(9.0, 0.2 * math.sin(i / 5.0)) for i in range(100)]
    first = driven(commands)
    driven([Command(1.0, 1.0)] * 30, grip=0.7)
    assert driven(commands) == first


def test_placing_it_again_starts_afresh() -> None:
    client = connect()
    car = Car(client, steering_play=0.03)
    runs = []
    for _ in range(2):
        car.place(1.0, 2.0, 0.5, 6.0)
        for _ in range(20):
            car.apply(normalised(8.0, 0.3))
            car.step()
        runs.append(car.state())
        car.apply(normalised(0.0, -0.3))
        car.push(3.0)
    pybullet.disconnect(client)
    assert runs[0] == runs[1]


def test_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="nan"):
        driven([Command(math.nan, 0.0)])
    with pytest.raises(ValueError, match="inf"):
        driven([Command(0.0, 0.0)], pushes=(math.inf,))


@pytest.mark.parametrize("wrong", [{"grip": -0.1}, {"grip": math.nan}, {"play": -0.1}, {"play": math.inf}])
def test_refuses_impossible_conditions(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not negative"):
        driven([], **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [10, 90])
def test_refuses_a_rate_that_the_control_rate_does_not_divide(rate: int) -> None:
    parameters = replace(CAR, physics_hz=rate)
    client = connect(parameters)
    with pytest.raises(ValueError, match="multiple of 20"):
        Car(client, parameters)
    pybullet.disconnect(client)
