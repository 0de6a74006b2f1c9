"""The car's equations of motion against closed forms: single-track model, energy, free fall, ever shorter steps."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pybullet
import pytest

from envs.car import CONTROL_HZ, Car, connect
from envs.car_parameters import GRAVITY, CarParameters
from envs.command import Command, normalised

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CAR = CarParameters()
STICKY = 1000.0
"""A grip so high that tyres are linear."""


@contextmanager
def placed(speed: float, grip: float = 1.0, parameters: CarParameters = CAR) -> Iterator[Car]:
    client = connect(parameters)
    try:
        car = Car(client, parameters, grip)
        car.place(0.0, 0.0, 0.0, speed)
        yield car
    finally:
        pybullet.disconnect(client)


def drive(car: Car, speed: float, steering: float, steps: int = 1) -> None:
    for _ in range(steps):
        car.apply(normalised(speed, steering))
        car.step()


def test_axles_carry_the_car() -> None:
    assert CAR.to_front + CAR.to_rear == pytest.approx(CAR.wheelbase)
    with placed(0.0) as car:
        loads = car._front.load(0.0, 0.0, 0.0), car._rear.load(0.0, 0.0, 0.0)
        assert sum(loads) == pytest.approx(CAR.mass * GRAVITY)
        assert loads[0] * CAR.to_front == pytest.approx(loads[1] * CAR.to_rear)


def test_steers_into_a_bend_a_little_more_when_fast() -> None:
    assert 0.5 < math.degrees(CAR.understeer * GRAVITY) < 3.0  # what road cars have [degrees/g]


@pytest.mark.parametrize("steering", [0.01, -0.03])
@pytest.mark.parametrize("speed", [4.0, 8.0, 14.0])
def test_steady_yaw_rate(speed: float, steering: float) -> None:
    """Yaw rate = v delta / (L + K v^2) where tyres are linear (Rajamani, section 3.3)."""
    with placed(speed, STICKY) as car:
        drive(car, speed, steering, 200)
        v = car.state().speed
        expected = v * math.tan(steering) / (CAR.wheelbase + CAR.understeer * v * v)
        assert car.state().yaw_rate == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("grip", [0.5, 1.0])
def test_steady_circle_with_tyres_near_their_limit(grip: float, share: float) -> None:
    """Steering = angle of the front axle's way + its slip, each slip the brush model's for a share of the grip."""
    speed = math.sqrt(share * grip * GRAVITY * 25.0)
    with placed(speed, grip) as car:
        steering = 0.05
        for _ in range(600):  # hold the radius that has the wanted lateral acceleration
            state = car.state()
            steering += 0.01 * (share * grip * GRAVITY / speed - state.yaw_rate)
            drive(car, speed, steering)
        state = car.state()
        used = state.speed * state.yaw_rate / (grip * GRAVITY)
        front, rear = (
            math.atan(3.0 * grip * load * (1.0 - (1.0 - used) ** (1.0 / 3.0)) / CAR.cornering_stiffness)
            for load in np.array((CAR.front_share, 1.0 - CAR.front_share)) * CAR.mass * GRAVITY
        )
        turned = math.atan(CAR.wheelbase * state.yaw_rate / state.speed - math.tan(rear))
        assert used == pytest.approx(share, rel=0.02)
        assert state.steering == pytest.approx(turned + front, rel=0.02)


def ramp_response(speed: float, steering: float, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Yaw rate of the linear single-track model while and after the steering turns in one control step [rad/s]."""
    c, m, inertia, a, b = CAR.cornering_stiffness, CAR.mass, CAR.yaw_inertia, CAR.to_front, CAR.to_rear
    system = np.array(
        (
            (-2.0 * c / (m * speed), c * (b - a) / (m * speed) - speed),
            (c * (b - a) / (inertia * speed), -c * (a * a + b * b) / (inertia * speed)),
        )
    )
    inverse = np.linalg.inv(system)
    steady = -inverse @ (c / m, c * a / inertia)
    values, vectors = np.linalg.eig(system)

    def integral(time: float) -> NDArray[np.float64]:
        """Of the response to a unit step at time 0."""
        power = (vectors * np.exp(values * time)) @ np.linalg.inv(vectors)
        response: NDArray[np.float64] = (np.eye(2) * time - inverse @ (power - np.eye(2))).real @ steady
        return response if time > 0.0 else np.zeros(2)

    turning = 1.0 / CONTROL_HZ
    return np.array([steering * (integral(t) - integral(t - turning))[1] / turning for t in times])


