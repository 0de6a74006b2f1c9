"""Reading a circuit's TOML file: every way in which it may be no road is refused with the place named."""

from __future__ import annotations

import math
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envs import fields, survey
from envs.curve import Arc, Straight, from_segments, through_points
from envs.errors import InputError
from envs.lane import NARROWEST, WIDEST, Lane
from envs.markings import Markings

if TYPE_CHECKING:
    from envs.curve import Array, Curve

FEWEST_POINTS = 4

OPEN_FACTOR = 4.0
"""A last-to-first distance so many times the longest other one is a forgotten piece."""

FARTHEST = 1e6
"""A point may lie from the origin [m]."""

_GAP_ALLOWED = 0.05  # between the ends of a row of segments [m]
_TURN_ALLOWED = math.radians(0.5)  # between their directions [rad]
_LONGEST = 100_000.0  # a road may be [m]; longer ones come from files in millimetres


class Content(NamedTuple):
    """What a circuit's file says.

    Attributes:
        lane: the centreline and the lane edges.
        written: the centreline and its widths as the file gives them, fit for JSON.
        markings: what is painted.
        tags: words to choose circuits by.
        description: one sentence.
        note: what was done to make it a road, or empty.
    """

    lane: Lane
    written: dict[str, Any]
    markings: Markings
    tags: tuple[str, ...]
    description: str
    note: str = ""


def read(text: str, where: str) -> Content:
    """Read a circuit.

    Args:
        text: TOML.
        where: what an error calls the file.

    Raises:
        InputError: the text is no TOML, or what it says is no road; the error names the place.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: this is not TOML: {error}; correct the file there") from error
    fields.known(data, ("description", "tags", "width", "closed", "points", "segments", "markings"), where)
    width = fields.number(data, "width", where)
    if width < NARROWEST:
        raise InputError(f"{where}: width is {width:g} m, less than the car needs: give {NARROWEST:g} m or more")
    if width > 2.0 * WIDEST:
        raise InputError(f"{where}: width is {width:g} m, more than {2.0 * WIDEST:g}: give metres")
    markings = Markings().changed(data.get("markings", {}), where)
    if markings.widest_line > width / 2.0:
        raise InputError(
            f"{where}: a {markings.widest_line:g} m wide line does not fit a {width:g} m wide road: make one fit"
        )
    if data.get("closed", True) is not True:
        raise InputError(
            f"{where}: closed = false, but only a closed circuit can be lapped: close it and say closed = true"
        )
    curve = _curve(data, where)
    half = np.full(len(curve.points), width / 2.0)
    lane = Lane(curve, half, half)
    fault = survey.fault(lane)
    if fault:
        raise InputError(f"{where}: {fault.text}")
    tags = data.get("tags", [])
    description = data.get("description", "")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InputError(f"{where}: tags must be a list of words: write tags = ['training']")
    if not isinstance(description, str):
        raise InputError(f"{where}: description must be text: put it in quotes")
    written: dict[str, Any] = {key: data.get(key) for key in ("points", "segments", "width")}
    return Content(lane, written, markings, tuple(tags), description)


def _curve(data: dict[str, Any], where: str) -> Curve:
    """The centreline that the file describes."""
    if "points" not in data and "segments" not in data:
        raise InputError(f"{where}: it has no centreline: give points, or segments")
    if "points" in data and "segments" in data:
        raise InputError(f"{where}: it has both points and segments: keep one of the two")
    if "points" in data:
        return through_points(_knots(data["points"], stated="closed" in data, where=where))
    segments = _segments(data["segments"], where)
    curve, gap, turn = from_segments(segments)
    if math.hypot(*gap) > _GAP_ALLOWED or abs(turn) > _TURN_ALLOWED:
        raise InputError(
            f"{where}: the circuit is open: segment {len(segments)} ends at x={gap[0]:z.2f}, y={gap[1]:z.2f} heading"
            f" {math.degrees(turn):z.1f} degrees, the first one starts at x=0, y=0 heading 0: make the two meet"
        )
    return curve


def _knots(rows: Any, *, stated: bool, where: str) -> Array:
    """Control points (n, 2) [m]; a first point repeated at the end is dropped.

    Args:
        rows: what the file says.
        stated: whether the file says itself that it is closed, however far the last point is from the first.
        where: what an error calls the file.
    """
    if not isinstance(rows, list):
        raise InputError(f"{where}: points must be a list of [x, y] pairs in metres: write points = [[0.0, 0.0], ...]")
    for i, row in enumerate(rows):
        if not (isinstance(row, list) and len(row) == 2 and all(fields.is_number(value) for value in row)):
            raise InputError(f"{where}: point {i + 1} is {row!r}: write it as [x, y] in metres")
        if not all(math.isfinite(value) for value in row):
            raise InputError(f"{where}: point {i + 1} (x={row[0]}, y={row[1]}) is not finite: give it two real numbers")
        if max(map(abs, row)) > FARTHEST:
            raise InputError(f"{where}: point {i + 1} {row} lies more than {FARTHEST:g} m away: give it in metres")
    knots = np.array(rows, dtype=np.float64).reshape(-1, 2)
    if len(knots) > 1 and np.array_equal(knots[0], knots[-1]):
        knots, stated = knots[:-1], True
    if len(knots) < FEWEST_POINTS:
        raise InputError(f"{where}: {len(knots)} points do not make a circuit: give at least {FEWEST_POINTS}")
    gaps = np.hypot(*(np.roll(knots, -1, axis=0) - knots).T)
    if float(gaps.min()) < 1e-3:
        i = int(np.argmin(gaps))
        raise InputError(f"{where}: point {i + 1} {_at(knots[i])} stands twice in a row: remove one of the two")
    not_too_long(float(gaps.sum()), where)
    if not stated and gaps[-1] > OPEN_FACTOR * gaps[:-1].max():
        raise InputError(
            f"{where}: the circuit is open: point {len(knots)} {_at(knots[-1])} is {gaps[-1]:.1f} m from the first"
            f" {_at(knots[0])}: add the points between, or say closed = true if that is a straight"
        )
    return knots


def _segments(rows: Any, where: str) -> list[Straight | Arc]:
    """The row of straights and arcs that the file lists."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            f"{where}: segments must be tables: write [[segments]] with straight, or with radius and angle"
        )
    segments: list[Straight | Arc] = []
    for i, row in enumerate(rows):
        here = f"{where}: segment {i + 1}"
        fields.known(row, ("straight", "radius", "angle"), here)
        if set(row) == {"straight"}:
            segments.append(Straight(fields.number(row, "straight", here)))
        elif set(row) == {"radius", "angle"}:
            angle = row["angle"]
            if not fields.is_number(angle) or not math.isfinite(angle) or angle == 0:
                raise InputError(f"{here}: angle is {angle!r}: give degrees, positive to the left")
            segments.append(Arc(fields.number(row, "radius", here), math.radians(angle)))
        else:
            raise InputError(f"{here} is neither straight nor arc: give it straight, or radius and angle")
    not_too_long(
        sum(seg.length if isinstance(seg, Straight) else seg.radius * abs(seg.angle) for seg in segments), where
    )
    return segments


def not_too_long(length: float, where: str) -> None:
    """Refuse a road of `length` [m] that no lap would ever end on.

    Raises:
        InputError: it is too long.
    """
    if length > _LONGEST:
        raise InputError(
            f"{where}: it is {length / 1000.0:.0f} km long, more than {_LONGEST / 1000.0:.0f}: give metres"
        )


def _at(point: Array) -> str:
    return f"(x={point[0]:z.1f}, y={point[1]:z.1f})"
