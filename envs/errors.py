"""Errors that a user can act on; the command line prints their text as one line and exits with their code."""

from __future__ import annotations

from typing import ClassVar


class HotlapError(Exception):
    """What happened, where, and what to do next, in one line."""

    exit_code: ClassVar[int] = 4


class InvalidRunError(HotlapError):
    """The run's results are not to be trusted: a calibrator behaved wrongly, or the harness failed in a case."""

    exit_code = 1


class InputError(HotlapError):
    """Something the user gave is wrong: a manifest, plan, circuit, artifact, record or folder."""

    exit_code = 3


class HarnessError(HotlapError):
    """The world, Docker or the set-up broke; no model is to blame."""

    exit_code = 4
