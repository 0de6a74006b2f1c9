"""Drivers that misbehave, for the tests: ``python bad_driver.py FAULT SOCKET``. Standard library alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import time

HELLO = {
    "protocol": 2,
    "model": "bad",
    "runtime": "bad",
    "runtime_version": "0",
    "device": "cpu",
    "precision": "none",
    "threads": 1,
    "provider": "none",
    "wants_state": False,
}
NAN = float("nan")
FAULT_STEP = 5


def connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    while connection.connect_ex(path):
        time.sleep(0.01)
    return connection


def receive(connection: socket.socket) -> bytes:
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack_from(">I", data)[0]:
        part = connection.recv(1 << 20)
        if not part:
            print("bad driver: the world went away", file=sys.stderr)
            sys.exit(1)
        data += part
    return data[4:]


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def command(nonce: int, speed: float = 0.0, steering: float = 0.0) -> bytes:
    return framed(struct.pack(">cQQff", b"C", nonce, 1000, speed, steering))


HELLOS = {
    "hello not json": framed(b"H{nope"),
    "hello other version": framed(b"H" + json.dumps({**HELLO, "protocol": 1}).encode()),
    "hello lacks device": framed(b"H" + json.dumps({k: v for k, v in HELLO.items() if k != "device"}).encode()),
    "hello other model": framed(b"H" + json.dumps({**HELLO, "model": "good"}).encode()),
    "hello half": framed(b"H" + json.dumps(HELLO).encode())[:20],
}

ANSWERS = {
    "nan": lambda nonce: command(nonce, steering=NAN),
    "out of range": lambda nonce: command(nonce, speed=1.5),
    "three numbers": lambda nonce: framed(struct.pack(">cQQfff", b"C", nonce, 1, 0.0, 0.0, 0.0)),
    "half a message": lambda nonce: command(nonce)[:12],
    "other nonce": lambda nonce: command(nonce ^ 1),
    "length 0": lambda _: struct.pack(">I", 0),
    "length huge": lambda _: struct.pack(">I", 1 << 31),
    "ready again": lambda _: framed(b"Y\0\0\0\0"),
    "twice": lambda nonce: command(nonce) + command(nonce),
}


def at_fault(fault: str, connection: socket.socket, nonce: int) -> None:
    """Do, in place of an answer, what `fault` says, and then wait for the end."""
    if fault in ANSWERS:
        connection.sendall(ANSWERS[fault](nonce))
    elif fault == "raises":
        raise ValueError("the weights are cursed")
    elif fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "exit 0":
        sys.exit(0)


def main(fault: str, path: str) -> None:
    if fault == "never connects":
        time.sleep(60.0)
    if fault == "dies before hello":
        print("bad driver: the artifact is cut short", file=sys.stderr)
        sys.exit(3)
    connection = connect(path)
    if fault != "no hello":
        connection.sendall(HELLOS.get(fault, framed(b"H" + json.dumps(HELLO).encode())))
    while (body := receive(connection))[:1] != b"E":
        if body[:1] == b"R" and fault == "never ready":
            continue
        if body[:1] == b"R":
            episode = int.from_bytes(body[1:5], "big") + (fault == "ready for another")
            connection.sendall(framed(b"Y" + struct.pack(">I", episode)))
            if fault == "early":
                connection.sendall(command(0))
            continue
        step, nonce = struct.unpack_from(">IQ", body, 1)
        if step == FAULT_STEP and fault != "none":
            at_fault(fault, connection, nonce)
            if fault != "twice":
                continue
        else:
            connection.sendall(command(nonce))


if __name__ == "__main__":
    main(*sys.argv[1:])
