"""The peers' benchmark tells a measurement from a trick, and a table from its figures."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import table, worker
from benchmarks.peers.contest import NotRun, Score, hold
from benchmarks.peers.simulator import CONTESTANTS, OURS, Contestant, Setting
from tests.blank_simulator import Still


def contest(*names: str) -> list[Score]:
    """Scores of contestants of blank_simulator.py, or of a role that cannot be had."""
    return hold(
        [Contestant(name, f"tests.blank_simulator:{name}", "peers" if name == "Absent" else "world") for name in names],
        python_of,
        rounds=2,
        seconds=0.01,
        first=0.01,
        say=lambda _: None,
    )


def python_of(role: str) -> Path:
    if role == "peers":
        raise NotRun("cannot install it")
    return Path(sys.executable)


def turn(rate: float, **parts: int) -> dict[str, Any]:
    return {"frames": 100, "ns": round(1e11 / rate), "parts": parts, "peak_mb": 50.0}


def score(name: str, role: str, *rates: float, **parts: int) -> Score:
    setting = Setting(f"{name} 1", "200x66", "1/20 s")
    return Score(Contestant(name, "a:B", role), setting, 2.5, None, turn(1.0), [turn(rate, **parts) for rate in rates])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Still", "its pictures do not change"),
        ("Black", "its pictures are blank"),
        ("Broken", "OSError: no software OpenGL"),
        ("Mortal", "it ended with exit status 7"),
        ("Absent", "cannot install it"),
    ],
)
def test_what_cannot_be_measured_says_why(name: str, why: str) -> None:
    (one,) = contest(name)
    assert one.why_not is not None
    assert one.why_not.startswith(why)
    assert not one.turns


def test_an_episode_s_end_starts_the_next_one() -> None:
    simulator = Still()
    simulator.begin(0)
    told = worker.drive(simulator, itertools.count(1), 0.001, one_episode=False)
    assert simulator.seeds == list(range(len(simulator.seeds)))
    assert len(simulator.seeds) == -(-told["frames"] // 3)
    assert told["change"] == 0.0 < told["contrast"]
    assert told["peak_mb"] > 1.0


def test_the_first_episode_may_be_driven_alone() -> None:
    simulator = Still()
    simulator.begin(0)
    assert worker.drive(simulator, itertools.count(1), 60.0, one_episode=True)["frames"] == 3


def test_the_table_compares_with_the_fastest_peer_that_ran() -> None:
    absent = score("gone", "peers")
    absent.why_not = "cannot install it"
    scores = [
        score(OURS, "world", 3000.0, 5000.0, 4000.0, physics=10_000_000, camera=5_000_000),
        score("slow", "peers", 10.0),
        score("fast", "peers", 100.0, 300.0, 200.0),
        absent,
    ]
    page = table.into("before\n<!-- peers -->\nold\n<!-- /peers -->\nafter", scores, "3 rounds")
    assert page.startswith("before\n<!-- peers -->\nMeasured on ")
    assert page.endswith("\n<!-- /peers -->\nafter")
    assert "old" not in page
    assert "4,000" in page
    assert "3,000 to 5,000" in page
    assert "2.5" in page
    assert "not run: cannot install it" in page
    assert "hotlap is 20.0 times as fast as the fastest peer, fast." in page
    assert "physics 100, camera 50, rest 111; in all 261." in page


def test_a_page_without_the_table_s_place_is_refused() -> None:
    with pytest.raises(ValueError, match="one block"):
        table.into("no place", [], "")


def test_contestants_are_called_by_different_names() -> None:
    names = [each.name for each in CONTESTANTS]
    assert names[0] == OURS
    assert len(set(names)) == len(names)
