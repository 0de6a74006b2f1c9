"""The camera: the flat ground sampled by a homography, exact under the car's roll, pitch and height, below a sky.

A pixel far ahead covers a long, narrow strip of ground. Rows are therefore sampled in bands: each takes its texels from
the level of the painting whose texel is about as wide as the pixel's footprint, and several samples per row make up for
its length, so that markings neither vanish nor shimmer. Source of the idea: Williams, Pyramidal Parametrics, 1983.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from envs.ground import SPAN, Ground, lit
from envs.noise import NoiseBank
from envs.painting import CHANNELS, TEXEL, TILE
from envs.view import FRAME_SHAPE, MIDDLE, CameraGeometry, view_of

if TYPE_CHECKING:
    from envs.conditions import Look
    from envs.painting import Image, Painting
    from envs.view import Pose, View

__all__ = ["FRAME_SHAPE", "CameraGeometry", "GroundCamera"]

_HEIGHT, _WIDTH, _ = FRAME_SHAPE


class _Band(NamedTuple):
    """Rows of the image that are sampled alike.

    Attributes:
        above: how far below the horizon, at the image's middle, the band begins [pixels].
        below: and ends [pixels].
        level: of the painting's pyramid.
        texel: of that level [m].
        halvings: 2**halvings samples are taken per row.
        ahead: from the camera to the middle of the ground that the level's window has to hold [m].
    """

    above: float
    below: float
    level: int
    texel: float
    halvings: int
    ahead: float


# Per level, as pixels grow longer than wide. Against 4 x 48 samples of the finest level in every pixel, frames differ
# by 1.5 grey levels (RMS) below the horizon; with one halving less on each level it would be 3.6.
_HALVINGS = (1, 2, 3, 3)
_WIDEST = math.sqrt(2.0)  # a texel grows to this many pixels before the next finer level takes over
_FADE = (1.3, 2.3)  # pixels below the horizon between which the ground comes out of the haze: 100 m to 57 m ahead
_USUAL_HEIGHT = 1.2  # of a camera that `_FADE` is given for [m]

_UPRIGHT = 1e-9  # less sink per row than this, and the horizon is not above the road in the picture

_SKY = ((196, 212, 226), (112, 154, 204))  # RGB at the horizon, and `_SKY_HEIGHT` above it
_SKY_HEIGHT = 48  # [pixels]
_FINENESS = 16  # entries of the backdrop per pixel
_SHARE = np.float32(1.0 / 255.0)
_SMOOTHLY = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class GroundCamera:
    """A camera above one circuit, under one episode's light, texture and noise.

    A frame is a pure function of (pose, step): what was rendered before does not show in it.

    Args:
        painting: of the circuit; cameras may share it.
        geometry: of the camera.
        look: of the episode.
    """

    def __init__(self, painting: Painting, geometry: CameraGeometry, look: Look) -> None:
        cv2.setNumThreads(1)  # OpenCV must not cut its work by the number of cores
        self.geometry = geometry
        self._bands = _bands(geometry)
        self._ground = Ground(painting, look, levels=len(_HALVINGS))
        haze = lit(painting.ground, look.light)
        self._horizon_colour = [float(c) for c in haze]
        self._clear = _FADE[1] * geometry.height / _USUAL_HEIGHT
        self._backdrop = _backdrop(look, haze, geometry)
        self._noise = NoiseBank(look.noise)
        self._behind = np.empty((_HEIGHT, _WIDTH, CHANNELS), np.uint8)
        self._stages = [np.empty((_HEIGHT << h, _WIDTH, CHANNELS), np.uint8) for h in range(max(_HALVINGS) + 1)]

    def render(self, pose: Pose, step: int) -> Image:
        """What the camera sees.

        Args:
            pose: of the car.
            step: of the episode, not negative; it chooses the sensor's noise.

        Returns:
            `FRAME_SHAPE` uint8 RGB, a new array.
        """
        view = view_of(pose, self.geometry)
        first, canvas = self._paint_ground(view, pose.yaw)
        self._paint_backdrop(view, first, canvas)
        frame = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGBA2RGB), np.uint8)
        self._noise.add(frame, step)
        return frame

    def _paint_ground(self, view: View, yaw: float) -> tuple[int, Image]:
        """The first row that shows ground, and the (height, width, CHANNELS) canvas filled from there.

        Bands with the most samples per row come first; each halving then serves all that still have more than one.
        """
        spans = _spans(self._bands, view)
        aim = (math.cos(yaw), math.sin(yaw))
        first = spans[0][1] if spans else _HEIGHT
        canvas = self._stages[0]
        used = 0
        for halvings in range(len(self._stages) - 1, -1, -1):
            stage = self._stages[halvings] if halvings else canvas[first:]
            for band, start, end in spans:
                if band.halvings == halvings:
                    rows = (end - start) << halvings
                    self._sample(view, aim, band, start, stage[used : used + rows])
                    used += rows
            if halvings and used:
                half = self._stages[halvings - 1][: used // 2] if halvings > 1 else canvas[first : first + used // 2]
                cv2.addWeighted(stage[0:used:2], 0.5, stage[1:used:2], 0.5, 0.0, dst=half)
                used //= 2
        return first, canvas

    def _sample(self, view: View, aim: tuple[float, float], band: _Band, start: int, out: Image) -> None:
        """Fill `out` with a band's samples of the ground, from image row `start` on."""
        texel = band.texel
        side = texel * TILE
        # The window whose middle third holds the place to look at: it reaches a whole tile further on every side.
        column = math.floor((view.x + band.ahead * aim[0]) / side) - SPAN // 2
        row = math.floor((view.y + band.ahead * aim[1]) / side) - SPAN // 2
        window = self._ground.window(band.level, column, row)
        x = (view.x - column * side) / texel - 0.5
        y = (view.y - row * side) / texel - 0.5
        scale = view.z / texel
        part = 1.0 / (1 << band.halvings)
        shift = start + 0.5 * part - 0.5
        (e0, e1, e2), (n0, n1, n2), (d0, d1, d2) = view.east, view.north, view.sink
        e2, n2, d2 = e2 + e1 * shift, n2 + n1 * shift, d2 + d1 * shift
        e1, n1, d1 = e1 * part, n1 * part, d1 * part
        matrix = np.array(
            (
                (x * d0 + scale * e0, x * d1 + scale * e1, x * d2 + scale * e2),
                (y * d0 + scale * n0, y * d1 + scale * n1, y * d2 + scale * n2),
                (d0, d1, d2),
            )
        )
        cv2.warpPerspective(
            window,
            matrix,
            (_WIDTH, len(out)),
            dst=out,
            flags=_SMOOTHLY,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=self._horizon_colour,
        )

    def _paint_backdrop(self, view: View, first: int, canvas: Image) -> None:
        """Put sky and haze where the ground is not seen, and let the ground come out of the haze."""
        d0, d1, d2 = view.sink
        tilt = max(math.hypot(d0, d1), 1e-9)
        opaque = _HEIGHT
        if d1 > _UPRIGHT:
            # The last row, of all columns, that is not wholly ground.
            opaque = math.ceil((self._clear * tilt - d2 - min(0.0, d0 * (_WIDTH - 1))) / d1)
            opaque = min(max(opaque, 0), _HEIGHT)
        if opaque == 0:
            return
        behind = self._behind[:opaque]
        entry = np.array(((0.0, 0.0, 0.0), (d0, d1, d2))) * (_FINENESS / tilt)
        entry[1, 2] += _SKY_HEIGHT * _FINENESS - 0.5
        cv2.warpAffine(
            self._backdrop,
            entry,
            (_WIDTH, opaque),
            dst=behind,
            flags=_SMOOTHLY,
            borderMode=cv2.BORDER_REPLICATE,
        )
        canvas[:first] = behind[:first]
        if opaque > first:
            weight = behind[first:, :, 3] * _SHARE
            rows = canvas[first:opaque]
            cv2.blendLinear(rows, behind[first:], weight, 1.0 - weight, dst=rows)


