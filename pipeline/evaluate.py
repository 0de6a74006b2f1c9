"""`hotlap evaluate`: read the plan, drive what has no record yet, measure, judge the calibrators, write the table."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from envs.errors import HotlapError, InputError, InvalidRunError
from pipeline import case, executors, key, manifest, plan, provenance, record, table
from pipeline.crew import Crew
from pipeline.drive import NOT_STARTED, ModelRun, Pending
from pipeline.record import DRIVER_FAILURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pipeline.case import Case, Resolved
    from pipeline.display import Display
    from pipeline.executors.base import Executor
    from pipeline.manifest import ModelRow
    from pipeline.plan import Plan
    from pipeline.record import Record

RESULTS = manifest.ROOT / "results"


class StoppedError(HotlapError):
    """The user stopped the run; what is recorded stays."""

    exit_code: ClassVar[int] = 130


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        plan: a plan's name or file.
        executor: ``auto``, ``local`` or ``docker``.
        models: narrows the ranked models; empty for all.
        workers: sessions side by side; None for as many as there are cores, two at most.
        results: the results folder.
        again: drive cases that have their record again, as a further attempt.
        weights: the model manifest.
        measure: measure the timing of models that this host has none of.
    """

    plan: str = "quick"
    executor: str = "auto"
    models: tuple[str, ...] = ()
    workers: int | None = None
    results: Path = RESULTS
    again: bool = False
    weights: Path = manifest.MANIFEST
    measure: bool = True


@dataclass(frozen=True)
class Agenda:
    """What a run is about, cross-checked as a whole before anything starts.

    Attributes:
        request: what was asked for.
        plan: as read.
        rows: the models of the plan, in the order they are driven.
        cases: key -> case, in the order they are driven.
        found: key -> the attempts recorded before.
        pending: model -> its cases that are to be driven, in their order.
    """

    request: Request
    plan: Plan
    rows: tuple[ModelRow, ...]
    cases: dict[str, Resolved]
    found: dict[str, list[Record]]
    pending: dict[str, list[Pending]]

    @property
    def new(self) -> int:
        """How many cases are to be driven."""
        return sum(len(cases) for cases in self.pending.values())

    def failures(self, model: str) -> int:
        """How often this model's driver failed in cases that are settled and not to be driven again."""
        again = {pending.key for pending in self.pending.get(model, ())}
        facts = [
            record.latest(attempts)["facts"]
            for name, attempts in self.found.items()
            if name not in again and self.cases[name].case.model == model
        ]
        return sum(fact["outcome"] in DRIVER_FAILURES and fact["reason"] != NOT_STARTED for fact in facts)


@dataclass
class Ledger:
    """Writes records as they come and counts them.

    Attributes:
        records: the folder of records.
        traces: the folder of traces.
        display: is told of each.
        kept: the records written in this run.
    """

    records: Path
    traces: Path
    display: Display
    kept: list[Record] = field(default_factory=list)

    def progress(self, driven: Case, fraction: float) -> None:
        """Show how far a case has come."""
        self.display.progress(driven, fraction)

    def keep(self, made: Record, driven: Case, trace: bytes | None) -> None:
        """Write the record, its trace first, so that a record's trace is always there.

        Raises:
            InputError: a folder cannot be written.
        """
        if trace is not None:
            record.write_whole(self.traces / f"{made['key']}.{made['attempt']}.npz", trace, replace=True)
        record.write(self.records, made)
        self.kept.append(made)
        self.display.finished(driven, made)


def evaluate(request: Request, display: Display) -> Path:
    """Do all that `request` asks for and return where the table is.

    Raises:
        InputError: something the user gave is wrong; found before anything is driven, but for what a runtime refuses.
        HarnessError: the set-up failed.
        InvalidRunError: the table is written, but a calibrator behaved wrongly or the harness failed in a case.
        StoppedError: the user stopped the run.
    """
    with record.sole_writer(request.results) as records:
        agenda = survey(request, records)
        ledger = Ledger(records, traces_of(request.results), display)
        display.say(
            f"plan {request.plan}: {len(agenda.cases)} cases of {len(agenda.rows)} models, "
            f"{len(agenda.cases) - agenda.new} done, {agenda.new} to drive"
        )
        refused = _drive(agenda, ledger)
        return _report(agenda, records, ledger, refused)


def tabulate(request: Request, display: Display) -> Path:
    """Write the table from the records that are there; drive nothing.

    Raises:
        InputError: something the user gave is wrong.
        InvalidRunError: a calibrator behaved wrongly, or the harness failed in a case.
    """
    records = request.results / "records"
    agenda = survey(request, records)
    display.say(f"plan {request.plan}: {len(agenda.cases) - agenda.new} of {len(agenda.cases)} cases are recorded")
    return _report(agenda, records, Ledger(records, request.results / "traces", display), [])


