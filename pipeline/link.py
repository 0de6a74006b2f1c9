"""The world's end of one driver's connection: take its hello, ask it frame by frame, and time what it does."""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from envs.errors import HarnessError, InputError
from pipeline import protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from envs.command import Command


MAX_SOCKET_PATH = 107
"""What fits in ``sockaddr_un`` on Linux beside its closing zero [bytes]."""


@dataclass(frozen=True)
class Deadlines:
    """How long a driver may take.

    Attributes:
        connect: from listening to its whole hello; the model is loaded in this time [s].
        ready: from a reset to its ready [s].
        command: from a frame to its command [s].
    """

    connect: float = 60.0
    ready: float = 10.0
    command: float = 2.0


class DriverFault(Exception):  # noqa: N818 - a result, not an error of ours
    """A driver did what ends its session.

    Attributes:
        index: which of the session's drivers, from 0.
        outcome: ``driver_error`` or ``driver_timeout``.
        reason: one line.
    """

    def __init__(self, index: int, error: protocol.ProtocolError | protocol.DeadlineError) -> None:
        super().__init__(str(error))
        self.index = index
        self.outcome = outcome_of(error)
        self.reason = str(error)


def outcome_of(error: protocol.ProtocolError | protocol.DeadlineError) -> str:
    """The outcome of a case whose driver did this."""
    return "driver_timeout" if isinstance(error, protocol.DeadlineError) else "driver_error"


@contextmanager
def blaming(index: int) -> Iterator[None]:
    """Within this, what goes wrong is the fault of the driver `index`.

    Raises:
        DriverFault: it broke the protocol or took too long.
    """
    try:
        yield
    except (protocol.ProtocolError, protocol.DeadlineError) as error:
        raise DriverFault(index, error) from error


class Reply(NamedTuple):
    """What the world saw of one question: the command, the round trip [ns], and the inference claimed for it [ns]."""

    command: Command
    round_trip_ns: int
    inference_ns: int


class Link:
    """One connected driver."""

    def __init__(self, channel: protocol.Channel, hello: protocol.Hello, deadlines: Deadlines) -> None:
        self.hello = hello
        self._channel = channel
        self._deadlines = deadlines

    def reset(self, episode: int) -> None:
        """Announce an episode and wait until the driver is ready for it.

        Raises:
            ProtocolError: it answered something else, or had sent something before.
            DeadlineError: it was not ready in time.
        """
        self._must_be_silent("a reset")
        self._channel.send(protocol.reset_body(episode), timeout_s=self._deadlines.ready)
        protocol.parse_ready(self._channel.receive(timeout_s=self._deadlines.ready), episode)

    def ask(self, step: int, frame: NDArray[np.uint8], state: bytes = b"") -> Reply:
        """The driver's answer to one frame.

        Args:
            step: the control step, from 0.
            frame: (66, 200, 3) uint8 RGB, C-contiguous.
            state: the packed true state; empty for all but the oracle.

        Raises:
            ProtocolError: it answered something that is no command in [-1, 1], or had sent something before.
            DeadlineError: the command was not here in time.
            HarnessError: the world's frame is none.
        """
        try:
            pixels = frame.data.cast("B")
        except TypeError:
            pixels = memoryview(b"")
        if len(pixels) != protocol.FRAME_BYTES:
            raise HarnessError(f"the world made a frame of shape {frame.shape} and type {frame.dtype}")
        self._must_be_silent("a frame")
        nonce = int.from_bytes(os.urandom(8), "big")
        start = time.perf_counter_ns()
        self._channel.send(protocol.frame_head(step, nonce, state), pixels, timeout_s=self._deadlines.command)
        body = self._channel.receive(timeout_s=self._deadlines.command)
        command, inference_ns = protocol.parse_command(body, nonce)
        return Reply(command, time.perf_counter_ns() - start, inference_ns)

    def _must_be_silent(self, message: str) -> None:
        early = self._channel.waiting()
        if early:
            raise protocol.ProtocolError(f"it sent {early} bytes before it was asked: they came before {message}")

    def end(self) -> None:
        """Tell the driver to go. One that has gone already, or does not listen, is no fault any more."""
        try:
            self._channel.send(protocol.END_BODY, timeout_s=self._deadlines.ready)
        except (protocol.ClosedError, protocol.DeadlineError):
            return
        finally:
            self._channel.close()

    def close(self) -> None:
        """Close the connection without a word."""
        self._channel.close()


def listen(path: Path) -> socket.socket:
    """A socket that listens at `path`, which owner and group alone may use.

    Raises:
        InputError: the path is too long, exists already, or its folder is not there.
    """
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH:
        raise InputError(
            f"the socket's path has {length} bytes, and Linux allows {MAX_SOCKET_PATH}: {path}; use a shorter folder"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mask is the process's, but the world has no second thread that could make a file meanwhile.
    mask = os.umask(0o117)
    try:
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        raise InputError(f"cannot listen at {path}: {error.strerror}") from error
    finally:
        os.umask(mask)
    listener.listen(1)
    return listener


def accept(listener: socket.socket, deadlines: Deadlines, expected: Mapping[str, Any]) -> Link:
    """The driver that connects to `listener` first, once it has said hello.

    Args:
        listener: a listening socket.
        deadlines: `connect` covers the connecting and the hello.
        expected: fields of the hello that must have these values, such as the model's name.

    Raises:
        DeadlineError: nobody connected, or no whole hello came, in time.
        ProtocolError: the hello is none, or claims something else than `expected`.
    """
    deadline = time.monotonic() + deadlines.connect
    listener.settimeout(deadlines.connect)
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        raise protocol.DeadlineError(f"it did not connect within {deadlines.connect:g} s") from None
    channel = protocol.Channel(connection)
    try:
        left = max(deadline - time.monotonic(), 0.001)
        hello = protocol.parse_hello(channel.receive(timeout_s=left))
        _compare(hello, expected)
    except BaseException:
        channel.close()
        raise
    return Link(channel, hello, deadlines)


def _compare(hello: protocol.Hello, expected: Mapping[str, Any]) -> None:
    for name, value in expected.items():
        if getattr(hello, name) != value:
            said = getattr(hello, name)
            raise protocol.ProtocolError(f"its hello says {name} = {said!r}; {value!r} was asked for")
