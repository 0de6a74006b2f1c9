"""The driver process: load a model, connect to the world, answer its frames until it says end."""

from __future__ import annotations

import argparse
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from envs.errors import HotlapError
from pipeline import drivers, protocol
from pipeline.drivers.base import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envs.command import Command
    from envs.true_state import TrueState
    from pipeline.drivers.base import Driver

FRAME, RESET = b"FR"

CONNECT_S = 60.0
"""How long a driver tries to connect; the world may still be starting [s]."""

WAIT_S = 3600.0
"""How long a driver waits for the world's next message: another driver may be measured meanwhile [s]."""

SEND_S = 10.0
"""How long the world may leave a message of the driver unread [s]."""


def main(arguments: Sequence[str]) -> int:
    """Drive as `arguments` say; returns the process's exit status.

    An error that the user can act on is one line on stderr and its exit code. All else is a fault of the driver: its
    traceback goes to stderr, whose end becomes the outcome's reason.
    """
    asked = parser().parse_args(arguments)
    try:
        driver = drivers.runtime(asked.runtime).load(
            asked.artifact,
            Options(asked.device, asked.threads, asked.sha256, asked.precision, asked.mode),
        )
        channel = protocol.Channel(connect(asked.socket))
        try:
            serve(channel, driver, asked.model)
        finally:
            channel.close()
    except HotlapError as error:
        print(f"driver {asked.model}: {error}", file=sys.stderr)
        return error.exit_code
    except protocol.ClosedError as error:
        print(f"driver {asked.model}: the world went away: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line of a driver."""
    result = argparse.ArgumentParser(prog="python -m pipeline.drivers", description=__doc__)
    result.add_argument("--runtime", required=True, help=f"one of {', '.join(sorted(drivers.RUNTIMES))}")
    result.add_argument("--model", required=True, help="the model's name, told to the world")
    result.add_argument("--socket", required=True, type=Path, help="the Unix socket that the world listens on")
    result.add_argument("--artifact", type=Path, help="the model's file")
    result.add_argument("--sha256", help="what the file's sha256 must be")
    result.add_argument("--device", default="cpu", help="cpu or cuda")
    result.add_argument("--threads", default=1, type=int, help="threads that the runtime may use")
    result.add_argument("--precision", default="fp32", help="that the manifest asks for: fp32, fp16, bf16 or int8")
    result.add_argument("--mode", default="", help="how the runtime is to run the model, where it knows several ways")
    return result


def connect(path: Path, timeout_s: float = CONNECT_S) -> socket.socket:
    """A connection to the world at `path`, which may not listen yet.

    Raises:
        HotlapError: the world did not listen within `timeout_s` [s], or cannot be reached there.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connection.close()
            if time.monotonic() > deadline:
                raise HotlapError(f"no world listens at {path} after {timeout_s:g} s; start one first") from error
            time.sleep(0.01)
        except OSError as error:
            connection.close()
            raise HotlapError(f"cannot connect to the world at {path}: {error.strerror or error}") from error
        else:
            return connection


def serve(channel: protocol.Channel, driver: Driver, model: str) -> None:
    """Say hello and answer until the end.

    Raises:
        ClosedError: the world closed the connection before the end.
        ProtocolError: the world sent what a driver does not know.
    """
    report = driver.report()
    hello = protocol.Hello(
        model=model,
        runtime=report.runtime,
        runtime_version=report.runtime_version,
        device=report.device,
        precision=report.precision,
        threads=report.threads,
        provider=report.provider,
        wants_state=report.wants_state,
    )
    channel.send(hello.body(), timeout_s=SEND_S)
    while True:
        body = channel.receive(timeout_s=WAIT_S)
        if body[0] == FRAME:
            frame = protocol.parse_frame(body)
            inference_ns, command = timed(driver, frame)
            channel.send(protocol.command_body(frame.nonce, inference_ns, command), timeout_s=SEND_S)
        elif body[0] == RESET:
            driver.reset()
            channel.send(protocol.ready_body(protocol.parse_reset(body)), timeout_s=SEND_S)
        else:
            protocol.expect(body, protocol.END_BODY, "a reset, frame or end")
            return


def timed(driver: Driver, frame: protocol.Frame) -> tuple[int, Command]:
    """The driver's answer to `frame` after the time it took, from the frame in memory to two numbers [ns]."""
    state = unpacked(frame.state) if frame.state else None
    start = time.perf_counter_ns()
    command = driver.command(frame.pixels, state)
    return time.perf_counter_ns() - start, command


def unpacked(state: bytes) -> TrueState:
    """The true state; imported on use, because only the oracle's interpreter has the simulator."""
    from envs.true_state import TrueState  # noqa: PLC0415

    return TrueState.unpack(state)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
