"""The oracle, slowed to a known inference time. It calibrates the clock: 5 ms must be measured as 5 ms."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from envs import expert
from envs.errors import HarnessError
from pipeline.drivers import artifact as files
from pipeline.drivers.base import Options, Report

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from envs.command import Command
    from envs.true_state import TrueState

INFERENCE_NS = 5_000_000
"""How long each inference takes, the oracle's own work included [ns]."""

SPUN_NS = 500_000
"""The last part is spent awake: the kernel wakes a sleeper up to some 0.1 ms late [ns]."""


class Sleep:
    """Answers as the oracle does, 5 ms after it was asked."""

    def report(self) -> Report:
        """NumPy and no parameters."""
        return Report("sleep", np.__version__, "cpu", "none", 1, wants_state=True)

    def reset(self) -> None:
        """Nothing to forget: the expert is a pure function of the state."""

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:  # noqa: ARG002
        """The expert's command, once `INFERENCE_NS` have passed.

        Raises:
            HarnessError: the world did not grant the true state.
        """
        due = time.perf_counter_ns() + INFERENCE_NS
        if state is None:
            raise HarnessError("the oracle drives by the true state, and the world's job does not grant it")
        command = expert.command(state)
        time.sleep(max(0, due - SPUN_NS - time.perf_counter_ns()) * 1e-9)
        while time.perf_counter_ns() < due:
            pass
        return command


def load(artifact: Path | None, options: Options) -> Sleep:  # noqa: ARG001
    """There is nothing to load.

    Raises:
        InputError: there is a file to load all the same.
    """
    files.must_be_none(artifact, "sleep")
    return Sleep()
