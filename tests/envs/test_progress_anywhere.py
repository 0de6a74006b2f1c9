"""The judge's properties on circuits that nobody chose: random closed splines and generated tracks, random walks."""

from __future__ import annotations

import math
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import circuit as circuits
from envs.errors import InputError
from envs.progress import Progress, ProgressState

if TYPE_CHECKING:
    from envs.circuit import Circuit

STRAY = 0.05  # chords between two places of a walk stray so far inside the way between them [m]
SEEDS = st.integers(0, 24)
DIRECTIONS = st.sampled_from(("forward", "reverse"))
SHARES = st.floats(-0.95, 0.95)


@cache
def spline(seed: int) -> Circuit:
    """A small closed curve of random shape with a random width on each side."""
    for attempt in count():
        random = np.random.default_rng([seed, attempt])
        angles = (np.arange(9) + random.uniform(-0.3, 0.3, 9)) * math.tau / 9.0
        radii = random.uniform(35.0, 100.0, 9)
        sides = random.uniform(1.5, 6.0, (9, 2))
        rows = np.column_stack([radii * np.cos(angles), radii * np.sin(angles), sides])
        text = "".join(", ".join(map(str, row)) + "\n" for row in rows.tolist())
        try:
            return circuits.read(circuits.Source(f"spline {seed}", text, "csv"))
        except InputError:
            continue
    raise AssertionError


@cache
def road(seed: int, direction: circuits.Direction) -> Circuit:
    """A random spline, or for every fourth seed a generated track."""
    found = circuits.load(f"generated:{seed}:{1000 + 20 * seed}") if seed % 4 == 0 else spline(seed)
    return found.facing(direction)


