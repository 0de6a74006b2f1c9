"""Published results: the records of one plan in one sorted file for git, and one host's timing beside it.

`results/published/records.jsonl` holds one record a line, `timing.json` beside it a timing record, `checks.json` the
models' checks. From these and the manifest the page rebuilds on any laptop. They never satisfy a local run: that reads
`results/records/`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from envs import circuit as circuits
from envs.errors import InputError
from pipeline import check_record, shape, timing
from pipeline import record as records_on_disk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pipeline.case import Case
    from pipeline.check_record import Check
    from pipeline.manifest import ModelRow
    from pipeline.record import Record
    from pipeline.timing import TimingRecord

RECORDS, TIMING, CHECKS = "records.jsonl", "timing.json", "checks.json"

DECIMALS = {"offset": 6, "speed": 3, "heading_error": 5}
"""Digits kept of the driven path: micrometres of offset, which no figure shows; fewer of what only plots need."""


class Published(NamedTuple):
    """What was published.

    Attributes:
        records: one per case, sorted by model and case.
        timing: one host's, or None.
        checks: model -> its check.
    """

    records: tuple[Record, ...]
    timing: TimingRecord | None
    checks: dict[str, Check]


def folder_of(results: Path) -> Path:
    """Where the published results of a results folder are."""
    return results / "published"


def write(
    folder: Path, records: Iterable[Record], measured: TimingRecord | None, checks: Iterable[Check] = ()
) -> tuple[Path, ...]:
    """Compile records, checks and timing into `folder`, in place of what was published before; returns the files.

    The same records give the same bytes, in whatever order they come. Without timing or checks, older ones are left.

    Args:
        folder: ``results/published``.
        records: at most one per case, the attempt that counts.
        measured: one host's timing.
        checks: one per model.

    Raises:
        InputError: the folder cannot be written.
    """
    timing.make_folder(folder)
    lines = [_line(record) for record in sorted(records, key=_order)]
    written = [folder / RECORDS]
    records_on_disk.write_whole(written[0], "".join(lines).encode(), replace=True)
    if measured is not None:
        written.append(folder / TIMING)
        records_on_disk.write_whole(written[-1], timing.encoded(measured), replace=True)
    known = tuple(checks)
    if known:
        written.append(folder / CHECKS)
        check_record.write_all(written[-1], known)
    return tuple(written)


def read(folder: Path) -> Published:
    """What was published in `folder`.

    Raises:
        InputError: nothing was, or a line is garbled: its place is named.
    """
    path = folder / RECORDS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{path}: published results cannot be read: {why}; restore the file with git") from error
    found = tuple(_record(path, number, line) for number, line in enumerate(lines, 1))
    measured, checks = folder / TIMING, folder / CHECKS
    return Published(
        found,
        timing.read(measured) if measured.is_file() else None,
        check_record.read_all(checks) if checks.is_file() else {},
    )


def select(records: Iterable[Record], cases: Sequence[Case], rows: Iterable[ModelRow]) -> tuple[Record, ...]:
    """The records of `cases`, by model and what was asked of it, not by key: that follows the code of today.

    What an artifact drove that is not the one of today's `rows` is left out: it is another model's driving. A circuit
    given as a file is known by the file's name without its suffix.
    """
    artifacts = {row.name: row.sha256 for row in rows}
    asked = {
        (case.model, circuits.name_of(case.circuit), case.direction, case.conditions, case.seed, case.clock)
        for case in cases
    }
    return tuple(
        record
        for record in records
        if _order(record) in asked and record["model"].get("sha256") == artifacts.get(record["case"]["model"])
    )


def _order(record: Mapping[str, Any]) -> tuple[str, str, str, str, int, str]:
    case = record["case"]
    return (case["model"], case["circuit"], case["direction"], case["conditions"], case["seed"], case["clock"])


def _line(record: Record) -> str:
    path = record["facts"]["path"]
    rounded = {name: [round(value, digits) for value in path[name]] for name, digits in DECIMALS.items()}  # type: ignore[literal-required]
    facts = {**record["facts"], "path": {**path, **rounded}}
    return json.dumps({**record, "facts": facts}, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n"


def _record(path: Path, number: int, line: str) -> Record:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}:{number}: the line is cut off or garbled ({error}); restore it with git") from error
    problem = shape.problem_of(data, records_on_disk.Record, "record")
    if problem is None and data["schema"] != records_on_disk.SCHEMA:
        problem = f"schema {data['schema']!r} where this hotlap reads {records_on_disk.SCHEMA}"
    if problem is not None:
        raise InputError(f"{path}:{number}: {problem}; restore the file with git or publish again")
    record: Record = data
    return record