def _bands(geometry: CameraGeometry) -> tuple[_Band, ...]:
    """How the image is cut, from the horizon down.

    A level serves the distances at which its texels are between `_WIDEST` / 2 and `_WIDEST` pixels wide.
    """
    scale = geometry.height / _USUAL_HEIGHT
    reach = geometry.focal * geometry.height  # distance times pixels below the horizon
    lowest = _HEIGHT - MIDDLE[1] + geometry.focal * math.tan(geometry.tilt)
    cuts = [geometry.height / (_WIDEST * TEXEL * (1 << level)) for level in range(len(_HALVINGS) - 1)]
    edges = [_FADE[0] * scale, *cuts[::-1], max(lowest, 1.1 * cuts[0])]
    bands = []
    for i, (above, below) in enumerate(pairwise(edges)):
        level = len(_HALVINGS) - 1 - i
        ahead = (reach / above + reach / below) / 2.0
        texel = TEXEL * (1 << level)
        bands.append(_Band(above, below, level, texel, _HALVINGS[level], ahead))
    return tuple(bands)


def _spans(bands: tuple[_Band, ...], view: View) -> list[tuple[_Band, int, int]]:
    """The bands that the image shows with their first and one past their last row, from the top down."""
    d0, d1, d2 = view.sink
    if d1 <= _UPRIGHT:
        return []  # the car lies on its head
    horizon = -(d2 + d0 * MIDDLE[0]) / d1
    rise = abs(d0) * MIDDLE[0] / d1  # the horizon at one border of the image lies this much higher than in the middle
    spans = []
    start = min(max(math.ceil(horizon + bands[0].above - rise), 0), _HEIGHT)
    for band in bands:
        end = min(max(math.ceil(horizon + band.below), start), _HEIGHT) if band.level else _HEIGHT
        if end > start:
            spans.append((band, start, end))
            start = end
    return spans


def _backdrop(look: Look, haze: npt.NDArray[np.float64], geometry: CameraGeometry) -> Image:
    """(n, 2, CHANNELS) colours by how far below the horizon, from `_SKY_HEIGHT` above it to where all is ground.

    The last channel is the share of the ground in front, in 255ths.
    """
    near, clear = (edge * geometry.height / _USUAL_HEIGHT for edge in _FADE)
    n = (_SKY_HEIGHT + math.ceil(clear) + 1) * _FINENESS
    below = (np.arange(n) + 0.5) / _FINENESS - _SKY_HEIGHT
    low, high = lit(_SKY[0], look.light), lit(_SKY[1], look.light)
    sky = low + (high - low) * np.clip(-below / _SKY_HEIGHT, 0.0, 1.0)[:, None]
    share = np.clip(below + 0.5, 0.0, 1.0)[:, None]  # of a pixel that lies below the horizon
    colours = np.empty((n, CHANNELS), np.uint8)
    colours[:, :3] = np.rint(sky + (haze - sky) * share)
    colours[:, 3] = np.rint(255.0 * np.clip((below - near) / (clear - near), 0.0, 1.0))
    return np.repeat(colours[:, None], 2, axis=1)
