"""The oracle: sees the true state and follows the centreline. It calibrates the world: it must complete every case."""

from __future__ import annotations

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


class Centreline:
    """Drives as `envs.expert` does."""

    def report(self) -> Report:
        """NumPy and no parameters."""
        return Report("centreline", np.__version__, "cpu", "none", 1, wants_state=True)

    def reset(self) -> None:
        """Nothing to forget: the expert is a pure function of the state."""

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:  # noqa: ARG002
        """The expert's command.

        Raises:
            HarnessError: the world did not grant the true state.
        """
        if state is None:
            raise HarnessError("the oracle drives by the true state, and the world's job does not grant it")
        return expert.command(state)


def load(artifact: Path | None, options: Options) -> Centreline:  # noqa: ARG001
    """There is nothing to load.

    Raises:
        InputError: there is a file to load all the same.
    """
    files.must_be_none(artifact, "centreline")
    return Centreline()
