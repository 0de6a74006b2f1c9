"""What the container tests share: a daemon or a reason to skip, the executor, and what hotlap has on the daemon."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import executors
from pipeline.executors import daemon
from pipeline.executors.docker import SESSIONS, DockerExecutor
from pipeline.executors.owner import OWNER_FILE, OWNER_LABEL, parse

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
def things(client: DockerClient) -> Callable[[int], set[str]]:
    """Names of the containers, volumes and folders of one process; others may be at work beside the tests."""

    def things(pid: int) -> set[str]:
        ours: dict[str, Any] = {"label": OWNER_LABEL}
        found: dict[str, str] = {}
        for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
            found[str(container.name)] = container.labels[OWNER_LABEL]
        for volume in client.volumes.list(filters=ours):
            found[str(volume.name)] = volume.attrs["Labels"][OWNER_LABEL]
        for file in SESSIONS.glob(f"*/{OWNER_FILE}"):
            found[file.parent.name] = file.read_text()
        owners = {name: parse(text) for name, text in found.items()}
        return {name for name, owner in owners.items() if owner is not None and owner.pid == pid}

    return things
