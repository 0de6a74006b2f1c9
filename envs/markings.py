"""What is painted along a road, and on what; and how a TOML table says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from envs import fields
from envs.errors import InputError

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """A painted line along the road.

    Attributes:
        colour: RGB, each 0 to 255.
        width: of the paint [m].
        dash: paint and gap along the centreline [m], or None for an unbroken line.
        wear: share of the paint that is gone, in patches, 0 to 1.
    """

    colour: Colour
    width: float
    dash: tuple[float, float] | None = None
    wear: float = 0.0


@dataclass(frozen=True)
class Wall:
    """What stands along both sides of a road instead of open ground. It is seen; a car drives through it.

    Attributes:
        colour: RGB.
        height: above the ground [m].
        distance: of its foot beyond the lane edge [m].
    """

    colour: Colour
    height: float
    distance: float


@dataclass(frozen=True)
class Markings:
    """What is painted, and on what.

    Attributes:
        centre: the guide line on the centreline, or None.
        edges: the two lines whose outer borders are the lane edges, or None.
        asphalt: RGB of the road.
        ground: RGB of what lies beside it.
        shoulder: asphalt beyond each lane edge [m].
        wall: along both sides, or None.
    """

    centre: Line | None = Line((200, 30, 30), 0.3)
    edges: Line | None = Line((235, 235, 235), 0.2)
    asphalt: Colour = (92, 92, 96)
    ground: Colour = (84, 118, 58)
    shoulder: float = 0.3
    wall: Wall | None = None

    def changed(self, data: Any, where: str) -> Markings:
        """These markings, with what a table says of them; what it leaves out stays.

        Args:
            data: a table as TOML gives it. A line's own table may leave out parts too: they stay as well, and where
                there is no such line, there is still none.
            where: what an error calls the place of the table.

        Raises:
            InputError: an entry is not known, or of no sense.
        """
        here = f"{where}: markings"
        if not isinstance(data, dict):
            raise InputError(f"{here} must be a table: write [markings]")
        fields.known(data, tuple(self.__dataclass_fields__), here)
        given: dict[str, Any] = {}
        for key in ("centre", "edges"):
            if key in data:
                given[key] = _line(getattr(self, key), data[key], f"{here}.{key}")
        for key in ("asphalt", "ground"):
            if key in data:
                given[key] = fields.colour(data, key, here)
        if "shoulder" in data:
            given["shoulder"] = fields.number(data, "shoulder", here)
        if "wall" in data:
            given["wall"] = _wall(data["wall"], f"{here}.wall")
        return replace(self, **given)

    @property
    def widest_line(self) -> float:
        """Of the paint [m]; 0 where there is none."""
        return max((line.width for line in (self.centre, self.edges) if line is not None), default=0.0)


def _line(before: Line | None, data: Any, where: str) -> Line | None:
    """A line, or None for `false`."""
    if data is False:
        return None
    if not isinstance(data, dict):
        raise InputError(f"{where} must be a table with colour and width, or false for none: write it so")
    fields.known(data, tuple(Line.__dataclass_fields__), where)
    given: dict[str, Any] = {}
    if "colour" in data:
        given["colour"] = fields.colour(data, "colour", where)
    if "width" in data:
        given["width"] = fields.number(data, "width", where)
    if "wear" in data:
        given["wear"] = fields.share(data, "wear", where)
    if "dash" in data:
        given["dash"] = _dash(data["dash"], where)
    if before is not None:
        return replace(before, **given)
    return Line(**given) if {"colour", "width"} <= given.keys() else None


def _dash(value: Any, where: str) -> tuple[float, float] | None:
    """Paint and gap [m], or None for `false`."""
    if value is False:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(fields.is_number(v) and v >= 0.1 for v in value):
        raise InputError(f"{where}: dash is {value!r}: give [paint, gap] in metres, 0.1 or more, or false for none")
    return float(value[0]), float(value[1])


def _wall(data: Any, where: str) -> Wall | None:
    """A wall, or None for `false`."""
    if data is False:
        return None
    if not isinstance(data, dict):
        raise InputError(f"{where} must be a table with colour, height and distance, or false for none: write it so")
    fields.known(data, tuple(Wall.__dataclass_fields__), where)
    wall = Wall(
        fields.colour(data, "colour", where),
        fields.number(data, "height", where),
        fields.number(data, "distance", where),
    )
    if wall.height > 3.0 or wall.distance > 10.0:
        raise InputError(f"{where}: it is too high or too far away to be seen: at most 3 m high, 10 m away")
    return wall
