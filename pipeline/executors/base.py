"""What an executor is: the thing that runs one session, a world process and its drivers, and leaves nothing behind.

A session is one world process, one or more driver processes and an ordered list of cases (the world's job). The world
prints its events as JSON lines on stdout; an executor hands each to `on_event` as it comes. It raises only where the
harness is at fault; whatever a driver does is told by the events and by how the driver ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from envs.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from pipeline.manifest import ModelRow

LOG_TAIL_BYTES = 8192
"""How much of the end of a process's log is kept."""

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""The longest event line an executor accepts from a world: an episode with its trace stays far below it."""


@dataclass(frozen=True)
class DriverSpec:
    """One driver of a session.

    Attributes:
        model: the manifest's row.
        role: which interpreter or image runs it: ``world``, ``torch-cpu``, ``torch-cuda``.
        artifact: the model's file on this host, or None for a model without one.
        device: ``cpu`` or ``cuda``.
        threads: threads that the runtime may use.
        core: the one core to pin the driver to, or None.
    """

    model: ModelRow
    role: str
    artifact: Path | None
    device: str = "cpu"
    threads: int = 1
    core: int | None = None


@dataclass(frozen=True)
class Session:
    """What to run once: the drivers in the order of ``job["drivers"]``, and the world's job without its sockets.

    Attributes:
        drivers: exactly one in drive mode, one or two in measure mode.
        job: the world's job (docs/protocol.md), each of whose ``drivers`` still lacks its ``socket``.
        deadline_s: after this long everything is stopped and the end says `timed_out` [s].
    """

    drivers: tuple[DriverSpec, ...]
    job: Mapping[str, Any]
    deadline_s: float


@dataclass(frozen=True)
class DriverEnd:
    """How a driver ended.

    Attributes:
        exit: its exit status, negative for a signal; None if it was still running and had to be stopped.
        oom: whether it was killed for memory.
        log_tail: the end of its stderr.
        peak_memory_bytes: the most memory it used while it ran, as the harness saw it: resident memory of a plain
            process, a container's memory with what it cached of files; None where it could not be seen. Two ends that
            differ in this alone are equal.
    """

    exit: int | None
    oom: bool
    log_tail: str
    peak_memory_bytes: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class SessionEnd:
    """How a session ended.

    Attributes:
        world_exit: the world's exit status; 0 is good, None if it was still running and had to be stopped.
        world_log_tail: the end of the world's stderr.
        drivers: one for each driver of the session, in its order.
        timed_out: the session's deadline passed before the world ended.
    """

    world_exit: int | None
    world_log_tail: str
    drivers: tuple[DriverEnd, ...]
    timed_out: bool = False


class Executor(Protocol):
    """Runs sessions; a context manager, so that everything it started is gone on any exit."""

    name: str

    def describe(self) -> str:
        """One sentence for the user: what this executor runs things in."""
        ...

    def prepare(self, roles: Collection[str]) -> None:
        """Make ready what `roles` need (virtual environments or images), saying in a line each what is being done.

        Raises:
            HarnessError: the set-up failed.
        """
        ...

    def run(self, session: Session, on_event: Callable[[dict[str, Any]], None]) -> SessionEnd:
        """Run one session to its end, calling `on_event` on this thread for each event of the world.

        Raises:
            HarnessError: the world could not be started or printed something that is no event.
            InputError: an artifact is missing or is not the one the manifest names.
        """
        ...

    def environment(self, role: str) -> dict[str, Any]:
        """Facts about what `role` runs in, for the record's provenance: versions, or the image's id."""
        ...

    def close(self) -> None:
        """Stop and remove all that was started."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def job_with_sockets(job: Mapping[str, Any], sockets: Sequence[str]) -> dict[str, Any]:
    """A copy of `job` that names the socket of each of its drivers.

    Raises:
        HarnessError: the job lists another number of drivers than there are sockets.
    """
    if len(job["drivers"]) != len(sockets):
        raise HarnessError(f"the job lists {len(job['drivers'])} drivers, but the session has {len(sockets)}")
    drivers = [{**entry, "socket": socket} for entry, socket in zip(job["drivers"], sockets, strict=True)]
    return {**job, "drivers": drivers}


def driver_arguments(spec: DriverSpec, *, socket: str, artifact: str | None) -> list[str]:
    """The command line of a driver after its interpreter; `socket` and `artifact` are paths as the driver sees them."""
    arguments = ["-m", "pipeline.drivers", "--runtime", spec.model.runtime, "--model", spec.model.name]
    arguments += ["--socket", socket, "--device", spec.device, "--threads", str(spec.threads)]
    arguments += ["--precision", spec.model.precision, "--mode", spec.model.mode]
    if artifact is not None:
        arguments += ["--artifact", artifact, "--sha256", spec.model.sha256 or ""]
    return arguments


def parse_event(line: bytes) -> dict[str, Any]:
    """One line of a world's stdout as an event.

    Raises:
        HarnessError: the line is no JSON object with a text ``event``.
    """
    try:
        event = json.loads(line)
    except ValueError as error:
        raise HarnessError(f"the world printed a line that is no event: {line[:200]!r}") from error
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise HarnessError(f"the world printed a line that is no event: {line[:200]!r}")
    return event


def tail(log: bytes) -> str:
    """The last `LOG_TAIL_BYTES` of a log as text, from a whole line where there is one."""
    kept = log[-LOG_TAIL_BYTES:]
    if len(kept) < len(log) and b"\n" in kept[:-1]:
        kept = kept[kept.index(b"\n") + 1 :]
    return kept.decode("utf-8", "replace").strip()
