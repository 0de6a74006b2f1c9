"""What the tests of sessions share: a job, a session, and a local executor whose every role is this interpreter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs import circuit, conditions
from pipeline.executors.base import DriverSpec, Session, SessionEnd
from pipeline.executors.local import LocalExecutor
from pipeline.manifest import ModelRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BAD_DRIVER = Path(__file__).with_name("bad_driver.py")
DEADLINES = {"connect": 20.0, "ready": 2.0, "command": 2.0}


def case(name: str = "simple", seed: int = 1, direction: str = "forward") -> dict[str, Any]:
    return {
        "key": f"{name}-{seed}-{direction}",
        "circuit": circuit.load(name).source._asdict(),
        "direction": direction,
        "conditions": conditions.draw("nominal", seed, name, direction).to_dict(),
        "limits": {},
        "clock": "lockstep",
    }


def job(
    model: str,
    cases: Sequence[dict[str, Any]],
    *,
    grants_state: bool = False,
    deadlines: dict[str, float] | None = None,
) -> dict[str, Any]:
    return {
        "schema": 1,
        "mode": "drive",
        "drivers": [{"model": model, "grants_state": grants_state}],
        "deadlines": {**DEADLINES, **(deadlines or {})},
        "cases": list(cases),
        "trace": False,
    }


def spec(runtime: str, artifact: Path | None = None, sha256: str | None = None, **options: Any) -> DriverSpec:
    row = ModelRow(name=runtime, runtime=runtime, description="a test's", sha256=sha256)
    return DriverSpec(row, "world", artifact, **options)


def executor(**options: Any) -> LocalExecutor:
    return LocalExecutor(lambda _: Path(sys.executable), **options)


def run(session: Session, **options: Any) -> tuple[list[dict[str, Any]], SessionEnd]:
    events: list[dict[str, Any]] = []
    with executor(**options) as local:
        end = local.run(session, events.append)
    return events, end


def run_bad(
    fault: str,
    cases: Sequence[dict[str, Any]] | None = None,
    deadlines: dict[str, float] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[list[dict[str, Any]], SessionEnd]:
    """A session with a driver that misbehaves as `fault` says."""
    session = Session((spec("bad"),), job("bad", cases or [case()], deadlines=deadlines), 60.0)
    events: list[dict[str, Any]] = []
    local = executor(command_of=lambda _, python, path: [str(python), str(BAD_DRIVER), fault, str(path)])
    end = local.run(session, on_event or events.append)
    return events, end


def facts(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["facts"] for event in events if event["event"] == "episode"]
