"""What is painted along a road, and on what."""

from __future__ import annotations

from dataclasses import dataclass

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
    """What stands along both sides of a road instead of open ground.

    All that is seen of a circuit is painted on flat ground: a wall is a strip there, as wide as the wall is high.

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
