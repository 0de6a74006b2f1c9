"""The local executor: world and drivers as plain processes of this host, each in its role's virtual environment."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from envs.errors import HarnessError
from pipeline import interpreters
from pipeline.drivers import artifact as files
from pipeline.executors.base import (
    MAX_EVENT_BYTES,
    DriverSpec,
    Session,
    SessionEnd,
    driver_arguments,
    job_with_sockets,
    parse_event,
    tail,
)
from pipeline.executors.folder import private_folder
from pipeline.executors.process import Process, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType

    Event = Callable[[dict[str, Any]], None]
    Command = Callable[[DriverSpec, Path, Path], list[str]]

ROOT = Path(__file__).resolve().parent.parent.parent
"""The folder that holds the packages `envs` and `pipeline`."""

LEASH = Path(__file__).with_name("leash.py")

GRACE_S = 10.0
"""How long a driver that was told to end may take to [s]."""

FAILED_GRACE_S = 2.0
"""How long a driver that failed may take to say why, before it is stopped [s]."""

TICK_S = 0.1
"""How often processes are looked at while they say nothing [s]."""

PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
"""What a process gets of the host's environment: where programs and the GPU's libraries are, and no secrets."""


class LocalExecutor:
    """Runs sessions as processes of this host.

    Args:
        interpreter_of: path of the Python for a role; by default a virtual environment, made when first asked for.
        command_of: the command line of a driver, from its row, its interpreter and its socket; tests give others.
    """

    name = "local"

    def __init__(
        self,
        interpreter_of: Callable[[str], Path] | Mapping[str, Path] | None = None,
        command_of: Command | None = None,
    ) -> None:
        if interpreter_of is None:
            interpreter_of = interpreters.ensure
        self._interpreter_of = interpreter_of if callable(interpreter_of) else interpreter_of.__getitem__
        self._command_of = command_of or driver_command
        self._fingerprints: dict[str, dict[str, Any]] = {}

    def describe(self) -> str:
        """One sentence for the user."""
        return (
            "plain processes on this host, each role in its own locked virtual environment, with no walls around them"
        )

    def prepare(self, roles: Collection[str]) -> None:
        """Make the virtual environments of `roles`.

        Raises:
            HarnessError: one cannot be made.
        """
        for role in sorted(roles):
            self._interpreter_of(role)

    def environment(self, role: str) -> dict[str, Any]:
        """The fingerprint of the role's interpreter: packages, C library, processor features.

        Raises:
            HarnessError: the interpreter does not run.
        """
        if role not in self._fingerprints:
            python = self._interpreter_of(role)
            asked = subprocess.run(
                [python, "-m", "pipeline.fingerprint"],
                capture_output=True,
                check=False,
                cwd=ROOT,
                env=environment(ROOT, threads=1),
            )
            if asked.returncode != 0:
                raise HarnessError(f"the interpreter of role {role} does not run ({python}): {tail(asked.stderr)}")
            self._fingerprints[role] = json.loads(asked.stdout)
        return self._fingerprints[role]

    def run(self, session: Session, on_event: Event) -> SessionEnd:
        """Run one session to its end; afterwards none of its processes and files is left.

        Raises:
            HarnessError: the world could not be started or printed something that is no event.
            InputError: an artifact is missing or is not the one the manifest names.
        """
        for spec in session.drivers:
            if spec.artifact is not None:
                files.check(spec.artifact, spec.model.sha256)
        with private_folder() as folder, _Run(folder, session.deadline_s) as run:
            sockets = [folder / f"{index}.sock" for index in range(len(session.drivers))]
            job = folder / "job.json"
            job.write_text(json.dumps(job_with_sockets(session.job, [str(path) for path in sockets])))
            run.start_world([self._interpreter_of("world"), "-m", "pipeline.world", job])
            for spec, path in zip(session.drivers, sockets, strict=True):
                command = self._command_of(spec, self._interpreter_of(spec.role), path)
                run.start_driver(command, threads=spec.threads, core=spec.core)
            return run.follow(on_event)

    def close(self) -> None:
        """Nothing outlives `run`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def driver_command(spec: DriverSpec, python: Path, socket: Path) -> list[str]:
    """How a driver of this repository is started."""
    artifact = None if spec.artifact is None else str(spec.artifact.resolve())
    return [str(python), *driver_arguments(spec, socket=str(socket), artifact=artifact)]


def environment(folder: Path, *, threads: int) -> dict[str, str]:
    """The whole environment of a process: what it may know of this host, and how many threads it may use."""
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads)),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }


