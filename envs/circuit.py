"""A circuit: a closed centreline with a width and markings, named, read from one file.

A TOML file gives its centreline either as `points` (control points of a closed smooth curve) or as `segments`
(straights and arcs in a row), a centreline CSV as surveyed points; see `docs/add-a-circuit.md`, and `envs/circuits/`
for examples.
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
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from envs import centreline_csv, circuit_file, track_generator, variants
from envs.curve import wrapped
from envs.errors import InputError

if TYPE_CHECKING:
    from envs.curve import Array
    from envs.markings import Markings

Direction = Literal["forward", "reverse"]
Format = Literal["toml", "csv"]

FOLDER = Path(__file__).parent / "circuits"
"""Where the circuits that have names lie, one file each."""

SUFFIXES: dict[str, Format] = {".toml": "toml", ".csv": "csv"}
"""Of circuits' files."""


class Source(NamedTuple):
    """What a circuit is read from, all of it plain text.

    Attributes:
        name: of the circuit, without its variant.
        text: of its file.
        format: of that text, "toml" or "csv".
        variant: applied to it, several joined by `+`, or empty.
    """

    name: str
    text: str
    format: Format = "toml"
    variant: str = ""


@dataclass(frozen=True, eq=False)
class Circuit:
    """A closed road.

    Attributes:
        name: of the circuit and its variant; both directions share it.
        points: (n, 2) the centreline at equal steps of arc, the first point not repeated, read-only [m].
        s: (n,) distance along the centreline of each point [m].
        heading: (n,) direction of travel in (-pi, pi] [rad].
        curvature: (n,) positive to the left [1/m].
        length: once round [m].
        step: of arc between two points, at most 0.5 [m].
        left: (n,) from the centreline to the left lane edge at each point, positive [m].
        right: (n,) from the centreline to the right lane edge at each point, positive [m].
        markings: what is painted.
        tags: words to choose circuits by: "benchmark" or "training".
        description: one sentence.
        direction: "forward" as in the file, or "reverse".
        note: where the lane had to be narrowed against what its source asks for, or empty.
        road: sha256 of everything above that decides the driving, apart from the direction.
        source: what it was read from; `read(source)` gives the forward circuit again.
    """

    name: str
    points: Array = field(repr=False)
    s: Array = field(repr=False)
    heading: Array = field(repr=False)
    curvature: Array = field(repr=False)
    length: float
    step: float
    left: Array = field(repr=False)
    right: Array = field(repr=False)
    markings: Markings = field(repr=False)
    tags: tuple[str, ...]
    description: str
    direction: Direction
    note: str
    road: str = field(repr=False)
    source: Source = field(repr=False)

    def reversed(self) -> Circuit:
        """The same road driven the other way, from the same place."""
        order = -np.arange(len(self.points)) % len(self.points)
        direction: Direction = "reverse" if self.direction == "forward" else "forward"
        return replace(
            self,
            points=_frozen(self.points[order]),
            heading=_frozen(wrapped(self.heading[order] + math.pi)),
            curvature=_frozen(-self.curvature[order]),
            left=_frozen(self.right[order]),
            right=_frozen(self.left[order]),
            direction=direction,
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
    def digest(self) -> str:
        """Sha256 of everything that decides the driving, the direction too."""
        return hashlib.sha256(f"{self.road} {self.direction}".encode()).hexdigest()

    @property
    def width(self) -> float:
        """Lane edge to lane edge, where the lane is narrowest [m]."""
        return float((self.left + self.right).min())

    @property
    def half_width(self) -> float:
        """From the centreline to a lane edge, where that is nearest [m]."""
        return float(min(self.left.min(), self.right.min()))

    @property
    def smallest_radius(self) -> float:
        """Radius of the tightest bend of the centreline [m]."""
        return 1.0 / max(float(np.max(np.abs(self.curvature))), 1e-9)


_READERS = {"toml": circuit_file.read, "csv": centreline_csv.read}


def names(tag: str | None = None) -> tuple[str, ...]:
    """The named circuits in alphabetical order, numbers by value; with `tag`, those that carry it."""
    files = sorted((path for path in FOLDER.iterdir() if is_file(path.name)), key=lambda path: _natural(path.stem))
    return tuple(path.stem for path in files if tag is None or tag in _tags(path))


def is_file(text: str) -> bool:
    """Whether a circuit's name is the path of a file; what follows a `+` must be taken off before."""
    return "/" in text or Path(text).suffix.lower() in SUFFIXES


def name_of(name_or_path: str) -> str:
    """What `load` will call a circuit, which need not be there."""
    text, variant = variants.parted(name_or_path)
    return variants.joined(Path(text).stem if is_file(text) else text, variant)


def check(name_or_path: str) -> None:
    """See that a name stands for a circuit; that of a file is right in any case.

    Raises:
        InputError: there is no such circuit or variant; the nearest are named.
    """
    text, variant = variants.parted(name_or_path)
    variants.check(variant)
    if text.startswith(track_generator.PREFIX):
        track_generator.asked(text)
    elif not is_file(text) and text not in names():
        near = difflib.get_close_matches(text, names(), n=3, cutoff=0.4) or names()
        raise InputError(
            f"there is no circuit {text!r}: name one of {', '.join(near)}, or give the path of a .toml or .csv file"
        )


def load(name_or_path: str | Path) -> Circuit:
    """Read a circuit.

    Args:
        name_or_path: the name of one in `FOLDER`, `generated:SEED` or `generated:SEED:LENGTH` (see
            `envs.track_generator`), or the path of a .toml or .csv file; each may be followed by `+VARIANT`.

    Raises:
        InputError: there is no such circuit, file or variant, or its content is no road; the text names the place.
    """
    check(str(name_or_path))
    text, variant = variants.parted(str(name_or_path))
    if text.startswith(track_generator.PREFIX):
        return read(Source(text, track_generator.named(text), "csv", variant))
    path = Path(text) if is_file(text) else next(path for path in FOLDER.iterdir() if path.stem == text)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"circuit file {text} is of no known kind: give a .toml or a .csv file")
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"circuit file {text} cannot be read: {why}; check the path") from error
    origin = text if is_file(text) else f"circuits/{path.name}"
    return read(Source(path.stem, content, SUFFIXES[path.suffix.lower()], variant), origin)


