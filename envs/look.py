"""What the camera sees of an episode's conditions: each part is one factor, whose default changes nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Light:
    """The light on everything the camera sees.

    Attributes:
        gain: brightness, 1 as painted.
        tint: warmth; red is multiplied by 1 + tint, blue by 1 - tint.
    """

    gain: float = 1.0
    tint: float = 0.0


@dataclass(frozen=True)
class Sun:
    """Where the sun stands. Low and ahead it is in the picture, and its glare lies over it.

    Attributes:
        elevation: above the horizon [rad].
        azimuth: from the world's x axis, positive to the left [rad].
        glare: added to the picture around the sun [grey levels of 255].
    """

    elevation: float = math.pi / 4.0
    azimuth: float = 0.0
    glare: float = 0.0


@dataclass(frozen=True)
class Texture:
    """The unevenness of the ground's brightness.

    Attributes:
        seed: which pattern.
        contrast: its standard deviation as a share of the brightness.
    """

    seed: int = 0
    contrast: float = 0.0


@dataclass(frozen=True)
class Shadow:
    """Patches of shadow on the ground, as of trees: a third of it, metres to tens of metres wide.

    Attributes:
        seed: which patches.
        depth: share of the light that is missing in them.
    """

    seed: int = 0
    depth: float = 0.0


@dataclass(frozen=True)
class Fog:
    """Fog between the camera and all it sees.

    Attributes:
        extinction: share of the contrast lost per metre [1/m]. Meteorological visibility is 3 / extinction: there, 5 %
            of a contrast are left (H. Koschmieder 1924; WMO-No. 8, chapter 9).
    """

    extinction: float = 0.0


@dataclass(frozen=True)
class Rain:
    """Drops on the lens.

    Attributes:
        seed: which drops.
        cover: share of the lens that they cover, on average over a sweep of the wiper.
    """

    seed: int = 0
    cover: float = 0.0


@dataclass(frozen=True)
class Night:
    """Darkness, and headlights in it.

    Attributes:
        darkness: share of the daylight that is gone.
        reach: distance at which the beam has half its strength [m].
    """

    darkness: float = 0.0
    reach: float = 40.0


@dataclass(frozen=True)
class Noise:
    """The noise of the camera's sensor.

    Attributes:
        seed: which noise.
        sigma: its standard deviation [grey levels of 255].
    """

    seed: int = 0
    sigma: float = 0.0


@dataclass(frozen=True)
class Look:
    """All that the camera sees of the conditions.

    Attributes:
        light: on everything.
        sun: where it stands.
        texture: of the ground.
        shadow: on the ground.
        fog: in the air.
        rain: on the lens.
        night: darkness and headlights.
        exposure: how long the sensor gathers light; what moves meanwhile is blurred [s].
        noise: of the sensor.
    """

    light: Light = Light()
    sun: Sun = Sun()
    texture: Texture = Texture()
    shadow: Shadow = Shadow()
    fog: Fog = Fog()
    rain: Rain = Rain()
    night: Night = Night()
    exposure: float = 0.0
    noise: Noise = Noise()


@dataclass(frozen=True)
class Mount:
    """How the camera sits other than `CameraGeometry` says.

    Attributes:
        tilt: further down [rad].
        turn: about its optical axis, clockwise as seen from behind [rad].
        shift: to the left [m].
    """

    tilt: float = 0.0
    turn: float = 0.0
    shift: float = 0.0
