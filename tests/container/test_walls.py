"""The hardening holds: seen from inside a driver's container, as the executor makes it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.executors import daemon
from pipeline.executors.container import Container
from pipeline.executors.docker import DRIVER_LIMITS, DockerExecutor
from tests.pipeline import sessions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.executors.container import Recipe

pytestmark = pytest.mark.container

PROBE = """
import ctypes, json, os, socket, subprocess, sys

def outcome(call):
    try:
        return call() or "allowed"
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)

def write(path):
    return outcome(lambda: open(path, "w").close())

def execute():
    with open("/tmp/program", "w") as stream:
        stream.write("#!/bin/sh\\nexit 0\\n")
    os.chmod("/tmp/program", 0o755)
    return subprocess.run(["/tmp/program"]).returncode

def connect():
    with socket.socket() as connection:
        connection.settimeout(2)
        connection.connect(("192.0.2.1", 80))

def forks():
    children = 0
    try:
        while children < 2000:
            if os.fork() == 0:
                import signal
                signal.pause()
            children += 1
    except BlockingIOError:
        return children
    return children

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
facts = {
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "connect": outcome(connect),
    "root": write("/file"), "app": write("/app/pipeline/__init__.py"), "sockets": write("/run/hotlap/0/file"),
    "tmp": write("/tmp/file"), "execute": outcome(execute),
    "capabilities": [status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")],
    "no_new_privileges": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "own_root": outcome(lambda: os.setuid(0)),
    "mounts": [line.split()[1] for line in open("/proc/mounts") if not line.startswith(("proc", "sysfs", "cgroup"))],
    "home": os.path.expanduser("~"),
}
facts["forks"] = forks()
print(json.dumps(facts), flush=True)
os.kill(0, 9)
"""


@pytest.fixture(scope="module")
def recipe(executor: DockerExecutor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recipe]:
    with closing(daemon.connect()) as client:
        volume = client.volumes.create(labels=executor._labels)
        yield executor._driver(sessions.spec("zero"), 0, tmp_path_factory.mktemp("driver"), str(volume.name))
        volume.remove(force=True)


@pytest.fixture(scope="module")
def inside(recipe: Recipe) -> dict[str, Any]:
    with closing(daemon.connect()) as client, Container(client, replace(recipe, command=["python", "-c", PROBE])) as it:
        it.start()
        it.wait()
        facts: dict[str, Any] = json.loads(it.printed())
    return facts


def test_the_driver_is_nobody(inside: dict[str, Any]) -> None:
    assert (inside["uid"], inside["gid"], inside["groups"]) == (10002, 10000, [10000])
    assert inside["capabilities"] == ["0000000000000000"] * 4
    assert inside["no_new_privileges"] == "1"
    assert inside["seccomp"] == "2"
    assert inside["own_root"].startswith("PermissionError")


def test_there_is_no_network(inside: dict[str, Any]) -> None:
    assert inside["interfaces"] == ["lo"]
    assert inside["connect"] != "allowed"


def test_only_tmp_is_writable_and_runs_nothing(inside: dict[str, Any]) -> None:
    assert inside["tmp"] == "allowed"
    assert inside["execute"].startswith("PermissionError")
    assert inside["root"] == "OSError 30"
    assert inside["app"] == "OSError 30"
    assert inside["sockets"] == "OSError 30"


def test_a_fork_bomb_stops_at_the_limit(inside: dict[str, Any]) -> None:
    assert 0 < inside["forks"] <= DRIVER_LIMITS["world"].processes + 1


def test_only_the_socket_is_mounted(inside: dict[str, Any]) -> None:
    ours = {mount for mount in inside["mounts"] if not mount.startswith(("/proc", "/sys", "/dev", "/etc"))}
    dockers = {"/", "/tmp", "/sbin/docker-init", "/usr/sbin/docker-init"}  # noqa: S108 - seen in the container
    assert ours - dockers == {"/run/hotlap/0"}


def test_memory_and_processors_are_limited(recipe: Recipe) -> None:
    with closing(daemon.connect()) as client, Container(client, recipe) as it:
        host = client.api.inspect_container(str(it._inner.id))["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == DRIVER_LIMITS["world"].memory_mb * 1_000_000
    assert host["NanoCpus"] == 2_000_000_000
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}}
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]


def test_the_image_of_a_driver_has_no_simulator_and_that_of_the_world_no_framework(executor: DockerExecutor) -> None:
    world = executor.environment("world")["packages"]
    assert {"pybullet", "gymnasium", "opencv-python-headless"} <= set(world)
    assert not {"torch", "onnxruntime", "openvino", "pip"} & set(world)


@pytest.mark.slow
def test_the_torch_image_has_no_simulator(executor: DockerExecutor) -> None:
    packages = executor.environment("torch-cpu")["packages"]
    assert packages["torch"]["version"].startswith("2.13.0")
    assert not {"pybullet", "gymnasium", "opencv-python-headless", "pip"} & set(packages)
