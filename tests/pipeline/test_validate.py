"""Driving an artifact in process: the laps, their order, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs import circuit as circuits
from envs import conditions as weather
from envs.painting import Painting
from pipeline.statistics import Stratum, stratified_wilson, wilson
from pipeline.training import validate

if TYPE_CHECKING:
    import pytest


def test_the_expert_completes_a_lap_in_validation() -> None:
    circuit = circuits.load(circuits.names("training")[0])
    drawn = weather.draw("nominal", 1, circuit.name, "forward")
    lap = validate.lap(circuit, drawn, Painting(circuit), None)
    assert lap.outcome == "completed"
    assert lap.progress == 1.0
    assert lap.speed > 5.0
    assert lap.deviation < 0.3
    assert "1/1" in list(validate.lines([lap]))[1]


def test_the_summary_names_a_lap_that_failed() -> None:
    lap = validate.Lap("simple", "forward", "varied", 4, "left_lane", 0.25, 7.0, 0.5)
    assert list(validate.lines([lap]))[2].strip() == "seed 4: left_lane at 25%"


def test_the_totals_have_an_interval_over_circuits_or_over_seeds() -> None:
    def lap(circuit: str, seed: int, outcome: str) -> validate.Lap:
        return validate.Lap(circuit, "forward", "nominal", seed, outcome, 1.0, 10.0, 0.1)

    tracks = [lap(f"generated:{i}", 1, "completed" if i else "left_lane") for i in range(50)]
    assert validate.interval(tracks) == wilson(49, 50)
    seeds = [lap(name, i, "completed" if i else "left_lane") for name in ("one", "two") for i in range(5)]
    assert validate.interval(seeds) == stratified_wilson([Stratum(4, 5), Stratum(4, 5)])
    assert list(validate.lines(seeds))[-1].startswith("all ")
    assert "8/10" in list(validate.lines(seeds))[-1]


def test_laps_come_in_order_whoever_drives_them() -> None:
    names = circuits.names("training")[:2]
    cases = validate.trials(names, ["nominal"], [1], ["forward"])
    alone = list(validate.laps(None, cases))
    assert [(each.circuit, each.direction, each.conditions, each.seed) for each in alone] == [tuple(c) for c in cases]
    assert list(validate.laps(None, cases, workers=2)) == alone


def test_validation_refuses_an_artifact_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate.main(["--artifact", "none.safetensors"]) == 3
    assert capsys.readouterr().err.count("\n") == 1
