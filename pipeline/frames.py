"""The fixed test frames: what offline MSE and timing are measured on. Made anew where they are needed, never stored.

The expert drives parts of the five benchmark circuits, both ways; bursts of wrong steering push it off the centreline,
so that the frames hold what a model sees when it has strayed, labelled with what leads back. Everything is drawn from
`SEED`. It runs where the simulator is (the roles ``world`` and ``train``); the sha256 tells whether two hosts mean the
same frames.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs import circuit as circuits
from envs import conditions, expert
from envs.command import Command
from envs.errors import HarnessError
from envs.painting import Painting
from envs.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from envs.circuit import Circuit

COUNT = 200
"""How many frames an offline MSE is the mean over."""

CIRCUITS = ("simple", "many_curves", "montreal", "montmelo", "nurburgring")
"""Written out, not looked up by tag: a circuit added to the benchmark must not change the frames."""

STARTS = 2
"""Places on each circuit, in each direction, that the expert starts from."""

PARTS = len(CIRCUITS) * 2 * STARTS
"""Drives that the frames come from, each the same number."""

SEED = 4_000_000_000
"""Seed of the first start's conditions; no plan counts that far, so no case is seen here."""

RUN_UP = 60
"""Control steps before the first frame: the car has its speed by then."""

SPACING = 15
"""Control steps between two frames: 0.75 s, some seven metres."""

PUSH_STEPS = 10
"""How long a burst of wrong steering lasts [control steps]; after it, twice as long without."""

PUSH = 0.25
"""The largest burst, added to the normalised steering; it leads about half a metre astray."""


@dataclass(frozen=True)
class TestFrames:
    """The test frames and what the expert would do.

    Attributes:
        frames: (N, 66, 200, 3) uint8 RGB.
        commands: (N, 2) float32, the expert's normalised (speed, steering).
        sha256: over the bytes of `frames` and then of `commands`, C order, little-endian.
    """

    __test__ = False  # no test class, whatever its name starts with

    frames: npt.NDArray[np.uint8]
    commands: npt.NDArray[np.float32]
    sha256: str


class _Sample(NamedTuple):
    """One frame (66, 200, 3) uint8 and its label."""

    frame: npt.NDArray[np.uint8]
    label: Command


def test_frames(count: int = COUNT) -> TestFrames:  # noqa: PT028 - named after what it makes; it is no test
    """Make the test frames; the same on every call, some seconds each.

    Raises:
        ValueError: `count` is not a positive multiple of `PARTS`.
        HarnessError: The expert left the lane: the world or the expert is broken.
    """
    if count < 1 or count % PARTS:
        raise ValueError(f"the test frames come in multiples of {PARTS}, not {count}")
    samples: list[_Sample] = []
    for name in CIRCUITS:
        forward = circuits.load(name)
        for direction, circuit in (("forward", forward), ("reverse", forward.reversed())):
            painting = Painting(circuit)
            for start in range(STARTS):
                samples.extend(_drive(circuit, painting, direction, SEED + start, count // PARTS))
    frames = np.stack([sample.frame for sample in samples])
    commands = np.array([sample.label for sample in samples], dtype="<f4")
    return TestFrames(frames, commands, digest(frames, commands))


test_frames.__test__ = False  # type: ignore[attr-defined]  # pytest collects by name; this is no test


def digest(frames: npt.NDArray[np.uint8], commands: npt.NDArray[np.float32]) -> str:
    """The sha256 of frames and labels, 64 hex digits."""
    content = hashlib.sha256(frames.tobytes())
    content.update(commands.astype("<f4").tobytes())
    return content.hexdigest()


def _drive(circuit: Circuit, painting: Painting, direction: str, seed: int, count: int) -> Iterator[_Sample]:
    """Drive one part with bursts of wrong steering and yield `count` samples on the way.

    Raises:
        HarnessError: The episode ended before the last sample.
    """
    drawn = conditions.draw("nominal", seed, circuit.name, direction)
    # One stream for each part; the circuit's place in the list stands for its name, whose hash differs by process.
    random = np.random.default_rng([seed, CIRCUITS.index(circuit.name), int(direction == "reverse")])
    with World(circuit, drawn, painting=painting) as world:
        world.reset()
        push = 0.0
        for step in range(RUN_UP + SPACING * count):
            label = expert.command(world.true_state)
            if step >= RUN_UP and (step - RUN_UP) % SPACING == 0:
                world.look()  # only here: a frame that is not kept need not be rendered
                yield _Sample(world.frame.copy(), label)
            if step % (3 * PUSH_STEPS) == 0:
                push = float(random.uniform(-PUSH, PUSH))
            wrong = push if step % (3 * PUSH_STEPS) < PUSH_STEPS else 0.0
            world.advance(Command(label.speed, min(1.0, max(-1.0, label.steering + wrong))))
            world.judge()
            if world.outcome is not None:
                raise HarnessError(
                    f"test frames: the expert's drive on {circuit.name} {direction} ended in {world.outcome} "
                    f"at step {step}; the world is broken, run its tests"
                )
