from __future__ import annotations

import json
import math
import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.command import Command
from pipeline import protocol
from pipeline.protocol import Channel, ClosedError, DeadlineError, Hello, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_NONCE = "its command carries another nonce than the frame it was asked about"
HELLO = Hello("a", "torch", "2.13.0", "cpu", "fp32", 1)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        yield Channel(ours), theirs


def view(body: bytes) -> memoryview:
    return memoryview(body)


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def said(**changes: Any) -> bytes:
    fields = {"protocol": 2, **vars(HELLO), **changes}
    return b"H" + json.dumps({key: value for key, value in fields.items() if value is not ...}).encode()


def test_a_message_travels_whole_and_its_bytes_are_as_documented(pair: tuple[Channel, socket.socket]) -> None:
    ours, theirs = pair
    ours.send(b"R", b"\0\0\0\7", timeout_s=1.0)
    assert theirs.recv(100) == b"\0\0\0\5R\0\0\0\7"
    theirs.sendall(b"\0\0\0\5Y\0\0\0\7")
    assert bytes(ours.receive(timeout_s=1.0)) == b"Y\0\0\0\7"


def test_two_messages_in_one_piece_are_two_messages(pair: tuple[Channel, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(framed(b"one") + framed(b"second"))
    assert bytes(ours.receive(timeout_s=1.0)) == b"one"
    assert ours.waiting() == 10
    assert bytes(ours.receive(timeout_s=1.0)) == b"second"
    assert ours.waiting() == 0


def test_bytes_in_the_kernel_count_as_waiting(pair: tuple[Channel, socket.socket]) -> None:
    ours, theirs = pair
    assert ours.waiting() == 0
    theirs.sendall(b"abc")
    assert ours.waiting() == 3


@pytest.mark.parametrize("size", [1, 25, 39_615, protocol.MAX_BODY])
def test_any_allowed_length_arrives_however_it_is_cut(pair: tuple[Channel, socket.socket], size: int) -> None:
    ours, theirs = pair
    body = os.urandom(size)
    sender = threading.Thread(target=theirs.sendall, args=(framed(body),))
    sender.start()
    assert bytes(ours.receive(timeout_s=10.0)) == body
    sender.join()


def test_a_message_too_large_for_the_kernels_buffer_is_sent_in_parts(pair: tuple[Channel, socket.socket]) -> None:
    ours, theirs = pair
    got = bytearray()

    def take() -> None:
        while len(got) < 4 + protocol.MAX_BODY:
            got.extend(theirs.recv(1 << 16))

    taker = threading.Thread(target=take)
    taker.start()
    body = os.urandom(protocol.MAX_BODY)
    ours.send(body[:5], body[5:], timeout_s=10.0)
    taker.join()
    assert bytes(got) == framed(body)


def test_a_side_that_does_not_read_runs_into_the_deadline(pair: tuple[Channel, socket.socket]) -> None:
    ours, _ = pair
    with pytest.raises(DeadlineError, match=r"it did not take a message of 1048576 bytes within 0\.05 s"):
        ours.send(bytes(protocol.MAX_BODY), timeout_s=0.05)


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        (b"", "it sent nothing within 0.05 s"),
        (b"\0\0", "it sent only 2 bytes of a message within 0.05 s"),
        (b"\0\0\0\x19C12345", "it sent only 10 bytes of a message within 0.05 s"),
    ],
)
def test_what_is_not_whole_by_the_deadline(pair: tuple[Channel, socket.socket], piece: bytes, text: str) -> None:
    ours, theirs = pair
    theirs.sendall(piece)
    with pytest.raises(DeadlineError) as caught:
        ours.receive(timeout_s=0.05)
    assert str(caught.value) == text


def test_bytes_that_drip_do_not_extend_the_deadline(pair: tuple[Channel, socket.socket]) -> None:
    ours, theirs = pair
    stop = threading.Event()

    def drip() -> None:
        theirs.sendall(struct.pack(">I", 1000))
        while not stop.wait(0.01):
            theirs.sendall(b"x")

    dripper = threading.Thread(target=drip)
    dripper.start()
    with pytest.raises(DeadlineError, match=r"only [0-9]+ bytes of a message"):
        ours.receive(timeout_s=0.2)
    stop.set()
    dripper.join()


@pytest.mark.parametrize(
    ("piece", "text"),
    [(b"", "it closed the connection"), (b"\0\0\0\x19C123", "it closed the connection after 8 bytes of a message")],
)
def test_a_connection_that_closes(pair: tuple[Channel, socket.socket], piece: bytes, text: str) -> None:
    ours, theirs = pair
    theirs.sendall(piece)
    theirs.close()
    with pytest.raises(ClosedError) as caught:
        ours.receive(timeout_s=1.0)
    assert str(caught.value) == text
    with pytest.raises(ClosedError):
        ours.send(b"E", timeout_s=1.0)


@pytest.mark.parametrize("length", [0, protocol.MAX_BODY + 1, 0xFFFFFFFF])
def test_a_length_that_is_not_allowed(pair: tuple[Channel, socket.socket], length: int) -> None:
    ours, theirs = pair
    theirs.sendall(struct.pack(">I", length))
    with pytest.raises(ProtocolError) as caught:
        ours.receive(timeout_s=1.0)
    assert str(caught.value) == f"it sent a message of {length} bytes; 1 to 1048576 are allowed"


