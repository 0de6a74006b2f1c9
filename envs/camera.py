"""The camera: the flat ground sampled by a homography, exact under the car's roll, pitch and height, below a sky.

A pixel far ahead covers a long, narrow strip of ground. Rows are therefore sampled in bands: each takes its texels from
the level of the painting whose texel is about as wide as the pixel's footprint, and two samples per row make up for its
length, so that markings neither vanish nor shimmer. Source of the idea: Williams, Pyramidal Parametrics, 1983.
"""

from __future__ import annotations

import math
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from envs.backdrop import FADE, UPRIGHT, USUAL_HEIGHT, Backdrop
from envs.ground import SPAN, Ground
from envs.lens import effects
from envs.noise import NoiseBank
from envs.painting import CHANNELS, TEXEL, TILE
from envs.view import FRAME_SHAPE, MIDDLE, CameraGeometry, Projection
from envs.walls import Walls

if TYPE_CHECKING:
    from envs.look import Look
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
    """

    above: float
    below: float
    level: int
    texel: float


class _Box(NamedTuple):
    """Ground along the world's axes, from a smallest to a largest x and y [m]."""

    west: float
    east: float
    south: float
    north: float


# A texel of each level grows to this many pixels before the next finer level takes over: wider than a pixel far away,
# where a pixel is so long that two samples would miss what lies between them.
_WIDEST = (1.0, 0.9, 0.7, 0.6)
_LEVELS = len(_WIDEST) + 1
# More samples cost time in proportion. Against 4 x 48 samples of the finest level in every pixel, frames with two
# differ by 2.7 grey levels (RMS) below the horizon: `python -m benchmarks.camera --quality`.
_SAMPLES = 2
_MOMENTS = 4  # within an exposure, at which the moving ground is seen
_PACK = struct.Struct("9d").pack_into  # five times as fast as giving NumPy nine numbers
_SMOOTHLY = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class GroundCamera:
    """A camera above one circuit, under one episode's look.

    A frame is a pure function of (pose, step): what was rendered before does not show in it.

    Args:
        painting: of the circuit; cameras may share it.
        geometry: of the camera.
        look: of the episode.
    """

    def __init__(self, painting: Painting, geometry: CameraGeometry, look: Look) -> None:
        cv2.setNumThreads(1)  # OpenCV must not cut its work by the number of cores
        self.geometry = geometry
        self._projection = Projection(geometry)
        self._bands = _bands(geometry)
        self._ground = Ground(painting, look, levels=_LEVELS)
        self._backdrop = Backdrop(look, painting.ground, geometry)
        self._walls = Walls(painting.circuit, look, geometry, self._backdrop.haze)
        self._beyond = [float(part) for part in self._backdrop.haze]
        self._least_sink = FADE[0] * geometry.height / USUAL_HEIGHT / geometry.focal
        self._exposure = look.exposure
        self._effects = effects(look, geometry)
        self._noise = NoiseBank(look.noise)
        self._samples = np.empty((_HEIGHT * _SAMPLES, _WIDTH, CHANNELS), np.uint8)
        self._canvas = np.empty((_HEIGHT, _WIDTH, CHANNELS), np.uint8)
        self._matrix = np.empty((3, 3))
        self._numbers = self._matrix.data

    def render(self, pose: Pose, step: int) -> Image:
        """What the camera sees.

        Args:
            pose: of the car.
            step: of the episode, not negative; it chooses the sensor's noise and the drops on the lens.

        Returns:
            `FRAME_SHAPE` uint8 RGB, a new array.
        """
        view = self._projection.view(pose)
        frame = self._exposed(view, pose) if self._exposure else self._scene(view)
        for effect in self._effects:
            effect.apply(frame, view, step)
        self._noise.add(frame, step)
        return frame

    def _exposed(self, view: View, pose: Pose) -> Image:
        """The mean of what is seen while the sensor gathers light, up to now."""
        total = np.zeros(FRAME_SHAPE, np.uint16)
        for moment in range(_MOMENTS):
            ago = self._exposure * moment / (_MOMENTS - 1)
            yaw = pose.yaw - pose.yaw_rate * ago
            total += self._scene(_turned(view, pose, yaw, ago))
        return np.asarray((total + _MOMENTS // 2) // _MOMENTS, np.uint8)

    def _scene(self, view: View) -> Image:
        """Ground, sky and walls, before anything lies over them."""
        first = self._paint_ground(view)
        self._backdrop.paint(self._canvas, first, view)
        self._walls.draw(self._canvas, view)
        return np.asarray(cv2.cvtColor(self._canvas, cv2.COLOR_RGBA2RGB), np.uint8)

    def _paint_ground(self, view: View) -> int:
        """Fill the canvas from the first row that shows ground, and return that row."""
        spans = _spans(self._bands, view)
        if not spans:
            return _HEIGHT
        first = spans[0][1]
        upper = self._under(view, first)
        for band, start, end in spans:
            lower = self._under(view, end)
            samples = self._samples[: (end - start) * _SAMPLES]
            self._sample(view, _joined(upper, lower), band, start, samples)
            cv2.addWeighted(samples[0::2], 0.5, samples[1::2], 0.5, 0.0, dst=self._canvas[start:end])
            upper = lower
        return first

    def _under(self, view: View, row: int) -> _Box:
        """The ground, as far as it is seen, that the upper border of a row of the image lies on."""
        x, y, z, (e0, e1, e2), (n0, n1, n2), (d0, d1, d2) = view
        v = row - 0.5
        # At the left border of the image, then at the right one.
        e, n, d = e1 * v + e2 - 0.5 * e0, n1 * v + n2 - 0.5 * n0, d1 * v + d2 - 0.5 * d0
        least = self._least_sink
        near = z / max(d, least)
        west, south = x + near * e, y + near * n
        d += _WIDTH * d0
        far = z / max(d, least)
        east, north = x + far * (e + _WIDTH * e0), y + far * (n + _WIDTH * n0)
        if west > east:
            west, east = east, west
        if south > north:
            south, north = north, south
        return _Box(west, east, south, north)

    def _sample(self, view: View, box: _Box, band: _Band, start: int, out: Image) -> None:
        """Fill `out` with a band's samples of the ground, which lie in `box`, from image row `start` on."""
        texel = band.texel
        side = texel * TILE
        column, columns = _tiles(box.west, box.east, view.x, side, texel)
        row, rows = _tiles(box.south, box.north, view.y, side, texel)
        window = self._ground.window(band.level, column, row, columns, rows)
        x = (view.x - column * side) / texel - 0.5
        y = (view.y - row * side) / texel - 0.5
        scale = view.z / texel
        part = 1.0 / _SAMPLES
        shift = start + 0.5 * part - 0.5
        (e0, e1, e2), (n0, n1, n2), (d0, d1, d2) = view.east, view.north, view.sink
        e2, n2, d2 = e2 + e1 * shift, n2 + n1 * shift, d2 + d1 * shift
        e1, n1, d1 = e1 * part, n1 * part, d1 * part
        _PACK(
            self._numbers,
            0,
            x * d0 + scale * e0,
            x * d1 + scale * e1,
            x * d2 + scale * e2,
            y * d0 + scale * n0,
            y * d1 + scale * n1,
            y * d2 + scale * n2,
            d0,
            d1,
            d2,
        )
        size = (_WIDTH, len(out))
        cv2.warpPerspective(window, self._matrix, size, out, _SMOOTHLY, cv2.BORDER_CONSTANT, self._beyond)


def _joined(one: _Box, other: _Box) -> _Box:
    """The smallest box around two."""
    return _Box(
        min(one.west, other.west),
        max(one.east, other.east),
        min(one.south, other.south),
        max(one.north, other.north),
    )


def _tiles(low: float, high: float, camera: float, side: float, texel: float) -> tuple[int, int]:
    """Number of the first tile, and how many there are, from `low` to `high` [m] and a texel on either side.

    A window does not hold more than `SPAN`: what is farthest from the camera is left out.
    """
    first, last = math.floor((low - texel) / side), math.floor((high + texel) / side)
    count = last - first + 1
    if count <= SPAN:
        return first, count
    return (first if camera - low < high - camera else last - SPAN + 1), SPAN


def _turned(view: View, pose: Pose, yaw: float, ago: float) -> View:
    """A view as it was some time ago [s], the car having turned from `yaw` [rad] and driven straight on since."""
    angle = yaw - pose.yaw
    cosine, sine = math.cos(angle), math.sin(angle)
    # The camera turned with the car about the car's own place, and the car moved along its middle heading.
    middle = pose.yaw + angle / 2.0
    ahead = pose.speed * ago
    dx, dy = view.x - pose.x, view.y - pose.y
    (e0, e1, e2), (n0, n1, n2) = view.east, view.north
    return view._replace(
        x=pose.x + cosine * dx - sine * dy - ahead * math.cos(middle),
        y=pose.y + sine * dx + cosine * dy - ahead * math.sin(middle),
        east=(cosine * e0 - sine * n0, cosine * e1 - sine * n1, cosine * e2 - sine * n2),
        north=(sine * e0 + cosine * n0, sine * e1 + cosine * n1, sine * e2 + cosine * n2),
    )


def _bands(geometry: CameraGeometry) -> tuple[_Band, ...]:
    """How the image is cut, from the horizon down.

    A level serves the distances at which its texels are as wide in the picture as `_WIDEST` says.
    """
    scale = geometry.height / USUAL_HEIGHT
    lowest = _HEIGHT - MIDDLE[1] + geometry.focal * math.tan(geometry.tilt)
    cuts = [geometry.height / (widest * TEXEL * (1 << level)) for level, widest in enumerate(_WIDEST)]
    edges = [FADE[0] * scale, *cuts[::-1], max(lowest, 1.1 * cuts[0])]
    bands = []
    for i, (above, below) in enumerate(pairwise(edges)):
        level = _LEVELS - 1 - i
        bands.append(_Band(above, below, level, TEXEL * (1 << level)))
    return tuple(bands)


def _spans(bands: tuple[_Band, ...], view: View) -> list[tuple[_Band, int, int]]:
    """The bands that the image shows with their first and one past their last row, from the top down."""
    d0, d1, d2 = view.sink
    if d1 <= UPRIGHT:
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
