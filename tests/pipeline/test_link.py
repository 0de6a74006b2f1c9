from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from envs.errors import HarnessError, InputError
from pipeline import protocol
from pipeline.link import Deadlines, DriverFault, Link, accept, blaming, listen
from pipeline.protocol import Hello, ProtocolError

HELLO = Hello("a", "torch", "2.13.0", "cpu", "fp32", 1)
DOC = Path(__file__).parents[2] / "docs" / "protocol.md"


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def test_a_socket_path_that_is_too_long_is_refused_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 100)
    with pytest.raises(InputError, match=r"the socket's path has [0-9]+ bytes, and Linux allows 107: .*; use"):
        listen(path)


def test_a_socket_is_for_owner_and_group_alone(tmp_path: Path) -> None:
    with listen(tmp_path / "s"):
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660
        with pytest.raises(InputError, match=r"cannot listen at .*: Address already in use"):
            listen(tmp_path / "s")


def test_nobody_connects(tmp_path: Path) -> None:
    with listen(tmp_path / "s") as listener, pytest.raises(DriverFault) as caught, blaming(1):
        accept(listener, Deadlines(connect=0.05), {})
    assert (caught.value.index, caught.value.outcome) == (1, "driver_timeout")
    assert caught.value.reason == "it did not connect within 0.05 s"


def test_a_hello_that_claims_something_else_than_was_asked_for(tmp_path: Path) -> None:
    with listen(tmp_path / "s") as listener, socket.socket(socket.AF_UNIX) as driver:
        driver.connect(str(tmp_path / "s"))
        driver.sendall(framed(HELLO.body()))
        with pytest.raises(ProtocolError, match=r"^its hello says device = 'cpu'; 'cuda' was asked for$"):
            accept(listener, Deadlines(), {"model": "a", "device": "cuda"})


def test_a_link_refuses_what_was_not_asked_for_and_ends_in_peace(tmp_path: Path) -> None:
    with listen(tmp_path / "s") as listener, socket.socket(socket.AF_UNIX) as driver:
        driver.connect(str(tmp_path / "s"))
        driver.sendall(framed(HELLO.body()) + framed(protocol.ready_body(0)))
        link = accept(listener, Deadlines(), {})
        with pytest.raises(ProtocolError, match=r"^it sent 9 bytes before it was asked: they came before a reset$"):
            link.reset(0)
        driver.close()
        link.end()


def documented_driver() -> str:
    found = re.search(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_driver_on_the_documentations_page_speaks_the_protocol(tmp_path: Path) -> None:
    program = tmp_path / "driver.py"
    program.write_text(documented_driver())
    assert "pipeline" not in program.read_text()
    with listen(tmp_path / "s") as listener:
        driver = subprocess.Popen([sys.executable, "-I", program, "--socket", tmp_path / "s", "--model", "mine"])
        try:
            link = accept(listener, Deadlines(), {"model": "mine"})
            for episode in range(2):
                link.reset(episode)
                for step in range(3):
                    reply = link.ask(step, np.full(protocol.FRAME_SHAPE, 128, np.uint8))
                    assert reply.inference_ns <= reply.round_trip_ns
            link.end()
            assert driver.wait(timeout=20) == 0
        finally:
            driver.kill()
            driver.wait()


def test_the_documentation_states_the_numbers_of_the_code() -> None:
    page = DOC.read_text()
    for number in (
        protocol.VERSION,
        protocol.MAX_BODY,
        protocol.MAX_HELLO,
        protocol.FRAME_BYTES,
        protocol.COMMAND_BYTES,
    ):
        assert re.search(rf"\b{number}\b", page), number
    deadlines = Deadlines()
    for value in (deadlines.connect, deadlines.ready, deadlines.command):
        assert f"{value:g} s" in page


@pytest.mark.parametrize("shape", [(66, 200), (200, 66, 3)])
def test_a_frame_of_another_shape_is_the_harnesss_fault(shape: tuple[int, ...]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = Link(protocol.Channel(ours), HELLO, Deadlines())
        with pytest.raises(HarnessError, match="the world made a frame of shape"):
            link.ask(0, np.zeros(shape, np.uint8)[:, ::-1])
