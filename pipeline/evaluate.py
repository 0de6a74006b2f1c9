"""`hotlap evaluate`: read the plan, drive what has no record yet, measure, judge the calibrators, write the table."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from typing import TYPE_CHECKING, ClassVar

from envs.errors import HarnessError, HotlapError, InputError, InvalidRunError
from pipeline import check_record, checks, executors, measure, provenance, published, record, table, timing
from pipeline.agenda import survey
from pipeline.baseline import baseline
from pipeline.crew import Crew
from pipeline.drive import ModelRun
from pipeline.ledger import Ledger, changed, traces_of
from pipeline.metrics import METRICS, driving
from pipeline.readiness import left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pipeline.agenda import Agenda, Request
    from pipeline.display import Display
    from pipeline.drive import Pending
    from pipeline.executors.base import Executor


class StoppedError(HotlapError):
    """The user stopped the run; what is recorded stays."""

    exit_code: ClassVar[int] = 130


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
        ledger = Ledger(records, traces_of(request.results), display, agenda.keys)
        display.say(
            f"plan {request.plan}: {len(agenda.cases)} cases of {len(agenda.rows)} models, "
            f"{agenda.settled} done, {agenda.new} to drive"
        )
        agenda, refused = _check_drive_and_measure(agenda, ledger)
        run = dataclasses.replace(_local_run(agenda, records), not_run=ledger.left_out)
        return _report(run, request.results, display, changed(agenda, ledger.kept), refused)


def tabulate(request: Request, display: Display, *, of_published: bool = False) -> Path:
    """Write the table from the records that are there, or from those that were published; drive nothing.

    Raises:
        InputError: something the user gave is wrong.
        InvalidRunError: a calibrator behaved wrongly, or the harness failed in a case.
    """
    records = request.results / "records"
    agenda = survey(request, records)
    if of_published:
        found = published.read(published.folder_of(request.results))
        chosen = check_record.select(found.checks, agenda.rows)
        run = _run(agenda, published.select(found.records, agenda.driven, agenda.rows), found.timing, chosen)
    else:
        run = _local_run(agenda, records)
    display.say(f"plan {request.plan}: {len(run.records)} of {len(run.cases)} cases are recorded")
    return _report(run, request.results, display)


def publish(request: Request, display: Display) -> tuple[Path, ...]:
    """Compile the records of the plan, its checks and this host's timing into the files that go into git.

    Raises:
        InputError: something the user gave is wrong, or a case has no record yet.
    """
    records = request.results / "records"
    agenda = survey(request, records)
    if agenda.new:
        raise InputError(
            f"{agenda.new} of {len(agenda.cases)} cases of plan {request.plan} have no record in {records}; "
            "run `hotlap evaluate` first"
        )
    run = _local_run(agenda, records)
    written = published.write(
        published.folder_of(request.results), run.records, timing.choose(request.results), run.checks.values()
    )
    table.draw(request.results, run)
    for path in written:
        display.say(f"published: {path}")
    return written


def _check_drive_and_measure(agenda: Agenda, ledger: Ledger) -> tuple[Agenda, list[InputError]]:
    """Check, drive and measure what is missing; starts no executor if nothing is.

    Returns:
        The agenda with all checks, and why runtimes refused models that have none.

    Raises:
        StoppedError: the user stopped the run.
    """
    request, display = agenda.request, ledger.display
    unmeasured = timing.unmeasured(request.results, agenda.rows) if request.measure else ()
    if not agenda.new and not agenda.unchecked and not unmeasured:
        return agenda, []
    unloaded: list[InputError] = []
    try:
        with _executor(request.executor, display) as executor:
            agenda = _check(agenda, executor, display)
            if agenda.new:
                unloaded = _drive(agenda, ledger, executor)
            unmeasured = tuple(name for name in unmeasured if name not in agenda.refused)
            if unmeasured:
                display.say(f"measuring {', '.join(unmeasured)}: let nothing else run meanwhile")
                measure.run(agenda.manifest, executor, request.results, names=unmeasured, say=display.say)
    except KeyboardInterrupt:
        done = agenda.settled + len(ledger.kept)
        raise StoppedError(
            f"stopped; {done} of {len(agenda.cases)} cases are recorded; run the same command to go on"
        ) from None
    return agenda, unloaded


def _check(agenda: Agenda, executor: Executor, display: Display) -> Agenda:
    """The agenda with the checks that were missing."""
    if not agenda.unchecked:
        return agenda
    display.say(f"checking {', '.join(agenda.unchecked)}")
    known = checks.run(agenda.manifest, executor, agenda.request.results, names=agenda.unchecked, say=display.say)
    return dataclasses.replace(agenda, checks=known)


def _drive(agenda: Agenda, ledger: Ledger, executor: Executor) -> list[InputError]:
    """Drive all pending cases, the sessions of different models side by side."""
    display, stop = ledger.display, threading.Event()
    rows = [row for row in agenda.rows if row.name in agenda.pending]
    ledger.left_out = left_out(executor, rows, display.say)
    rows = [row for row in rows if row.name not in ledger.left_out]
    roles = {"world", *(row.role for row in rows)}
    made_by = provenance.gather(executor, roles)
    workers = agenda.request.workers or default_workers()
    display.say(f"driving {agenda.new} cases, {min(workers, len(rows))} models at a time")
    tasks = [
        _task(
            ModelRun(row, executor, ledger, made_by, stop, failures=agenda.failures(row.name)), agenda.pending[row.name]
        )
        for row in rows
    ]
    display.begin(agenda.settled, len(agenda.cases))
    try:
        return Crew(tasks, stop).work(workers, executor.close)
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


def _local_run(agenda: Agenda, records: Path) -> table.Run:
    """The plan's cases with what was driven and measured here."""
    latest = (record.latest(attempts) for attempts in record.find(records, agenda.cases).values())
    return _run(agenda, tuple(latest), timing.choose(agenda.request.results), agenda.checks)


