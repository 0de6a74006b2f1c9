"""Driving the cases of one model: session after session, until each case has its record.

A session ends early when its driver fails or the harness does. A failed driver is started again for the cases that are
left, twice at most. Failures recorded before an interruption count too, so that a run that was killed and taken up
again ends as one that was not.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from envs.errors import HarnessError, InputError
from pipeline import provenance, shape
from pipeline.drivers import SEES_STATE
from pipeline.executors.base import DriverSpec, Session
from pipeline.record import DRIVER_FAILURES, SCHEMA, EpisodeFacts, Record

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from pipeline.case import Case, Resolved
    from pipeline.executors.base import Executor, SessionEnd
    from pipeline.manifest import ModelRow
    from pipeline.record import Outcome, Provenance

DEADLINES = {"connect": 60.0, "ready": 10.0, "command": 2.0}
"""How long a driver may take for its hello, a reset and a command [s]."""

SLOWEST = 40.0
"""How much longer than simulated time an episode may take: 20 frames a second, 2 s for each. A backstop: a driver's
own deadlines are the world's, so that only a world that hangs comes this far."""

DRIVER_STARTS = 3
"""How often a model's driver is started in one run: once, and again after each of two failures."""

HARNESS_FAILURES = 2
"""After so many failures of the harness with one model, the rest of its cases are not tried in this run."""

NOT_STARTED = f"not started again after {DRIVER_STARTS} failures"
MAX_REASON = 300
"""The longest reason kept of what a process printed [characters]."""


@dataclass(frozen=True)
class Pending:
    """A case to drive.

    Attributes:
        resolved: the case.
        key: its key.
        attempt: which attempt this will be, from 1.
    """

    resolved: Resolved
    key: str
    attempt: int

    @property
    def case(self) -> Case:
        """The case in words."""
        return self.resolved.case

    @property
    def lap_m(self) -> float:
        """Length of a lap [m]."""
        return self.resolved.circuit.length


class CancelledError(Exception):
    """The run was stopped while this session was under way."""


class Keeper(Protocol):
    """What is told as cases are driven; called from the thread that drives."""

    def progress(self, case: Case, fraction: float) -> None:
        """So much of the lap is driven, in [0, 1]."""
        ...

    def keep(self, record: Record, case: Case, trace: bytes | None) -> None:
        """A case has its record; `trace` is its compressed table of steps, if one was asked for."""
        ...


@dataclass
class Sighting:
    """What one session told.

    Attributes:
        world: the world's fingerprint.
        claims: the driver's hello.
        kept: keys that have their record.
        failed: the facts of an episode in which the driver failed; its record waits for how the driver ended.
        stopped: the reason with which the world stopped.
    """

    world: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    failed: dict[str, Any] | None = None
    stopped: str | None = None


