"""Peak memory of a driver, as the harness sees it: read from the kernel or the daemon, never told by the driver."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)

PEAK_FILES = ("memory.peak", "memory.max_usage_in_bytes")
"""Where a control group keeps its peak: in version 2 and in version 1 of them."""


def of_process(pid: int, proc: Path = PROC) -> int | None:
    """The most memory that a process has had resident so far [bytes]; None where it has ended."""
    try:
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = HIGH_WATER.search(status)
    return None if found is None else int(found[1]) * 1024


def of_group(pid: int, proc: Path = PROC, groups: Path = CGROUPS) -> int | None:
    """The peak of the control group that a process is in [bytes]; None where this host cannot see it."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        # Version 2 has one tree and names no controller; version 1 has a folder for each.
        folder = groups / ("memory" if controllers else "") / name.strip("/")
        for file in PEAK_FILES if name.strip("/") else ():  # the root is the host itself
            try:
                return int((folder / file).read_text(encoding="ascii"))
            except (OSError, ValueError):
                continue
    return None


def of_stats(stats: Mapping[str, Any]) -> int | None:
    """What a daemon's statistics of a container say: its peak, else its memory now [bytes]; None where nothing."""
    told = stats.get("memory_stats") or {}
    value = told.get("max_usage") or told.get("usage")
    return int(value) if value else None


def larger(first: int | None, second: int | None) -> int | None:
    """The larger of two peaks, either of which may be unknown."""
    known = [peak for peak in (first, second) if peak is not None]
    return max(known, default=None)