def parse(text: str, name: str) -> Circuit:
    """A circuit from the text of a TOML file, called `name`.

    Raises:
        InputError: the text is no TOML, or what it says is no road; the text names the place.
    """
    return read(Source(name, text))


def read(source: Source, origin: str | None = None) -> Circuit:
    """A circuit from its source.

    Args:
        source: what to read.
        origin: what an error calls the file; the circuit's name if not given.

    Raises:
        InputError: the text is of another format, or what it says is no road; the error names the place.
    """
    where = f"circuit {origin or source.name}"
    content = _READERS[source.format](source.text, where)
    content = variants.applied(content, source.variant, where)
    curve = content.lane.curve
    n = len(curve.points)
    return Circuit(
        name=variants.joined(source.name, source.variant),
        points=_frozen(curve.points),
        s=_frozen(np.arange(n, dtype=np.float64) * (curve.length / n)),
        heading=_frozen(curve.heading),
        curvature=_frozen(curve.curvature),
        length=curve.length,
        step=curve.length / n,
        left=_frozen(content.lane.left),
        right=_frozen(content.lane.right),
        markings=content.markings,
        tags=content.tags,
        description=content.description,
        direction="forward",
        road=_road(content),
        note=content.note,
        source=source,
    )


def _tags(path: Path) -> tuple[str, ...]:
    """The tags of a circuit's file, which is not surveyed for it."""
    return tuple(tomllib.loads(path.read_text(encoding="utf-8")).get("tags", ())) if path.suffix == ".toml" else ()


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts train_2 before train_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _frozen(array: Array) -> Array:
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def _road(content: circuit_file.Content) -> str:
    """sha256 of what decides the driving: the data as written, not floating-point results, so every host agrees."""
    written = json.dumps({**content.written, "markings": repr(content.markings)}, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()