class ModelRun:
    """Drives the pending cases of one model, in their order.

    Args:
        row: the model.
        executor: runs the sessions; has prepared the model's role and the world's.
        keeper: takes the records.
        made_by: provenance of this run.
        stop: set when nothing more is to be started or recorded.
        failures: failures of this model's driver recorded before.
        trace: whether traces are asked for.
    """

    def __init__(
        self,
        row: ModelRow,
        executor: Executor,
        keeper: Keeper,
        made_by: Provenance,
        stop: threading.Event,
        *,
        failures: int = 0,
        trace: bool = True,
    ) -> None:
        self._row = row
        self._executor = executor
        self._keeper = keeper
        self._made_by = made_by
        self._stop = stop
        self._failures = failures
        self._harness_failures = 0
        self._trace = trace

    def drive(self, cases: Sequence[Pending]) -> None:
        """Drive `cases`; each has its record afterwards, unless `stop` was set.

        Raises:
            InputError: the artifact is not what the manifest says, or its runtime refuses it.
        """
        left = list(cases)
        while left and not self._stop.is_set():
            if self._failures >= DRIVER_STARTS:
                self._give_up(left, "driver_error", NOT_STARTED)
                return
            if self._harness_failures >= HARNESS_FAILURES:
                self._give_up(left, "harness_error", f"not tried after {HARNESS_FAILURES} failures of the harness")
                return
            kept = self._session(left)
            left = [pending for pending in left if pending.key not in kept]

    def _session(self, cases: Sequence[Pending]) -> set[str]:
        """Run one session and return the keys that have their record now: at least one, unless `stop` was set."""
        seen = Sighting()
        by_key = {pending.key: pending for pending in cases}
        try:
            end = self._executor.run(self._described(cases), lambda event: self._on_event(event, by_key, seen))
        except HarnessError as error:
            self._blame_harness(cases, seen, str(error))
            return seen.kept
        except CancelledError:
            return seen.kept
        if self._stop.is_set():
            return seen.kept
        if seen.failed is not None:
            self._record_failure(by_key[seen.failed.pop("key")], seen, end)
        elif len(seen.kept) < len(cases):
            self._blame(cases, seen, end)
        return seen.kept

    def _described(self, cases: Sequence[Pending]) -> Session:
        row = self._row
        job = {
            "schema": 1,
            "mode": "drive",
            "drivers": [{"model": row.name, "grants_state": row.runtime in SEES_STATE}],
            "deadlines": DEADLINES,
            "cases": [pending.resolved.job_case(pending.key) for pending in cases],
            "trace": self._trace,
        }
        spec = DriverSpec(row, row.role, row.path, row.device, row.threads)
        return Session((spec,), job, deadline_s=60.0 + sum(longest_s(pending.resolved) for pending in cases))

    def _on_event(self, event: dict[str, Any], by_key: dict[str, Pending], seen: Sighting) -> None:
        """Take in one event of the world.

        Raises:
            HarnessError: the event is about no case of this session, or its facts are not such.
            CancelledError: the run was stopped; the executor ends the session on any error.
        """
        if self._stop.is_set():
            raise CancelledError
        kind = event["event"]
        if kind == "hello":
            claims = {key: value for key, value in event.items() if key not in ("event", "fingerprint_of_world")}
            seen.claims, seen.world = claims, dict(event.get("fingerprint_of_world") or {})
        elif kind == "stopped":
            seen.stopped = event.get("reason")
        elif kind in ("progress", "episode"):
            pending = by_key.get(event.get("key", ""))
            if pending is None or pending.key in seen.kept:
                raise HarnessError(f"the world told of a case that it was not driving: {event.get('key')!r}")
            if kind == "progress":
                self._keeper.progress(pending.case, float(event["fraction"]))
                return
            facts = checked(event["facts"], pending)
            if facts["outcome"] in DRIVER_FAILURES:
                seen.failed = {**facts, "key": pending.key}
            else:
                self._keep(pending, facts, seen)

    def _keep(self, pending: Pending, facts: dict[str, Any], seen: Sighting) -> None:
        encoded = facts.pop("trace_npz_base64", None)
        record: Record = {
            "schema": SCHEMA,
            "key": pending.key,
            "attempt": pending.attempt,
            "case": pending.resolved.facts,
            "facts": facts,  # type: ignore[typeddict-item]  # its shape was checked
            "model": self._row.to_dict(),
            "provenance": {**self._made_by, "started_at": provenance.now()},
            "fingerprint": {"world": seen.world, "driver": seen.claims},
        }
        self._keeper.keep(record, pending.case, base64.b64decode(encoded) if encoded else None)
        seen.kept.add(pending.key)

    def _record_failure(self, pending: Pending, seen: Sighting, end: SessionEnd) -> None:
        """Record the episode in which the driver failed, by what the world saw and by how the driver ended."""
        facts, driver = dict(seen.failed or {}), end.drivers[0]
        if seen.claims == {} and driver.exit == InputError.exit_code:
            raise InputError(f"model {self._row.name!r} cannot be loaded: {last_line(driver.log_tail)}")
        if driver.oom:
            facts["outcome"], facts["reason"] = "driver_oom", "the driver was killed for memory"
        elif driver.exit not in (0, None):
            facts["reason"] = joined(facts["reason"], last_line(driver.log_tail) or f"the driver exited {driver.exit}")
        self._failures += 1
        self._keep(pending, facts, seen)

    def _blame(self, cases: Sequence[Pending], seen: Sighting, end: SessionEnd) -> None:
        """The session ended before its time and the world told of no failed driver: find whose fault it is."""
        driver = end.drivers[0]
        world_is_well = end.world_exit == 0 and not end.timed_out
        driver_failed = driver.oom or driver.exit not in (0, None)
        if driver_failed and (world_is_well or not seen.claims) and not end.timed_out:
            pending = next(pending for pending in cases if pending.key not in seen.kept)
            seen.failed = {**no_episode("driver_error", seen.stopped, pending.lap_m)}
            self._record_failure(pending, seen, end)
            return
        why = "the session took too long" if end.timed_out else f"the world ended early (exit {end.world_exit})"
        self._blame_harness(cases, seen, joined(why, last_line(end.world_log_tail) or seen.stopped))

    def _blame_harness(self, cases: Sequence[Pending], seen: Sighting, reason: str) -> None:
        if self._stop.is_set():
            return
        self._harness_failures += 1
        pending = next((pending for pending in cases if pending.key not in seen.kept), None)
        if pending is not None:
            self._keep(pending, no_episode("harness_error", one_line(reason), pending.lap_m), seen)

    def _give_up(self, cases: Sequence[Pending], outcome: Outcome, reason: str) -> None:
        for pending in cases:
            self._keep(pending, no_episode(outcome, reason, pending.lap_m), Sighting())


