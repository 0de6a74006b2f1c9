"""The judge's properties: no metre that was not driven, no jump, no lap from standing, circling or reversing."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import circuit as circuits
from envs.progress import COMPLETED, LEFT_LANE, STALLED, TIMEOUT, Judge, Limits, Progress, ProgressState

if TYPE_CHECKING:
    from envs.circuit import Circuit

WIDTH = 6.0
CIRCLE = f"width = {WIDTH}\n[[segments]]\nradius = 20.0\nangle = 360.0\n"


@cache
def circle() -> Circuit:
    return circuits.parse(CIRCLE, "circle")


@cache
def simple(direction: circuits.Direction = "forward") -> Circuit:
    return circuits.load("simple").facing(direction)


def followed(circuit: Circuit, places: np.ndarray, offsets: np.ndarray) -> tuple[list[ProgressState], float]:
    """The judge's states for a car led along (place [m], offset [m]), and the metres it drove."""
    path = [circuit.pose(float(s), float(d)) for s, d in zip(places, offsets, strict=True)]
    progress = Progress(circuit, *path[0][:2])
    states = [progress.update(*pose) for pose in path]
    xy = np.array(path)[:, :2]
    return states, float(np.hypot(*np.diff(xy, axis=0).T).sum())


def test_place_on_a_circle_is_exact() -> None:
    angle = heading = 33.3 / 20.0
    x, y = 18.75 * math.sin(angle), 20.0 - 18.75 * math.cos(angle)
    progress = Progress(circle(), x, y)
    state = progress.update(x, y, heading + 0.1)
    assert state.s == pytest.approx(33.3, abs=1e-3)
    assert state.offset == pytest.approx(1.25, abs=1e-3)
    assert state.heading_error == pytest.approx(0.1, abs=1e-3)
    assert state.curvature == pytest.approx(0.05, rel=1e-6)
    assert state.distance == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@settings(max_examples=25, deadline=None)
@given(start=st.floats(0.0, 1.0), offset=st.floats(-2.9, 2.9))
def test_a_lap_from_anywhere_is_a_lap_and_back_is_none(
    direction: circuits.Direction, start: float, offset: float
) -> None:
    circuit = simple(direction)
    steps = 1 + math.ceil(circuit.length / 0.7)
    there = start * circuit.length + np.linspace(0.0, circuit.length, steps)
    places = np.concatenate((there, there[::-1]))
    states, _ = followed(circuit, places, np.full(len(places), offset))
    distances = np.array([state.distance for state in states])
    assert distances[steps - 1] == pytest.approx(circuit.length, abs=0.02)
    assert distances[-1] == pytest.approx(0.0, abs=1e-6)
    assert np.diff(distances[:steps]).min() > 0.0
    assert [state.offset for state in states] == pytest.approx([offset] * len(states), abs=0.02)


@settings(max_examples=50, deadline=None)
@given(
    start=st.floats(0.0, 1.0),
    strides=st.lists(st.floats(-0.75, 0.75), min_size=2, max_size=200),
    sways=st.lists(st.floats(-0.6, 0.6), min_size=200, max_size=200),
)
def test_no_more_metres_than_were_driven(start: float, strides: list[float], sways: list[float]) -> None:
    circuit = simple()
    places = start * circuit.length + np.cumsum(strides)
    offsets = np.clip(np.cumsum(sways[: len(strides)]), -2.9, 2.9)
    states, driven = followed(circuit, places, offsets)
    # The inside of a bend is shorter than the centreline: by this factor at most, and not more. Chords between two
    # points of the path stray a little further inside than their ends: 5 cm for strides of a metre.
    inside = 1.0 / (1.0 - (2.9 + 0.05) / circuit.smallest_radius)
    assert abs(states[-1].distance - states[0].distance) <= driven * inside + 1e-3


