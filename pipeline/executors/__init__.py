"""Executors: where a session's processes run. `local` starts plain processes, `docker` starts pinned containers."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from envs.errors import InputError

if TYPE_CHECKING:
    from pipeline.executors.base import Executor

NAMES = ("auto", "local", "docker")


def choose(name: str) -> tuple[Executor, str]:
    """The executor called `name` and one sentence that says which it is and why.

    ``auto`` is ``docker`` where a Docker daemon answers and ``local`` where none does.

    Raises:
        InputError: there is no executor of that name.
        HarnessError: ``docker`` was asked for and no daemon answers.
    """
    if name not in NAMES:
        raise InputError(f"there is no executor {name!r}; choose one of {', '.join(NAMES)}")
    why = "as asked"
    if name == "auto":
        answers = daemon_answers()
        name = "docker" if answers else "local"
        why = "a Docker daemon answers" if answers else "no Docker daemon answers"
    # Imported on use: the local executor needs no Docker SDK, and a host without Docker need not load it.
    if name == "docker":
        from pipeline.executors.docker import DockerExecutor  # noqa: PLC0415

        executor: Executor = DockerExecutor()
    else:
        from pipeline.executors.local import LocalExecutor  # noqa: PLC0415

        executor = LocalExecutor()
    return executor, f"executor {executor.name} ({why}): {executor.describe()}"


def daemon_answers(timeout_s: float = 5.0) -> bool:
    """Whether a Docker daemon answers the command line client within `timeout_s` [s]."""
    client = shutil.which("docker")
    if client is None:
        return False
    try:
        asked = subprocess.run(
            [client, "info", "--format", "{{.ServerVersion}}"], capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0 and bool(asked.stdout.strip())
