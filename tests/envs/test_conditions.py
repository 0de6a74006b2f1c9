"""Conditions are a pure function of their seed, and lie where the file says."""

from __future__ import annotations

import hashlib
import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from envs import conditions
from envs.conditions import Conditions, Loss, Pushes, draw
from envs.errors import InputError

FROZEN = (2, "83a246ad9e2cfa0b5645defa69d58e3a0d634979e5fcf1df65ef1b26bd015538")
START_FRACTION = 0.3748999329731114
NOISE_SEED = 2000263268


def test_a_draw_is_a_pure_function() -> None:
    first = draw("nominal", 3, "simple", "forward")
    draw("varied", 4, "montreal", "reverse")
    assert draw("nominal", 3, "simple", "forward") == first


def test_the_sets_are_frozen() -> None:
    """Whoever changes them raises the version and writes the new one down here."""
    content = json.dumps(conditions._read(), sort_keys=True).encode()
    assert (conditions.version(), hashlib.sha256(content).hexdigest()) == FROZEN


def test_a_draw_stays_what_it_was() -> None:
    """Another value here means another version in `conditions.toml`, and new keys for all records."""
    assert conditions.version() == 2
    found = draw("nominal", 0, "simple", "forward")
    assert found.start_fraction == pytest.approx(START_FRACTION, abs=1e-12)
    assert found.look.noise.seed == NOISE_SEED


@pytest.mark.parametrize(
    "other",
    [("nominal", 8, "simple", "forward"), ("nominal", 7, "montreal", "forward"), ("nominal", 7, "simple", "reverse")],
)
def test_each_part_of_the_stream_gives_another_draw(other: tuple[str, int, str, str]) -> None:
    one, two = draw("nominal", 7, "simple", "forward"), draw(*other)
    assert one.start_fraction != two.start_fraction
    assert one.look.noise.seed != two.look.noise.seed
    assert one.look.texture.seed != two.look.texture.seed


def test_quantities_are_drawn_independently() -> None:
    drawn = [draw("varied", seed, "simple", "forward") for seed in range(300)]
    columns = np.array(
        [(c.start_offset, c.grip, c.look.light.gain, c.look.fog.extinction, c.mount.tilt) for c in drawn]
    )
    assert np.abs(np.corrcoef(columns.T) - np.eye(columns.shape[1])).max() < 0.2


@pytest.mark.parametrize("name", ["nominal", "varied"])
def test_draws_lie_and_spread_where_the_file_says(name: str) -> None:
    drawn = [draw(name, seed, "simple", "forward") for seed in range(300)]
    ranges = conditions._ranges(name)
    for key, read in (
        ("start_fraction", lambda c: c.start_fraction),
        ("start_offset", lambda c: c.start_offset),
        ("start_heading", lambda c: math.degrees(c.start_heading)),
        ("grip", lambda c: c.grip),
        ("fog_extinction", lambda c: 1000.0 * c.look.fog.extinction),
        ("exposure", lambda c: 1000.0 * c.look.exposure),
        ("mount_turn", lambda c: math.degrees(c.mount.turn)),
        ("steering_play", lambda c: math.degrees(c.steering_play)),
    ):
        low, high = ranges[key]
        values = [read(c) for c in drawn]
        assert min(values) >= low - 1e-9
        assert max(values) <= high + 1e-9
        assert max(values) - min(values) >= 0.95 * (high - low)
        assert sum(values) / len(values) == pytest.approx((low + high) / 2.0, abs=0.08 * (high - low) + 1e-9)
    assert len({c.look.noise.seed for c in drawn}) == len(drawn)


def test_varied_is_wider_than_nominal_in_all_that_it_names() -> None:
    nominal, varied = conditions._ranges("nominal"), conditions._ranges("varied")
    for key, (low, high) in nominal.items():
        if key not in {"sun_elevation", "night_reach"}:  # it has a low sun and short headlights in place of these
            assert varied[key][0] <= low
            assert varied[key][1] >= high


