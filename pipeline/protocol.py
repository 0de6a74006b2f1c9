"""What the world and a driver say to each other over a Unix stream socket; docs/protocol.md is its full description.

A message is a 4-byte big-endian length and then that many bytes, the first of which is the message's type. Each whole
message has one monotonic deadline, so that half a message cannot hang the judge. Never pickle: a hello in JSON, packed
fields of fixed size after it. Integers and floats are big-endian.
"""

from __future__ import annotations

import fcntl
import json
import math
import socket
import struct
import sys
import termios
import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envs.command import Command

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 2
MAX_BODY = 1 << 20  # of a message [bytes]
MAX_HELLO = 4096  # read before anything is known of the driver [bytes]
MAX_TEXT = 200  # in a hello [characters]
FRAME_SHAPE = (66, 200, 3)
FRAME_BYTES = 66 * 200 * 3

_LENGTH = struct.Struct(">I")
_EPISODE = struct.Struct(">cI")
_FRAME_HEAD = struct.Struct(">cIQH")
_COMMAND = struct.Struct(">cQQff")
_TIMEVAL = struct.Struct("@ll")
COMMAND_BYTES, END_BODY = _COMMAND.size, b"E"


class ProtocolError(Exception):
    """The other side broke the protocol; the text is the one-line reason."""


class ClosedError(ProtocolError):
    """The other side closed the connection."""


class DeadlineError(Exception):
    """A whole message did not come, or could not be sent, before its deadline; the text is the one-line reason."""


@dataclass(frozen=True)
class Hello:
    """What a driver says of itself after loading: claims, all of them.

    Attributes:
        model: the row of the manifest it runs.
        runtime: the framework that runs it, by its own name.
        runtime_version: that framework's version, as the framework reports it.
        device: where the loaded parameters lie.
        precision: that the bulk of the network really runs in, such as ``fp32``.
        threads: the threads that the runtime uses.
        provider: what inside the runtime computes, as it says itself.
        wants_state: whether it asks for the true state; granted to the built-in oracle alone.
    """

    model: str
    runtime: str
    runtime_version: str
    device: str
    precision: str
    threads: int
    provider: str = "none"
    wants_state: bool = False

    def body(self) -> bytes:
        """The message that says it."""
        return b"H" + json.dumps({"protocol": VERSION, **asdict(self)}).encode()


class Frame(NamedTuple):
    """One question of the world.

    Attributes:
        step: the control step of the episode, from 0.
        nonce: random; the answer must carry it.
        state: the packed true state, empty unless granted.
        pixels: (66, 200, 3) uint8 RGB; a view into the channel's buffer, valid until the next message is received.
    """

    step: int
    nonce: int
    state: bytes
    pixels: NDArray[np.uint8]


def parse_hello(body: memoryview) -> Hello:
    """The hello in `body`.

    Raises:
        ProtocolError: it is no hello, no JSON, of another protocol version, or lacks or misuses a field.
    """
    expect(body, b"H", "a hello")
    if len(body) > MAX_HELLO:
        raise ProtocolError(f"its hello has {len(body)} bytes; at most {MAX_HELLO} are allowed")
    try:
        said = json.loads(bytes(body[1:]))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"its hello is no JSON: {bytes(body[1:41])!r}") from error
    if not isinstance(said, dict):
        raise ProtocolError(f"its hello is no JSON object but a {type(said).__name__}")
    if said.get("protocol") != VERSION or isinstance(said["protocol"], bool):
        raise ProtocolError(f"it speaks protocol version {said.get('protocol')!r}; this world speaks {VERSION}")
    claims: dict[str, Any] = {}
    for field in fields(Hello):
        if field.name not in said:
            raise ProtocolError(f"its hello lacks {field.name!r}")
        claims[field.name] = _claim(field.name, str(field.type), said[field.name])
    return Hello(**claims)


def _claim(name: str, kind: str, value: object) -> str | int | bool:
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 4096:
        return value
    if kind == "str" and isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable():
        return value
    raise ProtocolError(f"its hello says {name} = {repr(value)[:60]}, which is not allowed there")


def reset_body(episode: int) -> bytes:
    """The world's order to make ready for `episode`."""
    return _EPISODE.pack(b"R", episode)


