"""The survey finds every pair of places that are close, and no road is too long or too wound for it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import survey
from envs.curve import through_points
from envs.lane import Lane, _tapered


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 300), reach=st.floats(1.0, 30.0), limit=st.integers(1, 2000))
def test_the_grid_finds_what_a_look_at_every_pair_finds(seed: int, count: int, reach: float, limit: int) -> None:
    points = np.random.default_rng(seed).uniform(-60.0, 60.0, (count, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "_PAIRS", limit)
        found = [(i, j) for first, second in survey._pairs(points, reach) for i, j in zip(first, second, strict=True)]
    assert len(set(found)) == len(found)
    far = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    near = {(i, j) for i, j in np.argwhere(far <= reach).tolist() if i < j}
    assert near <= set(found)


def road(points: np.ndarray, left: float, right: float) -> Lane:
    curve = through_points(points)
    return Lane(curve, np.full(len(curve.points), left), np.full(len(curve.points), right))


def test_a_road_that_winds_upon_itself_for_long_is_refused_at_once() -> None:
    angles = math.tau * np.arange(8_000) / 400
    radius = 400.0 + 0.01 * angles
    fault = survey.fault(road(np.column_stack([radius * np.cos(angles), radius * np.sin(angles)]), 3.0, 3.0))
    assert fault is not None
    assert "itself" in fault.text


def test_a_loop_across_a_wide_road_is_still_a_crossing() -> None:
    angles = math.tau * np.arange(400) / 400
    points = np.column_stack([30.0 * (1.0 + 2.0 * np.cos(angles)) * part(angles) for part in (np.cos, np.sin)])
    for lane in (road(points, 2.0, 2.0), road(points, 2.0, 25.0)):
        fault = survey.fault(survey.fitted(lane))
        assert fault is not None
        assert fault.text.startswith("the centreline crosses itself")


def test_each_side_counts_for_itself() -> None:
    angles = math.tau * np.arange(100) / 100
    circle = 12.0 * np.column_stack([np.cos(angles), np.sin(angles)])
    assert survey.fault(road(circle, 11.4, 2.0)) is None
    assert survey.fault(road(circle, 2.0, 40.0)) is None
    fault = survey.fault(road(circle, 11.8, 2.0))
    assert fault is not None
    assert "has a radius of 12.0 m; the smallest" in fault.text
    assert survey.fitted(road(circle, 11.8, 2.0)).left.max() == pytest.approx(11.5, abs=0.01)


@settings(max_examples=50, deadline=None)
@given(limits=st.lists(st.floats(0.0, 20.0), min_size=3, max_size=60), shift=st.integers(0, 60))
def test_a_lane_tapers_to_its_limits_all_round(limits: list[float], shift: int) -> None:
    limit = np.array(limits)
    found = _tapered(limit, 0.5)
    assert np.all(found <= limit + 1e-12)
    assert np.abs(np.diff(np.append(found, found[0]))).max() <= 0.05 + 1e-9
    kept = [
        min(limit[j] + 0.05 * min(abs(i - j), len(limit) - abs(i - j)) for j in range(len(limit)))
        for i in range(len(limit))
    ]
    assert found == pytest.approx(kept)
    assert _tapered(np.roll(limit, shift), 0.5) == pytest.approx(np.roll(found, shift))
