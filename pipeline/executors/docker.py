"""The docker executor: the world and each driver in a container of its own, sharing one socket's folder and no more."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
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
from pipeline.executors.running import Running
from pipeline.manifest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
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
    "onnxruntime": Limits(memory_mb=1000, processes=64),
    "onnxruntime-cuda": Limits(memory_mb=8000, processes=256),
    "openvino": Limits(memory_mb=1000, processes=64),
}
"""Role -> what its drivers may use."""

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
            for copy in _copied(spec, folder / str(index)):
                mounts[str(copy)] = _seen(f"/model/{copy.name}", "ro")
            artifact = f"/model/{spec.artifact.name}"
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


def _copied(spec: base.DriverSpec, folder: Path) -> list[Path]:
    """Copies of the driver's artifact in a new `folder`, which any user may read, checked by their sum.

    Raises:
        InputError: the artifact is missing, a pickle, or not the one that the manifest names.
    """
    source = files.check(spec.artifact, spec.model.sha256)
    folder.mkdir()
    copies = [folder / part.name for part in files.parts(source)]
    for part, copy in zip(files.parts(source), copies, strict=True):
        shutil.copyfile(part, copy)
        copy.chmod(0o644)
    files.check(folder / source.name, spec.model.sha256)
    return copies