def edges(circuit: Circuit, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both lane edges at arcs `s`, straight from the circuit."""
    place = np.append(circuit.s, circuit.length)
    left, right = (
        np.interp(s % circuit.length, place, np.append(side, side[0])) for side in (circuit.left, circuit.right)
    )
    return left, right


def across(circuit: Circuit, s: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Offsets [m] that are shares of the lane: 1 is the left edge, -1 the right one."""
    left, right = edges(circuit, s)
    return np.where(shares > 0.0, shares * left, shares * right)


def followed(circuit: Circuit, s: np.ndarray, offsets: np.ndarray) -> tuple[list[ProgressState], np.ndarray]:
    """The judge's states for a car led along (s, offset), and the metres driven in each step."""
    path = [circuit.pose(float(a), float(d)) for a, d in zip(s, offsets, strict=True)]
    progress = Progress(circuit, *path[0][:2])
    states = [progress.update(*pose) for pose in path]
    return states, np.hypot(*np.diff(np.array(path)[:, :2], axis=0).T)


@settings(max_examples=120, deadline=None)
@given(
    seed=SEEDS,
    direction=DIRECTIONS,
    start=st.floats(-1.0, 1.0),
    strides=st.lists(st.floats(-0.75, 0.75), min_size=2, max_size=120),
    sways=st.lists(st.floats(-0.15, 0.15), min_size=120, max_size=120),
)
def test_no_step_wins_more_than_it_drives(
    seed: int, direction: circuits.Direction, start: float, strides: list[float], sways: list[float]
) -> None:
    circuit = road(seed, direction)
    s = start * circuit.length + np.cumsum(strides)
    offsets = across(circuit, s, np.clip(np.cumsum(sways[: len(strides)]), -0.95, 0.95))
    states, driven = followed(circuit, s, offsets)
    distances = np.array([state.distance for state in states])
    index = (s // circuit.step).astype(int)[:, None] + np.arange(-4, 6)
    curvature = circuit.curvature[index % len(circuit.points)]
    # On the inside of a bend the centreline is longer than the way, by this factor.
    inside = np.maximum(curvature * (offsets + STRAY)[:, None], curvature * (offsets - STRAY)[:, None]).max(axis=1)
    factor = 1.0 / (1.0 - np.maximum(inside, 0.0))
    assert np.all(np.abs(np.diff(distances)) <= driven * np.maximum(factor[1:], factor[:-1]) + 2e-3)
    # And it is where it is, on both counts, however it came there.
    assert distances - distances[0] == pytest.approx(s - s[0], abs=0.02)
    assert [state.offset for state in states] == pytest.approx(offsets, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, direction=DIRECTIONS, start=st.floats(0.0, 1.0), share=SHARES)
def test_a_lap_from_anywhere_is_a_lap_and_back_is_none(
    seed: int, direction: circuits.Direction, start: float, share: float
) -> None:
    circuit = road(seed, direction)
    steps = 1 + math.ceil(circuit.length / 0.7)
    there = start * circuit.length + np.linspace(0.0, circuit.length, steps)
    s = np.concatenate((there, there[::-1]))
    states, _ = followed(circuit, s, across(circuit, s, np.full(len(s), share)))
    distances = np.array([state.distance for state in states])
    assert distances[steps - 1] == pytest.approx(circuit.length, abs=0.02)
    assert distances[-1] == pytest.approx(0.0, abs=1e-6)
    assert np.diff(distances[:steps]).min() > 0.0
    assert all(0.0 <= state.s < circuit.length for state in states)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, direction=DIRECTIONS, start=st.floats(0.0, 1.0), back=st.booleans())
def test_circling_in_place_wins_nothing(seed: int, direction: circuits.Direction, start: float, *, back: bool) -> None:
    circuit = road(seed, direction)
    radius = min(1.2, 0.8 * circuit.half_width)
    x, y, heading = circuit.pose(start * circuit.length)
    progress = Progress(circuit, x, y)
    for i in range(300):
        angle = (-0.3 if back else 0.3) * i
        state = progress.update(x + radius * math.cos(angle), y + radius * math.sin(angle), angle)
        assert abs(state.distance) < 2.0 * radius
    assert progress.update(x, y, heading).distance == pytest.approx(0.0, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, s=st.floats(0.0, 1.0), share=SHARES, turn=st.floats(-3.0, 3.0))
def test_both_directions_judge_a_place_alike(seed: int, s: float, share: float, turn: float) -> None:
    forward, back = road(seed, "forward"), road(seed, "reverse")
    place = np.array([s * forward.length])
    x, y, heading = forward.pose(float(place[0]), float(across(forward, place, np.array([share]))[0]))
    one, two = (Progress(each, x, y).update(x, y, heading + turn) for each in (forward, back))
    assert one.offset == pytest.approx(-two.offset, abs=1e-6)
    assert (one.left, one.right) == pytest.approx((two.right, two.left), abs=1e-6)
    assert one.curvature == pytest.approx(-two.curvature, abs=1e-6)
    assert math.remainder(one.s + two.s, forward.length) == pytest.approx(0.0, abs=1e-6)
    assert math.remainder(one.heading_error - two.heading_error - math.pi, math.tau) == pytest.approx(0.0, abs=1e-6)
    left, right = edges(forward, np.array([one.s]))
    assert (one.left, one.right) == pytest.approx((left[0], right[0]), abs=1e-6)
    assert -one.right < one.offset < one.left


@settings(max_examples=25, deadline=None)
@given(radius=st.floats(8.5, 14.0), between=st.floats(0.05, 1.0), share=SHARES, direction=DIRECTIONS)
def test_never_jumps_to_a_lane_that_nearly_touches(
    radius: float, between: float, share: float, direction: circuits.Direction
) -> None:
    width = 2.0 * (radius - 0.5) - between
    ends = f"[[segments]]\nstraight = 60.0\n[[segments]]\nradius = {radius}\nangle = 180.0\n" * 2
    circuit = circuits.parse(f"width = {width}\nmarkings = {{centre = false}}\n{ends}", "pin").facing(direction)
    s = np.arange(0.0, circuit.length, 0.6)
    offset = share * width / 2.0
    states, _ = followed(circuit, s, np.full(len(s), offset))
    assert [state.distance for state in states] == pytest.approx(s.tolist(), abs=0.1)
    assert [state.offset for state in states] == pytest.approx([offset] * len(s), abs=0.02)
