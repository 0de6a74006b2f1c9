"""Where results come from: the commit, the versions, the processor. It stands in each record and in no key."""

from __future__ import annotations

import platform
import subprocess
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.manifest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.executors.base import Executor
    from pipeline.record import Provenance

DECIDING = ("docker", "envs", "pipeline", "requirements", "weights")
"""The folders whose uncommitted changes make a result's commit say less than the truth."""


@dataclass(frozen=True)
class Commit:
    """The repository's state.

    Attributes:
        sha: of the commit that is checked out, None where there is no git to ask.
        dirty: whether something in `DECIDING` differs from it; None where that is unknown.
        reason: why there is no commit.
    """

    sha: str | None
    dirty: bool | None
    reason: str | None


def commit(root: Path = ROOT) -> Commit:
    """The commit of the repository at `root`."""
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
        if Path(top).resolve() != root.resolve():
            return Commit(None, None, "hotlap runs from a folder that is no repository of its own")
        folders = [folder for folder in DECIDING if (root / folder).is_dir()]
        return Commit(
            sha=_git(root, "rev-parse", "HEAD"),
            dirty=bool(_git(root, "status", "--porcelain", "--", *folders)),
            reason=None,
        )
    except FileNotFoundError:
        return Commit(None, None, "git is not installed")
    except subprocess.CalledProcessError as error:
        text = str(error.stderr).strip().splitlines()
        return Commit(None, None, f"git: {text[-1] if text else f'exit {error.returncode}'}")


def gather(executor: Executor, roles: Iterable[str]) -> Provenance:
    """What made the records of this run; the executor has prepared `roles`."""
    state = commit()
    return {
        "hotlap": version(),
        "commit": state.sha,
        "commit_reason": state.reason,
        "dirty": state.dirty,
        "executor": executor.name,
        "environment": {role: executor.environment(role) for role in sorted(roles)},
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "started_at": now(),
    }


def version() -> str:
    """The version of hotlap: as installed, or as the repository says where it runs without being installed."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version("hotlap")


def cpu_model() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def now() -> str:
    """The time, in UTC, to the second, as ISO 8601 writes it."""
    return datetime.now(tz=UTC).isoformat(timespec="seconds")


def _git(root: Path, *words: str) -> str:
    asked = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
    return asked.stdout.strip()
