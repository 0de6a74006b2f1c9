"""Sessions in real containers: drivers that drive, drivers that fail, and the same bits as without containers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from envs.errors import InputError
from pipeline.executors import base
from pipeline.executors.container import Limits
from pipeline.executors.docker import DockerExecutor
from pipeline.executors.local import LocalExecutor
from tests.pipeline import sessions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.executors.base import DriverEnd, Executor, Session

pytestmark = pytest.mark.container

DEADLINES = {"connect": 60.0, "ready": 10.0, "command": 5.0}

FAULTY = """
import os, signal, sys, time
from pipeline.drivers import __main__ as loop
from pipeline.drivers.zero import Zero

def command(self, frame, state):
    self.frames = getattr(self, "frames", 0) + 1
    if self.frames == 5:
        FAULT
    return sane(self, frame, state)

sane, Zero.command = Zero.command, command
sys.exit(loop.main(sys.argv[1:]))
"""
FAULTS = {
    "memory": "hoard = [bytearray(os.urandom(1 << 20)) for _ in range(1 << 12)]",
    "segfault": "os.kill(os.getpid(), signal.SIGSEGV)",
    "exception": "raise RuntimeError('the network is on fire')",
    "silence": "time.sleep(3600)",
}


def session(runtime: str, *seeds: int, **deadlines: float) -> Session:
    cases = [sessions.case(seed=seed) for seed in seeds or (1,)]
    job = sessions.job(runtime, cases, grants_state=runtime == "centreline", deadlines={**DEADLINES, **deadlines})
    return base.Session((sessions.spec(runtime),), job, 120.0)


def run(executor: Executor, asked: Session) -> tuple[list[dict[str, Any]], base.SessionEnd]:
    events: list[dict[str, Any]] = []
    return events, executor.run(asked, events.append)


def faulty(code: str) -> Callable[..., list[str]]:
    def arguments(spec: base.DriverSpec, **where: Any) -> list[str]:
        return ["-c", FAULTY.replace("FAULT", code), *base.driver_arguments(spec, **where)[2:]]

    return arguments


def run_faulty(code: str, **options: Any) -> tuple[dict[str, Any], DriverEnd]:
    with DockerExecutor(arguments_of=faulty(code), **options) as executor:
        events, end = run(executor, session("zero", 1, 2, command=2.0))
    (facts,) = sessions.facts(events)
    assert end.world_exit == 0
    return facts, end.drivers[0]


def test_zero_leaves_the_lane(executor: DockerExecutor) -> None:
    events, end = run(executor, session("zero"))
    assert [facts["outcome"] for facts in sessions.facts(events)] == ["left_lane"]
    assert events[0] == {"event": "listening"}
    assert events[-1] == {"event": "stopped", "reason": "done"}
    assert (end.world_exit, end.timed_out) == (0, False)
    assert end.drivers == (base.DriverEnd(0, oom=False, log_tail=""),)


def test_the_centreline_driver_completes(executor: DockerExecutor) -> None:
    events, _ = run(executor, session("centreline", 1))
    assert [facts["outcome"] for facts in sessions.facts(events)] == ["completed"]


@pytest.mark.slow
def test_both_executors_drive_the_same_bits(executor: DockerExecutor) -> None:
    with LocalExecutor() as local:
        local.prepare(["world"])
        if local.environment("world")["sha256"] != executor.environment("world")["sha256"]:
            pytest.skip("this host's interpreter has another fingerprint than the image's")
        hashes = [
            [facts["trajectory_sha256"] for facts in sessions.facts(run(either, session("centreline", 1, 2))[0])]
            for either in (local, executor)
        ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 2


def test_a_driver_killed_for_memory_is_told_apart() -> None:
    facts, driver = run_faulty(FAULTS["memory"], limits={"world": Limits(memory_mb=100)})
    assert facts["outcome"] == "driver_error"  # what the world saw; the host amends it by how the driver ended
    assert facts["steps"] == 4
    assert (driver.exit, driver.oom) == (-9, True)


def test_a_crash_is_no_lack_of_memory() -> None:
    facts, driver = run_faulty(FAULTS["segfault"])
    assert facts["outcome"] == "driver_error"
    assert (driver.exit, driver.oom) == (-11, False)


def test_an_exception_is_in_the_log() -> None:
    _, driver = run_faulty(FAULTS["exception"])
    assert (driver.exit, driver.oom) == (1, False)
    assert driver.log_tail.endswith("RuntimeError: the network is on fire")


def test_a_silent_driver_is_stopped() -> None:
    facts, driver = run_faulty(FAULTS["silence"])
    assert facts["outcome"] == "driver_timeout"
    assert (driver.exit, driver.oom) == (None, False)


def test_a_driver_that_never_says_hello_is_not_waited_for() -> None:
    def arguments(spec: base.DriverSpec, **where: Any) -> list[str]:
        return ["-c", "import sys; sys.exit('no such artifact')"]

    with DockerExecutor(arguments_of=arguments) as executor:
        events, end = run(executor, session("zero", connect=1000.0))
    (facts,) = sessions.facts(events)
    assert facts["outcome"] == "driver_error"
    assert end.drivers[0] == base.DriverEnd(1, oom=False, log_tail="no such artifact")


def test_a_session_past_its_deadline_is_ended() -> None:
    with DockerExecutor(arguments_of=faulty(FAULTS["silence"])) as executor:
        asked = session("zero", command=1000.0)
        _, end = run(executor, base.Session(asked.drivers, asked.job, deadline_s=5.0))
    assert end.timed_out
    assert end.world_exit is None
    assert end.drivers[0].exit is None


def test_an_artifact_that_is_not_the_manifests_is_refused(executor: DockerExecutor, tmp_path: Path) -> None:
    artifact = tmp_path / "model.safetensors"
    artifact.write_bytes(b"no weights")
    asked = session("zero")
    spec = sessions.spec("zero", artifact, hashlib.sha256(b"other weights").hexdigest())
    with pytest.raises(InputError, match="sha256"):
        run(executor, base.Session((spec,), asked.job, 60.0))


def test_an_artifact_arrives_whole(tmp_path: Path) -> None:
    artifact = tmp_path / "model.safetensors"
    artifact.write_bytes(b"weights" * 1000)
    wanted = hashlib.sha256(artifact.read_bytes()).hexdigest()

    def arguments(spec: base.DriverSpec, *, socket: str, artifact: str | None) -> list[str]:
        return ["-c", f"import hashlib; exit(hashlib.sha256(open({artifact!r}, 'rb').read()).hexdigest())"]

    spec = sessions.spec("zero", artifact, wanted)
    with DockerExecutor(arguments_of=arguments) as executor:
        _, end = run(executor, base.Session((spec,), session("zero").job, 60.0))
    assert end.drivers[0].log_tail == wanted
