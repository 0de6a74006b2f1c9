"""Conditions: everything about an episode, besides the circuit and the driver, that is drawn from its seed.

The sets of distributions are data in `conditions.toml`. A draw is a pure function of (version of that file, set, seed,
circuit, direction). Each quantity has a random stream of its own that does not know the set: with the same seed, a set
that changes one factor differs from `nominal` in that factor alone, and models are compared on pairs of cases.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envs import chance
from envs.errors import InputError
from envs.look import Fog, Light, Look, Mount, Night, Noise, Rain, Shadow, Sun, Texture
from envs.variants import JOINT

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("conditions.toml")
"""The sets of distributions."""

SEVERITIES = 5
"""Steps in which a set of one factor gets harder."""

_PUSH_EVERY = 80  # control steps: 4 s
_PUSH_STEPS = 10  # control steps: 0.5 s
_SIGNED = ("light_tint", "mount_shift", "mount_tilt", "mount_turn", "start_heading", "start_offset")


@dataclass(frozen=True)
class Loss:
    """Frames that never reach the driver, who sees the last one that did.

    Attributes:
        seed: which frames.
        share: of all frames.
    """

    seed: int = 0
    share: float = 0.0

    def at(self, step: int) -> bool:
        """Whether the frame of a control step is lost; the first one never is."""
        return step > 0 and chance.share(self.seed, step) < self.share


@dataclass(frozen=True)
class Pushes:
    """Pushes from the side, as by gusts: half a second long, once in every four seconds, left or right.

    Attributes:
        seed: when, and to which side.
        acceleration: of the car while it is pushed [m/s^2].
    """

    seed: int = 0
    acceleration: float = 0.0

    def at(self, step: int) -> float:
        """Acceleration to the left during a control step [m/s^2]."""
        turn, within = divmod(step, _PUSH_EVERY)
        drawn = chance.bits(self.seed, turn)
        begin = (drawn >> 1) % (_PUSH_EVERY - _PUSH_STEPS)
        if not begin <= within < begin + _PUSH_STEPS:
            return 0.0
        return self.acceleration if drawn & 1 else -self.acceleration


@dataclass(frozen=True)
class Conditions:
    """One draw.

    Attributes:
        name: of the set it was drawn from.
        seed: it was drawn with.
        start_fraction: where on the lap the car starts, in [0, 1).
        start_offset: of the car from the centreline, positive to the left [m].
        start_heading: of the car from the centreline's heading, positive to the left [rad].
        look: what the camera sees of them.
        mount: how the camera sits.
        loss: of frames.
        grip: friction coefficient between tyre and road.
        pushes: from the side.
        steering_play: backlash of the steering, end to end, at the wheels [rad].
    """

    name: str = "none"
    seed: int = 0
    start_fraction: float = 0.0
    start_offset: float = 0.0
    start_heading: float = 0.0
    look: Look = field(default_factory=Look)
    mount: Mount = field(default_factory=Mount)
    loss: Loss = field(default_factory=Loss)
    grip: float = 1.0
    pushes: Pushes = field(default_factory=Pushes)
    steering_play: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, words and dicts, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Conditions:
        """The conditions that `to_dict` gave.

        Raises:
            InputError: a key is missing or unknown, or a value is no finite number.
        """
        found: Conditions = _filled(cls(), data, "conditions")
        return found


class Severity(NamedTuple):
    """One factor, alone, in `SEVERITIES` steps.

    Attributes:
        factor: its name; the sets are called `factor_1` to `factor_5`.
        measure: what its steps mean, with units.
        steps: the quantities it sets, in each step.
    """

    factor: str
    measure: str
    steps: tuple[dict[str, float], ...]


@cache
def severities() -> tuple[Severity, ...]:
    """The factors that have sets of their own, in the file's order."""
    found = []
    for factor, table in _read()["severities"].items():
        values = {key: value for key, value in table.items() if key != "measure"}
        steps = tuple({key: float(value[i]) for key, value in values.items()} for i in range(SEVERITIES))
        found.append(Severity(factor, table["measure"], steps))
    return tuple(found)


@cache
def names() -> tuple[str, ...]:
    """The sets that can be drawn from: those of many factors in the file's order, then each factor's severities."""
    plain = [key for key, value in _read().items() if isinstance(value, dict) and key != "severities"]
    return (*plain, *(f"{each.factor}_{i + 1}" for each in severities() for i in range(SEVERITIES)))


def version() -> int:
    """Version of the sets; another version, another draw."""
    return int(_read()["version"])


