"""The racing community's files as they are found: each spelling is read, each fault named by its line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from envs import circuit
from envs.centreline_csv import SMOOTHING
from envs.curve import smoothed
from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HEADER = "# x_m, y_m, w_tr_right_m, w_tr_left_m\n"
ANGLES = math.tau * np.arange(120) / 120


def lines(rows: Iterable[tuple[float, ...]], separator: str = ", ") -> str:
    return "".join(separator.join(f"{value:.4f}" for value in row) + "\n" for row in rows)


def ring(radius: float = 100.0, right: float = 5.0, left: float = 6.0) -> list[tuple[float, ...]]:
    return [(radius * math.cos(a), radius * math.sin(a), right, left) for a in ANGLES]


def read(text: str) -> circuit.Circuit:
    return circuit.read(circuit.Source("track", text, "csv"))


RING = ring()
SPELLINGS = {
    "with a header": HEADER + lines(RING),
    "without": lines(RING),
    "header without a mark": HEADER.removeprefix("# ") + lines(RING),
    "semicolons": "x_m;y_m;w_tr_right_m;w_tr_left_m\n" + lines(RING, ";"),
    "spaces": lines(RING, "   "),
    "trailing separators": HEADER + lines(RING).replace("\n", " ,\n"),
    "blank lines": HEADER + lines(RING).replace("\n", "\n\n"),
    "other line ends and a mark of byte order": "\ufeff" + (HEADER + lines(RING)).replace("\n", "\r\n"),
    "comments": "# survey of 2019\n" + HEADER + lines(RING[:40]) + "# here, x_m, is a comment\n" + lines(RING[40:]),
    "first point repeated": HEADER + lines([*RING, RING[0]]),
    "points repeated": HEADER + lines([*RING[:40], *RING[39:]]),
    "another order and one more column": "Y_m,bank,x_m,w_tr_left_m,w_tr_right_m\n"
    + lines((y, 0.1, x, left, right) for x, y, right, left in RING),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_file_is_read_however_it_is_spelt(spelling: str) -> None:
    found = read(SPELLINGS[spelling])
    plain = read(SPELLINGS["with a header"])
    assert np.array_equal(found.points, plain.points)
    assert np.array_equal(found.left, plain.left)
    assert found.digest == plain.digest
    assert found.length == pytest.approx(math.tau * 100.0, rel=1e-4)
    assert (found.left.min(), found.left.max()) == pytest.approx((6.0, 6.0))
    assert (found.right.min(), found.right.max()) == pytest.approx((5.0, 5.0))
    assert found.width == pytest.approx(11.0)
    assert found.half_width == pytest.approx(5.0)


def test_the_first_comment_is_the_description() -> None:
    assert read(SPELLINGS["comments"]).description == "survey of 2019"


def test_the_digest_is_of_what_is_driven() -> None:
    plain = read(lines(RING))
    assert read(lines([(x, y, 5.0, 6.1) for x, y, _, _ in RING])).digest != plain.digest
    assert read(lines(reversed(RING))).digest != plain.digest
    assert plain.reversed().digest != plain.digest
    assert circuit.read(plain.source).digest == plain.digest


def test_it_is_driven_in_the_order_of_its_lines_and_sides_change_with_direction() -> None:
    found = read(lines(RING))
    assert found.curvature.min() > 0.0
    back = found.reversed()
    assert (back.left.max(), back.right.min()) == pytest.approx((5.0, 6.0))
    assert np.array_equal(back.reversed().left, found.left)


def test_a_map_s_coordinates_are_moved_to_the_first_point() -> None:
    found = read(lines((x + 691_000.0, y + 5_330_000.0, right, left) for x, y, right, left in RING))
    assert np.abs(found.points).max() < 250.0
    assert np.hypot(*(found.points - found.points.mean(axis=0)).T) == pytest.approx(100.0, abs=0.05)


REFUSED = {
    "open": (
        HEADER + lines(RING[:60]),
        (
            ": the circuit is open: from line 61 to line 2 it is 199.9 m, elsewhere 5.2 m at most: add the"
            " points between"
        ),
    ),
    "no number": (
        HEADER + "1,2,3,a\n",
        " line 2: w_tr_left_m is 'a': give a number of metres, with a decimal point",
    ),
    "decimal commas": (
        HEADER + "1,5;2;3;4\n",
        " line 2: x_m is '1,5': give a number of metres, with a decimal point",
    ),
    "not a number": (HEADER + "1,nan,3,4\n", " line 2: y_m is nan: give a real number of metres"),
    "infinite": (HEADER + "1,-inf,3,4\n", " line 2: y_m is -inf: give a real number of metres"),
    "no width": (
        HEADER + "\n1,2,0.0,4\n",
        " line 3: w_tr_right_m is 0.0: give a width of more than 0 and at most 100 m",
    ),
    "negative width": (
        "1,2,4,-3\n",
        " line 1: w_tr_left_m is -3: give a width of more than 0 and at most 100 m",
    ),
    "wide": ("1,2,4,101\n", " line 1: w_tr_left_m is 101: give a width of more than 0 and at most 100 m"),
    "narrow": (
        HEADER + lines([*RING[:7], (*RING[7][:2], 1.0, 1.4), *RING[8:]]),
        " line 9: the lane is 2.4 m wide, less than the car needs: give 2.5 m or more in all",
    ),
    "an edge on the centreline": (
        HEADER + lines(ring(right=0.5)),
        (
            " line 2: the lane edge at s=0 m (x=100.0, y=0.0) is 0.5 m from the centreline: give 1 m or more"
            " on each side"
        ),
    ),
    "few": (lines(RING[:3]), ": 3 points do not make a circuit: give at least 4"),
    "few different": (
        lines([RING[0], RING[1], RING[1], RING[2], RING[0]]),
        ": 3 different points do not make a circuit: give at least 4",
    ),
    "empty": ("", ": 0 points do not make a circuit: give at least 4"),
    "too few columns": (
        "1, 2\n",
        (
            " line 1: it has 2 values, not 4: give x_m, y_m, w_tr_right_m, w_tr_left_m, or a header that names"
            " all columns"
        ),
    ),
    "columns without names": (
        "1, 2, 3, 4, 5\n",
        (
            " line 1: it has 5 values, not 4: give x_m, y_m, w_tr_right_m, w_tr_left_m, or a header that names"
            " all columns"
        ),
    ),
    "a racing line": (
        "# s_m; x_m; y_m; psi_rad\n0;1;2;3\n",
        (" line 1: the header names w_tr_right_m not at all: it needs x_m, y_m, w_tr_right_m, w_tr_left_m, once each"),
    ),
    "degrees by name": (
        "lat,lon,w_tr_right_m,w_tr_left_m\n",
        " line 1: this looks like latitude and longitude: project them to x_m and y_m in metres",
    ),
    "degrees": (
        lines((8.0 + x * 1e-5, 49.0 + y * 1e-5, right, left) for x, y, right, left in RING),
        ": it spans 0.002 m, which looks like latitude and longitude: project it to metres",
    ),
    "a model's scale": (
        lines(ring(radius=20.0, right=1.1, left=1.1)),
        ": its lane is 2.2 m wide, which looks like a 1:10 scale: multiply all four columns by 10",
    ),
    "millimetres": (
        lines(ring(radius=1e5)),
        ": it is 628 km long, more than 100: give metres",
    ),
    "crossing": (
        lines((150.0 * math.sin(a), 70.0 * math.sin(2.0 * a), 5.0, 5.0) for a in ANGLES),
        (
            " line 1: the centreline crosses itself at s=0 m (x=0.0, y=0.0), where it passes again at s=443 m:"
            " move one of the two away"
        ),
    ),
    "too tight": (
        lines((60.0 * math.cos(a), 20.0 * math.sin(a), 3.0, 3.0) for a in ANGLES),
        (
            " line 1: the bend at s=0 m (x=60.0, y=0.0) has a radius of 6.8 m; the smallest a 6 m wide road"
            " may have is 8 m: widen the bend"
        ),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_track_is_refused_by_its_line(what: str) -> None:
    text, message = REFUSED[what]
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value) == "circuit track" + message


def hairpins(radius: float, straight: float, spacing: float) -> np.ndarray:
    """A centreline of two straights and two half circles, its entries as sharp as no real one's."""
    s = np.arange(0.0, 2.0 * straight + math.tau * radius, spacing)
    turn = np.clip(s - straight, 0.0, math.pi * radius) + np.clip(s - 2.0 * straight - math.pi * radius, 0.0, None)
    angle = turn / radius
    along = np.clip(s, 0.0, straight) - np.clip(s - straight - math.pi * radius, 0.0, straight)
    return np.column_stack([along + radius * np.sin(angle), radius - radius * np.cos(angle)])