def test_a_hello_comes_back_as_it_was_said() -> None:
    assert protocol.parse_hello(view(HELLO.body())) == HELLO
    assert protocol.parse_hello(view(said(anything="else"))) == HELLO


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"Y\0\0\0\0", "it sent a message of type b'Y' where a hello (b'H') was due"),
        (b"H{not json", "its hello is no JSON: b'{not json'"),
        (b"H\xff\xfe", r"its hello is no JSON: b'\xff\xfe'"),
        (b"H" + b"[" * 4000, "its hello is no JSON: b'" + "[" * 40 + "'"),
        (b"H[1]", "its hello is no JSON object but a list"),
        (b"H" + b" " * 4096, "its hello has 4097 bytes; at most 4096 are allowed"),
        (said(protocol=1), "it speaks protocol version 1; this world speaks 2"),
        (said(protocol=True), "it speaks protocol version True; this world speaks 2"),
        (said(protocol=...), "it speaks protocol version None; this world speaks 2"),
        (said(device=...), "its hello lacks 'device'"),
        (said(threads="1"), "its hello says threads = '1', which is not allowed there"),
        (said(threads=True), "its hello says threads = True, which is not allowed there"),
        (said(provider=""), "its hello says provider = '', which is not allowed there"),
        (said(provider=...), "its hello lacks 'provider'"),
        (said(threads=0), "its hello says threads = 0, which is not allowed there"),
        (said(wants_state=1), "its hello says wants_state = 1, which is not allowed there"),
        (said(runtime="a\nb"), r"its hello says runtime = 'a\nb', which is not allowed there"),
        (said(model=""), "its hello says model = '', which is not allowed there"),
        (said(model="x" * 201), "its hello says model = '" + "x" * 59 + ", which is not allowed there"),
    ],
)
def test_a_hello_that_is_refused(body: bytes, text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        protocol.parse_hello(view(body))
    assert str(caught.value) == text


def test_a_ready_for_another_episode_is_refused() -> None:
    protocol.parse_ready(view(protocol.ready_body(3)), 3)
    with pytest.raises(ProtocolError, match=r"^it is ready for episode 3; it was asked for episode 4$"):
        protocol.parse_ready(view(protocol.ready_body(3)), 4)
    with pytest.raises(ProtocolError, match=r"^a ready has 5 bytes; it sent 6$"):
        protocol.parse_ready(view(protocol.ready_body(3) + b"x"), 3)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=600))
def test_a_frame_comes_back_as_it_was_sent(step: int, nonce: int, state: bytes) -> None:
    pixels = np.arange(protocol.FRAME_BYTES, dtype=np.uint32).astype(np.uint8).reshape(protocol.FRAME_SHAPE)
    frame = protocol.parse_frame(view(protocol.frame_head(step, nonce, state) + pixels.tobytes()))
    assert (frame.step, frame.nonce, frame.state) == (step, nonce, state)
    np.testing.assert_array_equal(frame.pixels, pixels)


@pytest.mark.parametrize("size", [1, 14, 15, 39_614, 39_616])
def test_a_frame_of_another_length_is_refused(size: int) -> None:
    body = (protocol.frame_head(0, 0, b"") + bytes(protocol.FRAME_BYTES + 1))[:size]
    with pytest.raises(ProtocolError, match="frame has"):
        protocol.parse_frame(view(body))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))
def test_a_command_comes_back_as_it_was_sent(nonce: int, inference: int, speed: float, steering: float) -> None:
    command = Command(speed, steering)
    body = protocol.command_body(nonce, inference, command)
    assert len(body) == 25
    assert protocol.parse_command(view(body), nonce) == (command, inference)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            struct.pack(">cQQff", b"C", 8, 0, 0, 0),
            "its command carries another nonce than the frame it was asked about",
        ),
        (struct.pack(">cQQfff", b"C", 7, 0, 0, 0, 0), "a command has 25 bytes (two numbers); it sent 29"),
        (struct.pack(">cQQff", b"F", 7, 0, 0, 0), "it sent a message of type b'F' where a command (b'C') was due"),
        (struct.pack(">cQQff", b"C", 7, 0, math.nan, 0), "its command is not in [-1, 1]: speed nan, steering 0"),
        (struct.pack(">cQQff", b"C", 7, 0, 0, -math.inf), "its command is not in [-1, 1]: speed 0, steering -inf"),
        (struct.pack(">cQQff", b"C", 7, 0, 1.5, -0.25), "its command is not in [-1, 1]: speed 1.5, steering -0.25"),
    ],
)
def test_a_command_that_is_refused(body: bytes, text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        protocol.parse_command(view(body), 7)
    assert str(caught.value) == text


def test_a_value_too_large_for_a_float32_is_sent_as_infinite_for_the_world_to_refuse() -> None:
    body = protocol.command_body(7, 0, Command(1e300, -1e300))
    with pytest.raises(ProtocolError, match="speed inf, steering -inf"):
        protocol.parse_command(view(body), 7)


@given(st.binary(max_size=60))
def test_no_bytes_break_a_parser(body: bytes) -> None:
    for parse in (protocol.parse_hello, protocol.parse_frame, protocol.parse_reset):
        try:
            parse(view(body))
        except ProtocolError:
            continue
    try:
        protocol.parse_command(view(body), 0)
    except ProtocolError:
        return


def test_time_left_is_never_the_zero_that_means_not_to_block() -> None:
    with pytest.raises(TimeoutError):
        protocol._left(time.monotonic())
