from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from envs.errors import HarnessError, InputError
from envs.progress import Limits
from pipeline import case, drive, record, shape
from pipeline.case import Case
from pipeline.drive import NOT_STARTED, ModelRun, Pending, no_episode
from pipeline.executors.base import DriverEnd, Session, SessionEnd
from pipeline.manifest import ModelRow

if TYPE_CHECKING:
    from collections.abc import Callable

ROW = ModelRow("zero", "zero", "never steers", calibrator=True)
MADE_BY: Any = {
    "hotlap": "0",
    "commit": None,
    "commit_reason": "a test",
    "dirty": None,
    "executor": "fake",
    "environment": {},
    "python": "3",
    "cpu": "none",
    "started_at": "",
}
WELL = SessionEnd(0, "", (DriverEnd(0, oom=False, log_tail=""),))
HELLO = {"event": "hello", "runtime": "zero", "fingerprint_of_world": {"sha256": "w"}}


def pendings(count: int) -> list[Pending]:
    resolver = case.Resolver([ROW], Limits())
    return [Pending(resolver.resolve(Case("zero", "simple", seed=seed)), f"{seed:064x}", 1) for seed in range(count)]


def crashed(exit_code: int = 1, log: str = "Traceback\nRuntimeError: no", *, oom: bool = False) -> SessionEnd:
    return replace(WELL, drivers=(DriverEnd(exit_code, oom=oom, log_tail=log),))


def episode(pending: Pending, outcome: Any = "completed", reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"event": "episode", "key": pending.key, "facts": {**no_episode(outcome, reason, pending.lap_m), **more}}


@dataclass
class FakeExecutor:
    """Plays one script after the other; each gets the keys that its session asks for."""

    scripts: list[Callable[[Callable[[dict[str, Any]], None], list[str]], SessionEnd]]
    sessions: list[Session] = field(default_factory=list)
    name: str = "fake"

    def run(self, session: Session, on_event: Callable[[dict[str, Any]], None]) -> SessionEnd:
        self.sessions.append(session)
        return self.scripts.pop(0)(on_event, [one["key"] for one in session.job["cases"]])


@dataclass
class Kept:
    records: list[record.Record] = field(default_factory=list)
    traces: list[bytes | None] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)

    def progress(self, _: Case, fraction: float) -> None:
        self.fractions.append(fraction)

    def keep(self, made: record.Record, _: Case, trace: bytes | None) -> None:
        assert shape.problem_of(made, record.Record, "record") is None
        self.records.append(made)
        self.traces.append(trace)

    @property
    def ends(self) -> list[tuple[str, str | None]]:
        return [(made["facts"]["outcome"], made["facts"]["reason"]) for made in self.records]


def run(cases: list[Pending], *scripts: Any, stop: threading.Event | None = None, **options: Any) -> tuple[Any, Kept]:
    executor, kept = FakeExecutor(list(scripts)), Kept()
    ModelRun(ROW, executor, kept, MADE_BY, stop or threading.Event(), **options).drive(cases)  # type: ignore[arg-type]
    return executor, kept


def plays(*events: dict[str, Any], end: SessionEnd = WELL) -> Any:
    def script(on_event: Callable[[dict[str, Any]], None], _: list[str]) -> SessionEnd:
        for event in events:
            on_event(event)
        return end

    return script


def test_one_session_drives_all_cases_in_their_order() -> None:
    cases = pendings(3)
    trace = base64.b64encode(b"trace").decode()
    progress = {"event": "progress", "key": cases[0].key, "fraction": 0.5, "step": 1}
    events = [episode(one, trace_npz_base64=trace) for one in cases]
    executor, kept = run(cases, plays(HELLO, progress, *events, {"event": "stopped", "reason": "done"}))
    assert [made["key"] for made in kept.records] == [one.key for one in cases]
    assert kept.traces == [b"trace"] * 3
    assert kept.fractions == [0.5]
    first = kept.records[0]
    assert "trace_npz_base64" not in first["facts"]
    assert first["fingerprint"] == {"world": {"sha256": "w"}, "driver": {"runtime": "zero"}}
    (session,) = executor.sessions
    assert session.job["drivers"] == [{"model": "zero", "grants_state": False}]
    assert session.drivers[0].role == "world"
    assert session.deadline_s > 60


def test_only_a_built_in_oracle_is_granted_the_state() -> None:
    oracle = replace(ROW, name="centreline", runtime="centreline")
    model_run = ModelRun(oracle, FakeExecutor([]), Kept(), MADE_BY, threading.Event())  # type: ignore[arg-type]
    assert model_run._described(pendings(1)).job["drivers"][0]["grants_state"]


def test_a_failed_driver_is_started_twice_more_and_then_no_more() -> None:
    cases = pendings(5)
    scripts = [plays(HELLO, episode(one, "driver_error", "at step 3: gone"), end=crashed()) for one in cases[:3]]
    executor, kept = run(cases, *scripts)
    assert len(executor.sessions) == 3
    assert kept.ends[:3] == [("driver_error", "at step 3: gone; RuntimeError: no")] * 3
    assert kept.ends[3:] == [("driver_error", NOT_STARTED)] * 2


