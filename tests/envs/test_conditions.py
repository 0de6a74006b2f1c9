"""Conditions are a pure function of their seed, and lie where the file says."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from envs import conditions
from envs.conditions import Conditions, Look, draw
from envs.errors import InputError


def test_a_draw_is_a_pure_function() -> None:
    first = draw("nominal", 3, "simple", "forward")
    draw("varied", 4, "montreal", "reverse")
    assert draw("nominal", 3, "simple", "forward") == first


def test_a_draw_stays_what_it_was() -> None:
    """Another value here means another version in `conditions.toml`, and new keys for all records."""
    assert conditions.version() == 1
    found = draw("nominal", 0, "simple", "forward")
    assert found.start_fraction == pytest.approx(0.1832988459745376, abs=1e-12)
    assert found.noise.seed == 32400406


@pytest.mark.parametrize(
    "other",
    [
        ("nominal", 8, "simple", "forward"),
        ("varied", 7, "simple", "forward"),
        ("nominal", 7, "montreal", "forward"),
        ("nominal", 7, "simple", "reverse"),
    ],
)
def test_each_part_of_the_stream_gives_another_draw(other: tuple[str, int, str, str]) -> None:
    one, two = draw("nominal", 7, "simple", "forward"), draw(*other)
    assert one.start_fraction != two.start_fraction
    assert one.noise.seed != two.noise.seed
    assert one.texture.seed != two.texture.seed


@pytest.mark.parametrize(("name", "offset", "heading", "grip"), [("nominal", 0.3, 3.0, 0.9), ("varied", 0.8, 8.0, 0.6)])
def test_draws_lie_and_spread_where_the_file_says(name: str, offset: float, heading: float, grip: float) -> None:
    drawn = [draw(name, seed, "simple", "forward") for seed in range(300)]
    for values, low, high in (
        ([c.start_fraction for c in drawn], 0.0, 1.0),
        ([c.start_offset for c in drawn], -offset, offset),
        ([math.degrees(c.start_heading) for c in drawn], -heading, heading),
        ([c.grip for c in drawn], grip, 1.0),
    ):
        assert min(values) >= low
        assert max(values) <= high
        assert max(values) - min(values) > 0.95 * (high - low)
        assert sum(values) / len(values) == pytest.approx((low + high) / 2.0, abs=0.08 * (high - low))
    assert len({c.noise.seed for c in drawn}) == len(drawn)


def test_varied_is_wider_than_nominal_in_everything() -> None:
    sets = conditions._read()
    for key, (low, high) in sets["nominal"].items():
        assert sets["varied"][key][0] <= low
        assert sets["varied"][key][1] >= high


def test_json_gives_the_same_conditions() -> None:
    found = draw("varied", 5, "montmelo", "reverse")
    assert Conditions.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_look_is_what_the_camera_sees() -> None:
    found = draw("varied", 5, "montmelo", "reverse")
    assert found.look == Look(found.light, found.texture, found.noise)


def test_names() -> None:
    assert conditions.names() == ("nominal", "varied")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grip": float("nan")}, "conditions.grip is nan: give a finite number"),
        ({"grip": "high"}, "conditions.grip is 'high': give a finite number"),
        ({"name": 3}, "conditions.name is 3: give a word"),
        (
            {"light": {"gain": 1.0}},
            "conditions.light: expected exactly gain, tint: write what to_dict gives",
        ),
        (
            {"weather": 1.0},
            (
                "conditions: expected exactly grip, light, name, noise, seed, start_fraction, start_heading,"
                " start_offset, texture: write what to_dict gives"
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
        draw("nominal", -1, "simple", "forward")
    assert str(caught.value) == "conditions nominal: seed -1 is negative: give 0 or more"
