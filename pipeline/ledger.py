"""The ledger of a run: writes records and traces as they come, and knows what they changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envs.errors import InputError
from pipeline import record

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.agenda import Agenda
    from pipeline.case import Case
    from pipeline.display import Display
    from pipeline.key import Keys
    from pipeline.record import Record


@dataclass
class Ledger:
    """Writes what a run drives; several threads may do so.

    Attributes:
        records: the folder of records.
        traces: the folder of traces.
        display: is told of each.
        keys: what made the keys; asked before each record whether they still hold.
        kept: the records written in this run.
        left_out: model -> why it was not run, of those that could not be.
    """

    records: Path
    traces: Path
    display: Display
    keys: Keys
    kept: list[Record] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def progress(self, driven: Case, fraction: float) -> None:
        """Show how far a case has come."""
        self.display.progress(driven, fraction)

    def keep(self, made: Record, driven: Case, trace: bytes | None) -> None:
        """Write the record, its trace first, so that a record's trace is always there.

        Raises:
            InputError: a folder cannot be written.
            SourceChangedError: code was edited since the run began.
        """
        self.keys.check()
        if trace is not None:
            record.write_whole(self.traces / f"{made['key']}.{made['attempt']}.npz", trace, replace=True)
        record.write(self.records, made)
        self.kept.append(made)
        self.display.finished(driven, made)


def traces_of(results: Path) -> Path:
    """The folder of traces, made where missing and swept of leftovers.

    Raises:
        InputError: it cannot be written.
    """
    traces = results / "traces"
    try:
        traces.mkdir(exist_ok=True)
        for leftover in traces.glob(".*.tmp"):
            leftover.unlink()
    except OSError as error:
        raise InputError(f"{traces}: cannot be written: {error.strerror}; give another --results folder") from error
    return traces


def changed(agenda: Agenda, kept: list[Record]) -> list[str]:
    """A line for each case that was driven again under the same fingerprint and went differently."""
    lines = []
    for made in kept:
        before = [old for old in agenda.found.get(made["key"], []) if record.settled(old)]
        if not before or not record.settled(made):
            continue
        last = before[-1]
        same_place = last["fingerprint"] == made["fingerprint"]
        if same_place and last["facts"]["trajectory_sha256"] != made["facts"]["trajectory_sha256"]:
            lines.append(
                f"warning: {agenda.cases[made['key']].case} drove differently in attempt {made['attempt']} than in "
                f"attempt {last['attempt']}, under the same fingerprint: the driving is not deterministic"
            )
    return lines
