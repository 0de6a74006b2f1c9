"""The oracle, slowed to a known inference time. It calibrates the clock: 5 ms must be measured as 5 ms."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipeline.drivers.base import Options, Report
from pipeline.drivers.centreline import Centreline

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from envs.command import Command
    from envs.world import TrueState

INFERENCE_NS = 5_000_000
"""How long each inference takes, the oracle's own work included [ns]."""

SPUN_NS = 500_000
"""The last part is spent awake: the kernel wakes a sleeper up to some 0.1 ms late [ns]."""


class Sleep:
    """Answers as the oracle does, 5 ms after it was asked."""

    def __init__(self) -> None:
        self._oracle = Centreline()

    def report(self) -> Report:
        """The oracle's, under this name."""
        said = self._oracle.report()
        return Report("sleep", said.runtime_version, said.device, said.precision, said.threads, said.wants_state)

    def reset(self) -> None:
        """Nothing to forget."""
        self._oracle.reset()

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:
        """The oracle's command, once `INFERENCE_NS` have passed."""
        due = time.perf_counter_ns() + INFERENCE_NS
        command = self._oracle.command(frame, state)
        time.sleep(max(0, due - SPUN_NS - time.perf_counter_ns()) * 1e-9)
        while time.perf_counter_ns() < due:
            pass
        return command


def load(artifact: Path | None, options: Options) -> Sleep:  # noqa: ARG001
    """There is nothing to load."""
    return Sleep()
