"""Who started a container, volume or folder: by that, the next hotlap removes what a killed one has left behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, NotFound

if TYPE_CHECKING:
    from docker.client import DockerClient
    from docker.models.containers import Container
    from docker.models.volumes import Volume

RUN_LABEL = "hotlap.run"
OWNER_LABEL = "hotlap.owner"
OWNER_FILE = "owner"


@dataclass(frozen=True)
class Owner:
    """A process, named so that no later one can be taken for it.

    Attributes:
        host: the host's name; a daemon may serve several hosts.
        boot: this start of the host.
        pid: the process's number there.
        started: when it started, as the system tells it; numbers are used again.
    """

    host: str
    boot: str
    pid: int
    started: str

    def __str__(self) -> str:
        """One line, for a label or a file."""
        return "|".join(str(part) for part in astuple(self))

    def gone(self) -> bool:
        """Whether it is known to have ended; a process of another host is never known to."""
        if self.host != socket.gethostname():
            return False
        return self.boot != _boot() or self.started != _started(self.pid)


def this_process() -> Owner:
    """The process that asks."""
    return Owner(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()))


def parse(text: str) -> Owner | None:
    """The owner that `text` names, None where it names none."""
    parts = text.strip().split("|")
    if len(parts) != 4 or not parts[2].isdigit():
        return None
    return Owner(parts[0], parts[1], int(parts[2]), parts[3])


def sweep(client: DockerClient, folders: Path) -> int:
    """Remove all containers, volumes and session folders whose owner is gone; returns how many there were."""
    chosen: dict[str, Any] = {"label": OWNER_LABEL}
    removed = 0
    for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
        removed += _left(container.labels.get(OWNER_LABEL, "")) and remove_container(container)
    for volume in client.volumes.list(filters=chosen):
        removed += _left((volume.attrs.get("Labels") or {}).get(OWNER_LABEL, "")) and remove_volume(volume)
    for file in folders.glob(f"*/{OWNER_FILE}"):
        if _left(file.read_text(encoding="utf-8")):
            shutil.rmtree(file.parent, ignore_errors=True)
            removed += 1
    return removed


def remove_run(client: DockerClient, run: str) -> None:
    """Remove all containers and volumes of `run`."""
    chosen: dict[str, Any] = {"label": f"{RUN_LABEL}={run}"}
    for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
        remove_container(container)
    for volume in client.volumes.list(filters=chosen):
        remove_volume(volume)


def remove_container(container: Container) -> bool:
    """Kill and remove `container`; False where it is gone, or being removed, already."""
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return False
    except APIError as error:
        if error.status_code == 409:  # "removal is already in progress"
            return False
        raise
    return True


def remove_volume(volume: Volume) -> bool:
    """Remove `volume`; False where it is gone already, or a container that is not ours to remove still uses it."""
    try:
        volume.remove(force=True)
    except NotFound:
        return False
    except APIError as error:
        if error.status_code == 409:
            return False
        raise
    return True


def _left(text: str) -> bool:
    owner = parse(text)
    return owner is not None and owner.gone()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _started(pid: int) -> str:
    """When process `pid` started, empty where there is none: clock ticks since the boot, or what `ps` says."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
        # The name, in parentheses, may hold anything; state is the first field after it, the start the twentieth.
        return stat.rpartition(")")[2].split()[19]
    asked = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip()
