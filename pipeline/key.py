"""The key of a record: a hash of all that decides the driving, so that a changed model is never served an old result.

In the key: the artifact's bytes and what the manifest says of how it runs, the source of the world's and the driver's
side, the lock and the base of both images, the circuit and the conditions as resolved, limits and deadlines, seed,
clock, threads and device. Not in it: commit, host, executor, time; the record's provenance keeps those.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from envs import conditions
from envs.errors import HotlapError, InputError
from pipeline.drive import DEADLINES
from pipeline.drivers import RUNTIMES
from pipeline.manifest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.case import Resolved
    from pipeline.manifest import ModelRow

VERSION = 3
"""Rises when the meaning of the key's parts changes."""

WORLD_SOURCES = (
    "envs/**/*.py",
    "pipeline/__init__.py",
    "pipeline/protocol.py",
    "pipeline/world.py",
    "pipeline/episode.py",
    "pipeline/link.py",
)
"""The code of the world's side. The data files of `envs/` are in the key as resolved: circuit and drawn conditions."""

DRIVER_SOURCES = (
    "envs/__init__.py",
    "envs/command.py",
    "envs/errors.py",
    "pipeline/__init__.py",
    "pipeline/protocol.py",
    "pipeline/drivers/*.py",
)
"""The code of every driver's side, less the modules of the runtimes that it does not run."""

RUNTIME_SOURCES = {
    "torch": ("pipeline/networks.py", "pipeline/quantised.py"),
    "sleep": ("pipeline/drivers/centreline.py",),
}
"""What a runtime's own module needs beside that."""

LOCKS = {
    "world": "docker/world/requirements.lock",
    "torch-cpu": "docker/torch/cpu.lock",
    "torch-cuda": "docker/torch/cuda.lock",
    "onnxruntime": "docker/onnxruntime/requirements.lock",
    "onnxruntime-cuda": "docker/onnxruntime/cuda.lock",
    "openvino": "docker/openvino/requirements.lock",
}
PINS = "docker/pins.toml"


class SourceChangedError(HotlapError):
    """Code was edited while it drove: what was driven since belongs to no key."""

    exit_code: ClassVar[int] = InputError.exit_code


class Keys:
    """Makes keys, reading each file once."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._files: dict[Path, str] = {}
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._drivers: dict[tuple[str, str], dict[str, Any]] = {}
        self._world: dict[str, Any] = {
            "source": self._digest(self._matching(WORLD_SOURCES)),
            "lock": self._file(root / LOCKS["world"]),
            "base": self._base(),
        }

    def of(self, resolved: Resolved) -> str:
        """The key of a resolved case, 64 hex digits.

        Raises:
            InputError: a lock or the pins are missing.
        """
        text = json.dumps(self.parts(resolved), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def check(self) -> None:
        """See that the files are still those that the keys were made from; a look at their dates, no reading.

        Raises:
            SourceChangedError: one was edited.
        """
        for path, stamp in self._stamps.items():
            if not path.exists() or _stamp(path) != stamp:
                raise SourceChangedError(
                    f"{path} was edited during the run, so nothing more was recorded; run the same command again"
                )

    def parts(self, resolved: Resolved) -> dict[str, Any]:
        """All that the key is made of, by name; JSON-safe."""
        row, case = resolved.row, resolved.case
        return {
            "version": VERSION,
            "model": {
                "name": row.name,
                "runtime": row.runtime,
                "artifact": row.sha256,
                "precision": row.precision,
                "mode": row.mode,
                "device": row.device,
                "threads": row.threads,
            },
            "driver": self.driver(row),
            "world": self._world,
            "circuit": {"name": resolved.circuit.name, "digest": resolved.circuit.digest},
            "direction": case.direction,
            "conditions": {
                "version": conditions.version(),
                "name": case.conditions,
                "drawn": resolved.conditions.to_dict(),
            },
            "limits": asdict(resolved.limits),
            "deadlines": DEADLINES,
            "seed": case.seed,
            "clock": {"name": case.clock, "profile": None},
        }

    @property
    def world(self) -> dict[str, Any]:
        """The world's side: its sources, its lock and the base of its image."""
        return self._world

    def sources(self, patterns: Iterable[str]) -> str:
        """One sha256 over the repository's files that match, 64 hex digits."""
        return self._digest(path for path in self._matching(patterns) if path.is_file())

    def driver(self, row: ModelRow) -> dict[str, Any]:
        """A driver's side: the sources of its runtime, its lock and the base of its image.

        Raises:
            InputError: the lock or the pins are missing.
        """
        known = self._drivers.get((row.runtime, row.role))
        if known is None:
            others = {module.replace(".", "/") + ".py" for name, module in RUNTIMES.items() if name != row.runtime}
            shared = {path for path in self._matching(DRIVER_SOURCES) if self._name(path) not in others}
            own = shared.union(self._matching(RUNTIME_SOURCES.get(row.runtime, ())))
            lock = self._file(self._root / LOCKS[row.role])
            known = {"source": self._digest(own), "lock": lock, "base": self._base()}
            self._drivers[row.runtime, row.role] = known
        return known

    def _base(self) -> dict[str, Any]:
        path = self._root / PINS
        self._file(path)
        base: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["base"]
        return base

    def _matching(self, patterns: Iterable[str]) -> set[Path]:
        return {path for pattern in patterns for path in self._root.glob(pattern)}

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _digest(self, paths: Iterable[Path]) -> str:
        """One sha256 over names and contents of the files."""
        lines = [f"{self._file(path)}  {self._name(path)}\n" for path in sorted(paths)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _file(self, path: Path) -> str:
        if path not in self._files:
            try:
                self._stamps[path] = _stamp(path)
                self._files[path] = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror}; restore it from the repository") from error
        return self._files[path]


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is edited: its date [ns] and size [bytes]."""
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size
