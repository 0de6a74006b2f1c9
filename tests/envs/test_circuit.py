"""Known answers, every refusal by its text, and the contract that every circuit in the repository keeps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from envs import circuit
from envs.curve import Arc, Straight, from_segments, through_points
from envs.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

BENCHMARK = ("many_curves", "montmelo", "montreal", "nurburgring", "simple")
OVAL = """
width = 6.0
[[segments]]
straight = 60.0
[[segments]]
radius = 20.0
angle = 180.0
[[segments]]
straight = 60.0
[[segments]]
radius = 20.0
angle = 180.0
"""


def ring(radius: float, count: int = 48) -> str:
    angles = 2.0 * np.pi * np.arange(count) / count
    rows = [[float(radius * np.cos(a)), float(radius * np.sin(a))] for a in angles]
    return f"width = 6.0\npoints = {rows}\n"


def with_points(rows: str, extra: str = "width = 6.0") -> str:
    return f"{extra}\npoints = {rows}\n"


def test_circle_has_its_length_and_curvature() -> None:
    found = circuit.parse(ring(50.0), "ring")
    assert found.length == pytest.approx(2.0 * math.pi * 50.0, rel=1e-4)
    assert found.curvature == pytest.approx(1.0 / 50.0, rel=2e-3)
    assert np.hypot(*found.points.T) == pytest.approx(50.0, abs=2e-3)
    assert found.smallest_radius == pytest.approx(50.0, rel=2e-3)


def test_oval_of_segments_has_its_length_and_curvature() -> None:
    found = circuit.parse(OVAL, "oval")
    assert found.length == pytest.approx(120.0 + 2.0 * math.pi * 20.0)
    assert sorted(set(np.round(found.curvature, 9))) == [0.0, 0.05]
    assert found.points[0] == pytest.approx([0.0, 0.0])
    half = found.pose(found.length / 2.0)
    assert half[:2] == pytest.approx((60.0, 40.0), abs=1e-2)
    assert abs(math.remainder(half[2] - math.pi, 2.0 * math.pi)) < 1e-2


def test_a_spline_is_smooth_where_it_closes() -> None:
    knots = np.array([[0.0, 0.0], [40.0, 5.0], [70.0, 40.0], [30.0, 60.0], [-20.0, 40.0]])
    first, shifted = through_points(knots), through_points(np.roll(knots, 2, axis=0))
    assert first.length == pytest.approx(shifted.length, abs=1e-6)
    steps = np.diff(np.concatenate([first.curvature, first.curvature[:1]]))
    assert abs(steps[-1]) <= np.abs(steps).max()
    turning = np.unwrap(np.concatenate([first.heading, first.heading[:1]]))
    assert turning[-1] - turning[0] == pytest.approx(2.0 * math.pi)
    for knot in knots:
        assert np.hypot(*(first.points - knot).T).min() < first.length / len(first.points)


def test_curvature_is_the_rate_of_turning() -> None:
    found = circuit.load("many_curves")
    turn = np.diff(np.unwrap(np.concatenate([found.heading, found.heading[:1] + 2.0 * math.pi])))
    assert turn / found.step == pytest.approx(found.curvature, abs=0.01)


def test_segments_report_their_gap() -> None:
    _, gap, turn = from_segments([Straight(10.0), Arc(10.0, math.pi / 2.0)])
    assert gap == pytest.approx([20.0, 10.0])
    assert turn == pytest.approx(math.pi / 2.0)


def test_pose_is_beside_the_centreline_and_goes_round() -> None:
    found = circuit.parse(ring(50.0), "ring")
    x, y, heading = found.pose(found.length / 4.0, 2.0)
    assert (x, y) == pytest.approx((0.0, 48.0), abs=5e-2)
    assert abs(math.remainder(heading - math.pi, 2.0 * math.pi)) < 1e-2
    assert found.pose(10.0, 1.0) == pytest.approx(found.pose(10.0 + 3.0 * found.length, 1.0))
    assert found.pose(-1.0) == pytest.approx(found.pose(found.length - 1.0))


def test_reverse_is_the_same_road_the_other_way() -> None:
    forward = circuit.load("montreal")
    back = forward.reversed()
    assert back.direction == "reverse"
    assert np.array_equal(back.points[0], forward.points[0])
    assert np.array_equal(back.points[1], forward.points[-1])
    assert np.array_equal(back.curvature, -np.roll(forward.curvature[::-1], 1))
    assert back.pose(10.0)[:2] == pytest.approx(forward.pose(-10.0)[:2])
    assert back.digest != forward.digest
    again = back.reversed()
    assert np.array_equal(again.points, forward.points)
    assert again.digest == forward.digest
    assert back.facing("forward").direction == "forward"
    assert forward.facing("forward") is forward


def test_source_gives_the_circuit_again() -> None:
    found = circuit.load("montmelo")
    again = circuit.read(found.source)
    assert again.digest == found.digest
    assert np.array_equal(again.points, found.points)


def test_digest_is_of_what_is_driven() -> None:
    plain = circuit.parse(OVAL, "oval")
    assert circuit.parse("# a comment\ntags = ['training']\n" + OVAL, "other").digest == plain.digest
    assert circuit.parse(OVAL.replace("6.0", "6.5"), "oval").digest != plain.digest
    assert circuit.parse(OVAL + "[markings]\ncentre = false\n", "oval").digest != plain.digest


def test_markings_are_as_the_file_says() -> None:
    text = OVAL + "[markings]\ncentre = false\nasphalt = [1, 2, 3]\nedges = {colour = [255, 255, 0], width = 0.1}\n"
    markings = circuit.parse(text, "oval").markings
    assert markings.centre is None
    assert markings.asphalt == (1, 2, 3)
    assert markings.edges is not None
    assert (markings.edges.colour, markings.edges.width) == ((255, 255, 0), 0.1)


def test_a_first_point_repeated_at_the_end_is_dropped() -> None:
    square = "[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]"
    once = circuit.parse(with_points(f"[{square}]"), "square")
    twice = circuit.parse(with_points(f"[{square}, [0.0, 0.0]]"), "square")
    assert np.array_equal(once.points, twice.points)


def test_arrays_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        circuit.load("simple").points[0] = 0.0


FOUR = "[[0.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]]"
EIGHT = (
    "[[0.0, 0.0], [40.0, 30.0], [80.0, 0.0], [40.0, -30.0], [0.0, 0.5], [-40.0, 30.0], [-80.0, 0.0], [-40.0, -30.0]]"
)

PEANUT = (
    "[[-60.0, 0.0], [-45.0, -18.0], [-20.0, -10.0], [0.0, -2.5], [20.0, -10.0], [45.0, -18.0],"
    " [60.0, 0.0], [45.0, 18.0], [20.0, 10.0], [0.0, 2.5], [-20.0, 10.0], [-45.0, 18.0]]"
)

REFUSED = {
    "no TOML": (
        "width = 6.0\npoints = [[",
        "circuit bad: this is not TOML: Invalid value (at end of document); correct the file there",
    ),
    "unknown key": (
        with_points(FOUR, "widht = 6.0"),
        "circuit bad: 'widht' is not known here: did you mean width?",
    ),
    "no width": (with_points(FOUR, ""), "circuit bad: width is missing: give it in metres"),
    "no centreline": ("width = 6.0", "circuit bad: it has no centreline: give points, or segments"),
    "two centrelines": (
        with_points(FOUR) + "[[segments]]\nstraight = 1.0",
        "circuit bad: it has both points and segments: keep one of the two",
    ),
    "negative width": (
        with_points(FOUR, "width = -6.0"),
        "circuit bad: width is -6.0: give a positive number of metres",
    ),
    "narrow": (
        with_points(FOUR, "width = 1.9"),
        "circuit bad: width is 1.9 m, less than the car needs: give 2.5 m or more",
    ),
    "wide": (with_points(FOUR, "width = 201"), "circuit bad: width is 201 m, more than 200: give metres"),
    "far away": (
        with_points("[[0, 0], [1e308, 0], [100, 100], [0, 100]]"),
        "circuit bad: point 2 [1e+308, 0] lies more than 1e+06 m away: give it in metres",
    ),
    "whole number without end": (
        with_points("[[0, 0], [1" + "0" * 20 + ", 0], [100, 100], [0, 100]]"),
        "circuit bad: point 2 is [1" + "0" * 20 + ", 0]: write it as [x, y] in metres",
    ),
    "zero width": (with_points(FOUR, "width = 0"), "circuit bad: width is 0: give a positive number of metres"),
    "infinite width": (with_points(FOUR, "width = inf"), "circuit bad: width is inf: give a positive number of metres"),
    "width as text": (with_points(FOUR, "width = '6'"), "circuit bad: width is '6': give a positive number of metres"),
    "two points": (
        with_points("[[0.0, 0.0], [40.0, 0.0]]"),
        "circuit bad: 2 points do not make a circuit: give at least 4",
    ),
    "no points": (with_points("[]"), "circuit bad: 0 points do not make a circuit: give at least 4"),
    "not a number": (
        with_points("[[0.0, 0.0], [40.0, 0.0], [nan, 40.0], [0.0, 40.0]]"),
        "circuit bad: point 3 (x=nan, y=40.0) is not finite: give it two real numbers",
    ),
    "three coordinates": (
        with_points("[[0.0, 0.0], [40.0, 0.0, 1.0], [40.0, 40.0], [0.0, 40.0]]"),
        "circuit bad: point 2 is [40.0, 0.0, 1.0]: write it as [x, y] in metres",
    ),
    "twice the same": (
        with_points("[[0.0, 0.0], [40.0, 0.0], [40.0, 0.0], [40.0, 40.0], [0.0, 40.0]]"),
        "circuit bad: point 2 (x=40.0, y=0.0) stands twice in a row: remove one of the two",
    ),
    "said to be open": (
        with_points(FOUR, "width = 6.0\nclosed = false"),
        "circuit bad: closed = false, but only a closed circuit can be lapped: close it and say closed = true",
    ),
    "open points": (
        with_points("[[0.0, 0.0], [20.0, 0.0], [40.0, 5.0], [60.0, 10.0], [80.0, 0.0], [100.0, 0.0]]"),
        (
            "circuit bad: the circuit is open: point 6 (x=100.0, y=0.0) is 100.0 m from the first (x=0.0, y=0.0): add"
            " the points between, or say closed = true if that is a straight"
        ),
    ),
    "open segments": (
        OVAL.replace("straight = 60.0", "straight = 50.0", 1),
        (
            "circuit bad: the circuit is open: segment 4 ends at x=-10.00, y=0.00 heading 0.0 degrees, the first one"
            " starts at x=0, y=0 heading 0: make the two meet"
        ),
    ),
    "segments that turn too little": (
        OVAL.replace("angle = 180.0", "angle = 170.0", 1),
        (
            "circuit bad: the circuit is open: segment 4 ends at x=-2.56, y=10.72 heading -10.0 degrees, the first one"
            " starts at x=0, y=0 heading 0: make the two meet"
        ),
    ),
    "a segment of no kind": (
        OVAL + "[[segments]]\nradius = 3.0\n",
        "circuit bad: segment 5 is neither straight nor arc: give it straight, or radius and angle",
    ),
    "an arc that does not turn": (
        OVAL.replace("angle = 180.0", "angle = 0", 1),
        "circuit bad: segment 2: angle is 0: give degrees, positive to the left",
    ),
    "crossing": (
        with_points(EIGHT),
        (
            "circuit bad: the centreline crosses itself at s=0 m (x=0.0, y=0.0), where it passes again at s=212 m: move"
            " one of the two away"
        ),
    ),
    "overlapping": (
        with_points(PEANUT),
        (
            "circuit bad: the road overlaps itself at s=74 m (x=0.4, y=-2.5): 5.0 m from where it passes again at"
            " s=221 m, and the lanes between need 6 m: move the two apart or make the road narrower"
        ),
    ),
    "too tight": (
        with_points("[[0.0, 0.0], [40.0, 0.0], [42.0, 6.0], [40.0, 12.0], [0.0, 12.0], [-5.0, 6.0]]"),
        (
            "circuit bad: the bend at s=109 m (x=-5.0, y=5.9) has a radius of 2.8 m; the smallest a 6 m wide road may"
            " have is 8 m: widen the bend"
        ),
    ),
    "in millimetres": (
        with_points("[[0.0, 0.0], [4e5, 0.0], [4e5, 4e5], [0.0, 4e5]]"),
        "circuit bad: it is 1600 km long, more than 100: give metres",
    ),
    "a line wider than the road": (
        OVAL + "[markings]\ncentre = {colour = [1, 2, 3], width = 4.0}",
        "circuit bad: a 4 m wide line does not fit a 6 m wide road: make one fit",
    ),
    "no colour": (
        OVAL + "[markings]\nasphalt = [1, 2, 256]",
        "circuit bad: markings: asphalt is [1, 2, 256]: give [red, green, blue], each from 0 to 255",
    ),
    "a line of no kind": (
        OVAL + "[markings]\ncentre = true",
        "circuit bad: markings.centre must be a table with colour and width, or false for none: write it so",
    ),
    "tags of no kind": (
        "tags = 'training'\n" + OVAL,
        "circuit bad: tags must be a list of words: write tags = ['training']",
    ),
    "description of no kind": ("description = 1\n" + OVAL, "circuit bad: description must be text: put it in quotes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_road_is_refused(what: str) -> None:
    text, message = REFUSED[what]
    with pytest.raises(InputError) as caught:
        circuit.parse(text, "bad")
    assert str(caught.value) == message
    assert "\n" not in message


def test_a_far_closing_straight_may_be_stated() -> None:
    text = with_points("[[0.0, 0.0], [20.0, 0.0], [40.0, 20.0], [20.0, 40.0], [0.0, 40.0], [-20.0, 20.0]]")
    assert circuit.parse("closed = true\n" + text, "said").length > 100.0


def test_a_circuit_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        circuit.load("montreel")
    assert str(caught.value).startswith("there is no circuit 'montreel': name one of montreal")
    with pytest.raises(InputError) as caught:
        circuit.load("nowhere/at/all.toml")
    assert str(caught.value) == (
        "circuit file nowhere/at/all.toml cannot be read: No such file or directory; check the path"
    )


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OVAL, encoding="utf-8")
    assert circuit.load(path).name == "mine"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="it is not UTF-8 text; check the path"):
        circuit.load(path)
    path.write_text("width = 0\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        circuit.load(str(path))
    assert str(caught.value) == f"circuit {path}: width is 0: give a positive number of metres"


def test_a_long_track_is_read_whole() -> None:
    angles = 2.0 * np.pi * np.arange(600) / 600
    radius = 950.0 + 120.0 * np.sin(5.0 * angles) + 15.0 * np.sin(23.0 * angles)
    rows = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1).round(2).tolist()
    found = circuit.parse(f"width = 12.0\npoints = {rows}\n", "long")
    assert found.length > 6000.0
    assert found.step <= 0.5


def test_names_and_tags() -> None:
    assert circuit.names("benchmark") == BENCHMARK
    training = circuit.names("training")
    assert len(training) >= 8
    assert training[:2] == ("train_1", "train_2")
    assert training[-1] == "train_10"
    assert set(circuit.names()) == {*BENCHMARK, *training}
    assert not circuit.names("no such tag")


@pytest.mark.parametrize("name", circuit.names())
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_every_circuit_keeps_the_contract(name: str, direction: circuit.Direction) -> None:
    found = circuit.load(name).facing(direction)  # reading it has surveyed it: closed, no crossing, no overlap
    low, high = (300.0, 1500.0) if "benchmark" in found.tags else (400.0, 1200.0)
    assert low <= found.length <= high
    assert found.smallest_radius >= 10.0
    assert found.width == 6.0
    assert found.description.endswith(".")
    assert len(found.tags) == 1
    n = len(found.points)
    assert found.points.shape == (n, 2)
    assert found.s.shape == found.heading.shape == found.curvature.shape == (n,)
    assert found.step == pytest.approx(found.length / n)
    assert found.step <= 0.5
    ring_of_steps = np.roll(found.points, -1, axis=0) - found.points
    assert np.hypot(*ring_of_steps.T) == pytest.approx(found.step, rel=2e-3)
    middle = found.heading + np.diff(np.unwrap(np.append(found.heading, found.heading[0]))) / 2.0
    error = np.angle(np.exp(1j * (np.arctan2(ring_of_steps[:, 1], ring_of_steps[:, 0]) - middle)))
    assert np.abs(error).max() < 1e-3
    assert np.all((found.heading > -np.pi) & (found.heading <= np.pi))
    assert abs(np.sum(found.curvature) * found.step) == pytest.approx(2.0 * math.pi, rel=1e-3)


def test_no_two_circuits_are_the_same_road() -> None:
    digests = [circuit.load(name).digest for name in circuit.names()]
    assert len(set(digests)) == len(digests)