def test_failures_before_an_interruption_count() -> None:
    cases = pendings(2)
    executor, kept = run(cases, plays(HELLO, episode(cases[0], "driver_timeout", "slow")), failures=2)
    assert len(executor.sessions) == 1
    assert kept.ends == [("driver_timeout", "slow"), ("driver_error", NOT_STARTED)]


def test_cases_before_a_failure_keep_their_records() -> None:
    cases = pendings(3)
    first = plays(HELLO, episode(cases[0]), episode(cases[1], "driver_error", "NaN"), end=crashed(0))
    _, kept = run(cases, first, plays(HELLO, episode(cases[2])))
    assert kept.ends == [("completed", None), ("driver_error", "NaN"), ("completed", None)]


def test_a_driver_killed_for_memory_is_told_as_such() -> None:
    cases = pendings(1)
    _, kept = run(cases, plays(HELLO, episode(cases[0], "driver_error", "closed"), end=crashed(137, oom=True)))
    assert kept.ends == [("driver_oom", "the driver was killed for memory")]


def test_a_driver_that_dies_untold_is_blamed_where_the_world_is_well() -> None:
    cases = pendings(1)
    _, kept = run(cases, plays(end=crashed(1, "ImportError: x")))
    assert kept.ends == [("driver_error", "ImportError: x")]


def test_a_model_that_its_runtime_refuses_is_wrong_input_and_has_no_record() -> None:
    cases = pendings(1)
    end = crashed(3, "driver zero: net.safetensors has the wrong shape")
    with pytest.raises(InputError, match="'zero' cannot be loaded: driver zero: net"):
        run(cases, plays(episode(cases[0], "driver_error", "ended before it said hello"), end=end))


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (replace(WELL, world_exit=1, world_log_tail="a\npybullet.error: x"), "(exit 1); pybullet.error: x"),
        (replace(WELL, world_exit=None, timed_out=True), "took too long"),
        (replace(WELL, world_exit=-9, drivers=(DriverEnd(1, oom=False, log_tail="the world went away"),)), "exit -9"),
    ],
)
def test_a_broken_world_is_a_harness_error_and_the_next_case_is_tried(end: SessionEnd, says: str) -> None:
    cases = pendings(2)
    _, kept = run(cases, plays(HELLO, end=end), plays(HELLO, episode(cases[1])))
    assert [outcome for outcome, _ in kept.ends] == ["harness_error", "completed"]
    assert says in str(kept.ends[0][1])


def test_after_two_failures_of_the_harness_the_rest_is_not_tried() -> None:
    def broken(*_: object) -> SessionEnd:
        raise HarnessError("the daemon\nis gone")

    executor, kept = run(pendings(4), broken, broken)
    assert len(executor.sessions) == 2
    assert {outcome for outcome, _ in kept.ends} == {"harness_error"}
    assert kept.ends[0][1] == "the daemon is gone"
    assert len(kept.ends) == 4


@pytest.mark.parametrize(
    "event",
    [
        {"event": "episode", "key": "f" * 64, "facts": {}},
        {"event": "episode", "key": f"{0:064x}", "facts": {"outcome": "completed"}},
        {"event": "episode", "key": f"{0:064x}", "facts": None},
    ],
)
def test_a_world_that_tells_nonsense_is_a_harness_error(event: dict[str, Any]) -> None:
    _, kept = run(pendings(1), plays(HELLO, event))
    assert [outcome for outcome, _ in kept.ends] == ["harness_error"]


def test_a_world_that_drives_another_circuit_is_a_harness_error() -> None:
    cases = pendings(1)
    _, kept = run(cases, plays(HELLO, episode(cases[0], lap_m=1.0)))
    assert "another circuit" in str(kept.ends[0][1])


def test_a_stopped_run_records_nothing_more() -> None:
    cases, stop = pendings(3), threading.Event()

    def stopped(on_event: Any, _: list[str]) -> SessionEnd:
        on_event(HELLO)
        on_event(episode(cases[0]))
        stop.set()
        on_event(episode(cases[1]))
        raise AssertionError("the event should have ended the session")

    executor, kept = run(cases, stopped, stop=stop)
    assert len(executor.sessions) == 1
    assert [made["key"] for made in kept.records] == [cases[0].key]


def test_a_session_that_dies_because_the_run_is_stopped_is_no_failure() -> None:
    cases, stop = pendings(2), threading.Event()

    def killed(*_: object) -> SessionEnd:
        stop.set()
        raise HarnessError("the container is gone")

    _, kept = run(cases, killed, stop=stop)
    assert kept.records == []


def test_a_reason_is_one_bounded_line() -> None:
    assert drive.one_line("a\x1b[31m\nb\t c") == "a [31m b c"
    assert len(drive.one_line("x" * 9999)) == drive.MAX_REASON
    assert drive.last_line("a\n b \n\n") == "b"
    assert drive.last_line("") == ""
