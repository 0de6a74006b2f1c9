"""Conditions: everything about an episode, besides the circuit and the driver, that is drawn from its seed.

The sets of distributions are data in `conditions.toml`. A draw is a pure function of (version of that file, set, seed,
circuit, direction): circuit and direction stand in the random stream so that the same seed on two circuits is two
independent draws.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("conditions.toml")
"""The sets of distributions."""


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
class Texture:
    """The unevenness of the ground's brightness.

    Attributes:
        seed: which pattern.
        contrast: its standard deviation as a share of the brightness.
    """

    seed: int = 0
    contrast: float = 0.0


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
    """What of the conditions the camera sees."""

    light: Light = Light()
    texture: Texture = Texture()
    noise: Noise = Noise()


@dataclass(frozen=True)
class Conditions:
    """One draw.

    Attributes:
        name: of the set it was drawn from.
        seed: it was drawn with.
        start_fraction: where on the lap the car starts, in [0, 1).
        start_offset: of the car from the centreline, positive to the left [m].
        start_heading: of the car from the centreline's heading, positive to the left [rad].
        light: on everything.
        texture: of the ground.
        noise: of the camera.
        grip: friction coefficient between tyre and road.
    """

    name: str = "none"
    seed: int = 0
    start_fraction: float = 0.0
    start_offset: float = 0.0
    start_heading: float = 0.0
    light: Light = Light()
    texture: Texture = Texture()
    noise: Noise = Noise()
    grip: float = 1.0

    @property
    def look(self) -> Look:
        """The part that the camera sees."""
        return Look(self.light, self.texture, self.noise)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, words and dicts, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Conditions:
        """The conditions that `to_dict` gave.

        Raises:
            InputError: a key is missing or unknown, or a value is no finite number.
        """
        _check(data, asdict(cls()), "conditions")
        parts = {
            "light": Light(**data["light"]),
            "texture": Texture(**data["texture"]),
            "noise": Noise(**data["noise"]),
        }
        return cls(**{**data, **parts})


def names() -> tuple[str, ...]:
    """The sets that can be drawn from, in the file's order."""
    return tuple(key for key, value in _read().items() if isinstance(value, dict))


def version() -> int:
    """Version of the sets; another version, another draw."""
    return int(_read()["version"])


def draw(name: str, seed: int, circuit_name: str, direction: str) -> Conditions:
    """Draw the conditions of one episode.

    Args:
        name: of the set.
        seed: not negative.
        circuit_name: the circuit to be driven.
        direction: "forward" or "reverse".

    Raises:
        InputError: there is no such set, or the seed is negative.
    """
    sets = _read()
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1) or [", ".join(names())]
        raise InputError(f"there are no conditions {name!r}: did you mean {near[0]}?")
    if seed < 0:
        raise InputError(f"conditions {name}: seed {seed} is negative: give 0 or more")
    ranges: dict[str, list[float]] = sets[name]
    stream = hashlib.sha256(repr((sets["version"], name, circuit_name, direction)).encode()).digest()
    words = [int.from_bytes(stream[i : i + 4], "little") for i in range(0, 16, 4)]
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words])))
    drawn = {key: float(random.uniform(low, high)) for key, (low, high) in sorted(ranges.items())}
    return Conditions(
        name=name,
        seed=seed,
        start_fraction=drawn["start_fraction"],
        start_offset=drawn["start_offset"],
        start_heading=math.radians(drawn["start_heading"]),
        light=Light(drawn["light_gain"], drawn["light_tint"]),
        texture=Texture(int(random.integers(2**31)), drawn["texture_contrast"]),
        noise=Noise(int(random.integers(2**31)), drawn["noise_sigma"]),
        grip=drawn["grip"],
    )


def _read() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _check(data: Any, like: Mapping[str, Any], where: str) -> None:
    """Refuse data that has not the keys and kinds of values of `like`."""
    if not isinstance(data, dict) or set(data) != set(like):
        raise InputError(f"{where}: expected exactly {', '.join(sorted(like))}: write what to_dict gives")
    for key, model in like.items():
        value = data[key]
        if isinstance(model, dict):
            _check(value, model, f"{where}.{key}")
        elif isinstance(model, str):
            if not isinstance(value, str):
                raise InputError(f"{where}.{key} is {value!r}: give a word")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError(f"{where}.{key} is {value!r}: give a finite number")