@pytest.mark.parametrize(("height", "within"), [(0.0, 0.005), (CAR.mass_centre_height, 0.08)])
@pytest.mark.parametrize("speed", [5.0, 10.0, 14.0])
def test_step_steer(speed: float, height: float, within: float) -> None:
    """Like the linear single-track model, to which a low car comes down; a high one rolls meanwhile."""
    parameters = replace(CAR, steering_rate=100.0, mass_centre_height=height)
    with placed(speed, STICKY, parameters) as car:
        rates = [0.0]
        for _ in range(40):
            drive(car, speed, 0.01)
            rates.append(car.state().yaw_rate)
    expected = ramp_response(speed, 0.01, np.arange(41.0) / CONTROL_HZ)
    assert np.abs(rates - expected).max() < within * expected[-1]
    assert rates[-1] == pytest.approx(expected[-1], rel=0.002)


@pytest.mark.parametrize("grip", [0.2, 0.6, 1.1])
def test_the_road_never_gives_more_than_grip(grip: float) -> None:
    random = np.random.default_rng(3)
    with placed(14.0, grip) as car:
        velocities = [pybullet.getBaseVelocity(car._body, car._client)[0]]
        for speed, steering in np.repeat(random.uniform(-1.0, 1.0, (60, 2)), 20, axis=0).tolist():
            car.apply(Command(speed, steering))
            car.step()
            velocities.append(pybullet.getBaseVelocity(car._body, car._client)[0])
    accelerations = np.hypot(*np.diff(velocities, axis=0)[:, :2].T) * CONTROL_HZ
    # What springs and dampers add to the weight for a moment adds to the grip.
    assert 0.97 * grip * GRAVITY < accelerations.max() < 1.05 * grip * GRAVITY


def energy(car: Car) -> float:
    """Kinetic energy and that of springs and weight, 0 at rest [J]; positions half a step back, to the velocities."""
    half = car._step / 2.0
    (_, _, z), orientation = pybullet.getBasePositionAndOrientation(car._body, car._client)
    velocity, spin = (np.array(part) for part in pybullet.getBaseVelocity(car._body, car._client))
    axes = np.array(pybullet.getMatrixFromQuaternion(orientation)).reshape(3, 3)
    forward = np.array((axes[0, 0], axes[1, 0], 0.0)) / math.hypot(axes[0, 0], axes[1, 0])
    across = np.array((-forward[1], forward[0], 0.0))
    rise = z - CAR.mass_centre_height - half * velocity[2]
    nose, side = axes[2, 0] + half * (spin @ across), axes[2, 1] - half * (spin @ forward)
    front, rear = rise + CAR.to_front * nose, rise - CAR.to_rear * nose
    inertia = np.array((CAR.roll_inertia, CAR.yaw_inertia, CAR.yaw_inertia))
    return float(
        0.5 * CAR.mass * (velocity @ velocity)
        + 0.5 * (inertia @ (axes.T @ spin) ** 2)
        + 0.5 * (car._front._spring * front**2 + car._rear._spring * rear**2 + CAR.roll_stiffness * side**2)
    )


