"""Checks as `hotlap check` and `hotlap evaluate` do them: what is checked when, and what becomes of the refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest
from click.testing import CliRunner

from envs import circuit
from envs.errors import InputError
from pipeline import check_record, checks, executors, manifest, timing
from pipeline.agenda import Request
from pipeline.cli import main
from pipeline.display import Plain
from pipeline.drive import no_episode
from pipeline.evaluate import evaluate, publish, tabulate
from pipeline.executors.base import DriverEnd, Session, SessionEnd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAMES = "f" * 64
WELL = SessionEnd(0, "", (DriverEnd(0, oom=False, log_tail=""),))
CALIBRATORS = """
[[model]]
name = "centreline"
runtime = "centreline"
calibrator = true
description = "the oracle"

[[model]]
name = "zero"
runtime = "zero"
calibrator = true
description = "never steers"
"""
MODEL = """
[[model]]
name = "{name}"
runtime = "torch"
artifact = "net.safetensors"
sha256 = "{sha256}"
precision = "{precision}"
how = "by hand"
description = "a net"
"""
PLAN = """
models = ["*"]
circuits = ["simple"]
directions = ["forward"]
conditions = ["nominal"]
seeds = 1
"""


@dataclass
class FakeExecutor:
    """Drives everything but `zero` round, and answers checks with what `commands` and `precisions` have."""

    commands: dict[str, list[list[list[float]]]] = field(default_factory=dict)
    precisions: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    driven: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    name: str = "fake"

    def prepare(self, roles: set[str]) -> None:
        assert "world" in roles

    def environment(self, role: str) -> dict[str, Any]:
        return {"role": role}

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, session: Session, on_event: Callable[[dict[str, Any]], None]) -> SessionEnd:
        row = session.drivers[0].model
        precision = self.precisions.get(row.name, row.precision)
        on_event({"event": "hello", "index": 0, "precision": precision, "device": "cpu", "fingerprint_of_world": {}})
        if session.job["mode"] == "measure":
            return self.check(row.name, session.job, on_event)
        self.driven.append(row.name)
        for one in session.job["cases"]:
            facts = no_episode("left_lane" if row.name == "zero" else "completed", None, circuit.load("simple").length)
            on_event({"event": "episode", "key": one["key"], "facts": facts})
        return WELL

    def check(self, name: str, job: dict[str, Any], on_event: Callable[[dict[str, Any]], None]) -> SessionEnd:
        self.checked.append(name)
        if name in self.broken:
            return SessionEnd(0, "", (DriverEnd(1, oom=False, log_tail="no such operator"),))
        assert (job["offline_times"], job["core"]) == (2, None)
        times = [1000] * job["blocks"] * job["block_frames"]
        on_event({"event": "timing", "model": name, "round_trip_ns": times, "claimed_inference_ns": times})
        for commands in self.commands.get(name, [[[0.5, 0.0], [0.5, 0.0]]] * 2):
            on_event({"event": "offline", "index": 0, "commands": commands, "labels": [], "frames_sha256": FRAMES})
        return WELL


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    network = (8).to_bytes(8, "little") + b"{}      "
    (tmp_path / "net.safetensors").write_bytes(network)
    sha256 = hashlib.sha256(network).hexdigest()
    models = [
        MODEL.format(name=name, sha256=sha256, precision=kind) for name, kind in (("small", "bf16"), ("base", "fp32"))
    ]
    (tmp_path / "manifest.toml").write_text(CALIBRATORS + "".join(models))
    (tmp_path / "plan.toml").write_text(PLAN)
    return Request(
        plan=str(tmp_path / "plan.toml"),
        results=tmp_path / "results",
        weights=tmp_path / "manifest.toml",
        workers=1,
        measure=False,
    )


def use(monkeypatch: pytest.MonkeyPatch, executor: FakeExecutor) -> FakeExecutor:
    monkeypatch.setattr(executors, "choose", lambda _: (executor, "executor of a test"))
    return executor


def found(request: Request) -> dict[str, check_record.Check]:
    return checks.found(request.results, manifest.load(request.weights))


def test_every_ranked_model_is_checked_before_it_drives_the_baseline_first(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    fake = use(monkeypatch, FakeExecutor({"small": [[[0.5, 0.1], [0.3, 0.0]]] * 2}))
    evaluate(request_, Plain())
    assert fake.checked == ["base", "small"]
    assert sorted(fake.driven) == ["base", "centreline", "small", "zero"]
    assert found(request_)["small"]["baseline_distance"] == pytest.approx(((0.1**2 + 0.2**2) / 4) ** 0.5)
    again = use(monkeypatch, FakeExecutor())
    evaluate(request_, Plain())
    assert (again.checked, again.driven) == ([], [])


def test_a_refused_model_is_not_driven_and_keeps_its_row(
    monkeypatch: pytest.MonkeyPatch, request_: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = use(monkeypatch, FakeExecutor(precisions={"small": "fp32"}))
    page = evaluate(request_, Plain()).read_text()
    assert sorted(fake.driven) == ["base", "centreline", "zero"]
    why = "asked for bf16 on cpu, runs fp32: a silent fallback"
    assert f"| refused ({why}) |" in page
    told = capsys.readouterr().out
    assert f"small: refused ({why})" in told
    assert "every calibrator behaved as it must" in told
    again = use(monkeypatch, FakeExecutor())
    evaluate(request_, Plain())
    assert (again.checked, again.driven) == ([], []), "nothing changed, so it stays refused"


def test_the_table_rebuilds_from_published_checks(monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    use(monkeypatch, FakeExecutor(precisions={"small": "fp32"}))
    page = evaluate(request_, Plain()).read_text()
    published = {path.name: path.read_bytes() for path in publish(request_, Plain())}
    assert sorted(published) == ["checks.json", "records.jsonl"]
    for folder in ("records", "checks"):
        for path in (request_.results / folder).glob("*.json"):
            path.unlink()
    assert tabulate(request_, Plain(), of_published=True).read_text() == page


def test_a_model_whose_runtime_failed_is_refused_and_checked_again_next_time(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    fake = use(monkeypatch, FakeExecutor(broken={"small"}))
    assert "refused (driver_error: no such operator)" in evaluate(request_, Plain()).read_text()
    assert "small" not in fake.driven
    again = use(monkeypatch, FakeExecutor())
    assert "| refused (" not in evaluate(request_, Plain()).read_text()
    assert (again.checked, again.driven) == (["small"], ["small"])


def test_a_refused_model_is_not_timed(monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    use(monkeypatch, FakeExecutor(precisions={"small": "fp32"}))
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr("pipeline.measure.run", lambda *_, names, **__: asked.append(names))
    evaluate(Request(**{**vars(request_), "measure": True}), Plain())
    assert asked == [("base", "zero")]
    assert timing.choose(request_.results) is None


@pytest.mark.parametrize(
    ("old", "new"), [('precision = "bf16"', 'precision = "fp16"'), ('how = "by hand"', 'threads = 2\nhow = "by hand"')]
)
def test_another_row_is_checked_again(monkeypatch: pytest.MonkeyPatch, request_: Request, old: str, new: str) -> None:
    use(monkeypatch, FakeExecutor())
    evaluate(request_, Plain())
    assert set(found(request_)) == {"base", "small"}
    request_.weights.write_text(request_.weights.read_text().replace(old, new, 1))
    assert set(found(request_)) == {"base"}


def test_a_changed_baseline_is_another_distance(monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    use(monkeypatch, FakeExecutor())
    evaluate(request_, Plain())
    text = request_.weights.read_text()
    request_.weights.write_text(text.replace('precision = "fp32"', 'threads = 2\nprecision = "fp32"'))
    assert found(request_) == {}


def test_a_damaged_check_is_one_line(monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    use(monkeypatch, FakeExecutor())
    evaluate(request_, Plain())
    path = next((request_.results / "checks").glob("*.json"))
    whole = path.read_text()
    for harm, told in ((whole[:40], "it is cut off"), (whole.replace('"schema": 1', '"schema": 9'), "has schema 9")):
        path.write_text(harm)
        with pytest.raises(
            InputError, match=rf"the record of a check is damaged: .*{told}.*; delete it and check again"
        ):
            evaluate(request_, Plain())


def check(request: Request, *words: str) -> Any:
    given = ["check", *words, "--results", str(request.results), "--weights", str(request.weights)]
    return CliRunner().invoke(main, given, prog_name="hotlap")


def test_the_command_checks_what_is_missing_and_tells_the_refused(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    use(monkeypatch, FakeExecutor({"small": [[[0.5, 0.0]], [[0.5, 0.5]]]}))
    done = check(request_)
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert lines[-2] == "base: parity not measured (no reference), 0.0000 from base"
    assert lines[-1] == (
        "small: refused (the same frames gave other commands the second time: 1 of 1, by 5.0e-01 at most)"
    )
    assert done.stderr == "hotlap: error: refused: small; the reasons are above\n"
    fake = use(monkeypatch, FakeExecutor())
    assert check(request_).stdout == "every model is checked; name models to check them again\n"
    assert check(request_, "small").exit_code == 0
    assert fake.checked == ["small"]
    assert check(request_, "smal").stderr == "hotlap: error: there is no model 'smal'; did you mean 'small'?\n"
