"""The plot of latency against deviation: marks, and the same bytes for the same figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from pipeline import pareto
from pipeline.standing import standings
from tests.pipeline import made

if TYPE_CHECKING:
    from pipeline.standing import Standing


def ranked(*, timed: bool = True) -> tuple[Standing, ...]:
    outcomes = {"all": ["completed"] * 2, "some": ["completed", "left_lane"], "none": ["left_lane"] * 2}
    rows = [made.row(name).to_dict() | {"size_bytes": 1_000_000} for name in outcomes]
    records = [
        made.record(made.case(name, seed), outcome)
        for name, told in outcomes.items()
        for seed, outcome in enumerate(told)
    ]
    entries: Any = {
        name: made.entry(0.001, artifact_sha256=row["sha256"]) for name, row in zip(outcomes, rows, strict=True)
    }
    return standings(rows, records, dict.fromkeys(outcomes, 2), made.timing(**entries) if timed else None)


def test_every_model_that_was_driven_and_timed_has_its_mark() -> None:
    marks = {mark.name: mark for mark in map(pareto._mark, ranked()) if mark is not None}
    assert {name: mark.shape for name, mark in marks.items()} == {"all": "o", "some": "^", "none": "X"}
    assert marks["none"].deviation is None
    assert marks["all"].latency == 1.0
    assert marks["all"].size == 1.0


def test_the_same_figures_give_the_same_picture() -> None:
    one, two = pareto.picture(ranked()), pareto.picture(ranked())
    assert one is not None
    assert one == two
    assert ET.fromstring(one).tag.endswith("svg")  # noqa: S314 - our own file
    assert b"<dc:date>" not in one


def test_there_is_no_picture_of_nothing() -> None:
    assert pareto.picture(ranked(timed=False)) is None
    assert pareto.picture(()) is None


def test_names_do_not_lie_on_each_other() -> None:
    places = pareto._label_places([(1.0, 0.02)] * 5 + [(2.0, 0.03)])
    assert len(set(places)) == 6