@pytest.mark.parametrize(("spacing", "rounding"), [(0.2, 0.01), (1.0, 0.01), (3.0, 0.001)])
def test_a_hairpin_of_ten_metres_hardly_moves(spacing: float, rounding: float) -> None:
    angles = np.arange(0.0, math.tau, spacing / 10.0)
    circle = np.round(10.0 * np.column_stack([np.cos(angles), np.sin(angles)]) / rounding) * rounding
    found = read(lines((x, y, 3.0, 3.0) for x, y in circle))
    assert np.abs(np.hypot(*found.points.T) - 10.0).max() < 0.02
    assert found.smallest_radius > 9.0


@pytest.mark.parametrize(
    ("spacing", "noise", "tightest", "moved"),
    [(0.2, 0.005, 14.0, 0.03), (5.0, 0.05, 10.0, 0.25), (0.2, 0.05, 10.0, 0.1)],
)
def test_a_noisy_survey_is_a_road(spacing: float, noise: float, tightest: float, moved: float) -> None:
    points = hairpins(15.0, 300.0, spacing)
    points += np.random.default_rng(7).normal(0.0, noise, points.shape)
    found = read(lines((x, y, 4.0, 4.0) for x, y in points))
    assert tightest < found.smallest_radius < 15.5
    exact = np.hypot(found.points[:, 0] - np.clip(found.points[:, 0], 0.0, 300.0), found.points[:, 1] - 15.0)
    assert np.abs(exact - 15.0).max() < moved