def longest_s(resolved: Resolved) -> float:
    """The longest that a case can rightly take, each frame answered just before its deadline [s]."""
    sim_time_s = resolved.circuit.length / resolved.limits.min_average_speed + 30.0
    return DEADLINES["ready"] + 60.0 + SLOWEST * sim_time_s


def no_episode(outcome: Outcome, reason: str | None, lap_m: float) -> dict[str, Any]:
    """The facts of a case in which nothing was driven, on a circuit of `lap_m` [m]."""
    nothing: EpisodeFacts = {
        "outcome": outcome,
        "reason": reason,
        "steps": 0,
        "sim_time_s": 0.0,
        "wall_s": 0.0,
        "distance_m": 0.0,
        "lap_m": lap_m,
        "path": {"step_m": 1.0, "s0": 0.0, "offset": [], "speed": [], "heading_error": []},
        "commands": {"steering_suddenness": None, "speed_suddenness": None},
        "trajectory_sha256": None,
        "latency": {},
        "split_us": {},
    }
    return dict(nothing)


def checked(facts: object, pending: Pending) -> dict[str, Any]:
    """`facts` as a table that a record can hold.

    Raises:
        HarnessError: they are not the facts of an episode.
    """
    problem = shape.problem_of(facts, EpisodeFacts, "facts")
    if problem is not None or not isinstance(facts, dict):
        raise HarnessError(f"the world told facts of {pending.case} that are none: {problem}")
    if not math.isclose(facts["lap_m"], pending.lap_m, abs_tol=1e-6):
        raise HarnessError(f"the world drove {pending.case} on another circuit: a lap of {facts['lap_m']} m")
    return dict(facts)


def last_line(log: str) -> str:
    """The last line of a log that says something, fit for a reason."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else ""


def one_line(text: str) -> str:
    """`text` on one line, without control characters, of bounded length."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(plain.split())[:MAX_REASON]


def joined(first: str | None, second: str | None) -> str:
    """Two halves of a reason, either of which may be missing."""
    return "; ".join(part for part in (first, second) if part)
