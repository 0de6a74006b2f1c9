"""The whole flow: with a fake executor for what is rare, with the real world and drivers for what must hold."""

from __future__ import annotations

import hashlib
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from envs import circuit
from envs.errors import HarnessError, InputError, InvalidRunError
from pipeline import executors, manifest, record
from pipeline.agenda import Request, survey
from pipeline.display import Plain
from pipeline.drive import no_episode
from pipeline.evaluate import evaluate, publish, tabulate
from pipeline.executors.base import DriverEnd, Session, SessionEnd
from pipeline.executors.local import LocalExecutor
from pipeline.key import Keys, SourceChangedError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = manifest.ROOT
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
NETWORK = """
[[model]]
name = "net"
runtime = "onnxruntime"
artifact = "net.onnx"
sha256 = "{}"
precision = "fp32"
how = "by hand"
description = "a network"
"""
PLAN = """
models = ["*"]
circuits = ["simple"]
directions = ["forward", "reverse"]
conditions = ["nominal"]
seeds = 1
"""
PROGRAM = """
import sys
from pathlib import Path
from pipeline import executors
from pipeline.cli import main
from pipeline.executors.local import LocalExecutor
executors.choose = lambda name: (LocalExecutor(lambda role: Path(sys.executable)), "executor local")
main(prog_name="hotlap")
"""
"""hotlap, each role of which is this interpreter."""


@dataclass
class FakeExecutor:
    """Ends every case of a model with the outcome given for it, or raises the error given for it."""

    ends: dict[str, Any]
    name: str = "fake"
    driven: list[str] = field(default_factory=list)
    broken: tuple[str, ...] = ()

    def describe(self) -> str:
        return "nothing"

    def prepare(self, roles: set[str]) -> None:
        assert "world" in roles
        for role in roles & set(self.broken):
            raise HarnessError(f"cannot install {role}: no such wheel; name a folder of wheels")

    def environment(self, role: str) -> dict[str, Any]:
        return {"role": role}

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, session: Session, on_event: Callable[[dict[str, Any]], None]) -> SessionEnd:
        name = session.drivers[0].model.name
        if session.job["mode"] == "measure":
            return self._checked(session, on_event)
        self.driven.append(name)
        on_event({"event": "hello", "fingerprint_of_world": {}})
        for one in session.job["cases"]:
            end = self.ends[name]
            if isinstance(end, Exception):
                raise end
            facts = no_episode(end, None, circuit.load("simple").length)
            on_event({"event": "episode", "key": one["key"], "facts": facts})
        return SessionEnd(0, "", (DriverEnd(0, oom=False, log_tail=""),))

    def _checked(self, session: Session, on_event: Callable[[dict[str, Any]], None]) -> SessionEnd:
        """A check that finds nothing wrong."""
        row = session.drivers[0].model
        on_event({"event": "hello", "index": 0, "precision": row.precision, "device": row.device})
        times = [1000] * session.job["blocks"] * session.job["block_frames"]
        on_event({"event": "timing", "model": row.name, "round_trip_ns": times, "claimed_inference_ns": times})
        for _ in range(session.job["offline_times"]):
            on_event({"event": "offline", "commands": [[0.0, 0.0]], "labels": [[0.0, 0.0]], "frames_sha256": "f"})
        return SessionEnd(0, "", (DriverEnd(0, oom=False, log_tail=""),))


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    (tmp_path / "manifest.toml").write_text(CALIBRATORS)
    (tmp_path / "plan.toml").write_text(PLAN)
    return Request(
        plan=str(tmp_path / "plan.toml"),
        results=tmp_path / "results",
        weights=tmp_path / "manifest.toml",
        measure=False,
    )


def use(monkeypatch: pytest.MonkeyPatch, executor: Any) -> Any:
    monkeypatch.setattr(executors, "choose", lambda _: (executor, "executor of a test"))
    return executor


def real(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, LocalExecutor(lambda _: Path(sys.executable)))


def again(request: Request, **changes: Any) -> Request:
    return Request(**{**vars(request), **changes})


def refuse(_: str) -> Any:
    raise AssertionError("no executor should have been started")


