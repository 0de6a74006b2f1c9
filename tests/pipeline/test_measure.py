from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from envs.errors import HarnessError, InputError
from pipeline import measure, noise, timing
from pipeline.executors.base import DriverEnd, Session, SessionEnd
from pipeline.metrics.timing import BEYOND
from pipeline.stopwatch import Blocks
from tests.pipeline import sessions
from tests.pipeline.made import SHA, calibrator, row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FEW = Blocks(turns=3, frames=10, warmup=2)
INFERENCE_NS = {"zero": 100, "sleep": 5_000_000, "base": 1_000_000, "fast": 250_000}
TRANSPORT_NS = 50_000
WELL = DriverEnd(0, oom=False, log_tail="")


class FakeExecutor:
    """Plays the world of a measurement: each model takes as long as `INFERENCE_NS` says."""

    name = "fake"

    def __init__(self, **inference_ns: int) -> None:
        self.inference_ns = {**INFERENCE_NS, **inference_ns}
        self.sessions: list[Session] = []
        self.prepared: set[str] = set()
        self.broken = ""
        self.ends: dict[str, DriverEnd] = {}
        self.world_exit: int | None = 0
        self.drift = 1.0
        self.claims_more = False

    def prepare(self, roles: Any) -> None:
        if self.broken in roles:
            raise HarnessError(f"cannot install {self.broken}: no such wheel")
        self.prepared |= set(roles)

    def run(self, session: Session, on_event: Callable[[dict[str, Any]], None]) -> SessionEnd:
        self.sessions.append(session)
        names = [spec.model.name for spec in session.drivers]
        ends = tuple(self.ends.get(name, WELL) for name in names)
        if self.world_exit == 0 and ends == (WELL,) * len(names):
            for index, name in enumerate(names):
                on_event({"event": "hello", "index": index, "model": name, "runtime": "torch", "precision": "fp32"})
            for index, name in enumerate(names):
                on_event(self.timing(session.job, index, name))
            for index, name in enumerate(names if session.job["offline"] else ()):
                told = {"event": "offline", "model": name, "index": index, "frames_sha256": SHA}
                on_event({**told, "commands": [[0.5, 0.1], [0.5, -0.1]], "labels": [[0.4, 0.1], [0.5, 0.1]]})
        return SessionEnd(self.world_exit, "the world's last word", ends)

    def timing(self, job: Any, index: int, name: str) -> dict[str, Any]:
        blocks = np.linspace(1.0, self.drift, job["blocks"]).repeat(job["block_frames"])
        claimed = (self.inference_ns[name] * blocks).astype(int)
        seen = claimed + (-10 if self.claims_more else TRANSPORT_NS)
        event = {"event": "timing", "model": name, "index": index}
        return {**event, "round_trip_ns": seen.tolist(), "claimed_inference_ns": claimed.tolist()}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "busy_share", lambda: 0.0)


ROWS = (row("base"), row("fast", precision="int8"), calibrator("sleep"), calibrator("zero"), calibrator("centreline"))


def measured(executor: FakeExecutor, folder: Path, **asked: Any) -> Any:
    path = measure.run(ROWS, executor, folder, blocks=FEW, say=lambda _: None, **asked)  # type: ignore[arg-type]
    return timing.read(path)["models"]


def test_each_model_is_interleaved_with_the_baseline_after_the_calibrators(tmp_path: Path) -> None:
    executor = FakeExecutor()
    models = measured(executor, tmp_path)
    asked = [[spec.model.name for spec in session.drivers] for session in executor.sessions]
    assert asked == [["zero"], ["sleep"], ["base", "base"], ["fast", "base"]]
    assert models["fast"]["ratio_to_baseline"] == pytest.approx(0.25)
    assert models["base"]["ratio_to_baseline"] == pytest.approx(1.0)
    assert models["fast"]["inference"]["mean_s"] == pytest.approx(250e-6)
    assert models["fast"]["round_trip"]["mean_s"] == pytest.approx(300e-6)
    assert models["fast"]["inference"]["n"] == 30
    assert models["fast"]["baseline"] == "base"
    assert models["zero"]["baseline"] is None
    assert all(not entry["noisy"] for entry in models.values())
    assert executor.prepared == {"world", "torch-cpu"}


