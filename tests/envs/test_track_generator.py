"""Generated tracks are like real ones: of the length asked for, with bends both ways, and always a road."""

from __future__ import annotations

import numpy as np
import pytest

from envs import circuit
from envs.errors import InputError
from envs.track_generator import LONGEST, SHORTEST, generate


@pytest.mark.parametrize(("seed", "length"), [(0, 1000.0), (1, 2000.0), (2, 4000.0), (3, 7000.0)])
def test_a_track_is_as_long_as_asked_and_like_a_real_one(seed: int, length: float) -> None:
    found = circuit.load(f"generated:{seed}:{length:.0f}")
    assert found.length == pytest.approx(length, rel=0.02)
    assert 9.5 < found.smallest_radius < 40.0
    assert found.curvature.max() > 0.01
    assert found.curvature.min() < -0.01
    assert np.mean(np.abs(found.curvature) < 0.001) > 0.15
    for side in (found.left, found.right):
        assert 2.9 < side.min() < side.max() < 7.6
        assert np.abs(np.diff(side)).max() / found.step < 0.2
    assert not np.array_equal(found.left, found.right)
    back = found.reversed()
    assert np.array_equal(back.left[1:], found.right[:0:-1])
    assert np.array_equal(back.reversed().points, found.points)


def test_points_are_unevenly_spaced() -> None:
    rows = np.loadtxt(generate(5).splitlines(), delimiter=",")
    gaps = np.hypot(*np.diff(rows[:, :2], axis=0).T)
    assert 1.5 < gaps.min() < 3.0
    assert 6.0 < gaps.max() < 10.0


def test_the_same_seed_is_the_same_track_and_another_is_another() -> None:
    assert generate(8, 1500.0) == generate(8, 1500.0)
    assert generate(8, 1500.0) != generate(9, 1500.0)


def test_any_seed_is_a_road() -> None:
    lengths = [circuit.load(f"generated:{seed}").length for seed in range(30)]
    assert min(lengths) > 0.98 * SHORTEST
    assert max(lengths) < 1.02 * LONGEST
    assert np.std(lengths) > 1000.0


@pytest.mark.slow
def test_a_hundred_seeds_are_roads() -> None:
    assert all(circuit.load(f"generated:{seed}").smallest_radius > 8.0 for seed in range(1, 101))


@pytest.mark.parametrize(
    "name", ["generated:", "generated:x", "generated:1:999", "generated:1:7001", "generated:1:2:3"]
)
def test_what_names_no_track_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' names no generated circuit: write generated:SEED"):
        circuit.load(name)
