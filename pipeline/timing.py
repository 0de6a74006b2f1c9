"""Timing records: how long models take on one host, `results/timing/<host>.json`, written by `hotlap measure`.

Timing is kept apart from driving: one record for each host, and a table shows one host's and names it. The raw samples
lie beside the record, in `results/timing/<host>/<model>.npz`; neither is in git, `results/published/timing.json` is.

Schema history: 1 first version; 2 an entry holds the mode and the driver's peak memory. Records of 1 are read too.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from envs.errors import InputError
from pipeline import shape
from pipeline.provenance import cpu_model
from pipeline.record import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.manifest import ModelRow

SCHEMA = 2

TIMED_CALIBRATORS = ("zero", "sleep")
"""Runtimes of the calibrators that are measured: the round trip alone, and a time that is known."""

MSE_TOLERANCE = 0.01
"""How far, as a share, the offline MSE measured here may be from the manifest's before the difference is told."""

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


class Host(TypedDict):
    """One host, by what decides its speed. Its name is no part of it; `id` holds six digits of that name's hash.

    `governor` is the kernel's frequency governor, None where it cannot be read (most virtual machines).
    """

    id: str
    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    governor: str | None


class Summary(TypedDict):
    """Times of `n` frames [s]."""

    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    n: int


class Entry(TypedDict):
    """One model on this host.

    Attributes:
        artifact_sha256: of the file that was measured; None for a calibrator.
        measured_at: UTC, ISO 8601.
        commit: of the repository, None where there is none; `dirty` as in a record's provenance.
        executor: that ran it.
        threads: that the runtime was given.
        device: ``cpu`` or ``cuda``.
        mode: how the runtime was to run it (`ModelRow.mode`).
        core: the core that driver and world were pinned to.
        claims: what the runtime said of itself (its hello).
        blocks: of how many frames each driver had how many turns, ``{"turns": 5, "frames": 200, "warmup": 50}``.
        inference: the driver's own time, a claim; None with `inference_reason` where it cannot be true.
        round_trip: from frame to command, as the world saw it.
        peak_memory_bytes: the most memory the driver used, as the executor saw it; None where it could not be seen.
        block_medians_s: median inference of each block.
        baseline: name of the model whose blocks were interleaved, None where there is none.
        ratio_to_baseline: median inference / the baseline's in the same run; None with `ratio_reason`.
        offline_mse: on the fixed frames, in the model's own runtime; None with `offline_reason`.
        offline_frames_sha256: which frames those were.
        busy_share: of all cores' time that others used just before.
        load_average: the kernel's, over one minute, just before.
        noisy: why the figures are not to be trusted, one line each; empty where they are.
        failed: why there are no figures; None where there are.
    """

    artifact_sha256: str | None
    measured_at: str
    commit: str | None
    dirty: bool | None
    executor: str
    threads: int
    device: str
    mode: str
    core: int | None
    claims: dict[str, Any]
    blocks: dict[str, Any]
    inference: Summary | None
    inference_reason: str | None
    round_trip: Summary | None
    peak_memory_bytes: int | None
    block_medians_s: list[float]
    baseline: str | None
    ratio_to_baseline: float | None
    ratio_reason: str | None
    offline_mse: float | None
    offline_reason: str | None
    offline_frames_sha256: str | None
    busy_share: float
    load_average: float
    noisy: list[str]
    failed: str | None


class TimingRecord(TypedDict):
    """One host's timing: model's name -> `Entry`."""

    schema: int
    host: Host
    models: dict[str, Any]


def this_host() -> Host:
    """The host that this process runs on."""
    cpu = cpu_model()
    cores = len(os.sched_getaffinity(0))
    digest = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
    name = re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-")[:40] or "cpu"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "id": f"{name}-{cores}-{digest}",
        "cpu": cpu,
        "cores": cores,
        "memory_gib": round(memory, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "governor": GOVERNOR.read_text(encoding="ascii").strip() if GOVERNOR.is_file() else None,
    }


def path_of(results: Path, host: Host) -> Path:
    """The timing record of `host` in a results folder."""
    return results / "timing" / f"{host['id']}.json"


