"""Records: the facts of one episode each, one JSON file each, written whole or not at all and never edited.

A record is ``results/records/<key>.<attempt>.json``. The key says what was driven (`pipeline.key`), the attempt counts
from 1. Only the host process writes here, and one of them at a time.

Schema history: 1 first version.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import typing
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeGuard

from envs.errors import InputError
from pipeline import shape

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

SCHEMA = 1

Outcome = Literal[
    "completed",
    "left_lane",
    "stalled",
    "timeout",
    "driver_error",
    "driver_timeout",
    "driver_oom",
    "harness_error",
]
OUTCOMES: tuple[str, ...] = typing.get_args(Outcome)
DRIVER_FAILURES = ("driver_error", "driver_timeout", "driver_oom")

FILE_NAME = re.compile(r"(?P<key>[0-9a-f]{64})\.(?P<attempt>[1-9][0-9]*)\.json")


class CaseFacts(TypedDict):
    """The case as it was resolved.

    `circuit` is its name, `circuit_digest` the sha256 of its content, `conditions_drawn` what `seed` drew from the set
    `conditions`, `limits` are the judge's, `width_m` is from lane edge to lane edge, `lap_m` the centreline's length.
    """

    model: str
    circuit: str
    circuit_digest: str
    lap_m: float
    width_m: float
    direction: Literal["forward", "reverse"]
    conditions: str
    conditions_drawn: dict[str, Any]
    seed: int
    clock: str
    limits: dict[str, Any]


class PathFacts(TypedDict):
    """The driven path, resampled at each `step_m` [m] of new centreline distance from `s0` [m] on.

    `offset` is to the left of the centreline [m], `speed` along the car [m/s], `heading_error` [rad].
    """

    step_m: float
    s0: float
    offset: list[float]
    speed: list[float]
    heading_error: list[float]


class CommandFacts(TypedDict):
    """Mean absolute change of the normalised commands per second [1/s]; None where fewer than two were given."""

    steering_suddenness: float | None
    speed_suddenness: float | None


class EpisodeFacts(TypedDict):
    """What the world saw, in SI units; times of the host's own clock are diagnostics.

    `reason` is one line, None where the outcome says it all. `distance_m` is the best unwrapped centreline distance.
    `trajectory_sha256` is None where no step was driven. `latency` and `split_us` are diagnostics [us].
    """

    outcome: Outcome
    reason: str | None
    steps: int
    sim_time_s: float
    wall_s: float
    distance_m: float
    lap_m: float
    path: PathFacts
    commands: CommandFacts
    trajectory_sha256: str | None
    latency: dict[str, Any]
    split_us: dict[str, Any]


class Provenance(TypedDict):
    """What made the record; none of it is in the key.

    `commit` is None, and `dirty` with it, where there is no git to ask; `commit_reason` then says why.
    `environment` maps the roles ``world`` and the driver's to what the executor says of them: versions, image id.
    """

    hotlap: str
    commit: str | None
    commit_reason: str | None
    dirty: bool | None
    executor: str
    environment: dict[str, Any]
    python: str
    cpu: str
    started_at: str


class Fingerprint(TypedDict):
    """What bits of a trajectory may depend on: the world's own word, and the driver's claims (its hello)."""

    world: dict[str, Any]
    driver: dict[str, Any]


class Record(TypedDict):
    """One episode."""

    schema: int
    key: str
    attempt: int
    case: CaseFacts
    facts: EpisodeFacts
    model: dict[str, Any]
    provenance: Provenance
    fingerprint: Fingerprint


def settled(record: Record) -> bool:
    """Whether the record answers its case: whatever the model did is an answer, a harness error is none."""
    return record["facts"]["outcome"] != "harness_error"


def read(path: Path) -> Record:
    """The record at `path`.

    Raises:
        InputError: it cannot be read, is cut off or garbled, is of another schema, or is not the one its name says.
    """
    named = FILE_NAME.fullmatch(path.name)
    if named is None:
        raise InputError(f"{path}: a record is named <64 hex digits>.<attempt>.json; move this file elsewhere")
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path}: the record cannot be read: {error.strerror}; make it readable or delete it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is cut off or garbled ({error})") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else None
        raise InputError(f"{path}: the record has schema {found!r}, this hotlap reads {SCHEMA}; delete or move it")
    problem = shape.problem_of(data, Record, "record")
    if problem is not None:
        raise _damaged(path, problem)
    if not _is_record(data) or data["key"] != named["key"] or data["attempt"] != int(named["attempt"]):
        raise _damaged(path, "its key or attempt is not the one in its name")
    return data


def read_all(folder: Path) -> list[Record]:
    """Every record in `folder`, sorted by key and attempt; none where there is no such folder.

    Raises:
        InputError: a record is damaged.
    """
    return [read(path) for _, _, path in sorted(_files(folder))]


def find(folder: Path, keys: Collection[str]) -> dict[str, list[Record]]:
    """Key -> its records in the order of their attempts, for those of `keys` that have any. Opens no other file.

    Raises:
        InputError: one of these records is damaged.
    """
    found: dict[str, list[Record]] = {}
    for key, _, path in sorted(_files(folder)):
        if key in keys:
            found.setdefault(key, []).append(read(path))
    return found


def latest(attempts: list[Record]) -> Record:
    """The attempt that counts: the last that settles the case, or the last one where none does."""
    answers = [record for record in attempts if settled(record)]
    return (answers or attempts)[-1]


def write(folder: Path, record: Record) -> Path:
    """Write `record` to its file in `folder`, whole or not at all, and return the path.

    Raises:
        InputError: the folder cannot be written.
        FileExistsError: this attempt has been recorded before; a record is never replaced.
    """
    path = folder / f"{record['key']}.{record['attempt']}.json"
    body = json.dumps(record, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n"
    write_whole(path, body.encode())
    return path


def write_whole(path: Path, body: bytes, *, replace: bool = False) -> None:
    """Make the file `path` with `body` in it: after a crash at any moment it is whole, or not there (or as before).

    Raises:
        InputError: the folder cannot be written.
        FileExistsError: the file is there already, and is not to be replaced.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    # One process writes here at a time (`sole_writer`), so nothing comes between the look and the rename.
    if not replace and path.exists():
        raise FileExistsError(path)
    try:
        with temporary.open("wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path.parent, error) from error


@contextlib.contextmanager
def sole_writer(results: Path) -> Iterator[Path]:
    """Hold `results` as its only writer and yield the folder of its records, made where missing and swept of leftovers.

    The hold ends with the process, however that ends.

    Raises:
        InputError: the folder cannot be written, or another process holds it.
    """
    records = results / "records"
    try:
        records.mkdir(parents=True, exist_ok=True)
        lock = (records / ".lock").open("w")
    except OSError as error:
        raise _unwritable(results, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{results}: another hotlap is writing here; wait for it or give another --results"
            ) from error
        try:
            for leftover in records.glob(".*.tmp"):
                leftover.unlink()
            # A lock file may stand in a folder whose disk is full since; bytes that arrive are the proof.
            probe = records / ".probe.tmp"
            probe.write_bytes(b"hotlap")
            probe.unlink()
        except OSError as error:
            raise _unwritable(results, error) from error
        yield records


def _is_record(data: object) -> TypeGuard[Record]:
    return shape.problem_of(data, Record, "record") is None


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder}: cannot be written: {error.strerror}; give another --results folder")


def _damaged(path: Path, problem: str) -> InputError:
    return InputError(f"{path}: the record is damaged: {problem}; delete it, and its case is driven again")


def _files(folder: Path) -> Iterator[tuple[str, int, Path]]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        named = FILE_NAME.fullmatch(path.name)
        if named is not None:
            yield named["key"], int(named["attempt"]), path
        elif path.suffix == ".json":
            raise InputError(f"{path}: is no record (<64 hex digits>.<attempt>.json); move it elsewhere")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
