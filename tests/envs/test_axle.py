"""Springs and tyres of one axle, on their own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from envs.axle import Axle
from envs.car_parameters import GRAVITY, CarParameters

CAR = CarParameters()
STEP = 1.0 / CAR.physics_hz
INSTANT = 1e-9
"""A step so short that a force does not change within it [s]."""


def axle(grip: float = 1.0, step: float = INSTANT) -> Axle:
    return Axle(0.5, CAR, grip, step)


WEIGHT = 0.5 * CAR.mass * GRAVITY


def test_springs_carry_and_dampers_resist() -> None:
    mass, pulse = 0.5 * CAR.mass, 2.0 * math.pi * CAR.ride_frequency
    assert axle().load(0.0, 0.0, 0.0) == pytest.approx(WEIGHT)
    assert axle().load(-0.01, 0.0, 0.0) == pytest.approx(WEIGHT + mass * pulse**2 * 0.01)
    assert axle().load(0.0, -0.1, 0.0) == pytest.approx(WEIGHT + 2.0 * CAR.damping_ratio * mass * pulse * 0.1)


def test_stops_are_stiffer_than_springs() -> None:
    at, beyond = (axle().load(-CAR.travel - more, 0.0, 0.0) for more in (0.0, 0.01))
    assert beyond - at == pytest.approx((1.0 + CAR.stop_stiffness) * (at - WEIGHT) * 0.01 / CAR.travel)


def test_a_wheel_in_the_air_carries_nothing() -> None:
    sag = GRAVITY / (2.0 * math.pi * CAR.ride_frequency) ** 2
    assert axle().load(1.01 * sag, -5.0, 0.0) == 0.0


@given(some.floats(-2.0, 2.0), some.floats(-20.0, 20.0), some.floats(-1e5, 1e5))
def test_the_road_never_pulls(height: float, rising: float, lift: float) -> None:
    assert axle(step=STEP).load(height, rising, lift) >= 0.0


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_lateral_force_is_the_brush_models(share: float) -> None:
    """F / (mu N) = 1 - (1 - C tan(alpha) / (3 mu N))^3."""
    slip = share * 3.0 * 0.8 * WEIGHT / CAR.cornering_stiffness
    along, across = axle(0.8).tyres(10.0, 10.0 * slip, 0.0, WEIGHT, 0.0)
    assert along == 0.0
    assert across == pytest.approx(-0.8 * WEIGHT * (1.0 - (1.0 - share) ** 3))


@pytest.mark.parametrize("slip", [0.3, 5.0, -2.0])
def test_a_sliding_tyre_gives_its_grip(slip: float) -> None:
    along, across = axle(0.5).tyres(8.0, 8.0 * slip, 0.0, WEIGHT, 0.0)
    assert (along, across) == pytest.approx((0.0, -math.copysign(0.5 * WEIGHT, slip)))


speeds = some.floats(-30.0, 30.0)


@given(speeds, speeds, some.floats(0.0, 1e5), some.floats(-1e5, 1e5), some.floats(0.0, 2.0))
def test_forces_stay_in_the_friction_circle(
    along: float, across: float, load: float, drive: float, grip: float
) -> None:
    forces = axle(grip, STEP).tyres(along, across, 0.0, load, drive)
    assert math.hypot(*forces) <= grip * load * (1.0 + 1e-12) + 1e-9


@given(speeds, speeds, some.floats(-1e5, 0.0), some.floats(0.0, 2.0))
def test_brakes_and_slip_only_oppose(along: float, across: float, drive: float, grip: float) -> None:
    force_along, force_across = axle(grip, STEP).tyres(along, across, 0.0, WEIGHT, drive)
    assert force_along * along <= 0.0
    assert force_across * across <= 0.0


@given(speeds, speeds, some.floats(-1e6, 0.0))
def test_no_force_does_more_than_stop_its_contact(along: float, across: float, drive: float) -> None:
    force_along, force_across = axle(1000.0, STEP).tyres(along, across, 0.0, WEIGHT, drive)
    mass, height = 0.5 * CAR.mass, CAR.mass_centre_height
    stopped = abs(force_across) * STEP * (1.0 / mass + height**2 / CAR.roll_inertia)
    assert stopped <= abs(across) * (1.0 + 1e-12)
    both = 2.0 * abs(force_along) * STEP * (1.0 / CAR.mass + height**2 / CAR.yaw_inertia)
    assert both <= abs(along) * (1.0 + 1e-12)


def test_what_pushes_is_held_before_it_moves() -> None:
    kick = 3.0 * STEP / 2.0
    _, across = axle(step=STEP).tyres(0.0, 0.0, kick, WEIGHT, 0.0)
    halting = 1.0 / (1.0 / (0.5 * CAR.mass) + CAR.mass_centre_height**2 / CAR.roll_inertia)
    assert across == pytest.approx(-halting * 3.0)
