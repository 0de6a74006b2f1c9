"""The null driver: half speed, straight on. It calibrates the judge: a circuit that it completes is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envs.command import Command
from pipeline.drivers import artifact as files
from pipeline.drivers.base import Options, Report

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from envs.true_state import TrueState


class Zero:
    """Never steers."""

    def report(self) -> Report:
        """NumPy and no parameters."""
        return Report("zero", np.__version__, "cpu", "none", 1)

    def reset(self) -> None:
        """Nothing to forget."""

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:  # noqa: ARG002
        """Always the same."""
        return Command(speed=0.0, steering=0.0)


def load(artifact: Path | None, options: Options) -> Zero:  # noqa: ARG001
    """There is nothing to load.

    Raises:
        InputError: there is a file to load all the same.
    """
    files.must_be_none(artifact, "zero")
    return Zero()
