"""What lies over the whole picture: the night and the headlights' beam, the sun's glare, drops on the lens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from envs import chance
from envs.view import FRAME_SHAPE, MIDDLE, Projection

if TYPE_CHECKING:
    from envs.look import Look, Night, Rain, Sun
    from envs.painting import Image
    from envs.view import CameraGeometry, View

_HEIGHT, _WIDTH, _ = FRAME_SHAPE
_BEAM_WIDTH = math.radians(22.0)  # off the car's axis the beam has fallen to 1/e
_DISC = 2.5  # radius of the sun in the picture: larger than it is, as lenses flare [pixels]
_VEIL = (9.0, 60.0)  # widths of the glare's bright core and of its wide veil [pixels]
_DROP_SIZES = (2.0, 6.0)  # radii of drops [pixels]
_SWEEPS = 8  # pictures of the lens, which serve in turn
_SWEEP_STEPS = 20  # control steps between two sweeps of the wiper: 1 s
_SMEAR = (11, 11)  # how far a drop spreads what is behind it [pixels]


class Effect(Protocol):
    """Something over the picture; a pure function of (view, step)."""

    def apply(self, frame: Image, view: View, step: int) -> None:
        """Change a (66, 200, 3) uint8 RGB frame in place."""
        ...


def effects(look: Look, geometry: CameraGeometry) -> tuple[Effect, ...]:
    """What of a look lies over the picture, from the scene towards the lens; nothing costs nothing."""
    found: list[Effect] = []
    if look.night.darkness > 0.0:
        found.append(Headlights(look.night, geometry))
    if look.sun.glare > 0.0:
        found.append(Glare(look.sun))
    if look.rain.cover > 0.0:
        found.append(Drops(look.rain))
    return tuple(found)


class Headlights:
    """Darkness, in which the car's own beam lights what is near and ahead; beam and camera both move with the car."""

    def __init__(self, night: Night, geometry: CameraGeometry) -> None:
        rest = Projection(geometry).view(_Rest())
        u, v = np.meshgrid(np.arange(_WIDTH), np.arange(_HEIGHT))
        east, north, sink = (a * u + b * v + c for a, b, c in (rest.east, rest.north, rest.sink))
        ahead = rest.z * np.hypot(east, north) / np.maximum(sink, 1e-3)
        bearing = np.arctan2(north, east)
        beam = np.exp(-((bearing / _BEAM_WIDTH) ** 2)) / (1.0 + (ahead / night.reach) ** 2) * (sink > 0.0)
        share = 1.0 - night.darkness * (1.0 - beam)
        self._share = np.repeat(np.rint(255.0 * share).astype(np.uint8)[..., None], 3, axis=2)

    def apply(self, frame: Image, view: View, step: int) -> None:  # noqa: ARG002 - the same in every view
        """Take away the light that is not there."""
        cv2.multiply(frame, self._share, dst=frame, scale=1.0 / 255.0)


class Glare:
    """The sun's disc and the veil of stray light around it, where the sun is in the picture or beside it."""

    def __init__(self, sun: Sun) -> None:
        cosine = math.cos(sun.elevation)
        self._towards = (
            cosine * math.cos(sun.azimuth),
            cosine * math.sin(sun.azimuth),
            math.sin(sun.elevation),
        )
        y, x = np.mgrid[-_HEIGHT : _HEIGHT + 1, -_WIDTH : _WIDTH + 1]
        away = np.hypot(x, y)
        veil = sun.glare * (0.6 * np.exp(-away / _VEIL[0]) + 0.4 * np.exp(-away / _VEIL[1]))
        veil += 255.0 * np.clip(_DISC + 0.5 - away, 0.0, 1.0)
        self._veil = np.repeat(np.rint(np.clip(veil, 0.0, 255.0)).astype(np.uint8)[..., None], 3, axis=2)

    def apply(self, frame: Image, view: View, step: int) -> None:  # noqa: ARG002 - the sun stands still
        """Add the light."""
        place = pixel_of(self._towards, view)
        if place is None:
            return
        # As far beyond the border as the picture is large, the veil is as it is there.
        left = round(_WIDTH - min(max(place[0], 0.0), _WIDTH))
        top = round(_HEIGHT - min(max(place[1], 0.0), _HEIGHT))
        cv2.add(frame, self._veil[top : top + _HEIGHT, left : left + _WIDTH], dst=frame)


class Drops:
    """Drops on the lens, which smear what is behind them; the wiper changes them once a second."""

    def __init__(self, rain: Rain) -> None:
        self._seed = rain.seed
        self._shares = [_covered(rain.cover, np.random.default_rng((rain.seed, i))) for i in range(_SWEEPS)]

    def apply(self, frame: Image, view: View, step: int) -> None:  # noqa: ARG002 - the drops sit on the lens
        """Smear the picture under the drops."""
        share = self._shares[chance.bits(self._seed, step // _SWEEP_STEPS) % _SWEEPS]
        smeared = cv2.blur(frame, _SMEAR)
        cv2.blendLinear(smeared, frame, share, 1.0 - share, dst=frame)


def pixel_of(towards: tuple[float, float, float], view: View) -> tuple[float, float] | None:
    """Image coordinates (u, v) of a direction (east, north, up); None where it lies behind the camera."""
    right = (view.east[0], view.north[0], -view.sink[0])
    down = (view.east[1], view.north[1], -view.sink[1])
    corner = (view.east[2], view.north[2], -view.sink[2])
    # The optical axis: from the corner pixel's ray, on to the picture's middle.
    axis = [c + MIDDLE[0] * r + MIDDLE[1] * d for r, d, c in zip(right, down, corner, strict=True)]
    depth = sum(a * t for a, t in zip(axis, towards, strict=True))
    if depth <= 1e-6:
        return None
    pitch = sum(a * a for a in right)  # square of a pixel's size at depth 1
    u = sum(a * t for a, t in zip(right, towards, strict=True)) / (depth * pitch)
    v = sum(a * t for a, t in zip(down, towards, strict=True)) / (depth * pitch)
    return MIDDLE[0] + u, MIDDLE[1] + v


def _covered(cover: float, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """(66, 200) share of each pixel under drops, `cover` on average or a little more."""
    share = np.zeros((_HEIGHT, _WIDTH), np.float32)
    while share.mean() < cover:
        centre = random.uniform((0.0, 0.0), (_WIDTH, _HEIGHT))
        radius = random.uniform(*_DROP_SIZES)
        y, x = np.ogrid[:_HEIGHT, :_WIDTH]
        drop = np.clip(radius + 0.5 - np.hypot(x - centre[0], (y - centre[1]) / 1.2), 0.0, 1.0)
        share = np.maximum(share, drop.astype(np.float32))
    return share


class _Rest:
    """The pose of a car at rest in the origin."""

    x = y = z = roll = pitch = yaw = speed = yaw_rate = 0.0
