"""The docker executor: the world and each driver in a container of its own, sharing one socket's folder and no more."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from docker.errors import DockerException
from requests.exceptions import RequestException

from envs.errors import HarnessError
from pipeline import images
from pipeline.drivers import artifact as files
from pipeline.executors import base, daemon, owner
from pipeline.executors.container import Container, Limits, Recipe
from pipeline.manifest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from types import TracebackType

    from docker.client import DockerClient

WORLD_USER = "10001:10000"
DRIVER_USER = "10002:10000"
"""Two users of one group: the driver may use the world's socket and nothing else of it."""

SOCKET_FOLDER = "/run/hotlap"
WORLD_LIMITS = Limits(memory_mb=4000, cpus=2.0)
DRIVER_LIMITS = {
    "world": Limits(memory_mb=500),
    "torch-cpu": Limits(memory_mb=2000, processes=128),
    "torch-cuda": Limits(memory_mb=8000, processes=256),
}
"""Role -> what its drivers may use."""

GRACE_S = 3.0
"""How long a driver may take to end after its world has [s]."""

LOG_BYTES = 1 << 20
"""More of the world's log than this is never held in memory: the start of it goes."""

SESSIONS = ROOT / ".hotlap" / "sessions"
"""Private folders with the copies that containers see; below the repository, because daemons may not see /tmp."""


