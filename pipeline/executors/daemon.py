"""The Docker daemon: how the SDK reaches it, and which command line client can build with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from docker.client import DockerClient
from docker.errors import DockerException

from envs.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 60
"""How long the daemon may take for one call that is not a wait [s]."""

BUILDKIT_ALONE_BELOW = 23
"""From this version on Docker's client builds with BuildKit only by its buildx plugin; older ones have it built in."""


def clients() -> Iterator[str]:
    """Every Docker client on the PATH, the first one first."""
    folders = [Path(folder) for folder in os.get_exec_path() if folder]
    seen: set[Path] = set()
    for folder in folders:
        found = shutil.which("docker", path=str(folder))
        if found and Path(found).resolve() not in seen:
            seen.add(Path(found).resolve())
            yield found


@cache
def builder() -> str:
    """The first Docker client on the PATH that can build with BuildKit.

    Raises:
        HarnessError: there is none.
    """
    for client in clients():
        if _output(client, "buildx", "version") is not None:
            return client
        version = _output(client, "version", "--format", "{{.Client.Version}}") or ""
        major = version.split(".")[0]
        if major.isdigit() and int(major) < BUILDKIT_ALONE_BELOW:
            return client
    raise HarnessError(
        "no Docker client on the PATH can build images; install Docker's buildx plugin (or Debian's docker.io), "
        "or run without containers by --executor local"
    )


def build_environment() -> dict[str, str]:
    """The environment of a build: this process's, and BuildKit, which older clients do not use by default."""
    return {**os.environ, "DOCKER_BUILDKIT": "1"}


def connect() -> DockerClient:
    """A connection to the daemon that the command line client uses (context, DOCKER_HOST); the caller closes it.

    Raises:
        HarnessError: no daemon answers there.
    """
    client = next(clients(), None)
    host = None if client is None else _output(client, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    try:
        connection = (
            DockerClient(base_url=host, timeout=TIMEOUT_S) if host else DockerClient.from_env(timeout=TIMEOUT_S)
        )
        connection.ping()
    except DockerException as error:
        where = host or "the usual socket"
        raise HarnessError(
            f"no Docker daemon answers at {where}; start one (where no service manager does: docker/start_daemon.sh), "
            "or run without containers by --executor local"
        ) from error
    return connection


def _output(*words: str) -> str | None:
    """What a short command prints, None where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
