"""A circuit: a closed centreline with a width and markings, named, read from one TOML file.

The file format is described in `docs/` and by example in `envs/circuits/`. A file gives its centreline either as
`points` (control points of a closed smooth curve) or as `segments` (straights and arcs in a row).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from envs import survey
from envs.curve import Arc, Straight, from_segments, through_points, wrapped
from envs.errors import InputError

if TYPE_CHECKING:
    from envs.curve import Array, Curve

Direction = Literal["forward", "reverse"]
Colour = tuple[int, int, int]

FOLDER = Path(__file__).parent / "circuits"
"""Where the circuits that have names lie, one TOML file each."""

FEWEST_POINTS = 4
_GAP_ALLOWED = 0.05  # between the ends of a row of segments [m]
_TURN_ALLOWED = math.radians(0.5)  # between their directions [rad]
_OPEN_FACTOR = (
    4.0  # a last-to-first distance this many times the largest other one is a forgotten piece, not a straight
)


@dataclass(frozen=True)
class Line:
    """A painted line along the road.

    Attributes:
        colour: RGB, each 0 to 255.
        width: of the paint [m].
    """

    colour: Colour
    width: float


@dataclass(frozen=True)
class Markings:
    """What is painted, and on what.

    Attributes:
        centre: the guide line on the centreline, or None.
        edges: the two lines whose outer borders are the lane edges, or None.
        asphalt: RGB of the road.
        ground: RGB of what lies beside it.
        shoulder: asphalt beyond each lane edge [m].
    """

    centre: Line | None = Line((200, 30, 30), 0.3)
    edges: Line | None = Line((235, 235, 235), 0.2)
    asphalt: Colour = (92, 92, 96)
    ground: Colour = (84, 118, 58)
    shoulder: float = 0.3


@dataclass(frozen=True, eq=False)
class Circuit:
    """A closed road.

    Attributes:
        name: of the circuit; both directions share it.
        points: (n, 2) the centreline at equal steps of arc, the first point not repeated, read-only [m].
        s: (n,) distance along the centreline of each point [m].
        heading: (n,) direction of travel in (-pi, pi] [rad].
        curvature: (n,) positive to the left [1/m].
        length: once round [m].
        step: of arc between two points, at most 0.5 [m].
        width: lane edge to lane edge [m].
        markings: what is painted.
        tags: words to choose circuits by: "benchmark" or "training".
        description: one sentence.
        direction: "forward" as in the file, or "reverse".
        digest: sha256 of everything above that decides the driving.
        source: the TOML text it was read from; `parse(source, name)` gives the forward circuit again.
    """

    name: str
    points: Array = field(repr=False)
    s: Array = field(repr=False)
    heading: Array = field(repr=False)
    curvature: Array = field(repr=False)
    length: float
    step: float
    width: float
    markings: Markings = field(repr=False)
    tags: tuple[str, ...]
    description: str
    direction: Direction
    digest: str = field(repr=False)
    source: str = field(repr=False)

    def reversed(self) -> Circuit:
        """The same road driven the other way, from the same place."""
        order = -np.arange(len(self.points)) % len(self.points)
        direction: Direction = "reverse" if self.direction == "forward" else "forward"
        return replace(
            self,
            points=_frozen(self.points[order]),
            heading=_frozen(wrapped(self.heading[order] + math.pi)),
            curvature=_frozen(-self.curvature[order]),
            direction=direction,
            digest=_digest(self.source, self.width, self.markings, direction),
        )

    def facing(self, direction: Direction) -> Circuit:
        """This circuit in the given direction."""
        return self if direction == self.direction else self.reversed()

    def pose(self, s: float, offset: float = 0.0) -> tuple[float, float, float]:
        """Place beside the centreline.

        Args:
            s: distance along the centreline, any number of laps [m].
            offset: to the left of it [m].

        Returns:
            x [m], y [m] and the centreline's heading there [rad].
        """
        at = s / self.step % len(self.points)
        i = int(at) % len(self.points)
        j = (i + 1) % len(self.points)
        part = at - int(at)
        turn = math.remainder(float(self.heading[j] - self.heading[i]), 2.0 * math.pi)
        heading = math.remainder(float(self.heading[i]) + part * turn, 2.0 * math.pi)
        x, y = (1.0 - part) * self.points[i] + part * self.points[j]
        return float(x) - offset * math.sin(heading), float(y) + offset * math.cos(heading), heading

    @property
    def smallest_radius(self) -> float:
        """Radius of the tightest bend of the centreline [m]."""
        return 1.0 / max(float(np.max(np.abs(self.curvature))), 1e-9)


def names(tag: str | None = None) -> tuple[str, ...]:
    """The named circuits in alphabetical order, numbers by value; with `tag`, those that carry it."""
    found = sorted((path.stem for path in FOLDER.glob("*.toml")), key=_natural)
    return tuple(name for name in found if tag is None or tag in load(name).tags)


def load(name_or_path: str | Path) -> Circuit:
    """Read a circuit by its name, or from a path that ends in .toml.

    Raises:
        InputError: there is no such circuit or file, or its content is no road; the text names the place.
    """
    text = str(name_or_path)
    path = Path(text) if text.endswith(".toml") else FOLDER / f"{text}.toml"
    if not text.endswith(".toml") and text not in names():
        near = difflib.get_close_matches(text, names(), n=3, cutoff=0.4) or names()
        raise InputError(
            f"there is no circuit {text!r}: name one of {', '.join(near)}, or give a path that ends in .toml"
        )
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"circuit file {text} cannot be read: {why}; check the path") from error
    return parse(content, path.stem, origin=str(path) if text.endswith(".toml") else f"circuits/{path.name}")


def parse(text: str, name: str, origin: str | None = None) -> Circuit:
    """A circuit from the text of its file.

    Args:
        text: TOML.
        name: what the circuit is called.
        origin: what an error calls the file; the name if not given.

    Raises:
        InputError: the text is no TOML, or what it says is no road; the text names the place.
    """
    where = f"circuit {origin or name}"
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: this is not TOML: {error}; correct the file there") from error
    _known(data, ("description", "tags", "width", "closed", "points", "segments", "markings"), where)
    width = _number(data, "width", where)
    markings = _markings(data.get("markings", {}), where)
    for line in (markings.centre, markings.edges):
        if line is not None and line.width > width / 2.0:
            raise InputError(
                f"{where}: a {line.width:g} m wide line does not fit a {width:g} m wide road: make one fit"
            )
    if data.get("closed", True) is not True:
        raise InputError(
            f"{where}: closed = false, but only a closed circuit can be lapped: close it and say closed = true"
        )
    curve = _curve(data, where)
    fault = survey.fault(curve, width)
    if fault:
        raise InputError(f"{where}: {fault}")
    tags = data.get("tags", [])
    description = data.get("description", "")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InputError(f"{where}: tags must be a list of words: write tags = ['training']")
    if not isinstance(description, str):
        raise InputError(f"{where}: description must be text: put it in quotes")
    n = len(curve.points)
    return Circuit(
        name=name,
        points=_frozen(curve.points),
        s=_frozen(np.arange(n, dtype=np.float64) * (curve.length / n)),
        heading=_frozen(curve.heading),
        curvature=_frozen(curve.curvature),
        length=curve.length,
        step=curve.length / n,
        width=width,
        markings=markings,
        tags=tuple(tags),
        description=description,
        direction="forward",
        digest=_digest(text, width, markings, "forward"),
        source=text,
    )


def _curve(data: dict[str, Any], where: str) -> Curve:
    """The centreline that the file describes."""
    if ("points" in data) == ("segments" in data):
        raise InputError(f"{where}: give the centreline either as points or as segments: keep one of the two")
    if "points" in data:
        return through_points(_knots(data["points"], stated="closed" in data, where=where))
    segments = _segments(data["segments"], where)
    curve, gap, turn = from_segments(segments)
    if math.hypot(*gap) > _GAP_ALLOWED or abs(turn) > _TURN_ALLOWED:
        raise InputError(
            f"{where}: the circuit is open: segment {len(segments)} ends at x={gap[0]:.2f}, y={gap[1]:.2f} heading"
            f" {math.degrees(turn):.1f} degrees, the first one starts at x=0, y=0 heading 0: make the two meet"
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
        if not (isinstance(row, list) and len(row) == 2 and all(_is_number(value) for value in row)):
            raise InputError(f"{where}: point {i + 1} is {row!r}: write it as [x, y] in metres")
        if not all(math.isfinite(value) for value in row):
            raise InputError(f"{where}: point {i + 1} (x={row[0]}, y={row[1]}) is not finite: give it two real numbers")
    knots = np.array(rows, dtype=np.float64).reshape(-1, 2)
    if len(knots) > 1 and np.array_equal(knots[0], knots[-1]):
        knots, stated = knots[:-1], True
    if len(knots) < FEWEST_POINTS:
        raise InputError(f"{where}: {len(knots)} points do not make a circuit: give at least {FEWEST_POINTS}")
    gaps = np.hypot(*(np.roll(knots, -1, axis=0) - knots).T)
    if float(gaps.min()) < 1e-3:
        i = int(np.argmin(gaps))
        raise InputError(f"{where}: point {i + 1} {_at(knots[i])} stands twice in a row: remove one of the two")
    if not stated and gaps[-1] > _OPEN_FACTOR * gaps[:-1].max():
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
        _known(row, ("straight", "radius", "angle"), here)
        if set(row) == {"straight"}:
            segments.append(Straight(_number(row, "straight", here)))
        elif set(row) == {"radius", "angle"}:
            angle = row["angle"]
            if not _is_number(angle) or not math.isfinite(angle) or angle == 0:
                raise InputError(f"{here}: angle is {angle!r}: give degrees, positive to the left")
            segments.append(Arc(_number(row, "radius", here), math.radians(angle)))
        else:
            raise InputError(f"{here} is neither straight nor arc: give it straight, or radius and angle")
    return segments


def _markings(data: Any, where: str) -> Markings:
    """What the file says is painted; what it leaves out is as in `Markings`."""
    here = f"{where}: markings"
    if not isinstance(data, dict):
        raise InputError(f"{here} must be a table: write [markings]")
    _known(data, ("centre", "edges", "asphalt", "ground", "shoulder"), here)
    given: dict[str, Any] = {}
    for key in ("centre", "edges"):
        if key in data:
            line = data[key]
            if line is False:
                given[key] = None
                continue
            if not isinstance(line, dict):
                raise InputError(f"{here}.{key} must be a table with colour and width, or false for none: write it so")
            _known(line, ("colour", "width"), f"{here}.{key}")
            given[key] = Line(_colour(line, "colour", f"{here}.{key}"), _number(line, "width", f"{here}.{key}"))
    for key in ("asphalt", "ground"):
        if key in data:
            given[key] = _colour(data, key, here)
    if "shoulder" in data:
        given["shoulder"] = _number(data, "shoulder", here)
    return Markings(**given)


def _known(table: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    """Refuse a key that means nothing."""
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1) or [", ".join(keys)]
            raise InputError(f"{where}: {key!r} is not known here: did you mean {near[0]}?")


def _number(table: dict[str, Any], key: str, where: str) -> float:
    """A positive number of metres."""
    if key not in table:
        raise InputError(f"{where}: {key} is missing: give it in metres")
    value = table[key]
    if not _is_number(value) or not math.isfinite(value) or value <= 0:
        raise InputError(f"{where}: {key} is {value!r}: give a positive number of metres")
    return float(value)


def _colour(table: dict[str, Any], key: str, where: str) -> Colour:
    """Red, green and blue."""
    value = table.get(key)
    whole = isinstance(value, list) and all(isinstance(c, int) and not isinstance(c, bool) for c in value)
    if not isinstance(value, list) or not whole or len(value) != 3 or not all(0 <= c <= 255 for c in value):
        raise InputError(f"{where}: {key} is {value!r}: give [red, green, blue], each from 0 to 255")
    return value[0], value[1], value[2]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at(point: Array) -> str:
    return f"(x={point[0]:.1f}, y={point[1]:.1f})"


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts train_2 before train_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _frozen(array: Array) -> Array:
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def _digest(text: str, width: float, markings: Markings, direction: Direction) -> str:
    """sha256 of what decides the driving: the data as written, not floating-point results, so every host agrees."""
    data = tomllib.loads(text)
    content = {
        "centreline": {key: data[key] for key in ("points", "segments") if key in data},
        "width": width,
        "markings": repr(markings),
        "direction": direction,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