def test_each_factor_has_five_severities_that_differ_from_nominal_in_it_alone() -> None:
    nominal = flat(draw("nominal", 7, "simple", "forward").to_dict())
    found = conditions.severities()
    assert len(found) >= 13
    for factor in found:
        assert factor.measure
        changed = []
        for i in range(conditions.SEVERITIES):
            drawn = flat(draw(f"{factor.factor}_{i + 1}", 7, "simple", "forward").to_dict())
            differing = {key for key in drawn if drawn[key] != nominal[key]} - {"name"}
            assert 1 <= len(differing) <= len(factor.steps[i])
            changed.append({key: abs(drawn[key]) for key in differing})
        for mild, hard in pairwise(changed):  # strictly harder, each in its own way
            assert mild.keys() == hard.keys()
            assert all(mild[key] != hard[key] for key in mild)
        for key in changed[0]:
            values = [step[key] for step in changed]
            assert values in (sorted(values), sorted(values, reverse=True))


def test_a_magnitude_is_drawn_to_both_sides() -> None:
    offsets = {draw("start_3", seed, "simple", "forward").start_offset for seed in range(30)}
    assert offsets == {-1.0, 1.0}


def test_lost_frames_come_as_often_as_they_should_and_never_first() -> None:
    loss = Loss(seed=5, share=0.3)
    lost = [loss.at(step) for step in range(20_000)]
    assert sum(lost) / len(lost) == pytest.approx(0.3, abs=0.01)
    assert lost == [loss.at(step) for step in range(20_000)]
    assert not any(Loss(seed, 0.99).at(0) for seed in range(50))
    assert not any(Loss(5).at(step) for step in range(100))


def test_pushes_last_half_a_second_in_every_four_to_either_side() -> None:
    pushes = Pushes(seed=9, acceleration=2.0)
    drawn = np.array([pushes.at(step) for step in range(80 * 200)]).reshape(200, 80)
    assert set(np.unique(drawn)) == {-2.0, 0.0, 2.0}
    assert (np.count_nonzero(drawn, axis=1) == 10).all()
    assert 70 < np.count_nonzero(drawn.sum(axis=1) > 0.0) < 130
    assert len({int(np.flatnonzero(row)[0]) for row in drawn}) > 40


def test_json_gives_the_same_conditions() -> None:
    found = draw("varied", 5, "montmelo", "reverse")
    assert Conditions.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_names() -> None:
    assert conditions.names()[:5] == ("nominal", "varied", "training", "sun_low", "sun_high")
    assert {"light_1", "fog_5", "play_3"} <= set(conditions.names())
    assert len(conditions.names()) == 5 + 5 * len(conditions.severities())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grip": float("nan")}, "conditions.grip is nan: give a finite number"),
        ({"grip": "high"}, "conditions.grip is 'high': give a finite number"),
        ({"name": 3}, "conditions.name is 3: give a word"),
        ({"pushes": {"seed": 1}}, "conditions.pushes: expected exactly acceleration, seed: write what to_dict gives"),
        (
            {"weather": 1.0},
            (
                "conditions: expected exactly grip, look, loss, mount, name, pushes, seed, start_fraction,"
                " start_heading, start_offset, steering_play: write what to_dict gives"
            ),
        ),
    ],
)
def test_a_dict_that_is_no_conditions_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Conditions.from_dict({**Conditions().to_dict(), **change})
    assert str(caught.value) == message


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        draw("nominall", 0, "simple", "forward")
    assert str(caught.value) == "there are no conditions 'nominall': did you mean nominal?"
    with pytest.raises(InputError) as caught:
        draw("fog_6", 0, "simple", "forward")
    assert str(caught.value) == "there are no conditions 'fog_6': did you mean fog_5?"
    with pytest.raises(InputError) as caught:
        draw("nominal", -1, "simple", "forward")
    assert str(caught.value) == "conditions nominal: seed -1 is negative: give 0 or more"


def flat(data: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Nested dicts as one, keys joined by dots."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found