def survey(request: Request, records: Path) -> Agenda:
    """Read plan, manifest, circuits and records, and find what is to be driven.

    Raises:
        InputError: any of them is wrong.
    """
    wanted = plan.load(request.plan)
    rows = manifest.load(request.weights)
    cases = case.expand(wanted, rows, request.models)
    resolver, keys = case.Resolver(rows, wanted.limits), key.Keys()
    resolved = {keys.of(found): found for found in map(resolver.resolve, cases)}
    found = record.find(records, resolved)
    named = dict.fromkeys(wanted_case.model for wanted_case in cases)
    pending: dict[str, list[Pending]] = {}
    for name, one in resolved.items():
        attempts = found.get(name, [])
        if request.again or not any(record.settled(attempt) for attempt in attempts):
            attempt = attempts[-1]["attempt"] + 1 if attempts else 1
            pending.setdefault(one.case.model, []).append(Pending(one, name, attempt))
    return Agenda(request, wanted, tuple(manifest.find(rows, model) for model in named), resolved, found, pending)


def _drive(agenda: Agenda, ledger: Ledger) -> list[InputError]:
    """Drive and measure what is missing; starts no executor if nothing is.

    Raises:
        StoppedError: the user stopped the run.
    """
    unmeasured = _unmeasured(agenda)
    if not agenda.new and not unmeasured:
        return []
    display = ledger.display
    try:
        with _executor(agenda.request.executor, display) as executor:
            refused = []
            if agenda.new:
                refused = _drive_cases(agenda, ledger, executor)
            if unmeasured:
                _measure(agenda, unmeasured, executor, display)
            return refused
    except KeyboardInterrupt:
        done = len(agenda.cases) - agenda.new + len(ledger.kept)
        raise StoppedError(
            f"stopped; {done} of {len(agenda.cases)} cases are recorded; run the same command to go on"
        ) from None


def _drive_cases(agenda: Agenda, ledger: Ledger, executor: Executor) -> list[InputError]:
    """Drive all pending cases, the sessions of different models side by side."""
    display, stop = ledger.display, threading.Event()
    rows = [row for row in agenda.rows if row.name in agenda.pending]
    roles = {"world", *(row.role for row in rows)}
    executor.prepare(roles)
    made_by = provenance.gather(executor, roles)
    workers = agenda.request.workers or default_workers()
    display.say(f"driving {agenda.new} cases, {min(workers, len(rows))} models at a time")
    runs = [
        (ModelRun(row, executor, ledger, made_by, stop, failures=agenda.failures(row.name)), agenda.pending[row.name])
        for row in rows
    ]
    display.begin(len(agenda.cases) - agenda.new, len(agenda.cases))
    try:
        return Crew([_task(run, cases) for run, cases in runs], stop).work(workers, executor.close)
    finally:
        display.end()


def _task(run: ModelRun, cases: Sequence[Pending]) -> Callable[[], None]:
    return lambda: run.drive(cases)


@contextlib.contextmanager
def _executor(name: str, display: Display) -> Iterator[Executor]:
    """The executor of that name, said and entered."""
    executor, sentence = executors.choose(name)
    display.say(sentence)
    with executor:
        yield executor


def _unmeasured(agenda: Agenda) -> tuple[str, ...]:
    """The models that this host has no timing of, in the manifest's order; none if measuring is not asked for."""
    return () if not agenda.request.measure else ()


def _measure(agenda: Agenda, names: Sequence[str], executor: Executor, display: Display) -> None:
    """Measure the timing of the models called `names`."""


def _report(agenda: Agenda, records: Path, ledger: Ledger, refused: Sequence[InputError]) -> Path:
    """Write the table, say what it shows, and raise if the run is not good.

    Raises:
        InputError: a runtime refused a model.
        InvalidRunError: a calibrator behaved wrongly, or the harness failed in a case.
    """
    display, request = ledger.display, agenda.request
    run = table.Run(
        plan=request.plan,
        rows=agenda.rows,
        cases=tuple(resolved.case for resolved in agenda.cases.values()),
        records=tuple(record.latest(attempts) for attempts in record.find(records, agenda.cases).values()),
    )
    page = table.write(request.results, run)
    for line in changed(agenda, ledger.kept):
        display.say(line)
    display.say(f"table: {page}")
    if refused:
        raise InputError("; ".join(str(error) for error in refused))
    wrong = table.invalid(run)
    if wrong:
        raise InvalidRunError(f"the run is invalid: {'; '.join(wrong)}")
    display.say("the run is valid: every calibrator behaved as it must")
    return page


def changed(agenda: Agenda, kept: Sequence[Record]) -> list[str]:
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


def default_workers() -> int:
    """One session for each core that this process may use, two at most."""
    return min(2, len(os.sched_getaffinity(0)))


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
