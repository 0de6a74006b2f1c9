"""What a driver is: something that was loaded, says what it is, and answers a frame with a command."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from envs.command import Command

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from envs.true_state import TrueState


@dataclass(frozen=True)
class Options:
    """What a driver is started with besides its artifact.

    Attributes:
        device: ``cpu`` or ``cuda``.
        threads: how many threads the runtime may use, at least 1.
        sha256: of the artifact as the manifest names it, 64 hex digits; None where there is no artifact.
        precision: that the manifest asks for; what runs is the report's.
        mode: how the runtime is to run the model, where it knows several ways; empty for its usual one.
    """

    device: str = "cpu"
    threads: int = 1
    sha256: str | None = None
    precision: str = "fp32"
    mode: str = ""


@dataclass(frozen=True)
class Report:
    """What the runtime itself says after loading, not what it was asked for.

    Attributes:
        runtime: its name.
        runtime_version: its version.
        device: where the loaded parameters lie.
        precision: that the bulk of the operations really runs in: ``fp32``, ``fp16``, ``bf16``, ``int8``, or ``none``
            where there are none.
        threads: how many it uses.
        provider: what inside the runtime computes, in its own words, with the kernels that show it where they are few.
        wants_state: whether it cannot answer without the true state.
    """

    runtime: str
    runtime_version: str
    device: str
    precision: str
    threads: int
    provider: str = "none"
    wants_state: bool = False


def clamped(speed: float, steering: float) -> Command:
    """A network's two outputs as a command in [-1, 1]; NaN goes through, for the judge to refuse."""
    return Command(*(value if math.isnan(value) else min(1.0, max(-1.0, value)) for value in (speed, steering)))


class Driver(Protocol):
    """A loaded model, ready to drive."""

    def report(self) -> Report:
        """What runs, as the runtime reports it."""
        ...

    def reset(self) -> None:
        """Forget the last episode."""
        ...

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:
        """The command for one frame, pre-processing included.

        Args:
            frame: (66, 200, 3) uint8 RGB, valid during this call alone.
            state: the true state, given to the built-in oracle alone.
        """
        ...


class Runtime(Protocol):
    """A module of `pipeline.drivers.RUNTIMES`."""

    def load(self, artifact: Path | None, options: Options) -> Driver:
        """Load the model in `artifact`.

        Raises:
            InputError: the artifact is missing, damaged or refused, or the options ask for what is not there.
        """
        ...