def test_standing_and_circling_in_place_win_nothing() -> None:
    x, y, heading = simple().pose(50.0)
    progress = Progress(simple(), x, y)
    for i in range(500):
        state = progress.update(x + 2.0 * math.cos(0.2 * i), y + 2.0 * math.sin(0.2 * i), heading + 0.2 * i)
        assert abs(state.distance) < 2.5
    state = progress.update(x, y, heading)
    assert state.distance == pytest.approx(0.0, abs=1e-3)


def test_reversing_loses_distance_across_the_seam() -> None:
    states, _ = followed(simple(), np.arange(5.0, -40.0, -0.5), np.zeros(90))
    assert states[-1].distance == pytest.approx(-44.5, abs=0.01)
    assert states[-1].s == pytest.approx(simple().length - 39.5, abs=0.01)


def test_never_jumps_to_a_part_that_nearly_touches() -> None:
    circuit = near_miss()
    gaps = np.hypot(*(circuit.points[:, None] - circuit.points[None]).transpose(2, 0, 1))
    apart = np.abs(circuit.s[:, None] - circuit.s[None])
    apart = np.minimum(apart, circuit.length - apart)
    gaps[apart < 40.0] = np.inf
    assert gaps.min() < WIDTH + 2.0  # the circuit is what the test needs
    for offset in (-2.95, 2.95):
        places = np.arange(0.0, circuit.length, 0.6)
        states, _ = followed(circuit, places, np.full(len(places), offset))
        assert [state.distance for state in states] == pytest.approx(places.tolist(), abs=0.1)


def near_miss() -> Circuit:
    """A hairpin whose legs come close to each other."""
    knots: list[list[float]] = [
        [0, 0],
        [40, 0],
        [80, 0],
        [100, 6],
        [104, 20],
        [92, 30],
        [70, 22],
        [50, 7.5],
        [30, 7.5],
        [10, 16],
    ]
    knots += [[-10, 30], [-30, 30], [-36, 14], [-24, 2]]
    return circuits.parse(f"width = {WIDTH}\nclosed = true\npoints = {[[float(x), float(y)] for x, y in knots]}", "pin")


def at(distance: float, offset: float = 0.0) -> ProgressState:
    return ProgressState(s=0.0, distance=distance, offset=offset, heading_error=0.0, curvature=0.0, left=3.0, right=3.0)


def judge() -> Judge:
    return Judge(length=100.0, limits=Limits())


def test_completed_at_the_whole_lap_and_not_before() -> None:
    assert judge().outcome(at(99.999), 3.0) is None
    assert judge().outcome(at(100.0), 3.0) == COMPLETED


def test_lane_left_beyond_its_edge() -> None:
    assert judge().outcome(at(1.0, 3.0), 3.0) is None
    assert judge().outcome(at(1.0, 3.001), 3.0) == LEFT_LANE
    assert judge().outcome(at(1.0, -3.001), 3.0) == LEFT_LANE
    assert judge().outcome(at(100.0, 3.001), 3.0) == LEFT_LANE


def test_stalled_after_five_seconds_without_half_a_metre() -> None:
    verdict = judge()
    assert verdict.outcome(at(0.4), 4.95) is None
    assert verdict.outcome(at(0.4), 5.0) == STALLED
    verdict = judge()
    assert verdict.outcome(at(0.5), 4.95) is None
    assert verdict.outcome(at(0.9), 9.9) is None
    assert verdict.outcome(at(0.9), 9.95) == STALLED


def test_driving_back_is_a_stall_too() -> None:
    verdict = judge()
    outcomes = [verdict.outcome(at(-0.1 * i), 0.05 * i) for i in range(1, 101)]
    assert outcomes[:-1] == [None] * 99
    assert outcomes[-1] == STALLED


def test_crawling_times_out() -> None:
    limit = Limits().time_limit(100.0)
    assert limit == pytest.approx(130.0)
    verdict = judge()
    seconds = np.arange(1.0, 131.0)
    outcomes = [verdict.outcome(at(0.7 * second), float(second)) for second in seconds]
    assert outcomes[:-1] == [None] * 129
    assert outcomes[-1] == TIMEOUT
