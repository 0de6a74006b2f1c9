"""A process of the local executor: what it says, how much memory it takes, and its end."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.executors import memory
from pipeline.executors.base import DriverEnd, tail

if TYPE_CHECKING:
    import subprocess

LOG_BYTES = 1 << 20
"""More of a log than this is never held in memory: the start of it goes."""


@dataclass
class Process:
    """One started process.

    Attributes:
        popen: the process, the leader of a group of its own.
        log: the end of what it said.
        peak_memory_bytes: the most memory it was seen to have resident, None before the first look.
    """

    popen: subprocess.Popen[bytes]
    log: bytearray = field(default_factory=bytearray)
    peak_memory_bytes: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.popen.poll() is None

    def look(self) -> None:
        """Note its peak memory; the kernel keeps it while the process lives, so that the last look is what counts."""
        self.peak_memory_bytes = memory.larger(self.peak_memory_bytes, memory.of_process(self.popen.pid))

    def end(self) -> DriverEnd:
        """How it ended, as a driver."""
        return DriverEnd(
            self.popen.poll(), oom=False, log_tail=tail(bytes(self.log)), peak_memory_bytes=self.peak_memory_bytes
        )

    def keep(self, said: bytes) -> None:
        """Add to the log, which never grows beyond `LOG_BYTES`."""
        self.log += said
        del self.log[:-LOG_BYTES]

    def kill(self) -> None:
        """End the process and all of its group, now."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for stream in (self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()


def read_all(descriptor: int) -> bytes | None:
    """What a non-blocking pipe holds now, at most a megabyte; None at its end."""
    said = bytearray()
    with suppress(BlockingIOError):
        while len(said) < LOG_BYTES:
            part = os.read(descriptor, 1 << 16)
            if not part:
                return bytes(said) or None
            said += part
    return bytes(said)
