from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envs.errors import HarnessError, InputError
from pipeline import executors
from pipeline.executors import base, local
from pipeline.executors.base import LOG_TAIL_BYTES, Session
from pipeline.executors.folder import private_folder, sweep
from pipeline.executors.local import LocalExecutor
from tests.pipeline import sessions

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

HOST = """
import sys
from tests.pipeline import sessions
print("up", flush=True)
sessions.run_bad("silence", deadlines={"command": 600.0}, on_event=lambda event: print(event["event"], flush=True))
"""


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sessions make their private folders: short, because a socket's path must be."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def processes_below(folder: Path) -> list[int]:
    """Processes whose command line names something below `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if os.fsencode(folder) in words:
            found.append(int(entry.parent.name))
    return found


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def python_driver(program: str) -> dict[str, Any]:
    """Options of an executor whose driver is a line of Python."""
    return {"command_of": lambda _, python, __: [str(python), "-c", program]}


def session(deadline_s: float = 60.0, **options: Any) -> Session:
    return Session((sessions.spec("zero", **options),), sessions.job("zero", [sessions.case()]), deadline_s)


def test_a_session_leaves_no_process_and_no_file(folders: Path) -> None:
    seen: list[int] = []
    with sessions.executor() as executor:
        end = executor.run(session(), lambda _: seen.append(len(processes_below(folders))))
    assert (end.world_exit, end.drivers[0].exit, end.timed_out) == (0, 0, False)
    assert max(seen) == 2
    assert processes_below(folders) == []
    assert list(folders.iterdir()) == []


@pytest.mark.parametrize("at", ["listening", "hello"])
def test_ctrl_c_at_any_event_leaves_no_process_and_no_file(at: str, folders: Path) -> None:
    def interrupt(event: dict[str, Any]) -> None:
        if event["event"] == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sessions.run_bad("silence", deadlines={"command": 600.0}, on_event=interrupt)
    assert processes_below(folders) == []
    assert list(folders.iterdir()) == []


def test_kill_9_of_the_host_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", HOST], cwd=ROOT, env=environment, stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        while host.stdout.readline() not in (b"hello\n", b""):
            pass
        assert len(processes_below(folder)) == 2
        host.send_signal(signal.SIGKILL)
    assert wait_until(lambda: processes_below(folder) == [])
    (left,) = folder.iterdir()
    sweep(folder)
    assert not left.exists()


def test_a_folder_in_use_is_not_swept(folders: Path) -> None:
    with private_folder() as one:
        assert one.stat().st_mode & 0o777 == 0o700
        with private_folder() as other:
            assert set(folders.iterdir()) == {one, other}
    assert list(folders.iterdir()) == []


def test_a_session_that_takes_too_long_is_stopped_and_says_so(folders: Path) -> None:
    job = sessions.job("bad", [sessions.case()], deadlines={"command": 600.0})
    executor = sessions.executor(command_of=lambda _, python, path: [python, sessions.BAD_DRIVER, "silence", path])
    end = executor.run(Session((sessions.spec("bad"),), job, 3.0), lambda _: None)
    assert end.timed_out
    assert end.world_exit is None
    assert end.drivers[0].exit is None
    assert processes_below(folders) == []


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("hello", "the world printed a line that is no event: b'hello'"),
        ("[1]", "the world printed a line that is no event: b'[1]'"),
        ('{"event": 1}', "the world printed a line that is no event: b'{\"event\": 1}'"),
    ],
)
def test_a_world_that_prints_something_else_is_the_harnesss_fault(said: str, text: str, tmp_path: Path) -> None:
    world = tmp_path / "world"
    world.write_text(f"#!/bin/sh\necho '{said}'\nsleep 100\n")
    world.chmod(0o755)
    with pytest.raises(HarnessError) as caught:
        LocalExecutor({"world": world}).run(session(), lambda _: None)
    assert str(caught.value) == text


def test_a_world_that_ends_at_once_ends_the_session(tmp_path: Path) -> None:
    world = tmp_path / "world"
    world.write_text("#!/bin/sh\necho 'no such circuit' >&2\nexit 4\n")
    world.chmod(0o755)
    end = LocalExecutor(lambda _: world).run(session(), lambda _: None)
    assert (end.world_exit, end.world_log_tail) == (4, "no such circuit")


def test_a_program_that_is_not_there_is_told_of() -> None:
    end = LocalExecutor(lambda _: Path("/nowhere/python")).run(session(), lambda _: None)
    assert end.world_log_tail == "leash: cannot start /nowhere/python: No such file or directory"


def test_a_process_inherits_no_secrets_and_the_threads_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    program = "import os, json; print(json.dumps(dict(os.environ)))"
    _, end = sessions.run(session(threads=3), **python_driver(program))
    environment = json.loads(end.drivers[0].log_tail)
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert environment["OMP_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "3"
    assert environment["PYTHONPATH"] == str(ROOT)


def test_a_driver_is_pinned_to_its_core() -> None:
    core = max(os.sched_getaffinity(0))
    _, end = sessions.run(session(core=core), **python_driver("import os; print(os.sched_getaffinity(0))"))
    assert end.drivers[0].log_tail == str({core})


def test_a_driver_that_floods_its_log_is_read_and_its_end_is_kept() -> None:
    _, end = sessions.run(session(), **python_driver("print('x' * 5_000_000); print('the end')"))
    assert end.drivers[0].log_tail.endswith("the end")
    assert len(end.drivers[0].log_tail) <= LOG_TAIL_BYTES


def test_a_driver_whose_child_lives_on_leaves_none_behind(folders: Path) -> None:
    program = f"import subprocess; subprocess.Popen(['sleep', '1000'], env={{'X': '{folders}'}}); print('gone')"
    started = time.time()
    sessions.run(session(), **python_driver(program))
    sleepers = [p for p in Path("/proc").glob("[0-9]*/environ") if _reads(p) == f"X={folders}\0".encode()]
    assert sleepers == [], started


def _reads(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_an_artifact_that_is_not_the_manifests_is_refused_before_anything_starts(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0{      }")
    spec = sessions.spec("torch", path, "0" * 64)
    with pytest.raises(InputError, match=rf"has sha256 [0-9a-f]+, but {'0' * 64} was asked for; restore the file"):
        sessions.run(Session((spec,), sessions.job("torch", [sessions.case()]), 10.0))


def test_the_environment_of_a_role_is_its_interpreters_fingerprint() -> None:
    facts = sessions.executor().environment("world")
    assert "numpy" in facts["packages"]
    assert len(facts["sha256"]) == 64
    with pytest.raises(HarnessError, match=r"the interpreter of role world does not run \(/bin/false\)"):
        LocalExecutor({"world": Path("/bin/false")}).environment("world")


def test_preparing_asks_for_each_roles_interpreter() -> None:
    asked: list[str] = []

    def interpreter_of(role: str) -> Path:
        asked.append(role)
        return Path(sys.executable)

    LocalExecutor(interpreter_of).prepare({"world", "torch-cpu"})
    assert asked == ["torch-cpu", "world"]


def test_auto_is_local_where_no_daemon_answers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "daemon_answers", lambda: False)
    executor, why = executors.choose("auto")
    assert executor.name == "local"
    assert why.startswith("executor local (no Docker daemon answers): plain processes on this host")
    _, why = executors.choose("local")
    assert why.startswith("executor local (as asked): ")
    with pytest.raises(InputError, match=r"^there is no executor 'cloud'; choose one of auto, local, docker$"):
        executors.choose("cloud")


def test_no_client_no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not executors.daemon_answers()
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\nexec /bin/sleep 100\n")
    client.chmod(0o755)
    assert not executors.daemon_answers(timeout_s=0.2)


def test_a_job_gets_the_sockets_of_its_drivers() -> None:
    job = {"mode": "measure", "drivers": [{"model": "a"}, {"model": "b"}]}
    assert base.job_with_sockets(job, ["/0", "/1"]) == {
        "mode": "measure",
        "drivers": [{"model": "a", "socket": "/0"}, {"model": "b", "socket": "/1"}],
    }
    assert job["drivers"] == [{"model": "a"}, {"model": "b"}]
    with pytest.raises(HarnessError, match=r"^the job lists 2 drivers, but the session has 1$"):
        base.job_with_sockets(job, ["/0"])


def test_a_tail_starts_with_a_whole_line() -> None:
    assert base.tail(b"one\ntwo\n") == "one\ntwo"
    assert base.tail(b"a" * LOG_TAIL_BYTES + b"\nlast \xff\n") == "last \ufffd"
    assert base.tail(b"a" * (LOG_TAIL_BYTES + 5)) == "a" * LOG_TAIL_BYTES


def test_an_event_may_come_in_pieces() -> None:
    seen: list[dict[str, Any]] = []
    run = local._Run(Path(), 1.0)
    for piece in (b'{"event":', b' "a"}\n{"event": "b"}', b"\n", b""):
        run._take_events(piece, seen.append)
    assert seen == [{"event": "a"}, {"event": "b"}]
