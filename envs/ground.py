"""The painting under one episode's light, texture and shadow, laid out so that a camera can sample it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from envs.kept import Kept
from envs.painting import CHANNELS, TEXEL, TILE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from envs.look import Light, Look, Shadow, Texture
    from envs.markings import Colour
    from envs.painting import Image, Painting

SPAN = 4
"""Tiles along the side of a window, at most."""

_HELD = SPAN + 1  # tiles along the side that a sheet holds: one more, so that going to and fro loads nothing anew
_ASIDE = 16  # texels between the rows of a sheet: a cache line
_NEUTRAL = 128.0  # texture value that leaves the painting as it is; 255 nearly doubles it
_PERIOD = 512  # texels of level 0 after which the texture repeats: 25.6 m
_PATCH_TEXEL = 0.2  # of the pattern of shadows [m]
_PATCH_PERIOD = 512  # of its texels after which it repeats: 102.4 m
_PATCH_SHARE = 1.0 / 3.0  # of the ground in shadow
_BARE_KEPT = 256  # tiles without road, 64 kB each


class Ground:
    """What the camera samples: the painting times light, texture and shadow.

    What a window shows depends on its place alone, never on what was looked at before.

    Args:
        painting: of the circuit.
        look: light, texture and shadow of the episode.
        levels: of the pyramid that will be asked for.
    """

    def __init__(self, painting: Painting, look: Look, levels: int) -> None:
        self._painting = painting
        self._textures = textures(look, levels)
        self._patches = patches(look.shadow) if look.shadow.depth > 0.0 else None
        self._plain = painting.plain(TILE)
        self._bare: Kept[tuple[int, int, int], Image] = Kept(_BARE_KEPT)
        side = (_HELD + SPAN - 1) * TILE
        # In one piece, which the system can map by large pages; rows a power of two apart would share a few lines of
        # the processor's cache.
        texels = np.empty((levels, side, side + _ASIDE, CHANNELS), np.uint8)
        self._sheets = [_Sheet(sheet[:, :side]) for sheet in texels]

    def window(self, level: int, column: int, row: int, columns: int = SPAN, rows: int = SPAN) -> Image:
        """The tiles of a level from (column, row) on, (rows * TILE, columns * TILE, CHANNELS) uint8.

        It is valid until the next window of that level is asked for; `columns` and `rows` are at most `SPAN`.
        """
        sheet = self._sheets[level]
        place = (column, row, columns, rows)
        if sheet.shows != place:
            sheet.show(place, lambda c, r, out: self._lay(level, c, r, out))
        return sheet.window

    def _lay(self, level: int, column: int, row: int, out: Image) -> None:
        """Put a tile of the painting into `out` as it is lit."""
        painted = self._painting.tile(level, column, row)
        if painted is not None:
            self._light(painted, level, column, row, out)
            return
        # Ground without road looks alike wherever texture and shadow do.
        period = self._period(level)
        place = (level, column % period, row % period)
        tile = self._bare.get(place)
        if tile is None:
            tile = np.empty_like(self._plain)
            self._light(self._plain, level, column, row, tile)
            self._bare.put(place, tile)
        out[:] = tile

    def _light(self, painted: Image, level: int, column: int, row: int, out: Image) -> None:
        texture = self._textures[level]
        periods = texture.shape[0] // TILE
        c, r = column % periods * TILE, row % periods * TILE
        factor = texture[r : r + TILE, c : c + TILE]
        if self._patches is not None:
            shadow = self._shadow(self._patches, level, column, row)
            factor = np.asarray(cv2.multiply(factor, shadow, scale=1.0 / 255.0), np.uint8)
        cv2.multiply(painted, factor, dst=out, scale=1.0 / _NEUTRAL)

    def _shadow(self, pattern: Image, level: int, column: int, row: int) -> Image:
        """What is left of the light on a tile, in 255ths."""
        scale = TEXEL * (1 << level) / _PATCH_TEXEL
        period = self._period(level)
        x = (column % period * TILE + 0.5) * scale - 0.5
        y = (row % period * TILE + 0.5) * scale - 0.5
        place = np.array(((scale, 0.0, x), (0.0, scale, y)))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        left = cv2.warpAffine(pattern, place, (TILE, TILE), flags=flags, borderMode=cv2.BORDER_WRAP)
        return np.asarray(cv2.merge([left] * CHANNELS), np.uint8)

    def _period(self, level: int) -> int:
        """Tiles of a level after which texture and shadow both repeat."""
        if self._patches is None:
            return int(self._textures[level].shape[0]) // TILE
        return max(1, round(_PATCH_PERIOD * _PATCH_TEXEL / (TILE * TEXEL * (1 << level))))


class _Sheet:
    """The tiles around one place, laid down wherever it takes for the window to be one piece of memory.

    Tile (c, r) has its slot at (c, r) modulo `_HELD`, and a second place `_HELD` further where there is one.

    Args:
        texels: memory for `_HELD` + `SPAN` - 1 tiles in both directions.

    Attributes:
        shows: column and row of the window's first tile, and how many columns and rows of tiles it holds.
        window: these tiles.
    """

    def __init__(self, texels: Image) -> None:
        self._texels = texels
        self._held: dict[tuple[int, int], tuple[int, int]] = {}
        self.shows = (0, 0, 0, 0)
        self.window: Image = texels[:0, :0]

    def show(self, place: tuple[int, int, int, int], lay: Callable[[int, int, Image], None]) -> None:
        """Make the window another one; `lay` puts the tile at (column, row) into an image."""
        column, row, columns, rows = place
        first_x, first_y = column % _HELD, row % _HELD
        for y in range(first_y, first_y + rows):
            for x in range(first_x, first_x + columns):
                tile = (column + x - first_x, row + y - first_y)
                if self._held.get((x, y)) != tile:
                    self._fill(x, y, tile, lay)
        self.window = self._texels[first_y * TILE :, first_x * TILE :][: rows * TILE, : columns * TILE]
        self.shows = place

    def _fill(self, x: int, y: int, tile: tuple[int, int], lay: Callable[[int, int, Image], None]) -> None:
        """Put a tile at place (x, y): from another of its places, if one still holds it."""
        for other in ((i, j) for j in (y % _HELD, y % _HELD + _HELD) for i in (x % _HELD, x % _HELD + _HELD)):
            if self._held.get(other) == tile:
                self._place(x, y)[:] = self._place(*other)
                break
        else:
            lay(*tile, self._place(x, y))
        self._held[x, y] = tile

    def _place(self, x: int, y: int) -> Image:
        return self._texels[y * TILE :, x * TILE :][:TILE, :TILE]


def lit(colour: Colour, light: Light) -> npt.NDArray[np.float64]:
    """A painted RGB colour under a light, (3,) in [0, 255]."""
    shade = light.gain * np.array([1.0 + light.tint, 1.0, 1.0 - light.tint])
    return np.asarray(np.clip(np.array(colour) * shade, 0.0, 255.0), np.float64)


def textures(look: Look, levels: int) -> list[Image]:
    """Per level, what the painting is multiplied by, in 128ths: the light times an uneven ground.

    Level 0 is (_PERIOD, _PERIOD, CHANNELS) and repeats; each further one is its mean over squares, laid side by side
    until it fills a tile.
    """
    light, contrast = look.light, np.float32(look.texture.contrast)
    shade = (light.gain * (1.0 + light.tint), light.gain, light.gain * (1.0 - light.tint), 0.0)
    uneven = unevenness(look.texture)
    found = []
    for _ in range(levels):
        laid = 1.0 + contrast * np.tile(uneven, (max(1, TILE // uneven.shape[0]),) * 2)
        laid = np.maximum(laid, 0.0)  # OpenCV takes magnitudes
        channels = [cv2.convertScaleAbs(laid, alpha=_NEUTRAL * channel) for channel in shade]
        found.append(np.asarray(cv2.merge(channels), np.uint8))
        half = uneven.shape[0] // 2
        uneven = np.asarray(cv2.resize(uneven, (half, half), interpolation=cv2.INTER_AREA), np.float32)
    return found


def unevenness(texture: Texture) -> npt.NDArray[np.float32]:
    """A square of noise that continues at its borders, mean 0, standard deviation 1, coarse and fine grain together.

    White noise is weighted by 1 / frequency, as the brightness of natural ground roughly is. Waves longer than 3 m are
    held down: a driver must not find its way by shades of the ground.
    """
    return _noise(texture.seed, _PERIOD, _PERIOD // 64, 1.0)


def patches(shadow: Shadow) -> Image:
    """What is left of the light, in 255ths: a square of patches with soft borders that continues at its own."""
    noise = _noise(shadow.seed, _PATCH_PERIOD, 4, 1.8)
    threshold = np.quantile(noise, 1.0 - _PATCH_SHARE)
    covered = np.clip((noise - threshold) / 0.15 + 0.5, 0.0, 1.0)
    return np.asarray(np.rint(255.0 * (1.0 - shadow.depth * covered)), np.uint8)


def _noise(seed: int, side: int, longest: int, steepness: float) -> npt.NDArray[np.float32]:
    """(side, side) noise that continues at its borders, mean 0, standard deviation 1.

    Args:
        seed: which noise.
        side: of the square.
        longest: waves that fit into the side fewer times than this are as strong as those that do.
        steepness: the amplitude falls with frequency to this power.
    """
    white = np.random.Generator(np.random.Philox(seed)).standard_normal((side, side), np.float32)
    noise = np.fft.irfft2(np.fft.rfft2(white) * _weights(side, longest, steepness), s=white.shape)
    return np.asarray(noise / noise.std(), np.float32)


@cache
def _weights(side: int, longest: int, steepness: float) -> npt.NDArray[np.float32]:
    """Of each wave in `_noise`, as `numpy.fft.rfft2` lays them out."""
    across = np.fft.rfftfreq(side) * side
    down = np.fft.fftfreq(side) * side
    frequency = np.hypot(down[:, None], across[None, :])
    frequency[0, 0] = np.inf
    return np.asarray(1.0 / np.maximum(frequency, longest) ** steepness, np.float32)
