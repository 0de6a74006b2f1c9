"""Reading a centreline CSV, the racing community's format: `x_m, y_m, w_tr_right_m, w_tr_left_m`.

A surveyed centreline is noisy, and a spline follows its noise with every bend: the spline through the points is
therefore smoothed over a few metres (`envs.curve.smoothed`). Where only the width is too much for a bend or for a
neighbouring stretch, the lane is narrowed. Source of the format: the TUM racetrack-database and f1tenth_racetracks.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs import survey
from envs.circuit_file import FARTHEST, FEWEST_POINTS, OPEN_FACTOR, Content, not_too_long
from envs.curve import smoothed, splined, through_points
from envs.errors import InputError
from envs.lane import NARROWEST, WIDEST, Lane
from envs.markings import Markings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envs.curve import Array

COLUMNS = ("x_m", "y_m", "w_tr_right_m", "w_tr_left_m")

SAME = 0.02
"""Neighbouring points closer than this are one point [m]."""

SMOOTHING = 2.0
"""Of the centreline and of the widths: sigma of a Gaussian along the arc [m]."""

_FAR = 10_000.0  # a track this far from the origin is in a map's coordinates, and moved to its first point [m]
_MISSING = 20.0  # a gap may be, however far it stands out [m]
_DEGREES = 0.5  # no track spans so little in metres, every one in degrees


class _Table(NamedTuple):
    """What the lines of a file say.

    Attributes:
        rows: (n, 4) in the order of `COLUMNS` [m].
        lines: number of each row's line, from 1.
        title: the first comment that is no header, or empty.
    """

    rows: Array
    lines: list[int]
    title: str


def read(text: str, where: str) -> Content:
    """Read a circuit.

    Args:
        text: of the file.
        where: what an error calls the file.

    Raises:
        InputError: the text is no such table, or what it says is no road; the error names the place.
    """
    table = _table(text, where)
    _plausible(table, where)
    table = _distinct(table)
    _closed(table, where)
    lane = _lane(table.rows)
    fitted = survey.fitted(lane)
    fault = survey.fault(fitted)
    if fault:
        beside = np.hypot(*(table.rows[:, :2] - lane.curve.points[fault.at]).T)
        raise InputError(f"{where} line {table.lines[int(np.argmin(beside))]}: {fault.text}")
    written = {"rows": hashlib.sha256(table.rows.astype("<f8").tobytes()).hexdigest()}
    return Content(fitted, written, Markings(), (), table.title, fitted.note(lane))


def _table(text: str, where: str) -> _Table:
    """The file's numbers; comments, blank lines and what its header names besides the four columns are left out."""
    rows: list[list[float]] = []
    lines: list[int] = []
    order: Sequence[int] | None = None
    width, title = len(COLUMNS), ""
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        plain = line.strip()
        comment = plain.startswith("#")
        cells = _cells(plain.lstrip("# \t"))
        if not rows and order is None and _is_header(cells, comment=comment):
            order, width = _order(cells, f"{where} line {number}"), len(cells)
        elif comment:
            title = title or plain.lstrip("# \t")
        elif cells:
            if len(cells) != width:
                raise InputError(
                    f"{where} line {number}: it has {len(cells)} values, not {width}: give {', '.join(COLUMNS)}, or a"
                    " header that names all columns"
                )
            rows.append([_value(cells[k], name, f"{where} line {number}") for k, name in _columns(order)])
            lines.append(number)
    if len(rows) < FEWEST_POINTS:
        raise InputError(f"{where}: {len(rows)} points do not make a circuit: give at least {FEWEST_POINTS}")
    return _Table(np.array(rows), lines, title)


def _cells(line: str) -> list[str]:
    """A line's values: between semicolons, else commas, else spaces; empty ones at its end are left out."""
    separator = next((mark for mark in ";," if mark in line), None)
    cells = [cell.strip() for cell in line.split(separator)]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _is_header(cells: list[str], *, comment: bool) -> bool:
    """Whether a line before all numbers names columns; a comment that does so names two of them at least."""
    if comment:
        return len({cell.lower() for cell in cells}.intersection(COLUMNS)) > 1
    return bool(cells) and all(re.match("[A-Za-z_]", cell) for cell in cells)


def _columns(order: Sequence[int] | None) -> list[tuple[int, str]]:
    """Where each of `COLUMNS` stands."""
    return list(zip(order or range(len(COLUMNS)), COLUMNS, strict=True))


