"""What decides the bits that a process computes: under one fingerprint, the same case gives the same trajectory.

Versions and contents of all packages, the C library, the processor's vector units, the threads and Python's minor
version. Not in it: the place of the files, the executor, the host's name. Standard library alone, so that any role's
interpreter can say its own: ``python -m pipeline.fingerprint``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

INSTALLERS = frozenset({"pip", "setuptools", "wheel", "uv", "hotlap"})
"""Packages that compute nothing in a run; they differ between a virtual environment and an image."""

INSTALLER_FILES = frozenset({"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"})
"""Files of a ``dist-info`` folder that tell of the installing, not of the package."""

VECTOR_FLAGS = ("sse", "ssse", "avx", "fma", "f16c", "bmi", "amx", "vnni", "neon", "asimd", "sve", "fp16", "bf16")
"""Starts of the processor flags by which numerical libraries choose their code."""


def fingerprint(threads: int = 1) -> dict[str, Any]:
    """The fingerprint of this interpreter on this processor, JSON-safe, with its own ``sha256`` over all the rest."""
    facts: dict[str, Any] = {
        "python": f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}",
        "machine": platform.machine(),
        "libc": _libc(),
        "cpu": cpu_features(Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""),
        "threads": threads,
        "packages": packages(),
    }
    return {**facts, "sha256": digest(facts)}


def digest(facts: dict[str, Any]) -> str:
    """The sha256 of `facts`, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def packages() -> dict[str, dict[str, str]]:
    """Name of each installed package -> its version and a sum over its files as its ``RECORD`` lists them."""
    found = {}
    for package in metadata.distributions():
        name = (package.metadata["Name"] or "").lower().replace("_", "-")
        if name and name not in INSTALLERS and name not in found:  # the first on the path is the one imported
            found[name] = {"version": package.version, "record": record_sum(package.read_text("RECORD") or "")}
    return dict(sorted(found.items()))


def record_sum(record: str) -> str:
    """The sha256 of what a ``RECORD`` says of the package's own files.

    Left out is what the installing adds: bytecode, the installer's notes, and scripts, whose first line is a path.
    """
    rows = (row for row in csv.reader(record.splitlines()) if len(row) == 3 and row[1])
    kept = sorted(
        (path, content)
        for path, content, _ in rows
        if not path.startswith(("..", "/"))
        and not path.endswith(".pyc")
        and not (".dist-info/" in path and path.rsplit("/", 1)[1] in INSTALLER_FILES)
    )
    return hashlib.sha256("\n".join(f"{path},{content}" for path, content in kept).encode()).hexdigest()


def cpu_features(cpuinfo: str) -> dict[str, Any]:
    """The processor's maker and its vector units, from the text of ``/proc/cpuinfo``; of the first core."""
    rows = (line.partition(":") for line in cpuinfo.split("\n\n", 1)[0].splitlines())
    lines = {name.strip(): value.strip() for name, _, value in rows}
    flags = (lines.get("flags") or lines.get("Features") or "").split()
    return {
        "vendor": lines.get("vendor_id") or lines.get("CPU implementer") or "unknown",
        "vector": sorted(flag for flag in flags if flag.startswith(VECTOR_FLAGS)),
    }


def _libc() -> str:
    name, version = platform.libc_ver()
    if name:
        return f"{name} {version}"
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (OSError, ValueError):
        return "unknown"


if __name__ == "__main__":
    print(json.dumps(fingerprint(), sort_keys=True))