def ready_body(episode: int) -> bytes:
    """The driver's answer to a reset."""
    return _EPISODE.pack(b"Y", episode)


def parse_reset(body: memoryview) -> int:
    """The episode that a reset announces.

    Raises:
        ProtocolError: `body` is no reset.
    """
    return _episode(body, b"R", "a reset")


def parse_ready(body: memoryview, episode: int) -> None:
    """Check that `body` says that the driver is ready for `episode`.

    Raises:
        ProtocolError: it does not.
    """
    ready = _episode(body, b"Y", "a ready")
    if ready != episode:
        raise ProtocolError(f"it is ready for episode {ready}; it was asked for episode {episode}")


def _episode(body: memoryview, kind: bytes, name: str) -> int:
    expect(body, kind, name)
    if len(body) != _EPISODE.size:
        raise ProtocolError(f"{name} has {_EPISODE.size} bytes; it sent {len(body)}")
    _, episode = _EPISODE.unpack(body)
    return int(episode)


def frame_head(step: int, nonce: int, state: bytes) -> bytes:
    """All of a frame message before its pixels."""
    return _FRAME_HEAD.pack(b"F", step, nonce, len(state)) + state


def parse_frame(body: memoryview) -> Frame:
    """The frame in `body`, its pixels not copied.

    Raises:
        ProtocolError: it is no frame, or not of a frame's length.
    """
    expect(body, b"F", "a frame")
    if len(body) < _FRAME_HEAD.size:
        raise ProtocolError(f"a frame has at least {_FRAME_HEAD.size} bytes; it sent {len(body)}")
    _, step, nonce, state_bytes = _FRAME_HEAD.unpack_from(body)
    start = _FRAME_HEAD.size + state_bytes
    if len(body) != start + FRAME_BYTES:
        raise ProtocolError(f"this frame has {start + FRAME_BYTES} bytes by its head; it sent {len(body)}")
    pixels: NDArray[np.uint8] = np.ndarray(FRAME_SHAPE, np.uint8, body, start)
    return Frame(step, nonce, bytes(body[_FRAME_HEAD.size : start]) if state_bytes else b"", pixels)


def command_body(nonce: int, inference_ns: int, command: Command) -> bytes:
    """The answer to the frame of that `nonce`, and how long the driver says that its inference took [ns].

    Values beyond a float32 become infinite, for the world to refuse.
    """
    try:
        return _COMMAND.pack(b"C", nonce, inference_ns, *command)
    except OverflowError:
        speed, steering = (math.copysign(math.inf, value) if abs(value) > 1.0 else value for value in command)
        return _COMMAND.pack(b"C", nonce, inference_ns, speed, steering)


def parse_command(body: memoryview, nonce: int) -> tuple[Command, int]:
    """The command in `body`, which answers the frame that carried `nonce`, and the inference time it claims [ns].

    Raises:
        ProtocolError: it is no command, has another length or nonce, or a value that is NaN or not in [-1, 1].
    """
    expect(body, b"C", "a command")
    if len(body) != COMMAND_BYTES:
        raise ProtocolError(f"a command has {COMMAND_BYTES} bytes (two numbers); it sent {len(body)}")
    _, echoed, inference_ns, speed, steering = _COMMAND.unpack(body)
    if echoed != nonce:
        raise ProtocolError("its command carries another nonce than the frame it was asked about")
    if not (-1.0 <= speed <= 1.0 and -1.0 <= steering <= 1.0):  # False for NaN too
        raise ProtocolError(f"its command is not in [-1, 1]: speed {speed:g}, steering {steering:g}")
    return Command(speed, steering), inference_ns


def expect(body: memoryview, kind: bytes, name: str) -> None:
    """Check that `body` is a message of type `kind`.

    Raises:
        ProtocolError: it is of another type.
    """
    if not body or body[0] != kind[0]:
        raise ProtocolError(f"it sent a message of type {bytes(body[:1])!r} where {name} ({kind!r}) was due")