def draw(name: str, seed: int, circuit_name: str, direction: str) -> Conditions:
    """Draw the conditions of one episode.

    Args:
        name: of the set.
        seed: not negative.
        circuit_name: the circuit to be driven; its variants draw what it draws.
        direction: "forward" or "reverse".

    Raises:
        InputError: there is no such set, or the seed is negative.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1) or ["nominal", "varied"]
        raise InputError(f"there are no conditions {name!r}: did you mean {' or '.join(near)}?")
    if seed < 0:
        raise InputError(f"conditions {name}: seed {seed} is negative: give 0 or more")
    streams = _Streams(seed, circuit_name.partition(JOINT)[0], direction)
    value = {key: streams.between(key, low, high) for key, (low, high) in _ranges(name).items()}
    for key in _magnitudes(name):
        value[key] *= streams.sign(key)
    radians = {key: math.radians(value[key]) for key in value}
    return Conditions(
        name=name,
        seed=seed,
        start_fraction=value["start_fraction"],
        start_offset=value["start_offset"],
        start_heading=radians["start_heading"],
        look=Look(
            light=Light(value["light_gain"], value["light_tint"]),
            sun=Sun(radians["sun_elevation"], radians["sun_azimuth"], value["sun_glare"]),
            texture=Texture(streams.seed("texture"), value["texture_contrast"]),
            shadow=Shadow(streams.seed("shadow"), value["shadow_depth"]),
            fog=Fog(value["fog_extinction"] / 1000.0),
            rain=Rain(streams.seed("rain"), value["rain_cover"]),
            night=Night(value["night_darkness"], value["night_reach"]),
            exposure=value["exposure"] / 1000.0,
            noise=Noise(streams.seed("noise"), value["noise_sigma"]),
        ),
        mount=Mount(radians["mount_tilt"], radians["mount_turn"], value["mount_shift"]),
        loss=Loss(streams.seed("loss"), value["frame_loss"]),
        grip=value["grip"],
        pushes=Pushes(streams.seed("pushes"), value["push"]),
        steering_play=radians["steering_play"],
    )


class _Streams:
    """The random numbers of one episode, by what they are for."""

    def __init__(self, seed: int, circuit_name: str, direction: str) -> None:
        self._episode = (version(), seed, circuit_name, direction)

    def between(self, key: str, low: float, high: float) -> float:
        """An even draw from [low, high]."""
        return low + (high - low) * self._of(key).random()

    def sign(self, key: str) -> float:
        """-1 or +1, evenly drawn, for a quantity whose magnitude is given."""
        return 1.0 if self._of(key).random() < 0.5 else -1.0

    def seed(self, key: str) -> int:
        """A seed for what is drawn while driving."""
        return int(self._of(key).integers(2**31))

    def _of(self, key: str) -> np.random.Generator:
        words = hashlib.sha256(repr((*self._episode, key)).encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(words[:16], "little")))


@cache
def _ranges(name: str) -> dict[str, tuple[float, float]]:
    """What each quantity of a set is drawn from: that of `nominal` where the set says nothing of it."""
    sets = _read()
    ranges = {key: (float(low), float(high)) for key, (low, high) in sets["nominal"].items()}
    if name in sets:
        return ranges | {key: (float(low), float(high)) for key, (low, high) in sets[name].items()}
    return ranges | {key: (value, value) for key, value in _step(name).items()}


@cache
def _magnitudes(name: str) -> tuple[str, ...]:
    """The quantities of which a set gives the magnitude, and chance the sign."""
    return () if name in _read() else tuple(key for key in _step(name) if key in _SIGNED)


def _step(name: str) -> dict[str, float]:
    """What a set of one factor sets; the factor and its step, from 1, stand in its name."""
    factor, _, number = name.rpartition("_")
    return next(each.steps[int(number) - 1] for each in severities() if each.factor == factor)


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _filled(default: Any, data: Any, where: str) -> Any:
    """Something like the dataclass `default`, with the values of `data`; other keys or kinds of values are refused."""
    keys = [each.name for each in fields(default)]
    if not isinstance(data, dict) or set(data) != set(keys):
        raise InputError(f"{where}: expected exactly {', '.join(sorted(keys))}: write what to_dict gives")
    return type(default)(**{key: _value(getattr(default, key), data[key], f"{where}.{key}") for key in keys})


def _value(default: Any, value: Any, where: str) -> Any:
    """`value`, if it is of the kind of `default`."""
    if is_dataclass(default):
        return _filled(default, value, where)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise InputError(f"{where} is {value!r}: give a word")
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{where} is {value!r}: give a finite number")
    return value
