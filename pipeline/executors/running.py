"""One session's containers while they run: started side by side, listened to, and ended in order."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from envs.errors import HarnessError
from pipeline.executors import base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.executors.container import Container

GRACE_S = 3.0
"""How long a driver may take to end after its world has [s]."""

PEAK_EVENTS = frozenset({"timing", "offline", "failed"})
"""Events of measuring after which the drivers' memory is looked at: they have worked, and still run."""

LOG_BYTES = 1 << 20
"""More of the world's log than this is never held in memory: the start of it goes."""


class Running:
    """One session's containers while they run."""

    def __init__(
        self,
        world: Container,
        drivers: list[Container],
        deadline_s: float,
        on_event: Callable[[dict[str, Any]], None],
    ) -> None:
        self._world = world
        self._drivers = drivers
        self._deadline_s = deadline_s
        self._on_event = on_event
        self._ended = [threading.Event() for _ in drivers]
        self._listening = threading.Event()
        self._timed_out = threading.Event()
        self._over = threading.Event()
        self._not_started: HarnessError | None = None

    def to_the_end(self) -> base.SessionEnd:
        """Start all containers, hand on the world's events, and wait until all have ended.

        Raises:
            HarnessError: a container could not be started, or the world printed something that is no event.
        """
        watchers = [threading.Thread(target=self._watch, args=(index,)) for index in range(len(self._drivers))]
        alarm = threading.Timer(self._deadline_s, self._time_out)
        try:
            for thread in (*watchers, alarm):
                thread.start()
            with self._world.attached() as pieces:
                self._world.start()
                log = self._read(pieces)
            self._world.wait()
            return self._end(log)
        finally:
            self._over.set()
            alarm.cancel()
            for container in (self._world, *self._drivers):
                container.signal("SIGKILL")
            for watcher in watchers:
                watcher.join()

    def _watch(self, index: int) -> None:
        """Start a driver, beside the world, and wait for its end; an early one is told to the world."""
        driver = self._drivers[index]
        try:
            driver.start()
            if self._over.is_set():
                driver.signal("SIGKILL")
            driver.wait()
        except (HarnessError, DockerException, RequestException) as error:
            self._not_started = HarnessError(f"Docker lost a driver's container: {error}")
            self._world.signal("SIGKILL")
        self._ended[index].set()
        if self._listening.is_set():
            self._world.signal("SIGUSR1")

    def _time_out(self) -> None:
        self._timed_out.set()
        self._world.signal("SIGKILL")

    def _read(self, pieces: Iterable[tuple[bytes | None, bytes | None]]) -> bytes:
        """Hand on the world's events as they come, until it closes its output; returns the end of its log."""
        log, line = bytearray(), bytearray()
        for out, err in pieces:
            log += err or b""
            del log[:-LOG_BYTES]
            *whole, rest = (out or b"").split(b"\n")
            for part in whole:
                self._take(bytes(line + part))
                line.clear()
            line += rest
            if len(line) > base.MAX_EVENT_BYTES:
                raise HarnessError(f"the world printed a line of more than {base.MAX_EVENT_BYTES} bytes")
        return bytes(log)

    def _take(self, line: bytes) -> None:
        event = base.parse_event(line)
        if event["event"] == "listening":
            self._listening.set()
            # Not before: until then the signal would end the world. It matters only until the driver has said hello.
            if any(ended.is_set() for ended in self._ended):
                self._world.signal("SIGUSR1")
        for driver in self._drivers if event["event"] in PEAK_EVENTS else ():
            driver.look()
        self._on_event(event)

    def _end(self, log: bytes) -> base.SessionEnd:
        """How all ended; drivers that do not end soon after their world are killed.

        Raises:
            HarnessError: a driver's container never ran.
        """
        if self._not_started is not None:
            raise self._not_started
        timed_out = self._timed_out.is_set()
        deadline = time.monotonic() + (0.0 if timed_out else GRACE_S)
        ends = []
        for driver, ended in zip(self._drivers, self._ended, strict=True):
            killed = not ended.wait(max(0.0, deadline - time.monotonic()))
            if killed:
                driver.signal("SIGKILL")
                ended.wait()
            ends.append(driver.end(killed=killed))
        world = self._world.end(killed=timed_out)
        told = base.tail(log)
        if world.oom:
            most = self._world.recipe.limits.memory_mb
            told = f"{told}\nthe world was killed for memory: it used more than {most} MB".strip()
        return base.SessionEnd(world.exit, told, tuple(ends), timed_out)
