"""The world process: ``python -m pipeline.world JOB.json`` listens for the drivers of one session and runs its job.

Events go to stdout as JSON lines and nothing else does; stderr is a log. docs/protocol.md describes job and events.
SIGTERM and SIGINT end it in order. SIGUSR1 says that a driver has ended: whoever is still waited for will not come.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs.errors import HarnessError, HotlapError
from pipeline import protocol
from pipeline.fingerprint import fingerprint
from pipeline.link import Deadlines, DriverFault, Link, accept, blaming, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    Emit = Callable[[dict[str, Any]], None]

SCHEMA = 1
DRIVER_OUTCOMES = frozenset({"driver_error", "driver_timeout"})
"""Outcomes after which the world hears no more of a driver: its session ends."""

ENDINGS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):  # noqa: N818 - it is asked for, not an error
    """The process was told to end."""


class Signals:
    """What the process is told from outside while it runs."""

    def __init__(self) -> None:
        self._waits = False
        self._gone = False

    def install(self) -> None:
        """Take over the signals."""
        for number in ENDINGS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, self._driver_gone)

    def ignore(self) -> None:
        """Hear no more: a signal that comes while the interpreter shuts down would otherwise end it by force."""
        for number in (*ENDINGS, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.ignore()
        raise Stopped(f"asked to by {signal.Signals(number).name}")

    def _driver_gone(self, _: int, __: FrameType | None) -> None:
        self._gone = True
        self._check()

    def _check(self) -> None:
        if self._gone and self._waits:
            self._waits = False
            raise protocol.ProtocolError("the driver ended before it said hello")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within this, a driver that is gone is not waited for.

        Raises:
            ProtocolError: a driver is gone.
        """
        self._waits = True
        try:
            self._check()
            yield
        finally:
            self._waits = False


class Events:
    """The process's stdout, kept for events: what libraries print goes to stderr instead."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def emit(self, event: dict[str, Any]) -> None:
        """Print one event, whole: a signal that comes meanwhile is taken afterwards."""
        line = json.dumps(event, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        signal.pthread_sigmask(signal.SIG_BLOCK, (*ENDINGS, signal.SIGUSR1))
        try:
            self._stream.write(line)
            self._stream.flush()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (*ENDINGS, signal.SIGUSR1))


def main(arguments: Sequence[str]) -> int:
    """Run the job that `arguments` name; returns the process's exit status, 0 whatever the drivers did."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.world", description=__doc__)
    parser.add_argument("job", type=Path, help="the session's job, a JSON file")
    asked = parser.parse_args(arguments)
    signals, events = Signals(), Events()
    try:
        signals.install()
        reason = run(read(asked.job), events.emit, signals)
        signals.ignore()
    except Stopped as stopped:
        reason = str(stopped)
    except HotlapError as error:
        print(f"world: {error}", file=sys.stderr)
        return error.exit_code
    events.emit({"event": "stopped", "reason": reason})
    return 0


def read(path: Path) -> dict[str, Any]:
    """The job at `path`.

    Raises:
        HarnessError: it cannot be read, is of another schema, or asks for something unknown.
    """
    try:
        job = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise HarnessError(f"the world cannot read its job {path}: {error}") from error
    if not isinstance(job, dict) or job.get("schema") != SCHEMA:
        raise HarnessError(f"{path} is no job of schema {SCHEMA}; host and world are of different versions")
    if job.get("mode") not in ("drive", "measure"):
        raise HarnessError(f"{path} asks for mode {job.get('mode')!r}; there are drive and measure")
    return job


def run(job: Mapping[str, Any], emit: Emit, signals: Signals) -> str:
    """Listen, and do what the job says; returns why it stopped.

    Raises:
        HotlapError: the job cannot be run here.
    """
    if job.get("core") is not None:
        os.sched_setaffinity(0, {job["core"]})
    paths = [Path(driver["socket"]) for driver in job["drivers"]]
    with ExitStack() as stack:
        listeners = []
        for path in paths:
            listeners.append(stack.enter_context(listen(path)))
            stack.callback(path.unlink, missing_ok=True)
        emit({"event": "listening"})
        work = _drive if job["mode"] == "drive" else _measure
        return work(job, listeners, emit, signals)


def _accepted(
    job: Mapping[str, Any], listeners: Sequence[socket.socket], emit: Emit, signals: Signals, stack: ExitStack
) -> list[Link]:
    """All drivers of the job, connected.

    Raises:
        DriverFault: one did not come, or said no valid hello.
    """
    deadlines = Deadlines(**job.get("deadlines", {}))
    world = fingerprint()
    links = []
    for index, (driver, listener) in enumerate(zip(job["drivers"], listeners, strict=True)):
        expected = {"model": driver["model"], **job.get("hello_expect", {})}
        with blaming(index), signals.waiting():
            link = accept(listener, deadlines, expected)
        stack.callback(link.close)
        links.append(link)
        emit({"event": "hello", "index": index, **vars(link.hello), "fingerprint_of_world": world})
    return links


def _drive(job: Mapping[str, Any], listeners: Sequence[socket.socket], emit: Emit, signals: Signals) -> str:
    """Drive the job's cases one after the other; returns why it stopped."""
    # Imported with the world listening, so that driver and simulator load at the same time; PyBullet prints when it is.
    from pipeline import episode  # noqa: PLC0415

    cases = job["cases"]
    with ExitStack() as stack:
        try:
            (link,) = _accepted(job, listeners, emit, signals, stack)
        except DriverFault as fault:
            emit({"event": "episode", "key": cases[0]["key"], "facts": episode.never_began(cases[0], fault)})
            return f"the driver failed: {fault.reason}"
        paintings = episode.Paintings()
        for number, case in enumerate(cases):
            facts = episode.run(job, case, number, link, paintings=paintings, emit=emit)
            emit({"event": "episode", "key": case["key"], "facts": facts})
            if facts["outcome"] in DRIVER_OUTCOMES:
                return f"the driver failed: {facts['reason']}"
        link.end()
    return "done"


def _measure(job: Mapping[str, Any], listeners: Sequence[socket.socket], emit: Emit, signals: Signals) -> str:
    """Time the job's drivers on fixed frames; returns why it stopped."""
    from pipeline import sampling  # noqa: PLC0415
    from pipeline.frames import test_frames  # noqa: PLC0415

    # Made before anyone is waited for, so that a driver's deadline does not pay for it.
    frames = test_frames()
    states = [sampling.straight_ahead() if driver.get("grants_state") else b"" for driver in job["drivers"]]
    with ExitStack() as stack:
        try:
            links = _accepted(job, listeners, emit, signals, stack)
            sampling.measure(
                links,
                states,
                frames,
                emit,
                blocks=job["blocks"],
                block_frames=job["block_frames"],
                warmup_frames=job["warmup_frames"],
                offline=job.get("offline_times", 1) if job.get("offline") else 0,
            )
        except DriverFault as fault:
            model = job["drivers"][fault.index]["model"]
            failed = {"event": "failed", "model": model, "index": fault.index}
            emit({**failed, "outcome": fault.outcome, "reason": fault.reason})
            return f"the driver failed: {fault.reason}"
        for link in links:
            link.end()
    return "done"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
