"""The painting under one episode's light and texture, cut into windows that a camera can sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from envs.kept import Kept
from envs.painting import CHANNELS, TILE

if TYPE_CHECKING:
    import numpy.typing as npt

    from envs.conditions import Light, Look, Texture
    from envs.painting import Image, Painting

SPAN = 3
"""Tiles along the side of a window."""

_NEUTRAL = 128.0  # texture value that leaves the painting as it is; 255 nearly doubles it
_PERIOD = 2 * TILE  # texels of level 0 after which the texture repeats: 25.6 m
_TILES_KEPT = 64
_WINDOWS_KEPT = 16  # four per level: where four cells of the grid meet, none is made twice


class Ground:
    """What the camera samples: the painting times light and texture.

    What a window shows depends on its place alone, never on what was looked at before.

    Args:
        painting: of the circuit.
        look: light and texture of the episode.
        levels: of the pyramid that will be asked for.
    """

    def __init__(self, painting: Painting, look: Look, levels: int) -> None:
        self._painting = painting
        self._textures = textures(look, levels)
        self._tiles: Kept[tuple[int, int, int, bool], Image] = Kept(_TILES_KEPT)
        self._plain = painting.plain(TILE)
        self._windows: Kept[tuple[int, int, int], Image] = Kept(_WINDOWS_KEPT)

    def window(self, level: int, column: int, row: int) -> Image:
        """A (SPAN * TILE, SPAN * TILE, CHANNELS) uint8 image whose first texel is that of tile (level, column, row).

        It is valid until `_WINDOWS_KEPT` others have been asked for; then its memory serves again, as fresh memory
        would cost more than what is written into it.
        """
        place = (level, column, row)
        window = self._windows.get(place)
        if window is None:
            window = self._windows.make_room()
            if window is None:
                window = np.empty((SPAN * TILE, SPAN * TILE, CHANNELS), np.uint8)
            for r in range(SPAN):
                for c in range(SPAN):
                    part = window[r * TILE : (r + 1) * TILE, c * TILE : (c + 1) * TILE]
                    part[:] = self._tile(level, column + c, row + r)
            self._windows.put(place, window)
        return window

    def _tile(self, level: int, column: int, row: int) -> Image:
        """A tile of the painting under light and texture."""
        bare = not self._painting.has(level, column, row)
        # Ground without road looks alike wherever the texture does.
        place = (level, column % 2, row % 2, bare) if bare else (level, column, row, bare)
        tile = self._tiles.get(place)
        if tile is None:
            painted = self._painting.tile(level, column, row)
            if painted is None:
                painted = self._plain
            tile = np.asarray(cv2.multiply(painted, self._texture(level, column, row), scale=1.0 / _NEUTRAL), np.uint8)
            self._tiles.put(place, tile)
        return tile

    def _texture(self, level: int, column: int, row: int) -> Image:
        """The part of the texture that lies on a tile."""
        texture = self._textures[level]
        periods = texture.shape[0] // TILE
        c, r = column % periods * TILE, row % periods * TILE
        return np.asarray(texture[r : r + TILE, c : c + TILE])


def lit(colour: tuple[int, int, int], light: Light) -> npt.NDArray[np.float64]:
    """A painted RGB colour under a light, (3,) in [0, 255]."""
    shade = light.gain * np.array([1.0 + light.tint, 1.0, 1.0 - light.tint])
    return np.asarray(np.clip(np.array(colour) * shade, 0.0, 255.0), np.float64)


def textures(look: Look, levels: int) -> list[Image]:
    """Per level, what the painting is multiplied by, in 128ths: the light times an uneven ground.

    Level 0 is (2 * TILE, 2 * TILE, CHANNELS) and repeats; each further one is its mean over squares, laid side by side
    until it fills a tile.
    """
    light = look.light
    shade = np.array([light.gain * (1.0 + light.tint), light.gain, light.gain * (1.0 - light.tint), 0.0], np.float32)
    uneven = unevenness(look.texture)
    found = []
    for _ in range(levels):
        laid = np.tile(uneven, (max(1, TILE // uneven.shape[0]),) * 2)
        factor = _NEUTRAL * shade * (1.0 + look.texture.contrast * laid[..., None])
        found.append(np.clip(np.rint(factor), 0.0, 255.0).astype(np.uint8))
        half = uneven.shape[0] // 2
        uneven = np.asarray(cv2.resize(uneven, (half, half), interpolation=cv2.INTER_AREA), np.float32)
    return found


def unevenness(texture: Texture) -> npt.NDArray[np.float32]:
    """A square of noise that continues at its borders, mean 0, standard deviation 1, coarse and fine grain together.

    White noise is weighted by 1 / frequency, as the brightness of natural ground roughly is.
    """
    white = np.random.Generator(np.random.Philox(texture.seed)).standard_normal((_PERIOD, _PERIOD))
    across = np.fft.rfftfreq(_PERIOD) * _PERIOD
    down = np.fft.fftfreq(_PERIOD) * _PERIOD
    frequency = np.hypot(down[:, None], across[None, :])
    frequency[0, 0] = np.inf
    # Waves longer than 3 m are held down: a driver must not find its way by shades of the ground.
    noise = np.fft.irfft2(np.fft.rfft2(white) / np.maximum(frequency, 8.0), s=white.shape)
    return np.asarray(noise / noise.std(), np.float32)
