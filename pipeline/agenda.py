"""What a run is about: plan, models, cases, records, all read and cross-checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import case, checks, key, manifest, plan, record
from pipeline.check_record import refusal
from pipeline.drive import NOT_STARTED, Pending
from pipeline.record import DRIVER_FAILURES

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.case import Case, Resolved
    from pipeline.check_record import Check
    from pipeline.key import Keys
    from pipeline.manifest import ModelRow
    from pipeline.plan import Plan
    from pipeline.record import Record

RESULTS = manifest.ROOT / "results"


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
    """What there is and what is to be driven.

    Attributes:
        request: what was asked for.
        plan: as read.
        manifest: every row of the manifest.
        rows: the models of the plan, in the order they are driven.
        cases: key -> case, in the order they are driven.
        found: key -> the attempts recorded before.
        unrecorded: model -> its cases that lack their record, in their order.
        keys: what made the keys.
        checks: model -> its check, of those that were checked.
    """

    request: Request
    plan: Plan
    manifest: tuple[ModelRow, ...]
    rows: tuple[ModelRow, ...]
    cases: dict[str, Resolved]
    found: dict[str, list[Record]]
    unrecorded: dict[str, list[Pending]]
    keys: Keys
    checks: dict[str, Check]

    @property
    def refused(self) -> dict[str, str]:
        """Model -> why its check forbids to drive it."""
        return {name: why for name, check in self.checks.items() if (why := refusal(check)) is not None}

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The models of the plan that still need their check."""
        return checks.unchecked(self.rows, self.checks)

    @property
    def pending(self) -> dict[str, list[Pending]]:
        """Model -> its cases that are to be driven, in their order: a refused model has none."""
        return {name: cases for name, cases in self.unrecorded.items() if name not in self.refused}

    @property
    def driven(self) -> tuple[Case, ...]:
        """The cases in words, in the order they are driven."""
        return tuple(resolved.case for resolved in self.cases.values())

    @property
    def new(self) -> int:
        """How many cases are to be driven."""
        return sum(len(cases) for cases in self.pending.values())

    @property
    def settled(self) -> int:
        """How many cases have their record and are not to be driven again."""
        return len(self.cases) - sum(len(cases) for cases in self.unrecorded.values())

    def failures(self, model: str) -> int:
        """How often this model's driver failed in cases that are settled and not to be driven again."""
        again = {pending.key for pending in self.pending.get(model, ())}
        facts = [
            record.latest(attempts)["facts"]
            for name, attempts in self.found.items()
            if name not in again and self.cases[name].case.model == model
        ]
        return sum(fact["outcome"] in DRIVER_FAILURES and fact["reason"] != NOT_STARTED for fact in facts)


def survey(request: Request, records: Path) -> Agenda:
    """Read plan, manifest, circuits, records and checks, and find what is to be driven.

    Raises:
        InputError: any of them is wrong.
    """
    wanted = plan.load(request.plan)
    rows = manifest.load(request.weights)
    cases = case.expand(wanted, rows, request.models)
    resolver, keys = case.Resolver(rows, wanted.limits), key.Keys()
    resolved = {keys.of(one): one for one in map(resolver.resolve, cases)}
    found = record.find(records, resolved)
    unrecorded: dict[str, list[Pending]] = {}
    for name, one in resolved.items():
        attempts = found.get(name, [])
        if request.again or not any(record.settled(attempt) for attempt in attempts):
            attempt = attempts[-1]["attempt"] + 1 if attempts else 1
            unrecorded.setdefault(one.case.model, []).append(Pending(one, name, attempt))
    driven = tuple(manifest.find(rows, name) for name in dict.fromkeys(one.model for one in cases))
    known = checks.found(request.results, rows)
    return Agenda(request, wanted, rows, driven, resolved, found, unrecorded, keys, known)
