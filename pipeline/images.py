"""The images: which there are, their tags by content, and building one that is not there yet.

An image's tag is a hash over its Dockerfile, its locks, the pinned base and every source file it copies, so an image of
the right tag never needs to be built again. The SDK runs containers; the command line client builds images, since the
SDK has no BuildKit.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shlex
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from envs.errors import HarnessError
from pipeline import offline, provenance
from pipeline.executors import daemon
from pipeline.manifest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PINS = ROOT / "docker" / "pins.toml"
WORK = ROOT / ".hotlap" / "images"
"""Logs of the builds, and the lock that keeps two hotlaps from building the same image at once."""

PULL_S = 600.0
"""How long the public base may take to arrive [s]."""

LOG_LINES = 25
"""How much of a failed build's log is shown."""


@dataclass(frozen=True)
class Image:
    """One image that hotlap builds.

    Attributes:
        dockerfile: relative to the repository, as everything here.
        locks: what it may install; the first one is what it is meant to install.
        arguments: build arguments that choose this image from its Dockerfile.
    """

    dockerfile: str
    locks: tuple[str, ...]
    arguments: dict[str, str] = field(default_factory=dict)


IMAGES = {
    "world": Image("docker/world/Dockerfile", ("docker/world/requirements.lock",)),
    "torch-cpu": Image("docker/torch/Dockerfile", ("docker/torch/cpu.lock", "docker/torch/cuda.lock"), {"LOCK": "cpu"}),
    "torch-cuda": Image("docker/torch/Dockerfile", ("docker/torch/cuda.lock",), {"LOCK": "cuda"}),
    "onnxruntime": Image("docker/onnxruntime/Dockerfile", ("docker/onnxruntime/requirements.lock",)),
    "onnxruntime-cuda": Image(
        "docker/onnxruntime/Dockerfile", ("docker/onnxruntime/cuda.lock",), {"LOCK": "cuda.lock"}
    ),
    "openvino": Image("docker/openvino/Dockerfile", ("docker/openvino/requirements.lock",)),
}


def tell(line: str) -> None:
    """Say `line` to the user, apart from what a program may read on stdout."""
    print(line, file=sys.stderr, flush=True)


def tag(name: str) -> str:
    """The tag of image `name`, such as ``hotlap/world:0123456789ab``."""
    image = IMAGES[name]
    parts = [hashlib.sha256(json.dumps([image.arguments, pins()["base"]], sort_keys=True).encode()).hexdigest()]
    files = (ROOT / image.dockerfile, *(ROOT / lock for lock in image.locks), *sources(name))
    parts += [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT).as_posix()}" for path in files]
    return f"hotlap/{name}:{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


def sources(name: str) -> tuple[Path, ...]:
    """The files that the Dockerfile of image `name` copies out of the repository, sorted.

    Raises:
        HarnessError: it copies something that is not there.
    """
    found: set[Path] = set()
    dockerfile = ROOT / IMAGES[name].dockerfile
    for line in dockerfile.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if not line.startswith("COPY ") or "--from=" in line:
            continue
        for source in shlex.split(line)[1:-1]:
            path = ROOT / source
            if not path.exists():
                raise HarnessError(f"{dockerfile}: copies {source}, which is not there; restore it from the repository")
            found.update(_files(path))
    return tuple(sorted(found))


def ensure(name: str, say: Callable[[str], None] = tell) -> str:
    """The id of image `name`, built first where it is not there, telling the user by `say`.

    Raises:
        HarnessError: no base can be had, or the build failed.
    """
    wanted = tag(name)
    if found := image_id(wanted):
        return found
    with _one_at_a_time():
        if found := image_id(wanted):
            return found
        build(name, wanted, base(say), say)
    built = image_id(wanted)
    if built is None:
        raise HarnessError(f"{wanted} was built, but is not there; is another program removing images?")
    return built