def test_models_whose_runtime_cannot_be_had_are_not_measured_and_the_others_are(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.broken = "torch-cpu"
    assert set(measured(executor, tmp_path)) == {"zero", "sleep"}


def test_the_peak_memory_is_the_one_that_the_executor_saw(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.ends["fast"] = DriverEnd(0, oom=False, log_tail="", peak_memory_bytes=123_000_000)
    models = measured(executor, tmp_path)
    assert models["fast"]["peak_memory_bytes"] == 123_000_000
    assert models["base"]["peak_memory_bytes"] is None


def test_everything_is_pinned_to_one_core_with_one_thread(tmp_path: Path) -> None:
    executor = FakeExecutor()
    measured(executor, tmp_path)
    for session in executor.sessions:
        assert {(spec.threads, spec.core) for spec in session.drivers} == {(1, session.job["core"])}
    states = {session.drivers[0].model.name: session.job["drivers"][0]["grants_state"] for session in executor.sessions}
    assert states == {"zero": False, "sleep": True, "base": False, "fast": False}


def test_raw_samples_are_kept_beside_the_record(tmp_path: Path) -> None:
    path = measure.run(ROWS, FakeExecutor(), tmp_path, blocks=FEW, say=lambda _: None)  # type: ignore[arg-type]
    with np.load(path.with_suffix("") / "fast.npz") as kept:
        assert kept["model_inference_ns"].shape == (3, 10)
        assert kept["baseline_round_trip_ns"].shape == (3, 10)
        assert kept["model_round_trip_ns"][0, 0] == 300_000


def test_only_the_models_asked_for_change(tmp_path: Path) -> None:
    before = measured(FakeExecutor(), tmp_path)
    executor = FakeExecutor(fast=500_000, base=2_000_000)
    after = measured(executor, tmp_path, names=("fast",))
    assert [session.drivers[0].model.name for session in executor.sessions] == ["zero", "sleep", "fast"]
    assert after["base"] == before["base"]
    assert after["fast"]["inference"]["mean_s"] == pytest.approx(500e-6)


def test_a_sleep_of_the_wrong_length_marks_every_model_of_the_run(tmp_path: Path) -> None:
    models = measured(FakeExecutor(sleep=5_400_000), tmp_path)
    assert all("a sleep of 5.0 ms is timed 8.0 % off" in models[name]["noisy"][0] for name in ("sleep", "base", "fast"))


def test_the_transport_is_not_counted_as_sleep(tmp_path: Path) -> None:
    # 4.9 ms of sleep and 0.05 ms of transport are within 5 %; the world sees 4.95 and takes off what zero showed.
    assert measured(FakeExecutor(sleep=4_900_000), tmp_path)["sleep"]["noisy"] == []


def test_blocks_that_drift_are_noisy(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.drift = 1.3
    models = measured(executor, tmp_path)
    assert "its blocks differ by 1.30x (bound 1.15x)" in models["fast"]["noisy"]
    assert "the baseline: its blocks differ by 1.30x (bound 1.15x)" in models["fast"]["noisy"]


def test_a_busy_host_is_noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "busy_share", lambda: 0.5)
    models = measured(FakeExecutor(), tmp_path)
    assert models["fast"]["noisy"] == ["others used 50 % of the cores before it began"]
    assert models["fast"]["busy_share"] == 0.5


def test_a_claim_of_more_time_than_passed_is_no_value(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.claims_more = True
    path = measure.run(  # the sleeping calibrator left out: with clocks like these it stops the measurement
        ROWS[:2],
        executor,  # type: ignore[arg-type]
        tmp_path,
        blocks=FEW,
        say=lambda _: None,
    )
    entry = timing.read(path)["models"]["fast"]
    assert entry["inference"] is None
    assert entry["inference_reason"] == "the driver claims more time than the world saw pass"
    assert entry["ratio_to_baseline"] is None
    assert entry["round_trip"] is not None


def test_offline_mse_is_compared_with_the_manifest(tmp_path: Path) -> None:
    entry = measured(FakeExecutor(), tmp_path)["fast"]
    assert entry["offline_mse"] == pytest.approx((0.1**2 + 0.2**2) / 4)
    same = {"offline_mse": 0.0125, "offline_frames_sha256": SHA}
    assert timing.offline_verdict(same, entry) == "as in the manifest"
    assert timing.offline_verdict({**same, "offline_mse": 0.02}, entry) == "the manifest says 0.02000"
    other = {**same, "offline_frames_sha256": "b" * 64}
    assert timing.offline_verdict(other, entry) == "on other frames than the manifest's"
    assert timing.offline_verdict({**same, "offline_mse": None}, entry) == "the manifest has none"
    assert "calibrator" in timing.offline_verdict(same, measured(FakeExecutor(), tmp_path)["zero"])


def test_mean_squared_error_known_answer() -> None:
    assert measure.mean_squared_error([[1.0, 0.0], [0.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]]) == pytest.approx(1.25 / 4)


@pytest.mark.parametrize("commands", [[], [[0.0]], [[0.0, 0.0]] * 2, [[float("nan"), 0.0]]])
def test_mean_squared_error_refuses_other_shapes(commands: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot be compared|not a finite"):
        measure.mean_squared_error(commands, [[0.0, 0.0]])


def test_a_model_that_fails_is_told_and_the_others_are_measured(tmp_path: Path) -> None:
    executor = FakeExecutor()
    executor.ends["fast"] = DriverEnd(1, oom=False, log_tail="Traceback\nValueError: boom\n")
    models = measured(executor, tmp_path)
    assert models["fast"]["failed"] == "model fast: driver_error: ValueError: boom"
    assert models["fast"]["inference"] is None
    assert models["base"]["failed"] is None
    executor.ends["fast"] = DriverEnd(None, oom=True, log_tail="")
    assert measured(executor, tmp_path)["fast"]["failed"] == "model fast: driver_oom"


def test_a_world_that_breaks_is_the_harness_and_keeps_what_was_measured(tmp_path: Path) -> None:
    before = measured(FakeExecutor(), tmp_path)
    executor = FakeExecutor()
    executor.world_exit = 4
    with pytest.raises(HarnessError, match="the world ended with status 4: the world's last word"):
        measured(executor, tmp_path)
    assert timing.of_this_host(tmp_path)["models"] == before


def test_by_default_the_99th_percentile_has_samples_beyond_it() -> None:
    assert 0.01 * Blocks().turns * Blocks().frames >= BEYOND


def test_bad_words_are_refused_before_anything_is_started(tmp_path: Path) -> None:
    executor = FakeExecutor()
    with pytest.raises(InputError, match="'none' cannot be measured; choose of base, fast, sleep, zero"):
        measured(executor, tmp_path, names=("none",))
    with pytest.raises(InputError, match="core 4096 cannot be used"):
        measured(executor, tmp_path, core=4096)
    with pytest.raises(InputError, match="2 blocks or more"):
        Blocks(turns=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        measured(executor, tmp_path / "file")
    assert executor.sessions == []


def test_without_a_baseline_there_is_no_ratio_but_a_reason(tmp_path: Path) -> None:
    path = measure.run(ROWS[1:], FakeExecutor(), tmp_path, blocks=FEW, say=lambda _: None)  # type: ignore[arg-type]
    entry = timing.read(path)["models"]["fast"]
    assert entry["ratio_to_baseline"] is None
    assert "no baseline" in entry["ratio_reason"]
    assert entry["inference"] is not None


def test_one_line_for_each_model(tmp_path: Path) -> None:
    lines: list[str] = []
    measure.run(ROWS, FakeExecutor(), tmp_path, blocks=FEW, say=lines.append)  # type: ignore[arg-type]
    assert (
        lines[-1]
        == "fast: inference 0.250 ms, round trip 0.300 ms, 0.25 of base, offline MSE 0.01250, the manifest has none"
    )


@pytest.mark.slow
def test_real_processes_are_measured(tmp_path: Path) -> None:
    with sessions.executor() as executor:
        path = measure.run(
            [calibrator("zero"), calibrator("sleep")],
            executor,
            tmp_path,
            blocks=Blocks(turns=2, frames=20, warmup=5),
            say=lambda _: None,
        )
    models = timing.read(path)["models"]
    assert models["zero"]["round_trip"]["n"] == 40
    assert models["sleep"]["inference"]["p50_s"] >= 0.005
    assert models["sleep"]["claims"]["runtime"] == "sleep"
