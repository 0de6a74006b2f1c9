"""Nothing is left behind: after success, failure and Ctrl-C at once, after `kill -9` with the next start."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from envs.errors import HarnessError
from pipeline.executors import base, docker
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


def folders() -> set[str]:
    return {folder.name for folder in docker.SESSIONS.glob("*")}


def test_after_success(executor: DockerExecutor, things: Callable[[], set[str]]) -> None:
    before = things(), folders()
    run(executor, session("zero"))
    assert (things(), folders()) == before


def test_after_a_failure_of_ours(executor: DockerExecutor, things: Callable[[], set[str]]) -> None:
    before = things(), folders()

    def on_event(event: dict[str, Any]) -> None:
        raise HarnessError(f"cannot take {event['event']}")

    with pytest.raises(HarnessError, match="cannot take listening"):
        executor.run(session("zero"), on_event)
    assert (things(), folders()) == before


@pytest.mark.parametrize("impossible", [{"core": 4096}, {"device": "cuda"}])
def test_after_a_container_that_cannot_be_had(
    executor: DockerExecutor, things: Callable[[], set[str]], impossible: dict[str, Any]
) -> None:
    before = things(), folders()
    asked = base.Session((sessions.spec("zero", **impossible),), session("zero").job, 60.0)
    with pytest.raises(HarnessError, match="Docker"):
        run(executor, asked)
    assert (things(), folders()) == before


def test_after_ctrl_c(hotlap: subprocess.Popen[str], things: Callable[[], set[str]]) -> None:
    assert things()
    hotlap.send_signal(signal.SIGINT)
    hotlap.wait(30)
    assert not things()
    assert not folders()


def test_after_kill_9_the_next_start_removes_it(hotlap: subprocess.Popen[str], things: Callable[[], set[str]]) -> None:
    hotlap.kill()
    hotlap.wait(30)
    assert things()
    assert folders()
    told: list[str] = []
    DockerExecutor(say=told.append).close()
    assert not things()
    assert not folders()
    assert told == ["removed 4 containers, volumes and folders that a killed hotlap had left behind"]


def test_a_living_hotlap_is_left_alone(hotlap: subprocess.Popen[str], things: Callable[[], set[str]]) -> None:
    before = things(), folders()
    DockerExecutor().close()
    time.sleep(0.1)
    assert hotlap.poll() is None
    assert (things(), folders()) == before
