"""What lies behind the ground: sky, haze, and the fog between it and the camera."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from envs.ground import lit
from envs.painting import CHANNELS
from envs.view import FRAME_SHAPE

if TYPE_CHECKING:
    from envs.look import Fog, Look
    from envs.markings import Colour
    from envs.painting import Image
    from envs.view import CameraGeometry, View

Distances = npt.NDArray[np.float64]

FADE = (1.3, 2.3)
"""Pixels below the horizon between which the ground comes out of the haze: 100 m to 57 m ahead."""

USUAL_HEIGHT = 1.2
"""Height of a camera that `FADE` is given for [m]."""

SKY = ((196, 212, 226), (112, 154, 204))
"""RGB of the sky at the horizon, and high above it."""

UPRIGHT = 1e-9
"""Less sink per row than this, and the horizon is not above the road in the picture."""

_HEIGHT, _WIDTH, _ = FRAME_SHAPE
_SKY_HEIGHT = 48  # [pixels]
_FOG: Colour = (200, 204, 208)
_FOG_DEPTH = 40.0  # of the layer of fog above the road [m]
_FINENESS = 16  # entries per pixel
_SHARES = np.arange(256, dtype=np.float32) / np.float32(255.0)  # of the ground, by the table's last channel
_OTHER_SHARES = np.float32(1.0) - _SHARES
_PACK = struct.Struct("6d").pack_into


class Backdrop:
    """Sky and haze of one episode, by how far below the horizon a pixel lies.

    Args:
        look: light and fog.
        ground: RGB of what lies beside the road; the haze has its colour.
        geometry: of the camera.

    Attributes:
        haze: RGB of what is too far away to be seen, (3,).
    """

    def __init__(self, look: Look, ground: Colour, geometry: CameraGeometry) -> None:
        foggy = look.fog.extinction > 0.0
        scale = geometry.height / USUAL_HEIGHT
        self.haze = lit(_FOG if foggy else ground, look.light)
        # From here on down the ground is all there is to see; in fog it never is.
        self._clear = 2.0 * _HEIGHT if foggy else FADE[1] * scale
        self._table = _table(look, self.haze, geometry, math.ceil(self._clear) + 1)
        self._behind = np.empty((_HEIGHT, _WIDTH, CHANNELS), np.uint8)
        self._entry = np.empty((2, 3))
        self._numbers = self._entry.data

    def paint(self, canvas: Image, first: int, view: View) -> None:
        """Put sky and haze where the ground is not seen, and let the ground come out of haze and fog.

        Args:
            canvas: (66, 200, CHANNELS) uint8, ground below row `first`; changed in place.
            first: row from which on it holds ground.
            view: of the camera.
        """
        d0, d1, d2 = view.sink
        tilt = max(math.hypot(d0, d1), UPRIGHT)
        opaque = _HEIGHT
        if d1 > UPRIGHT:
            # The last row, of all columns, that is not wholly ground.
            opaque = math.ceil((self._clear * tilt - d2 - min(0.0, d0 * (_WIDTH - 1))) / d1)
            opaque = min(max(opaque, 0), _HEIGHT)
        if opaque == 0:
            return
        behind = self._behind[:opaque]
        per = _FINENESS / tilt
        _PACK(self._numbers, 0, 0.0, 0.0, 0.0, d0 * per, d1 * per, d2 * per + _SKY_HEIGHT * _FINENESS - 0.5)
        cv2.warpAffine(
            self._table,
            self._entry,
            (_WIDTH, opaque),
            dst=behind,
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        canvas[:first] = behind[:first]
        if opaque > first:
            rows, behind = canvas[first:opaque], behind[first:]
            share = cv2.extractChannel(behind, 3)
            cv2.blendLinear(rows, behind, cv2.LUT(share, _SHARES), cv2.LUT(share, _OTHER_SHARES), dst=rows)


def seen(distance: Distances, fog: Fog, geometry: CameraGeometry) -> Distances:
    """Share of the contrast that haze and fog leave of what stands on the road so far away [m]."""
    below = USUAL_HEIGHT * geometry.focal / distance  # pixels below the horizon, for a camera of the usual height
    share = np.clip((below - FADE[0]) / (FADE[1] - FADE[0]), 0.0, 1.0) * np.exp(-fog.extinction * distance)
    return np.asarray(share, np.float64)


def _table(look: Look, haze: np.ndarray, geometry: CameraGeometry, deepest: int) -> Image:
    """(n, 2, CHANNELS) colours by how far below the horizon, from `_SKY_HEIGHT` above it to `deepest` below it.

    The last channel is the share of the ground in front, in 255ths.
    """
    n = (_SKY_HEIGHT + deepest) * _FINENESS
    below = (np.arange(n) + 0.5) / _FINENESS - _SKY_HEIGHT
    low, high = lit(SKY[0], look.light), lit(SKY[1], look.light)
    sky = low + (high - low) * np.clip(-below / _SKY_HEIGHT, 0.0, 1.0)[:, None]
    rise = np.maximum(-below, 0.5) / geometry.focal
    sky += (haze - sky) * (1.0 - np.exp(-look.fog.extinction * _FOG_DEPTH / rise))[:, None]
    hidden = np.clip(below + 0.5, 0.0, 1.0)[:, None]  # share of a pixel that lies below the horizon
    distance = geometry.focal * geometry.height / np.maximum(below, 0.1)
    colours = np.empty((n, CHANNELS), np.uint8)
    colours[:, :3] = np.rint(sky + (haze - sky) * hidden)
    colours[:, 3] = np.rint(255.0 * seen(distance, look.fog, geometry))
    return np.repeat(colours[:, None], 2, axis=1)