def read(path: Path) -> TimingRecord:
    """The timing record at `path`.

    Raises:
        InputError: it cannot be read, is cut off or garbled, or is of another schema.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path}: the timing record cannot be read: {error.strerror}; delete it and measure"
        ) from error
    except ValueError as error:
        raise _damaged(path, f"it is cut off or garbled ({error})") from error
    data = _of_today(data)
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise InputError(f"{path}: the timing record has schema {found!r}, this hotlap reads {SCHEMA}; delete it")
    problem = shape.problem_of(data, TimingRecord, "timing") or next(
        (
            problem
            for name, entry in data["models"].items()
            if (problem := shape.problem_of(entry, Entry, f"timing.models.{name}")) is not None
        ),
        None,
    )
    if problem is not None:
        raise _damaged(path, problem)
    record: TimingRecord = data
    return record


def write(results: Path, record: TimingRecord) -> Path:
    """Write `record` to its file, whole or not at all, in place of an older one, and return the path.

    Raises:
        InputError: the folder cannot be written.
    """
    path = path_of(results, record["host"])
    make_folder(path.parent)
    write_whole(path, encoded(record), replace=True)
    return path


def encoded(record: TimingRecord) -> bytes:
    """The record as its file holds it."""
    return (json.dumps(record, allow_nan=False, sort_keys=True, indent=1) + "\n").encode()


def make_folder(folder: Path) -> None:
    """Make `folder` where it is missing.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}; give another --results folder") from error


def of_this_host(results: Path) -> TimingRecord:
    """This host's record, empty where there is none or where the host is not what it was (another kernel, say).

    Raises:
        InputError: the record is damaged.
    """
    host = this_host()
    path = path_of(results, host)
    if path.is_file():
        found = read(path)
        if found["host"] == host:
            return found
    return {"schema": SCHEMA, "host": host, "models": {}}


def choose(results: Path) -> TimingRecord | None:
    """The record that a table shows: this host's, else the one measured last, else none.

    Raises:
        InputError: a record is damaged.
    """
    own = path_of(results, this_host())
    if own.is_file():
        return read(own)
    found = [read(path) for path in sorted((results / "timing").glob("*.json"))]
    return max(found, key=_measured_at, default=None)


def unmeasured(results: Path, rows: Sequence[ModelRow]) -> tuple[str, ...]:
    """The names among `rows` that this host has no timing of, or only of another artifact or mode, in their order.

    Raises:
        InputError: the record is damaged.
    """
    entries = of_this_host(results)["models"]
    return tuple(
        row.name
        for row in rows
        if is_timed(row)
        and (
            row.name not in entries
            or [entries[row.name][part] for part in ("artifact_sha256", "device", "mode")]
            != [row.sha256, row.device, row.mode]
        )
    )


def is_timed(row: ModelRow) -> bool:
    """Whether a model is measured at all: the ranked ones are, and of the calibrators those with something to tell."""
    return not row.calibrator or row.runtime in TIMED_CALIBRATORS


def offline_verdict(facts: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """What the offline MSE measured here says of the manifest's: agrees, differs, or cannot be compared, and why.

    Args:
        facts: the model's row (`ModelRow.to_dict`).
        entry: its `Entry`.
    """
    mse, stated = entry["offline_mse"], facts["offline_mse"]
    if mse is None:
        return f"not measured ({entry['offline_reason']})"
    if stated is None:
        return "the manifest has none"
    if entry["offline_frames_sha256"] != facts["offline_frames_sha256"]:
        return "on other frames than the manifest's"
    if abs(mse - stated) <= MSE_TOLERANCE * stated:
        return "as in the manifest"
    return f"the manifest says {stated:.5f}"


def _of_today(data: Any) -> Any:
    """A record of schema 1 in today's words: no mode was asked for, and nobody looked at memory."""
    models = data.get("models") if isinstance(data, dict) and data.get("schema") == 1 else None
    if not isinstance(models, dict) or not all(isinstance(entry, dict) for entry in models.values()):
        return data
    since = {"mode": "", "peak_memory_bytes": None}
    return {**data, "schema": SCHEMA, "models": {name: {**since, **entry} for name, entry in models.items()}}


def _measured_at(record: TimingRecord) -> str:
    return max((entry["measured_at"] for entry in record["models"].values()), default="")


def _damaged(path: Path, problem: str) -> InputError:
    return InputError(f"{path}: the timing record is damaged: {problem}; delete it and measure again")