class DockerExecutor:
    """Runs sessions in containers. Everything of it carries its run's label, so that all of it can be found again."""

    name = "docker"

    def __init__(
        self,
        limits: Mapping[str, Limits] = DRIVER_LIMITS,
        arguments_of: Callable[..., list[str]] = base.driver_arguments,
        say: Callable[[str], None] = images.tell,
    ) -> None:
        """Connect, and remove what a killed hotlap left behind.

        Args:
            limits: role -> what its drivers may use.
            arguments_of: what a driver's Python is given; tests give drivers of their own.
            say: tells the user a line.

        Raises:
            HarnessError: no daemon answers.
        """
        self._limits = limits
        self._arguments_of = arguments_of
        self._say = say
        self._run = secrets.token_hex(6)
        self._labels = {owner.RUN_LABEL: self._run, owner.OWNER_LABEL: str(owner.this_process())}
        self._images: dict[str, tuple[str, str]] = {}
        self._environments: dict[str, dict[str, Any]] = {}
        with closing(daemon.connect()) as client, _talking():
            version = client.version()
            left = owner.sweep(client, SESSIONS)
        self._version = str(version["Version"])
        if left:
            say(f"removed {left} containers, volumes and folders that a killed hotlap had left behind")

    def describe(self) -> str:
        """One sentence for the user."""
        return f"containers of Docker {self._version}, without network, read-only, with limits"

    def prepare(self, roles: Collection[str]) -> None:
        """Build the images of `roles` and of the world, where they are not there.

        Raises:
            HarnessError: a build failed.
        """
        for role in sorted({"world", *roles}):
            self._image(role)

    def environment(self, role: str) -> dict[str, Any]:
        """The image that `role` runs in, the daemon's version, and the fingerprint of the interpreter in the image.

        Raises:
            HarnessError: the interpreter does not run.
        """
        if role not in self._environments:
            recipe = Recipe(
                image=self._image(role),
                command=["python", "-m", "pipeline.fingerprint"],
                user=DRIVER_USER,
                limits=self._limits[role],
                mounts={},
                labels=self._labels,
            )
            with closing(daemon.connect()) as client, _talking(), Container(client, recipe) as container:
                container.start()
                container.wait()
                end, printed = container.end(killed=False), container.printed()
            tag, image_id = self._images[role]
            if end.exit != 0:
                raise HarnessError(f"the interpreter in image {tag} does not run: {end.log_tail}")
            image = {"docker": self._version, "image": tag, "image_id": image_id}
            self._environments[role] = {**json.loads(printed), **image}
        return self._environments[role]

    def run(self, session: base.Session, on_event: Callable[[dict[str, Any]], None]) -> base.SessionEnd:
        """Run one session to its end; see `base.Executor`."""
        with closing(daemon.connect()) as client, _talking(), ExitStack() as stack:
            folder = stack.enter_context(_private_folder(self._labels[owner.OWNER_LABEL]))
            volumes = [stack.enter_context(_volume(client, self._labels)) for _ in session.drivers]
            world = stack.enter_context(Container(client, self._world(session, folder, volumes)))
            drivers = [
                stack.enter_context(Container(client, self._driver(spec, index, folder, volumes[index])))
                for index, spec in enumerate(session.drivers)
            ]
            return Running(world, drivers, session.deadline_s, on_event).to_the_end()

    def close(self) -> None:
        """Remove whatever of this run is still there."""
        with closing(daemon.connect()) as client, _talking():
            owner.remove_run(client, self._run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _image(self, role: str) -> str:
        """The id of the image of `role`, from the first time it was needed on, whatever is edited meanwhile."""
        if role not in self._images:
            self._images[role] = (images.tag(role), images.ensure(role, self._say))
        return self._images[role][1]

    def _world(self, session: base.Session, folder: Path, volumes: list[str]) -> Recipe:
        sockets = [f"{SOCKET_FOLDER}/{index}/s" for index in range(len(volumes))]
        job = folder / "job.json"
        job.write_text(json.dumps(base.job_with_sockets(session.job, sockets)), encoding="utf-8")
        job.chmod(0o644)
        mounts = {volume: _seen(f"{SOCKET_FOLDER}/{index}", "rw") for index, volume in enumerate(volumes)}
        return Recipe(
            image=self._image("world"),
            command=["python", "-m", "pipeline.world", "/job.json"],
            user=WORLD_USER,
            limits=WORLD_LIMITS,
            mounts={**mounts, str(job): _seen("/job.json", "ro")},
            labels=self._labels,
            logged=False,
        )

    def _driver(self, spec: base.DriverSpec, index: int, folder: Path, volume: str) -> Recipe:
        # The world's container gives a new volume its owner; a driver's must not.
        mounts = {volume: _seen(f"{SOCKET_FOLDER}/{index}", "ro,nocopy")}
        artifact = None
        if spec.artifact is not None:
            copy = _copied(spec, folder / f"{index}{spec.artifact.suffix}")
            artifact = f"/model/{spec.artifact.name}"
            mounts[str(copy)] = _seen(artifact, "ro")
        limits = self._limits[spec.role]
        return Recipe(
            image=self._image(spec.role),
            command=[
                "python",
                *self._arguments_of(spec, socket=f"{SOCKET_FOLDER}/{index}/s", artifact=artifact),
            ],
            user=DRIVER_USER,
            # A core more than its threads: a quota of just its threads would stall it whenever a helper thread runs.
            limits=Limits(limits.memory_mb, limits.processes + spec.threads, spec.threads + 1.0, limits.tmp_mb),
            mounts=mounts,
            labels=self._labels,
            threads=spec.threads,
            core=spec.core,
            gpu=spec.device == "cuda",
        )


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
            told = f"{told}\nthe world was killed for memory: it used more than {WORLD_LIMITS.memory_mb} MB".strip()
        return base.SessionEnd(world.exit, told, tuple(ends), timed_out)


@contextmanager
def _private_folder(holder: str) -> Iterator[Path]:
    """A folder for one session's files, which says whose it is.

    Raises:
        HarnessError: it cannot be made.
    """
    try:
        SESSIONS.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=SESSIONS))
    except OSError as error:
        raise HarnessError(f"cannot make a folder in {SESSIONS}: {error.strerror}; make it writable") from error
    try:
        (folder / owner.OWNER_FILE).write_text(holder, encoding="utf-8")
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _volume(client: DockerClient, labels: dict[str, str]) -> Iterator[str]:
    """A new volume's name."""
    volume = client.volumes.create(name=f"hotlap-{secrets.token_hex(8)}", labels=labels)
    try:
        yield volume.name
    finally:
        owner.remove_volume(volume)


@contextmanager
def _talking() -> Iterator[None]:
    """Within this, a daemon that refuses or is silent is a fault of the harness.

    Raises:
        HarnessError: it was one.
    """
    try:
        yield
    except (DockerException, RequestException) as error:
        reason = " ".join(str(error).split())
        raise HarnessError(f"Docker failed: {reason}; is the daemon well? (`docker info`)") from error


def _seen(where: str, how: str) -> dict[str, str]:
    """How a container sees a volume or file; `z` lets all containers use it where SELinux guards them."""
    return {"bind": where, "mode": f"{how},z"}


def _copied(spec: base.DriverSpec, target: Path) -> Path:
    """A copy of the driver's artifact at `target`, which any user may read, checked by its sum.

    Raises:
        InputError: the artifact is missing, a pickle, or not the one that the manifest names.
    """
    source = files.check(spec.artifact, spec.model.sha256)
    shutil.copyfile(source, target)
    target.chmod(0o644)
    files.check(target, spec.model.sha256)
    return target