def _order(cells: list[str], where: str) -> list[int]:
    """Where a header puts each of `COLUMNS`."""
    names = [cell.lower() for cell in cells]
    if any(re.match("lat|lon|lng", name) for name in names):
        raise InputError(f"{where}: this looks like latitude and longitude: project them to x_m and y_m in metres")
    for name in COLUMNS:
        if names.count(name) != 1:
            found = "twice" if name in names else "not at all"
            raise InputError(f"{where}: the header names {name} {found}: it needs {', '.join(COLUMNS)}, once each")
    return [names.index(name) for name in COLUMNS]


def _value(cell: str, name: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise InputError(f"{where}: {name} is {cell!r}: give a number of metres, with a decimal point") from None
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} is {cell}: give a real number of metres")
    if name.startswith("w") and not 0.0 < value <= WIDEST:
        raise InputError(f"{where}: {name} is {cell}: give a width of more than 0 and at most {WIDEST:g} m")
    if abs(value) > FARTHEST * 100.0:
        raise InputError(f"{where}: {name} is {cell}, too far away: give metres")
    return value


def _plausible(table: _Table, where: str) -> None:
    """Refuse what is a track, but not in metres."""
    span = np.ptp(table.rows[:, :2], axis=0)
    if span.max() < _DEGREES:
        raise InputError(
            f"{where}: it spans {span.max():.2g} m, which looks like latitude and longitude: project it to metres"
        )
    widths = table.rows[:, 2:].sum(axis=1)
    typical = float(np.median(widths))
    if typical < NARROWEST:
        raise InputError(
            f"{where}: its lane is {typical:.2g} m wide, which looks like a 1:10 scale: multiply all four columns by 10"
        )
    i = int(np.argmin(widths))
    if widths[i] < NARROWEST:
        raise InputError(
            f"{where} line {table.lines[i]}: the lane is {widths[i]:.2g} m wide, less than the car needs: give"
            f" {NARROWEST:g} m or more in all"
        )


def _distinct(table: _Table) -> _Table:
    """The table without points that repeat their neighbour, the first one being the last one's."""
    points = table.rows[:, :2].tolist()
    kept = [0]
    for i, point in enumerate(points):
        if math.dist(point, points[kept[-1]]) >= SAME:
            kept.append(i)
    while len(kept) > 1 and math.dist(points[kept[-1]], points[0]) < SAME:
        kept.pop()
    rows = table.rows[kept]
    if np.abs(rows[0, :2]).max() > _FAR:
        rows = rows - np.array([*rows[0, :2], 0.0, 0.0])
    return _Table(rows, [table.lines[i] for i in kept], table.title)


def _closed(table: _Table, where: str) -> None:
    """Refuse a track with a piece missing."""
    points = table.rows[:, :2]
    if len(points) < FEWEST_POINTS:
        raise InputError(
            f"{where}: {len(points)} different points do not make a circuit: give at least {FEWEST_POINTS}"
        )
    gaps = np.hypot(*(np.roll(points, -1, axis=0) - points).T)
    not_too_long(float(gaps.sum()), where)
    i = int(np.argmax(gaps))
    others = float(np.delete(gaps, i).max())
    if gaps[i] > max(_MISSING, OPEN_FACTOR * others):
        then = table.lines[(i + 1) % len(points)]
        raise InputError(
            f"{where}: the circuit is open: from line {table.lines[i]} to line {then} it is {gaps[i]:.1f} m, elsewhere"
            f" {others:.1f} m at most: add the points between"
        )


def _lane(rows: Array) -> Lane:
    """The smoothed spline through the points, and the widths beside it."""
    rough, along = splined(rows[:, :2])
    count = len(rough.points)
    closed = np.concatenate([rows, rows[:1]])
    knots = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed[:, :2], axis=0).T))))
    widths = np.stack([np.interp(along, knots, side) for side in closed[:, 2:].T], axis=1)
    curve = through_points(smoothed(rough.points, rough.length, SMOOTHING))
    widths = np.clip(smoothed(widths, rough.length, SMOOTHING), rows[:, 2:].min(axis=0), rows[:, 2:].max(axis=0))
    part = np.arange(len(curve.points)) * (count / len(curve.points))
    right, left = (np.interp(part, np.arange(count + 1), np.append(side, side[0])) for side in widths.T)
    return Lane(curve, left, right)
