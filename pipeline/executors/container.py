"""One hardened container: made when entered, killed and removed when left."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, LogConfig

from envs.errors import HarnessError
from pipeline.executors import base, memory, owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from docker.client import DockerClient
    from docker.models import containers

KILLED = 137
"""Exit status of a container whose first process was killed, by us, by itself or for its memory."""

OOM_SETTLES_S = 1.0
"""How long the daemon may take to note that a killed container was killed for its memory [s]."""

LOG_TAIL_LINES = 500


@dataclass(frozen=True)
class Limits:
    """What a container may use.

    Attributes:
        memory_mb: memory, with /tmp; there is no swap [MB].
        processes: processes and threads.
        cpus: cores' worth of time.
        tmp_mb: of /tmp, its only writable folder besides a socket's [MB].
    """

    memory_mb: int
    processes: int = 64
    cpus: float = 2.0
    tmp_mb: int = 64


@dataclass(frozen=True)
class Recipe:
    """What to run in a container.

    Attributes:
        image: its tag or id.
        command: the command line.
        user: ``uid:gid``, never root.
        limits: what it may use.
        mounts: Docker's ``volumes``: a volume's name or a host path -> where and how it is seen.
        labels: who it belongs to.
        logged: whether the daemon keeps its output (at most a megabyte); else it is only for who is attached.
        threads: how many threads numerical libraries may use.
        core: the one core it runs on, or None.
        gpu: whether it sees the host's GPU.
    """

    image: str
    command: Sequence[str]
    user: str
    limits: Limits
    mounts: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, str]
    logged: bool = True
    threads: int = 1
    core: int | None = None
    gpu: bool = False

    def options(self) -> dict[str, Any]:
        """The hardening, in the words of the SDK's ``create``."""
        memory = self.limits.memory_mb * 1000 * 1000
        cores = os.cpu_count() or 1
        libraries = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return {
            "environment": {"LANG": "C.UTF-8", **dict.fromkeys(libraries, str(self.threads))},
            "user": self.user,
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {"/tmp": f"rw,noexec,nosuid,nodev,mode=1777,size={self.limits.tmp_mb}m"},  # noqa: S108 - its own
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": self.limits.processes,
            "mem_limit": memory,
            "memswap_limit": memory,
            "nano_cpus": int(min(self.limits.cpus, cores) * 1e9),
            "cpuset_cpus": None if self.core is None else str(self.core),
            "init": True,
            "volumes": {source: dict(how) for source, how in self.mounts.items()},
            "labels": dict(self.labels),
            "log_config": LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"})
            if self.logged
            else LogConfig(type="none"),
            "device_requests": [DeviceRequest(count=1, capabilities=[["gpu"]])] if self.gpu else None,
        }


@dataclass
class Container:
    """One container of `recipe`; a context manager.

    Entering creates it and starts nothing; leaving kills and removes it.
    """

    client: DockerClient
    recipe: Recipe
    _inner: containers.Container = field(init=False, repr=False)
    _peak_memory_bytes: int | None = field(init=False, repr=False, default=None)

    def __enter__(self) -> Self:
        """Create it.

        Raises:
            HarnessError: the image is not there, or the daemon refuses.
        """
        try:
            self._inner = self.client.containers.create(
                self.recipe.image, list(self.recipe.command), **self.recipe.options()
            )
        except ImageNotFound as error:
            raise HarnessError(f"image {self.recipe.image} is gone; run the same command again to build it") from error
        except APIError as error:
            raise HarnessError(f"Docker refuses to create a container: {error.explanation}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        owner.remove_container(self._inner)

    @contextmanager
    def attached(self) -> Iterator[Iterable[tuple[bytes | None, bytes | None]]]:
        """What it prints from now on, as it comes: pieces of stdout and of stderr. Attach before starting it."""
        pieces: Any = self._inner.attach(stdout=True, stderr=True, stream=True, logs=False, demux=True)
        try:
            yield pieces
        finally:
            # The stream's own `close` leaves the connection open, and cannot close one over SSH.
            pieces._response.close()  # noqa: SLF001

    def start(self) -> None:
        """Start it.

        Raises:
            HarnessError: the daemon refuses, for one because a program, a device or a mount is not there.
        """
        try:
            self._inner.start()
        except APIError as error:
            raise HarnessError(
                f"Docker cannot start a container of {self.recipe.image}: {error.explanation}"
            ) from error

    def signal(self, name: str) -> None:
        """Send it a signal; one that has ended already is left alone."""
        try:
            self._inner.kill(name)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # "is not running"
                raise

    def wait(self) -> None:
        """Wait until it has ended; set a deadline by killing it from elsewhere."""
        # The SDK's own `wait(timeout=)` breaks the connection in ways that differ by version, so none is given.
        self.client.api.wait(str(self._inner.id), timeout=None)

    def end(self, *, killed: bool) -> base.DriverEnd:
        """How it ended; `killed` says that it was stopped by us, so that its status tells nothing of it."""
        state = self._state()
        deadline = time.monotonic() + OOM_SETTLES_S
        while not killed and state["ExitCode"] == KILLED and not state["OOMKilled"] and time.monotonic() < deadline:
            time.sleep(0.1)
            state = self._state()
        code = int(state["ExitCode"])
        log = self._inner.logs(stdout=True, stderr=True, tail=LOG_TAIL_LINES) if self.recipe.logged else b""
        # A program that ends by a signal is reported as 128 and the signal's number.
        status = 128 - code if 128 < code < 128 + 65 else code
        return base.DriverEnd(
            None if killed else status, bool(state["OOMKilled"]), base.tail(log), self._peak_memory_bytes
        )

    def look(self) -> None:
        """Note its peak memory while it runs: its control group's, else what the daemon says of it now."""
        try:
            state = self._state()
            if not state["Running"]:
                return
            seen = memory.of_group(int(state["Pid"])) if state.get("Pid") else None
            if seen is None:
                told: Any = self._inner.stats(stream=False, one_shot=True)
                seen = memory.of_stats(told)
        except DockerException:  # it has ended meanwhile, or the daemon is too old to tell
            return
        self._peak_memory_bytes = memory.larger(self._peak_memory_bytes, seen)

    def printed(self) -> bytes:
        """Its stdout so far."""
        return bytes(self._inner.logs(stdout=True, stderr=False))

    def _state(self) -> dict[str, Any]:
        self._inner.reload()
        state: dict[str, Any] = self._inner.attrs["State"]
        return state
