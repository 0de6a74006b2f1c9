"""The circuit seen from above: a pyramid of square tiles, painted when first asked for.

Tile (level, column, row) covers `TILE` x `TILE` texels of `TEXEL` * 2**level metres; columns count along x, rows along
y, texel (0, 0) lies at the smallest x and y. Only the corridor of the road has tiles; all else is plain ground, so a
track of many kilometres costs no more memory than the tiles that are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from envs.kept import Kept

if TYPE_CHECKING:
    from envs.circuit import Circuit
    from envs.curve import Array
    from envs.markings import Colour

Image = npt.NDArray[np.uint8]

TILE = 256
"""Texels along the side of a tile."""

TEXEL = 0.05
"""Size of a texel on level 0 [m]."""

CHANNELS = 4
"""Red, green, blue and one unused: OpenCV samples four bytes three times as fast as three."""

KEPT = 448
"""Tiles kept in memory per painting, 262 kB each: all of a circuit of 1.5 km, or 1.5 km of a longer one."""

# A level is drawn so many times larger and averaged. Each for itself: a coarse tile made of the finest ones would have
# to paint a large part of the circuit first.
_FINE, _FINE_FURTHER = 2, 4
_SHIFT = 6  # fractional bits of the coordinates given to OpenCV


class Painting:
    """The ground of one circuit, the same bytes for both directions.

    Args:
        circuit: what to paint.

    Attributes:
        ground: RGB of what lies beside the road.
    """

    def __init__(self, circuit: Circuit) -> None:
        forward = circuit.facing("forward")
        self.ground: Colour = forward.markings.ground
        self._tiles: Kept[tuple[int, int, int], Image] = Kept(KEPT)
        self._layers = _layers(forward)
        self._points = forward.points
        self._left = _left(forward.points)
        self._reach = max(border for outer, inner, _ in self._layers for border in (abs(outer), abs(inner)))
        self._corridor = [_corridor(forward.points, self._reach + 2.0 * forward.step)]

    def has(self, level: int, column: int, row: int) -> bool:
        """Whether any of the road lies on a tile."""
        while len(self._corridor) <= level:
            self._corridor.append({(c >> 1, r >> 1) for c, r in self._corridor[-1]})
        return (column, row) in self._corridor[level]

    def tile(self, level: int, column: int, row: int) -> Image | None:
        """A (TILE, TILE, CHANNELS) uint8 tile, read-only, or None where there is only ground."""
        if not self.has(level, column, row):
            return None
        place = (level, column, row)
        tile = self._tiles.get(place)
        if tile is None:
            tile = self._drawn(level, column, row)
            tile.setflags(write=False)
            self._tiles.put(place, tile)
        return tile

    def plain(self, side: int) -> Image:
        """A (side, side, CHANNELS) uint8 square of ground without road."""
        colour = np.array((*self.ground, 0), np.uint8).view(np.uint32)[0]  # filling whole texels is 30 times as fast
        return np.full((side, side), colour, np.uint32).view(np.uint8).reshape(side, side, CHANNELS)

    def _drawn(self, level: int, column: int, row: int) -> Image:
        """A tile from the circuit's geometry."""
        side = TILE * TEXEL * (1 << level)
        corner = np.array([column * side, row * side])
        fine = _FINE_FURTHER if level else _FINE
        pixels_per_metre = fine * TILE / side
        inset = 0.5 / pixels_per_metre  # OpenCV fills every pixel that a border touches: half of one too many
        canvas = self.plain(fine * TILE)
        runs = self._runs(corner, side)
        for left, right, colour in self._layers:
            thin = min(inset, (left - right) / 2.0)
            for run in runs:
                points, across = self._points[run], self._left[run]
                border = np.concatenate([points + (left - thin) * across, (points + (right + thin) * across)[::-1]])
                pixels = (border - corner) * pixels_per_metre - 0.5  # pixel (0, 0) is centred on (0, 0)
                fixed = np.round(pixels * (1 << _SHIFT)).astype(np.int32)
                cv2.fillPoly(canvas, [fixed], (*colour, 0), shift=_SHIFT)
        while canvas.shape[0] > TILE:
            half = canvas.shape[0] // 2
            canvas = np.asarray(cv2.resize(canvas, (half, half), interpolation=cv2.INTER_AREA), np.uint8)
        return canvas

    def _runs(self, corner: Array, side: float) -> list[npt.NDArray[np.int64]]:
        """Stretches of the centreline whose road may touch a tile, as rows of indices in order."""
        near = np.all(np.abs(self._points - (corner + side / 2.0)) <= side / 2.0 + self._reach + 1.0, axis=1)
        if near.all():
            return [np.arange(len(near) + 1) % len(near)]
        first = int(np.flatnonzero(~near)[0])  # start where the road is elsewhere, so that no run wraps
        inside = np.concatenate([np.roll(near, -first).astype(np.int8), [0]])
        changes = np.flatnonzero(np.diff(inside))
        return [
            (np.arange(start, end + 2) + first) % len(near)
            for start, end in zip(changes[::2], changes[1::2], strict=True)
        ]


def _layers(circuit: Circuit) -> list[tuple[float, float, Colour]]:
    """Strips along the road in the order they are painted: left border, right border [m to the left], colour."""
    markings = circuit.markings
    half = circuit.width / 2.0
    layers = [(half + markings.shoulder, -half - markings.shoulder, markings.asphalt)]
    if markings.edges is not None:
        paint = markings.edges
        layers += [(half, half - paint.width, paint.colour), (paint.width - half, -half, paint.colour)]
    if markings.centre is not None:
        layers.append((markings.centre.width / 2.0, -markings.centre.width / 2.0, markings.centre.colour))
    return layers


def _left(points: Array) -> Array:
    """(n, 2) unit vectors to the left of the centreline; driven the other way they are the exact opposites."""
    along = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    along /= np.hypot(along[:, :1], along[:, 1:])
    return np.stack([-along[:, 1], along[:, 0]], axis=1)


def _corridor(points: Array, reach: float) -> set[tuple[int, int]]:
    """Tiles of level 0 within `reach` [m] of the centreline."""
    side = TILE * TEXEL
    spread = np.linspace(-reach, reach, 2 + int(2.0 * reach / side))
    around = np.stack(np.meshgrid(spread, spread), axis=-1).reshape(1, -1, 2)
    tiles = np.unique(np.floor((points[:, None] + around) / side).astype(np.int64).reshape(-1, 2), axis=0)
    return {(int(c), int(r)) for c, r in tiles}