def behaviour(results: Path) -> str:
    """The behaviour section of the page."""
    text = (results / "README.md").read_text()
    found = re.search(r"^## .*?(?=^## Timing)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


GOOD = {"centreline": "completed", "zero": "left_lane"}


def with_network(request: Request) -> None:
    """Add a model of another runtime to the manifest."""
    body = b"graph"
    (request.weights.parent / "net.onnx").write_bytes(body)
    with request.weights.open("a") as stream:
        stream.write(NETWORK.format(hashlib.sha256(body).hexdigest()))


def test_a_runtime_that_cannot_be_had_stops_its_own_models_alone(
    monkeypatch: pytest.MonkeyPatch, request_: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    with_network(request_)
    fake = use(monkeypatch, FakeExecutor(dict(GOOD), broken=("onnxruntime",)))
    with pytest.raises(HarnessError, match=r"^not run, all else is done: net; the reasons are above$"):
        evaluate(request_, Plain())
    assert sorted(fake.driven) == ["centreline", "zero"]
    assert "not run: net: cannot install onnxruntime: no such wheel; name a folder" in capsys.readouterr().out
    page = (request_.results / "README.md").read_text()
    assert re.search(r"^\| net +\| not run \(cannot install onnxruntime: no such wheel\) ", page, re.MULTILINE)
    use(monkeypatch, FakeExecutor({"net": "completed"}))
    evaluate(request_, Plain())
    assert "not run" not in (request_.results / "README.md").read_text()


def test_a_world_that_cannot_be_had_stops_everything(monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    use(monkeypatch, FakeExecutor(dict(GOOD), broken=("world",)))
    with pytest.raises(HarnessError, match="cannot install world"):
        evaluate(request_, Plain())


def test_a_run_records_every_case_and_a_second_one_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, request_: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = use(monkeypatch, FakeExecutor(dict(GOOD)))
    evaluate(request_, Plain())
    told = capsys.readouterr().out
    assert "4 cases of 2 models, 0 done, 4 to drive" in told
    assert "every calibrator behaved as it must" in told
    assert "\x1b" not in told
    assert "\r" not in told
    assert sorted(fake.driven) == ["centreline", "zero"]
    records = record.read_all(request_.results / "records")
    assert len(records) == 4
    assert records[0]["provenance"]["executor"] == "fake"
    first = behaviour(request_.results)
    monkeypatch.setattr(executors, "choose", refuse)
    evaluate(request_, Plain())
    assert "4 done, 0 to drive" in capsys.readouterr().out
    assert behaviour(request_.results) == first


def test_what_is_published_makes_the_same_page_without_the_records(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    with pytest.raises(InputError, match=r"^4 of 4 cases .* have no record in .*; run `hotlap evaluate` first$"):
        publish(request_, Plain())
    use(monkeypatch, FakeExecutor(dict(GOOD)))
    page = evaluate(request_, Plain()).read_text()
    publish(request_, Plain())
    for path in (request_.results / "records").iterdir():
        path.unlink()
    assert tabulate(request_, Plain(), of_published=True).read_text() == page
    evaluate_again = use(monkeypatch, FakeExecutor(dict(GOOD)))
    evaluate(request_, Plain())
    assert sorted(evaluate_again.driven) == ["centreline", "zero"], "published results never satisfy a local run"


def test_a_calibrator_that_behaves_wrongly_makes_the_run_invalid(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    use(monkeypatch, FakeExecutor({"centreline": "completed", "zero": "completed"}))
    with pytest.raises(InvalidRunError, match="zero"):
        evaluate(request_, Plain())
    assert (request_.results / "README.md").exists()
    with pytest.raises(InvalidRunError, match="zero"):
        tabulate(request_, Plain())


def test_a_harness_error_makes_the_run_invalid_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    use(monkeypatch, FakeExecutor({**GOOD, "zero": HarnessError("the daemon is gone")}))
    with pytest.raises(InvalidRunError):
        evaluate(request_, Plain())
    fake = use(monkeypatch, FakeExecutor(dict(GOOD)))
    evaluate(request_, Plain())
    assert fake.driven == ["zero"]
    attempts = sorted(one["attempt"] for one in record.read_all(request_.results / "records"))
    assert attempts == [1, 1, 1, 1, 2, 2]


def test_a_model_that_cannot_be_loaded_keeps_no_other_from_driving(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    use(monkeypatch, FakeExecutor({**GOOD, "centreline": InputError("model 'centreline' cannot be loaded")}))
    with pytest.raises(InputError, match="cannot be loaded"):
        evaluate(again(request_, workers=1), Plain())
    assert len(record.read_all(request_.results / "records")) == 2


def test_a_fault_of_ours_stops_the_run_and_is_not_hidden(monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    use(monkeypatch, FakeExecutor({**GOOD, "centreline": ZeroDivisionError("a bug")}))
    with pytest.raises(ZeroDivisionError):
        evaluate(again(request_, workers=1), Plain())


def test_code_edited_during_the_run_stops_it_with_nothing_recorded(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    def edited(_: object) -> None:
        raise SourceChangedError("envs/car.py was edited")

    use(monkeypatch, FakeExecutor(dict(GOOD)))
    monkeypatch.setattr(Keys, "check", edited)
    with pytest.raises(SourceChangedError):
        evaluate(request_, Plain())
    assert record.read_all(request_.results / "records") == []


def test_a_record_cut_in_half_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    use(monkeypatch, FakeExecutor(dict(GOOD)))
    evaluate(request_, Plain())
    path = next((request_.results / "records").glob("*.json"))
    path.write_bytes(path.read_bytes()[:1000])
    monkeypatch.setattr(executors, "choose", refuse)
    with pytest.raises(InputError, match=re.escape(str(path))):
        evaluate(request_, Plain())
    path.unlink()
    fake = use(monkeypatch, FakeExecutor(dict(GOOD)))
    evaluate(request_, Plain())
    assert len(fake.driven) == 1


def test_a_results_folder_that_cannot_be_written_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, request_: Request, tmp_path: Path
) -> None:
    monkeypatch.setattr(executors, "choose", refuse)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        evaluate(again(request_, results=tmp_path / "file"), Plain())


def test_another_limit_is_another_case(monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    use(monkeypatch, FakeExecutor(dict(GOOD)))
    evaluate(request_, Plain())
    plan = Path(request_.plan)
    plan.write_text(PLAN + "[limits]\nstall_s = 4\n")
    assert survey(request_, request_.results / "records").new == 4


def test_driving_again_keeps_the_attempts_and_tells_of_a_difference(
    monkeypatch: pytest.MonkeyPatch, request_: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(request_.plan).write_text(PLAN.replace(', "reverse"', ""))
    real(monkeypatch)
    evaluate(again(request_, workers=1), Plain())
    first = behaviour(request_.results)
    evaluate(again(request_, again=True, workers=2), Plain())
    assert "not deterministic" not in capsys.readouterr().out
    assert behaviour(request_.results) == first
    found: dict[str, list[Any]] = {}
    for one in record.read_all(request_.results / "records"):
        found.setdefault(one["key"], []).append(one["facts"]["trajectory_sha256"])
    assert len(found) == 2
    assert all(len(sums) == 2 and len(set(sums)) == 1 for sums in found.values())
    traces = {path.name for path in (request_.results / "traces").iterdir()}
    assert traces == {path.name.replace(".json", ".npz") for path in (request_.results / "records").glob("*.json")}
    path = min((request_.results / "records").glob("*.2.json"))
    path.write_text(re.sub(r'"trajectory_sha256":"[0-9a-f]+"', f'"trajectory_sha256":"{"0" * 64}"', path.read_text()))
    evaluate(again(request_, again=True), Plain())
    assert capsys.readouterr().out.count("not deterministic") == 1


def command(request: Request, *more: str) -> list[str]:
    words = [sys.executable, "-c", PROGRAM, "evaluate", "--no-measure", "--plan", request.plan]
    return [*words, "--results", str(request.results), "--weights", str(request.weights), *more]


def start(request: Request) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(request), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_record(request: Request) -> None:
    deadline = time.monotonic() + 60
    while not list((request.results / "records").glob("[!.]*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_interrupt_ends_in_one_line_and_the_same_command_goes_on(request_: Request) -> None:
    Path(request_.plan).write_text(PLAN.replace("seeds = 1", "seeds = 2"))
    process = start(request_)
    wait_for_record(request_)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    told = re.fullmatch(r"hotlap: stopped; (\d+) of 8 cases are recorded; run the same command to go on\n", err)
    assert told is not None, err
    assert int(told[1]) == len(record.read_all(request_.results / "records"))
    done = subprocess.run(command(request_), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{told[1]} done" in done.stdout
    assert len(record.read_all(request_.results / "records")) == 8


@pytest.mark.slow
def test_killed_at_ten_random_moments_and_taken_up_again_it_tells_the_same(request_: Request, tmp_path: Path) -> None:
    Path(request_.plan).write_text(PLAN.replace("seeds = 1", "seeds = 3"))
    whole = again(request_, results=tmp_path / "whole")
    began = time.monotonic()
    subprocess.run(command(whole), cwd=ROOT, capture_output=True, check=True)
    length = time.monotonic() - began
    moments = random.Random(1)  # noqa: S311 - no secret
    for _ in range(10):
        process = start(request_)
        try:
            process.communicate(timeout=moments.uniform(0.1, 0.6 * length))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    done = subprocess.run(command(request_), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert behaviour(request_.results) == behaviour(whole.results)
    assert not list(request_.results.rglob("*.tmp"))