class Channel:
    """One end of the connection: whole messages out and in, each before its deadline.

    A received message is valid until the next one is received: the buffer is reused. The kernel keeps the time
    (``SO_RCVTIMEO``, ``SO_SNDTIMEO``): Python's own timeouts ask it once more for each call, 8 us a frame.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        self._socket = connection
        self._descriptor = connection.fileno()
        self._send_limit = self._receive_limit = math.inf
        self._buffer = bytearray(_LENGTH.size + MAX_BODY)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._taken = 0
        self._count = bytearray(4)

    def send(self, *parts: bytes | memoryview, timeout_s: float) -> None:
        """Send one message whose body is `parts` in a row.

        Raises:
            DeadlineError: it could not be sent in time, because the other side does not read.
            ClosedError: the other side closed the connection.
        """
        deadline = time.monotonic() + timeout_s
        total = sum(map(len, parts))
        try:
            if timeout_s != self._send_limit:
                self._limit_send(timeout_s)
            sent = self._socket.sendmsg((_LENGTH.pack(total), *parts))
            if sent < _LENGTH.size + total:
                self._send_rest(b"".join((_LENGTH.pack(total), *parts))[sent:], deadline)
        except (BlockingIOError, TimeoutError):
            raise DeadlineError(f"it did not take a message of {total} bytes within {timeout_s:g} s") from None
        except (BrokenPipeError, ConnectionResetError):
            raise ClosedError("it closed the connection") from None

    def _send_rest(self, rest: bytes, deadline: float) -> None:
        while rest:
            self._limit_send(_left(deadline))
            rest = rest[self._socket.send(rest) :]

    def receive(self, *, timeout_s: float) -> memoryview:
        """The body of the next message, never empty.

        Raises:
            DeadlineError: it was not here, whole, in time.
            ClosedError: the other side closed the connection.
            ProtocolError: its length is 0 or more than `MAX_BODY`.
        """
        deadline = time.monotonic() + timeout_s
        self._drop_taken()
        self._fill(_LENGTH.size, deadline, timeout_s)
        (length,) = _LENGTH.unpack_from(self._buffer)
        if not 1 <= length <= MAX_BODY:
            raise ProtocolError(f"it sent a message of {length} bytes; 1 to {MAX_BODY} are allowed")
        end = _LENGTH.size + length
        self._fill(end, deadline, timeout_s)
        self._taken = end
        return self._view[_LENGTH.size : end]

    def _drop_taken(self) -> None:
        """Move what came after the last message to the buffer's start."""
        if self._filled != self._taken:
            rest = bytes(self._view[self._taken : self._filled])
            self._buffer[: len(rest)] = rest
        self._filled -= self._taken
        self._taken = 0

    def _fill(self, size: int, deadline: float, timeout_s: float) -> None:
        """Wait until `size` bytes are in the buffer; take more where more has come, to save a call."""
        while self._filled < size:
            try:
                limit = _left(deadline) if self._filled else timeout_s
                if limit != self._receive_limit:
                    self._limit_receive(limit)
                got = self._socket.recv_into(self._view[self._filled :])
            except (BlockingIOError, TimeoutError):
                part = f"only {self._filled} bytes of a message" if self._filled else "nothing"
                raise DeadlineError(f"it sent {part} within {timeout_s:g} s") from None
            except ConnectionResetError:
                got = 0
            if got == 0:
                part = f" after {self._filled} bytes of a message" if self._filled else ""
                raise ClosedError(f"it closed the connection{part}")
            self._filled += got

    def _limit_send(self, seconds: float) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(seconds))
        self._send_limit = seconds

    def _limit_receive(self, seconds: float) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))
        self._receive_limit = seconds

    def waiting(self) -> int:
        """How many bytes have come that no `receive` has returned yet; never blocks."""
        fcntl.ioctl(self._descriptor, termios.FIONREAD, self._count)
        return self._filled - self._taken + int.from_bytes(self._count, sys.byteorder)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _left(deadline: float) -> float:
    """Time until `deadline` [s]; a TimeoutError if it has passed."""
    left = deadline - time.monotonic()
    if left <= 0.0:
        raise TimeoutError
    return left


def _timeval(seconds: float) -> bytes:
    """What the kernel takes as a time; 0 would mean to wait for ever."""
    return _TIMEVAL.pack(*divmod(max(1, round(seconds * 1e6)), 1_000_000))