def test_smoothing_leaves_of_a_wave_what_it_says() -> None:
    length, count = 100.0, 400
    s = length * np.arange(count) / count
    for period in (5.0, 10.0, 50.0):
        wave = np.sin(math.tau * s / period)[:, None]
        lost = 1.0 - math.exp(-0.5 * (math.tau * SMOOTHING / period) ** 2)
        assert smoothed(wave, length, SMOOTHING) == pytest.approx((1.0 - lost**2) * wave, abs=1e-9)


def test_widths_run_evenly_from_point_to_point() -> None:
    found = read(lines((x, y, 4.0 + 2.0 * (i > 60), 5.0) for i, (x, y, _, _) in enumerate(RING)))
    assert found.left == pytest.approx(5.0)
    assert (found.right.min(), found.right.max()) == pytest.approx((4.0, 6.0))
    assert np.abs(np.diff(found.right)).max() / found.step < 0.5


def test_a_wide_lane_is_narrowed_to_its_bends_and_neighbours() -> None:
    points = hairpins(15.0, 300.0, 3.0)
    found = read(lines((x, y, 9.0, 18.0) for x, y in points))
    assert found.note.startswith("narrowed along")
    assert found.right == pytest.approx(9.0)
    assert np.all(found.left <= 1.0 / np.maximum(found.curvature, 1e-9) - 0.5 + 1e-9)
    half = len(found.points) // 2
    for i in range(0, half // 3, 5):
        x, y, _ = found.pose(float(found.s[i]))
        opposite = int(np.argmin(np.hypot(*(found.points[half:] - (x, y)).T))) + half
        assert found.left[i] + found.left[opposite] <= 30.0 - 1.0 + 0.2
    assert np.abs(np.diff(found.left)).max() <= 0.1 * found.step + 1e-9
    assert not read(lines((x, y, 9.0, 13.0) for x, y in points)).note


def test_it_loads_wherever_a_circuit_does(tmp_path: Path) -> None:
    path = tmp_path / "my+track.csv"
    path.write_text(HEADER + lines(RING), encoding="utf-8")
    assert circuit.load(path).name == "my+track"
    worn = circuit.load(f"{path}+worn+narrow")
    assert worn.name == circuit.name_of(f"{path}+worn+narrow") == "my+track+worn+narrow"
    assert worn.width == pytest.approx(8.8)
    path.rename(tmp_path / "my.txt")
    with pytest.raises(InputError, match="is of no known kind: give a"):
        circuit.load(tmp_path / "my.txt")