@pytest.fixture
def energies(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Energy of the car after each of its physics steps."""
    found: list[float] = []
    plain = Car._substep

    def noted(car: Car) -> None:
        plain(car)
        found.append(energy(car))

    monkeypatch.setattr(Car, "_substep", noted)
    return found


@pytest.mark.parametrize("steering", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("grip", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("speed", [2.0, 8.0, 14.0])
def test_braking_only_takes_energy(energies: list[float], speed: float, grip: float, steering: float) -> None:
    with placed(speed, grip) as car:
        energies.append(energy(car))
        assert energies[0] == pytest.approx(0.5 * CAR.mass * speed**2)
        drive(car, 0.0, steering, 160)
    assert np.diff(energies).max() <= 1e-12 * energies[0]
    if grip > 0.0:
        assert energies[-1] < 1e-3 * energies[0]


@pytest.mark.parametrize("grip", [0.3, 1.0])
def test_a_slide_with_the_motor_off_loses_energy(energies: list[float], grip: float) -> None:
    with placed(0.0, grip) as car:
        pybullet.resetBaseVelocity(car._body, (9.0, 5.0, 0.0), (0.0, 0.0, 3.0), physicsClientId=car._client)
        energies.append(energy(car))
        for i in range(60):
            car.apply(normalised(10.0, 0.3 * math.sin(0.2 * i)))
            car._acceleration = 0.0
            car.step()
    assert np.diff(energies).max() <= 1e-12 * energies[0]
    assert energies[-1] < 0.9 * energies[0]


@pytest.mark.parametrize(("steering", "lost"), [(0.0, 0.02), (0.05, 0.2)])
def test_the_motor_gives_no_more_than_force_times_way(steering: float, lost: float) -> None:
    with placed(1.0) as car:
        for step in range(80):
            before, had = car.state(), energy(car)
            drive(car, 15.0, steering)
            after = car.state()
            # The way of the front axle, longer in a bend than that of the rear.
            way = math.hypot(after.x - before.x, after.y - before.y) / math.cos(steering)
            work = CAR.mass * max(0.0, car._acceleration) * way
            assert energy(car) - had <= work * (1.0 + 1e-3)
            if step > 20:
                assert energy(car) - had >= work * (1.0 - lost)


@pytest.mark.parametrize("height", [0.3, 0.5, 1.0])
def test_dropped_on_the_road_it_falls_freely_and_lands_on_its_springs(height: float) -> None:
    with placed(0.0) as car:
        car.place(0.0, 0.0, 0.0, above=height)
        heights = []
        for _ in range(100):
            drive(car, 0.0, 0.0)
            heights.append(car.state().z)
    sag = GRAVITY / (2.0 * math.pi * CAR.ride_frequency) ** 2  # until then its springs still touch the road
    times = np.arange(1.0, math.sqrt(2.0 * (height - sag) / GRAVITY) * CONTROL_HZ) / CONTROL_HZ
    fallen = height - 0.5 * GRAVITY * times**2
    assert len(times) > 2
    assert heights[: len(times)] == pytest.approx(fallen, abs=0.001)
    assert min(heights) > -0.5 * CAR.mass_centre_height
    assert heights[-1] == pytest.approx(0.0, abs=1e-3)


SLALOM = [normalised(11.0, 0.2 * math.sin(2.0 * math.pi * i / 50)) for i in range(80)]
BRAKING_IN_A_BEND = [normalised(10.0, 0.1)] * 40 + [normalised(0.0, 0.1)] * 40
LIMIT = [normalised(13.5, 0.13)] * 80


def path(commands: list[Command], rate: int, speed: float, grip: float) -> NDArray[np.float64]:
    with placed(speed, grip, replace(CAR, physics_hz=rate)) as car:
        points = []
        for command in commands:
            car.apply(command)
            car.step()
            points.append(car.state()[:2])
    return np.array(points)


@pytest.mark.parametrize(
    ("commands", "speed", "grip", "bound"),
    [
        (SLALOM, 11.0, 1.0, 0.005),
        (BRAKING_IN_A_BEND, 10.0, 0.6, 0.010),
        (LIMIT, 13.5, 1.0, 0.012),
        (LIMIT, 10.4, 0.6, 0.012),
    ],
    ids=["slalom", "braking in a bend", "limit", "limit on a wet road"],
)
def test_shorter_steps_change_a_path_by_millimetres(
    commands: list[Command], speed: float, grip: float, bound: float
) -> None:
    """Four seconds, some forty metres; and the error falls with the step."""
    coarse, fine, finest = (path(commands, CAR.physics_hz * factor, speed, grip) for factor in (1, 2, 8))
    error, halved = (np.hypot(*(each - finest).T).max() for each in (coarse, fine))
    assert error < bound
    assert halved < 0.6 * error
