"""`hotlap drive`: one case, driven now, whatever is recorded of it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envs import conditions as condition_sets
from envs.errors import HarnessError, InputError
from envs.progress import Limits
from pipeline import case, executors, key, manifest, provenance, record, settings
from pipeline.drive import ModelRun, Pending
from pipeline.ledger import Ledger, traces_of
from pipeline.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.case import Case, Resolved
    from pipeline.display import Display
    from pipeline.record import Record


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        case: to drive.
        executor: ``auto``, ``local`` or ``docker``.
        weights: the model manifest.
        keep: the results folder to write the record in, None to write nothing.
    """

    case: Case
    executor: str = "auto"
    weights: Path = manifest.MANIFEST
    keep: Path | None = None


@dataclass
class Shown:
    """Shows a case and keeps nothing on disk.

    Attributes:
        display: is told how far the case has come.
        kept: the record.
    """

    display: Display
    kept: list[Record] = field(default_factory=list)

    def progress(self, driven: Case, fraction: float) -> None:
        """Show how far it has come."""
        self.display.progress(driven, fraction)

    def keep(self, made: Record, driven: Case, trace: bytes | None) -> None:  # noqa: ARG002
        """Take the record."""
        self.kept.append(made)
        self.display.finished(driven, made)


def drive(request: Request, display: Display) -> Record:
    """Drive the case and return its record.

    Raises:
        InputError: the case names something that is not there, or a runtime refuses the model.
        HarnessError: the set-up failed, or the harness did while driving.
    """
    resolved = resolve(request)
    with contextlib.ExitStack() as stack:
        keeper, attempt, name = stack.enter_context(_keeper(request, resolved, display))
        executor, sentence = executors.choose(request.executor)
        display.say(sentence)
        stack.enter_context(executor)
        roles = {"world", resolved.row.role}
        executor.prepare(roles)
        made_by = provenance.gather(executor, roles)
        run = ModelRun(resolved.row, executor, keeper, made_by, threading.Event(), trace=request.keep is not None)
        stack.callback(display.end)
        display.begin(0, 1)
        run.drive([Pending(resolved, name, attempt)])
    made = keeper.kept[-1]
    if not record.settled(made):
        raise HarnessError(f"{request.case}: {made['facts']['reason']}; try again, or with another --executor")
    return made


def resolve(request: Request) -> Resolved:
    """The case with its model, circuit and conditions.

    Raises:
        InputError: it names something that is not there; the nearest name is named.
    """
    wanted = request.case
    rows = manifest.parse(request.weights)
    row = manifest.find(rows, wanted.model)
    problem = manifest.problem_of(row)
    if problem is not None:
        raise InputError(f"{request.weights}: model {row.name!r}: {problem}")
    if wanted.conditions not in condition_sets.names():
        advice = settings.nearest(wanted.conditions, condition_sets.names())
        raise InputError(f"there are no conditions {wanted.conditions!r}; {advice}")
    return case.Resolver(rows, Limits()).resolve(wanted)


@contextlib.contextmanager
def _keeper(request: Request, resolved: Resolved, display: Display) -> Iterator[tuple[Ledger | Shown, int, str]]:
    """Who takes the record, which attempt it is, and its key."""
    keys = key.Keys()
    name = keys.of(resolved)
    if request.keep is None:
        yield Shown(display), 1, name
        return
    with record.sole_writer(request.keep) as records:
        attempts = record.find(records, [name]).get(name, [])
        attempt = attempts[-1]["attempt"] + 1 if attempts else 1
        yield Ledger(records, traces_of(request.keep), display, keys), attempt, name


def summary(made: Record) -> list[tuple[str, str]]:
    """What to tell of a driven case: pairs of a name and a value."""
    facts = made["facts"]
    lines: list[tuple[str, str]] = [("outcome", facts["outcome"])]
    if facts["reason"]:
        lines.append(("reason", facts["reason"]))
    lines.append(("simulated time (s)", f"{facts['sim_time_s']:.1f} in {facts['wall_s']:.1f} s"))
    for metric in METRICS.values():
        if metric.reads == "records" and metric.of is not METRICS["completions"].of:
            found = metric.of([made])
            lines.append((metric.heading, f"{found.value:.3f}" if found.value is not None else f"none: {found.reason}"))
    lines.append(("trajectory", facts["trajectory_sha256"] or "none"))
    return lines
