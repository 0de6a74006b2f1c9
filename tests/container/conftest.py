"""What the container tests share: a daemon or a reason to skip, the executor, and what hotlap has on the daemon."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import executors
from pipeline.executors import daemon
from pipeline.executors.docker import DockerExecutor
from pipeline.executors.owner import OWNER_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.client import DockerClient


@pytest.fixture(scope="session", autouse=True)
def a_daemon() -> None:
    if not executors.daemon_answers():
        pytest.skip("no Docker daemon answers here; docker/start_daemon.sh starts one on a bare Debian")


@pytest.fixture
def client(a_daemon: None) -> Iterator[DockerClient]:
    with closing(daemon.connect()) as connection:
        yield connection


@pytest.fixture(scope="session")
def executor(a_daemon: None) -> Iterator[DockerExecutor]:
    with DockerExecutor() as ready:
        ready.prepare(["world"])
        yield ready


@pytest.fixture
def things(client: DockerClient) -> Callable[[], set[str]]:
    """Names of all containers and volumes of any hotlap."""

    def things() -> set[str]:
        ours: dict[str, Any] = {"label": OWNER_LABEL}
        containers = client.containers.list(all=True, filters=ours, ignore_removed=True)
        return {str(thing.name) for thing in (*containers, *client.volumes.list(filters=ours))}

    return things