def _run(
    agenda: Agenda,
    records: tuple[record.Record, ...],
    measured: timing.TimingRecord | None,
    known: dict[str, check_record.Check],
) -> table.Run:
    """What the table is made from."""
    of_plan = {row.name: known[row.name] for row in agenda.rows if row.name in known}
    base = baseline(agenda.manifest)
    return table.Run(
        agenda.request.plan,
        agenda.rows,
        agenda.driven,
        records,
        measured,
        checks=of_plan,
        baseline=None if base is None else base.name,
    )


def _report(
    run: table.Run,
    results: Path,
    display: Display,
    remarks: Sequence[str] = (),
    refused: Sequence[InputError] = (),
) -> Path:
    """Write the table, say what it shows, and raise if the run is not good.

    Raises:
        InputError: a runtime refused a model.
        InvalidRunError: a calibrator behaved wrongly, or the harness failed in a case.
        HarnessError: what a model runs in could not be made ready.
    """
    page = table.write(results, run)
    for line in (*remarks, *brief(run), f"table: {page}"):
        display.say(line)
    if refused:
        raise InputError("; ".join(dict.fromkeys(map(str, refused))))
    wrong = table.invalid(run)
    if wrong:
        raise InvalidRunError(f"the run is invalid: {'; '.join(wrong)}")
    if run.not_run:
        raise HarnessError(f"not run, all else is done: {', '.join(sorted(run.not_run))}; the reasons are above")
    missing = len(run.cases) - len(run.records) - _of_refused(run)
    display.say("every calibrator behaved as it must" if not missing else f"{missing} cases are not driven yet")
    return page


def _of_refused(run: table.Run) -> int:
    """How many cases have no record because their model is refused."""
    refused = {name for name, check in run.checks.items() if check["refused"]}
    recorded = sum(one["case"]["model"] in refused for one in run.records)
    return sum(one.model in refused for one in run.cases) - recorded


def brief(run: table.Run) -> list[str]:
    """How each model did, in a line each."""
    lines = [("model", "completed", "m/s", "deviation (m)", "")]
    for row in run.rows:
        own = [one for one in run.records if one["case"]["model"] == row.name]
        asked = sum(one.model == row.name for one in run.cases)
        tally = driving.counts(own)
        speed, deviation = METRICS["average_speed"].of(own).value, METRICS["deviation_mae"].of(own).value
        refused = check_record.refusal(run.checks.get(row.name))
        ends = [*tally.failures, ("harness_error", tally.harness_errors), ("not driven", asked - len(own))]
        lines.append(
            (
                f"{row.name} (calibrator)" if row.calibrator else row.name,
                f"{tally.completed}/{asked}",
                "-" if speed is None else f"{speed:.2f}",
                "-" if deviation is None else f"{deviation:.3f}",
                f"refused ({refused})" if refused else ", ".join(f"{count} {name}" for name, count in ends if count),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def default_workers() -> int:
    """One session for each core that this process may use, two at most."""
    return min(2, len(os.sched_getaffinity(0)))