def build(name: str, wanted: str, base_image: str, say: Callable[[str], None]) -> None:
    """Build image `name` on `base_image` and call it `wanted`.

    Raises:
        HarnessError: the build failed; the error shows the end of its log.
    """
    image = IMAGES[name]
    log = WORK / f"{wanted.replace('/', '-').replace(':', '-')}.log"
    arguments = {
        "BASE_IMAGE": base_image,
        **image.arguments,
        **offline.build_arguments(ROOT / "docker" / "offline", [ROOT / lock for lock in image.locks]),
        "VERSION": provenance.version(),
        "REVISION": _revision(),
        "LOCK_SHA256": hashlib.sha256((ROOT / image.locks[0]).read_bytes()).hexdigest(),
    }
    words = [daemon.builder(), "build", "--progress=plain", "--file", image.dockerfile, "--tag", wanted]
    for key, value in arguments.items():
        words += ["--build-arg", f"{key}={value}"]
    say(f"building image {wanted} (once; log: {log.relative_to(ROOT)}) ...")
    started = time.monotonic()
    with log.open("wb") as stream:
        done = subprocess.run(
            [*words, "."], cwd=ROOT, env=daemon.build_environment(), stdout=stream, stderr=stream, check=False
        )
    if done.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        raise HarnessError("\n".join([f"building {wanted} failed; the whole log is {log}, its end:", *lines]))
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if " hotlap: " in line:
            say(line[line.index("hotlap: ") :])
    say(f"built {wanted} in {time.monotonic() - started:.0f} s")


def base(say: Callable[[str], None] = tell) -> str:
    """The base image: the public one where it is there or can be pulled, else one made from Debian's mirror.

    Raises:
        HarnessError: neither can be had.
    """
    row = pins()["base"]
    public = f"{row['image']}@{row['digest']}" if row["digest"] else row["image"]
    if image_id(public):
        say(f"base image: {public}, already here")
        return str(public)
    if image_id(row["local"]):
        say(f"base image: {row['local']}, made here before from Debian's mirror")
        return str(row["local"])
    pulled = _run([daemon.builder(), "pull", "--quiet", public], PULL_S)
    if pulled.returncode == 0:
        say(f"base image: {public}, pulled")
        return str(public)
    reason = (pulled.stderr.strip().splitlines() or ["no reason given"])[-1]
    say(
        f"base image: {public} cannot be pulled ({reason}); making {row['local']} from this machine's Debian mirror ..."
    )
    started = time.monotonic()
    made = _run([str(ROOT / "docker" / "airgapped.sh"), row["local"], row["suite"]], None)
    if made.returncode != 0:
        why = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise HarnessError(
            f"no base image: {public} cannot be pulled, and none can be made here ({why}); "
            "see docs/air-gapped.md, or run without containers by --executor local"
        )
    say(f"made {row['local']} in {time.monotonic() - started:.0f} s")
    return str(row["local"])


def image_id(reference: str) -> str | None:
    """The id of a local image, None where there is none."""
    done = _run([daemon.builder(), "image", "inspect", "--format", "{{.Id}}", reference], daemon.TIMEOUT_S)
    return done.stdout.strip() or None if done.returncode == 0 else None


@cache
def pins() -> dict[str, Any]:
    """What stands in `docker/pins.toml`."""
    return tomllib.loads(PINS.read_text(encoding="utf-8"))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for another hotlap that builds, and have the next one wait for this.

    Raises:
        HarnessError: the folder of the logs cannot be written.
    """
    try:
        WORK.mkdir(parents=True, exist_ok=True)
        lock = (WORK / "lock").open("w")
    except OSError as error:
        raise HarnessError(f"cannot write in {WORK}: {error.strerror}; make it writable") from error
    with lock as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _files(path: Path) -> Iterator[Path]:
    """`path` itself, or the files below it that the builder is sent (see .dockerignore)."""
    if path.is_file():
        yield path
        return
    for below in path.rglob("*"):
        if below.is_file() and below.suffix != ".pyc" and "__pycache__" not in below.parts:
            yield below


def _revision() -> str:
    """The commit, with ``+dirty`` where the working tree differs; empty where there is none."""
    state = provenance.commit()
    return f"{state.sha or ''}{'+dirty' if state.dirty else ''}"


def _run(words: list[str], timeout_s: float | None) -> subprocess.CompletedProcess[str]:
    """Run a command; one that takes too long has failed."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", f"no answer within {timeout_s:g} s")