class _Run:
    """One session while it runs: its processes, and what has been heard of the world."""

    def __init__(self, folder: Path, deadline_s: float) -> None:
        self._folder = folder
        self._deadline = time.monotonic() + deadline_s
        self._world: Process | None = None
        self._drivers: list[Process] = []
        self._line = bytearray()
        self._seen: list[str] = []
        self._reason = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened: stop all processes."""
        for process in (self._world, *self._drivers):
            if process is not None:
                process.kill()

    def start_world(self, command: Sequence[str | Path]) -> None:
        """Start the world: its stdout is for events, its stderr is its log."""
        self._world = self._start(command, stderr=subprocess.PIPE, threads=1, core=None)

    def start_driver(self, command: Sequence[str | Path], *, threads: int, core: int | None) -> None:
        """Start a driver: all it says is its log."""
        self._drivers.append(self._start(command, stderr=subprocess.STDOUT, threads=threads, core=core))

    def _start(self, command: Sequence[str | Path], *, stderr: int, threads: int, core: int | None) -> Process:
        """Start a process that dies with this one, in a group of its own."""
        leash = [sys.executable, "-I", "-S", LEASH, str(os.getpid()), "-" if core is None else str(core)]
        popen = subprocess.Popen(
            [str(word) for word in (*leash, *command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
            env=environment(self._folder, threads=threads),
            start_new_session=True,
        )
        for stream in (popen.stdout, popen.stderr):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
        return Process(popen)

    def follow(self, on_event: Event) -> SessionEnd:
        """Hand on the world's events until it ends or the deadline passes, then let the drivers end.

        Raises:
            HarnessError: the world printed something that is no event.
        """
        world = self._world
        if world is None:
            raise HarnessError("a session cannot be followed before its world was started")
        readers = self._readers(world, on_event)
        told, timed_out = False, False
        with selectors.DefaultSelector() as selector:
            for descriptor, reader in readers.items():
                selector.register(descriptor, selectors.EVENT_READ, reader)
            while world.running and not timed_out:
                for key, _ in selector.select(TICK_S):
                    if not key.data():
                        selector.unregister(key.fileobj)
                timed_out = time.monotonic() > self._deadline
                for driver in self._drivers:
                    driver.look()
                if not told and self._somebody_will_not_come():
                    world.popen.send_signal(signal.SIGUSR1)
                    told = True
        if not timed_out:
            self._let_end(GRACE_S if self._reason == "done" else FAILED_GRACE_S, readers.values())
        for reader in readers.values():
            reader()
        return SessionEnd(
            world_exit=world.popen.poll(),
            world_log_tail=tail(bytes(world.log)),
            drivers=tuple(driver.end() for driver in self._drivers),
            timed_out=timed_out,
        )

    def _readers(self, world: Process, on_event: Event) -> dict[int, Callable[[], bool]]:
        """For each pipe a function that takes what it holds, and says whether more may come."""

        def reader(stream: IO[bytes] | None, take: Callable[[bytes], None]) -> tuple[int, Callable[[], bool]]:
            descriptor = -1 if stream is None else stream.fileno()

            def read() -> bool:
                said = read_all(descriptor)
                if said:
                    take(said)
                return said is not None

            return descriptor, read

        return dict(
            [
                reader(world.popen.stdout, lambda said: self._take_events(said, on_event)),
                reader(world.popen.stderr, world.keep),
                *(reader(driver.popen.stdout, driver.keep) for driver in self._drivers),
            ]
        )

    def _take_events(self, said: bytes, on_event: Event) -> None:
        """Hand on each event whose line is whole."""
        self._line += said
        *whole, rest = bytes(self._line).split(b"\n")
        self._line = bytearray(rest)
        if len(rest) > MAX_EVENT_BYTES:
            raise HarnessError(f"the world printed a line of more than {MAX_EVENT_BYTES} bytes")
        for line in whole:
            event = parse_event(line)
            self._seen.append(event["event"])
            if event["event"] == "stopped":
                self._reason = event.get("reason", "")
            on_event(event)

    def _somebody_will_not_come(self) -> bool:
        """Whether the world waits for a driver that has ended."""
        waits = "listening" in self._seen and self._seen.count("hello") < len(self._drivers)
        return waits and not all(driver.running for driver in self._drivers)

    def _let_end(self, grace_s: float, readers: Collection[Callable[[], bool]]) -> None:
        """Give the drivers time to end by themselves, taking what they still have to say."""
        until = min(time.monotonic() + grace_s, self._deadline)
        while any(driver.running for driver in self._drivers) and time.monotonic() < until:
            for reader in readers:
                reader()
            for driver in self._drivers:
                driver.look()
            time.sleep(0.005)
