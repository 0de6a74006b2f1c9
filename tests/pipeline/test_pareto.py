"""The plot of latency against deviation: marks, and the same bytes for the same figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

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


def test_names_lie_on_no_other_name_or_mark_and_in_the_room() -> None:
    centres = [(300.0 + 3.0 * number, 200.0) for number in range(12)] + [(595.0, 395.0), (2.0, 2.0)]
    room = pareto.Box(0.0, 0.0, 600.0, 400.0)
    boxes = pareto.label_places(centres, [6.0] * 14, [f"a_long_name_{number}" for number in range(14)], room)
    marks = [pareto.Box(x - 6.0, y - 6.0, 12.0, 12.0) for x, y in centres]
    for number, box in enumerate(boxes):
        assert box.overlap(room) == pytest.approx(box.width * box.height)
        assert all(box.overlap(other) < 1e-5 for other in (*boxes[:number], *marks))


def test_a_name_alone_is_beside_its_mark() -> None:
    (box,) = pareto.label_places([(100.0, 100.0)], [5.0], ["net"], pareto.Box(0.0, 0.0, 600.0, 400.0))
    assert box.x == pytest.approx(107.0)
    assert box.y + box.height / 2.0 == pytest.approx(100.0)


def test_where_there_is_no_room_names_are_written_all_the_same() -> None:
    boxes = pareto.label_places([(5.0, 5.0)] * 3, [5.0] * 3, ["a_name"] * 3, pareto.Box(0.0, 0.0, 10.0, 10.0))
    assert len(boxes) == 3


def test_boxes_overlap_known_answer() -> None:
    assert pareto.Box(0.0, 0.0, 2.0, 2.0).overlap(pareto.Box(1.0, 1.0, 5.0, 5.0)) == 1.0
    assert pareto.Box(0.0, 0.0, 2.0, 2.0).overlap(pareto.Box(2.0, 0.0, 5.0, 5.0)) == 0.0
