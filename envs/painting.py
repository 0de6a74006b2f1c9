"""The circuit seen from above: a pyramid of square tiles, painted when first asked for.

Tile (level, column, row) covers `TILE` x `TILE` texels of `TEXEL` * 2**level metres; columns count along x, rows along
y, texel (0, 0) lies at the smallest x and y. Only the corridor of the road has tiles; all else is plain ground, so a
track of many kilometres costs no more memory than the tiles that are kept.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from envs.kept import Kept
from envs.strips import Strips

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envs.circuit import Circuit
    from envs.curve import Array
    from envs.lane import Flags, Index
    from envs.markings import Colour
    from envs.strips import Strip

Image = npt.NDArray[np.uint8]

TILE = 128
"""Texels along the side of a tile."""

TEXEL = 0.05
"""Size of a texel on level 0 [m]."""

CHANNELS = 4
"""Red, green, blue and one unused: OpenCV samples four bytes three times as fast as three."""

KEPT_BYTES = 96 << 20
"""Memory for the tiles that are kept, per painting: all of a circuit of 2 km, or 2 km of a longer one."""

# A level is drawn so many times larger and averaged. Each for itself: a coarse tile made of the finest ones would have
# to paint a large part of the circuit first.
_FINE, _FINE_FURTHER = 2, 4
_SHIFT = 6  # fractional bits of the coordinates given to OpenCV
_WEAR_PERIOD = 1024  # pixels of level 0's canvas after which worn patches repeat: 25.6 m
_WEAR_GRAIN = 12.0  # size of the patches on that canvas: sigma of the noise that they are cut from [pixels]


class Painting:
    """The ground of one circuit, the same bytes for both directions.

    Args:
        circuit: what to paint.

    Attributes:
        circuit: forward.
        ground: RGB of what lies beside the road.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = forward = circuit.facing("forward")
        self.ground: Colour = forward.markings.ground
        self._tiles: Kept[tuple[int, int, int], Image] = Kept(KEPT_BYTES // (TILE * TILE * CHANNELS))
        self._strips = Strips(forward)
        # Borders of all strips at once, (strips, n, 1): left ones, right ones.
        self._borders = tuple(
            np.stack([getattr(strip, side) for strip in self._strips.strips])[..., None] for side in ("left", "right")
        )
        self._corridor = [_corridor(forward.points, self._strips.reach)]
        # Filling whole texels is 30 times as fast as bytes, and fresh memory would cost more than what is drawn on it.
        self._plain_texel = np.array((*self.ground, 0), np.uint8).view(np.uint32)[0]
        self._canvas = np.empty((TILE * _FINE_FURTHER) ** 2, np.uint32)
        self._seed = int(forward.road[:8], 16)
        self._shares: dict[tuple[float, int], npt.NDArray[np.float32]] = {}

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
        return np.full((side, side), self._plain_texel, np.uint32).view(np.uint8).reshape(side, side, CHANNELS)

    def _drawn(self, level: int, column: int, row: int) -> Image:
        """A tile from the circuit's geometry."""
        side = TILE * TEXEL * (1 << level)
        corner = np.array([column * side, row * side])
        fine = _FINE_FURTHER if level else _FINE
        texels = self._canvas[: (fine * TILE) ** 2]
        texels.fill(self._plain_texel)
        canvas = texels.view(np.uint8).reshape(fine * TILE, fine * TILE, CHANNELS)
        polygons = [(run, self._polygons(run, corner, fine * TILE / side)) for run in self._strips.runs(corner, side)]
        for _, outlines in polygons:
            _keep_off_borders(outlines[..., 0], len(canvas))
        for k, strip in enumerate(self._strips.strips):
            pieces = [piece for run, outlines in polygons for piece in _pieces(outlines[k], strip, run)]
            if strip.wear:
                _paint_worn(canvas, pieces, strip.colour, self._left_of(strip.wear, level, fine), (column, row))
                continue
            for piece in pieces:
                cv2.fillPoly(canvas, [piece], (*strip.colour, 0), shift=_SHIFT)
        while canvas.shape[0] > TILE:
            half = canvas.shape[0] // 2
            canvas = np.asarray(cv2.resize(canvas, (half, half), interpolation=cv2.INTER_AREA), np.uint8)
        return canvas

    def _polygons(self, run: Index, corner: Array, scale: float) -> npt.NDArray[np.int32]:
        """Outlines of all strips on a stretch of k points, (strips, 2 k, 2): left borders, then right ones backwards.

        Args:
            run: the points' indices.
            corner: of the tile [m].
            scale: pixels of the canvas per metre.
        """
        left, right = (borders[:, run] for borders in self._borders)
        # OpenCV fills every pixel that a border touches, half of one too many; pixel (0, 0) is centred on (0, 0).
        inset = np.minimum(0.5 / scale, (left - right) / 2.0)
        points, across = self._strips.points[run], self._strips.across[run]
        origin, unit = (points - corner) * scale - 0.5, across * scale
        outlines = np.concatenate([left - inset, (right + inset)[:, ::-1]], axis=1)
        outlines = np.concatenate([origin, origin[::-1]]) + outlines * np.concatenate([unit, unit[::-1]])
        return np.asarray(np.rint(outlines * (1 << _SHIFT)).astype(np.int32, order="C"))

    def _left_of(self, wear: float, level: int, fine: int) -> npt.NDArray[np.float32]:
        """(n, n) share of the paint that is left on each pixel of a level's canvas; it repeats."""
        if (wear, level) not in self._shares:
            share = (self._unevenness >= np.quantile(self._unevenness, wear)).astype(np.float32)
            side = max(1, _WEAR_PERIOD * fine // _FINE >> level)
            way = cv2.INTER_AREA if side < _WEAR_PERIOD else cv2.INTER_NEAREST
            self._shares[wear, level] = np.asarray(cv2.resize(share, (side, side), interpolation=way), np.float32)
        return self._shares[wear, level]

    @cached_property
    def _unevenness(self) -> npt.NDArray[np.float32]:
        """Noise that worn patches are cut from; it continues at its borders."""
        noise = np.random.Generator(np.random.Philox(self._seed)).standard_normal((_WEAR_PERIOD, _WEAR_PERIOD))
        frequency = np.hypot(np.fft.fftfreq(_WEAR_PERIOD)[:, None], np.fft.rfftfreq(_WEAR_PERIOD))
        kept = np.exp(-0.5 * (2.0 * np.pi * _WEAR_GRAIN * frequency) ** 2)
        return np.asarray(np.fft.irfft2(np.fft.rfft2(noise) * kept, s=noise.shape), np.float32)


def _pieces(outline: npt.NDArray[np.int32], strip: Strip, run: Index) -> list[npt.NDArray[np.int32]]:
    """The painted parts of a strip's outline, each an outline again."""
    if strip.painted is None:
        return [outline]
    count = len(run)
    here: Flags = np.concatenate([[False], strip.painted[run[:-1]], [False]])
    changes = np.flatnonzero(here[1:] != here[:-1]).tolist()
    return [
        np.concatenate([outline[begin : end + 1], outline[2 * count - 1 - end : 2 * count - begin]])
        for begin, end in zip(changes[::2], changes[1::2], strict=True)
    ]


def _keep_off_borders(x: npt.NDArray[np.int32], side: int) -> None:
    """Move corners that OpenCV would round to the first or the last of `side` columns of pixels to just beside it.

    OpenCV 5.0 spills paint from such a corner far into the picture, if the one before it is outside.
    """
    half = (1 << _SHIFT - 1) + 1
    for column in (0, side - 1 << _SHIFT):
        on = np.abs(x - column) < half
        x[on] = np.where(x[on] < column, column - half, column + half)


def _paint_worn(
    canvas: Image,
    pieces: Sequence[npt.NDArray[np.int32]],
    colour: Colour,
    left: npt.NDArray[np.float32],
    place: tuple[int, int],
) -> None:
    """Paint what is `left` of each pixel's paint on the canvas of the tile at `place` (column, row)."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    for piece in pieces:
        cv2.fillPoly(mask, [piece], (1,), shift=_SHIFT)
    if not cv2.countNonZero(mask):
        return
    columns, rows = cv2.findNonZero(mask).reshape(-1, 2).T  # many times as fast as NumPy's
    first_column, first_row = (number * len(mask) for number in place)
    share = left[(first_row + rows) % len(left), (first_column + columns) % len(left), None]
    under = canvas[rows, columns].astype(np.float32)
    canvas[rows, columns] = np.rint(under + share * (np.array((*colour, 0), np.float32) - under))


def _corridor(points: Array, reach: float) -> set[tuple[int, int]]:
    """Tiles of level 0 within `reach` [m] of the centreline."""
    side = TILE * TEXEL
    reach += float(np.hypot(*(points[1] - points[0])))
    spread = np.linspace(-reach, reach, 2 + int(2.0 * reach / side))
    around = np.stack(np.meshgrid(spread, spread), axis=-1).reshape(-1, 2)
    tiles = {(int(c), int(r)) for c, r in np.floor(points / side)}
    found: set[tuple[int, int]] = set()
    for shift in around:
        cells = np.floor((points + shift) / side).astype(np.int64)
        moved = np.flatnonzero(np.any(np.diff(cells, axis=0, prepend=cells[-1:]) != 0, axis=1))
        found.update(map(tuple, cells[moved].tolist()))
    return found | tiles
