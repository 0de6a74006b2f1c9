"""Nothing is left behind: after success, failure and Ctrl-C at once, after `kill -9` with the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from envs.errors import HarnessError
from pipeline.executors import base
from pipeline.executors.docker import DockerExecutor
from pipeline.manifest import ROOT
from tests.container.test_session import run, session
from tests.pipeline import sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

pytestmark = pytest.mark.container

HOTLAP = """
from pipeline.executors.docker import DockerExecutor
from tests.container.test_session import FAULTS, faulty, run, session

with DockerExecutor(arguments_of=faulty(FAULTS["silence"])) as executor:
    executor.run(session("zero", command=1000.0), lambda event: print(event["event"], flush=True))
"""


@pytest.fixture
def hotlap(executor: DockerExecutor) -> Iterator[subprocess.Popen[str]]:
    """Another hotlap, in the middle of an episode."""
    with subprocess.Popen(
        [sys.executable, "-c", HOTLAP], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "hello":
                break
        yield process
        process.kill()


def test_after_success(executor: DockerExecutor, things: Callable[[int], set[str]]) -> None:
    run(executor, session("zero"))
    assert not things(os.getpid())


def test_after_a_failure_of_ours(executor: DockerExecutor, things: Callable[[int], set[str]]) -> None:

    def on_event(event: dict[str, Any]) -> None:
        raise HarnessError(f"cannot take {event['event']}")

    with pytest.raises(HarnessError, match="cannot take listening"):
        executor.run(session("zero"), on_event)
    assert not things(os.getpid())


@pytest.mark.parametrize("impossible", [{"core": 4096}, {"device": "cuda"}])
def test_after_a_container_that_cannot_be_had(
    executor: DockerExecutor, things: Callable[[int], set[str]], impossible: dict[str, Any]
) -> None:
    asked = base.Session((sessions.spec("zero", **impossible),), session("zero").job, 60.0)
    with pytest.raises(HarnessError, match="Docker"):
        run(executor, asked)
    assert not things(os.getpid())


def test_after_ctrl_c(hotlap: subprocess.Popen[str], things: Callable[[int], set[str]]) -> None:
    assert things(hotlap.pid)
    hotlap.send_signal(signal.SIGINT)
    hotlap.wait(30)
    assert not things(hotlap.pid)


def test_the_next_start_removes_what_kill_9_left(
    hotlap: subprocess.Popen[str], things: Callable[[int], set[str]]
) -> None:
    hotlap.kill()
    hotlap.wait(30)
    assert len(things(hotlap.pid)) == 4  # two containers, their volume and their folder
    told: list[str] = []
    DockerExecutor(say=told.append).close()
    assert not things(hotlap.pid)
    assert len(told) == 1
    assert told[0].endswith("that a killed hotlap had left behind")


def test_a_living_hotlap_is_left_alone(hotlap: subprocess.Popen[str], things: Callable[[int], set[str]]) -> None:
    before = things(hotlap.pid)
    DockerExecutor().close()
    assert hotlap.poll() is None
    assert things(hotlap.pid) == before != set()
