from __future__ import annotations

import math
from typing import Any

import pytest

from pipeline.metrics import METRICS, Value, artifact, calibration, check, deviation, driving
from pipeline.metrics import timing as times


def episode(
    outcome: str = "completed",
    *,
    offsets: tuple[float, ...] = (),
    distance: float | None = 100.0,
    lap: float = 100.0,
    seconds: float | None = 10.0,
    wall: float | None = 2.0,
    suddenness: tuple[float | None, float | None] = (None, None),
    circuit: str = "simple",
    seed: int = 0,
    model: str = "m",
) -> dict[str, Any]:
    case = {"model": model, "circuit": circuit, "direction": "forward", "conditions": "nominal", "seed": seed}
    facts = {
        "outcome": outcome,
        "distance_m": distance,
        "lap_m": lap,
        "sim_time_s": seconds,
        "wall_s": wall,
        "path": {"step_m": 1.0, "s0": 0.0, "offset": list(offsets)},
        "commands": {"steering_suddenness": suddenness[0], "speed_suddenness": suddenness[1]},
    }
    return {"case": {**case, "clock": "lockstep"}, "facts": facts}


NOTHING: dict[str, Any] = {"records": [], "shared records": [], "model": {}, "timing": {}, "check": {}}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_definition_and_no_value_without_facts(name: str) -> None:
    metric = METRICS[name]
    value = metric.of(NOTHING[metric.reads])
    assert value.value is None
    assert value.reason
    assert metric.of.__doc__
    assert metric.heading.startswith(metric.title)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if "records" in metric.reads])
def test_harness_errors_change_no_metric(name: str) -> None:
    driven = [episode(offsets=(0.1, -0.3), suddenness=(0.5, 0.25))]
    broken = episode("harness_error", offsets=(9.0,), distance=1.0, seconds=500.0, wall=900.0, suddenness=(9.0, 9.0))
    assert METRICS[name].of([*driven, broken]) == METRICS[name].of(driven)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if "records" in metric.reads])
def test_the_order_of_records_changes_no_metric(name: str) -> None:
    records = [
        episode(
            offsets=tuple(math.sin(i + seed) for i in range(50)),
            seconds=7.3 + seed / 3,
            distance=50.1,
            seed=seed,
            suddenness=(seed / 7, seed / 3),
        )
        for seed in range(5)
    ]
    value, other = METRICS[name].of(records).value, METRICS[name].of(records[::-1]).value
    assert value == pytest.approx(other, rel=1e-14)


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_a_value_is_finite_or_has_a_reason(bad: float | None) -> None:
    with pytest.raises(ValueError, match="value"):
        Value(bad)
    with pytest.raises(ValueError, match="either"):
        Value(1.0, "and a reason")


def test_completions() -> None:
    records = [episode(), episode(), episode("left_lane"), episode("harness_error"), episode("driver_oom")]
    assert driving.completions(records).value == 2 / 4
    assert driving.counts(records) == driving.Counts(2, 4, 1, (("driver_oom", 1), ("left_lane", 1)))
    assert driving.completions([episode("harness_error")]).value is None


def test_a_model_that_completes_nothing_has_zero_completions_and_not_none() -> None:
    assert driving.completions([episode("stalled")]) == Value(0.0)


def test_progress_is_capped_at_a_lap_and_weighs_cases_alike() -> None:
    records = [episode(distance=100.4), episode("left_lane", distance=250.0, lap=1000.0), episode(distance=-3.0)]
    assert driving.progress(records).value == pytest.approx((100.0 + 25.0 + 0.0) / 3)


def test_average_speed_is_total_over_total() -> None:
    records = [episode(distance=1000.0, seconds=100.0), episode("left_lane", distance=10.0, seconds=10.0)]
    assert driving.average_speed(records).value == pytest.approx(1010.0 / 110.0)


@pytest.mark.parametrize("metric", [driving.progress, driving.average_speed])
def test_a_missing_distance_is_no_zero(metric: Any) -> None:
    value = metric([episode(), episode("driver_error", distance=None)])
    assert value.value is None
    assert "1 of 2 records" in value.reason


def test_no_simulated_time_is_no_speed() -> None:
    value = driving.average_speed([episode("driver_error", distance=0.0, seconds=0.0)])
    assert value.value is None


def test_real_time_factor() -> None:
    assert driving.real_time_factor([episode(seconds=10.0, wall=2.0), episode(seconds=20.0, wall=4.0)]).value == 5.0
    assert driving.real_time_factor([episode(wall=None)]).value is None


def test_suddenness_is_weighted_by_time_and_leaves_out_who_gave_no_two_commands() -> None:
    records = [
        episode(seconds=10.0, suddenness=(1.0, 0.5)),
        episode(seconds=30.0, suddenness=(2.0, 0.1)),
        episode("driver_error", seconds=0.05, suddenness=(None, None)),
    ]
    assert driving.steering_suddenness(records).value == pytest.approx((1.0 * 10 + 2.0 * 30) / 40)
    assert driving.speed_suddenness(records).value == pytest.approx((0.5 * 10 + 0.1 * 30) / 40)


def test_deviation_pools_metres_not_cases() -> None:
    records = [episode(offsets=(0.3, -0.3, 0.3, -0.3)), episode("left_lane", offsets=(-1.3,))]
    assert deviation.mean_absolute(records).value == pytest.approx((4 * 0.3 + 1.3) / 5)
    assert deviation.root_mean_square(records).value == pytest.approx(math.sqrt((4 * 0.09 + 1.69) / 5))
    assert deviation.largest(records).value == pytest.approx(1.3)


def test_deviation_percentile_is_interpolated_linearly() -> None:
    records = [episode(offsets=tuple(-i / 100 for i in range(101)))]
    assert deviation.percentile_95(records).value == pytest.approx(0.95)
    assert deviation.percentile_95([episode(offsets=(0.0, 1.0))]).value == pytest.approx(0.95)


def test_deviation_score_of_the_study_read_back_into_metres() -> None:
    # PRIOR_RESULTS: 4.61 is 0.22 m, 17.03 is 0.41 m.
    assert deviation.score([episode(offsets=(0.2212, -0.2212))]).value == pytest.approx(4.61, abs=0.005)
    assert deviation.score([episode(offsets=(0.4104,))]).value == pytest.approx(17.03, abs=0.01)
    assert deviation.score([episode(offsets=(0.0,))]).value == pytest.approx(1.0)
    assert deviation.score([episode(offsets=(0.0, 1.0))]).value == pytest.approx(500.5)


@pytest.mark.parametrize("largest", [102.0, 102.66])
def test_deviation_score_holds_up_to_what_a_float_holds(largest: float) -> None:
    value = deviation.score([episode(offsets=(0.1, largest))]).value
    assert value is not None
    assert math.log10(value) == pytest.approx(3 * largest - math.log10(2), rel=1e-9)


@pytest.mark.parametrize("largest", [103.0, 1e6])
def test_deviation_score_beyond_a_float_is_no_value(largest: float) -> None:
    value = deviation.score([episode(offsets=(0.1, largest))])
    assert value.value is None
    assert "10^3" in str(value.reason)


@pytest.mark.parametrize("metric", [deviation.mean_absolute, deviation.score, deviation.largest])
def test_deviation_without_a_metre_or_with_a_nan_is_no_value(metric: Any) -> None:
    assert metric([episode("driver_error")]) == Value(None, "no metre driven")
    assert metric([episode(offsets=(0.1, math.nan))]).value is None


def test_shared_cases_are_those_that_all_completed() -> None:
    good = [episode(offsets=(0.1,), seed=0), episode(offsets=(0.5,), seed=1)]
    bad = [episode(offsets=(0.2,), seed=0), episode("left_lane", offsets=(0.9,), seed=1)]
    shared = deviation.shared_records({"good": good, "bad": bad})
    assert deviation.mean_absolute_shared(shared["good"]).value == pytest.approx(0.1)
    assert deviation.mean_absolute_shared(shared["bad"]).value == pytest.approx(0.2)
    nothing = deviation.shared_records({"good": good, "none": []})
    assert deviation.mean_absolute_shared(nothing["good"]).value is None


def test_timing_metrics() -> None:
    summary = {"mean_s": 0.002, "p50_s": 0.0019, "p95_s": 0.003, "p99_s": 0.004, "n": 1000}
    entry = {"inference": summary, "round_trip": {**summary, "mean_s": 0.0025}, "ratio_to_baseline": 0.25}
    assert times.mean_inference(entry).value == 0.002
    assert times.inference_p50(entry).value == 0.0019
    assert times.inference_p95(entry).value == 0.003
    assert times.inference_p99(entry).value == 0.004
    assert times.iteration_frequency(entry).value == pytest.approx(400.0)
    assert times.ratio_to_baseline(entry).value == 0.25
    assert times.measured_offline_mse({"offline_mse": 0.01}).value == 0.01
    assert times.peak_memory({"peak_memory_bytes": 210_500_000}).value == pytest.approx(210.5)


@pytest.mark.parametrize(
    ("metric", "percent", "enough"),
    [(times.inference_p50, 50, 20), (times.inference_p95, 95, 200), (times.inference_p99, 99, 1000)],
)
def test_a_percentile_with_fewer_than_ten_samples_beyond_it_is_no_value(metric: Any, percent: int, enough: int) -> None:
    entry = {"inference": {f"p{percent}_s": 0.004, "n": enough}}
    assert metric(entry).value == 0.004
    entry["inference"]["n"] = enough - 1
    assert metric(entry) == Value(None, f"{enough - 1} samples are too few for p{percent}")


def test_timing_that_is_not_there_says_why() -> None:
    entry = {"inference": None, "inference_reason": "the driver lied", "ratio_to_baseline": None}
    assert times.mean_inference(entry) == Value(None, "the driver lied")
    assert times.ratio_to_baseline(entry) == Value(None, "not measured")
    assert times.inference_p99(entry) == Value(None, "the driver lied")
    assert times.peak_memory({"peak_memory_bytes": None, "failed": None}) == Value(None, "not measured")
    assert times.peak_memory({"failed": "driver_oom"}) == Value(None, "driver_oom")


def test_artifact_metrics() -> None:
    facts = {"size_bytes": 1_015_000, "parameters": 252_230, "zeros": 25_223, "offline_mse": 0.01}
    assert artifact.size(facts).value == pytest.approx(1.015)
    assert artifact.parameters(facts).value == 252_230
    assert artifact.zeros(facts).value == pytest.approx(10.0)
    assert artifact.offline_mse(facts).value == 0.01
    assert artifact.size({"size_bytes": None}) == Value(None, "no artifact")
    assert artifact.zeros({"parameters": 5}).value is None
    assert artifact.zeros({"parameters": 0, "zeros": 0}) == Value(None, "no parameters")
    more = {**facts, "rounded_zeros": 2522.3, "operations": 27_500_000}
    assert artifact.rounded_zeros(more).value == pytest.approx(1.0)
    assert artifact.operations(more).value == pytest.approx(27.5)
    assert artifact.rounded_zeros(facts) == artifact.operations(facts) == Value(None, "not in the manifest")


def test_check_metrics() -> None:
    facts = {"parity": 2e-6, "baseline_distance": None, "baseline_distance_reason": "no baseline"}
    assert check.parity(facts) == Value(2e-6)
    assert check.baseline_distance(facts) == Value(None, "no baseline")
    assert check.parity({}) == Value(None, "not checked")


@pytest.mark.parametrize(
    ("runtime", "outcomes", "good"),
    [
        ("centreline", ["completed", "completed"], True),
        ("centreline", ["completed", "left_lane"], False),
        ("sleep", ["completed", "harness_error"], True),
        ("zero", ["left_lane", "stalled"], True),
        ("zero", ["left_lane", "completed"], False),
        ("zero", [], None),
        ("zero", ["harness_error"], None),
    ],
)
def test_calibrators_are_judged(runtime: str, outcomes: list[str], good: bool | None) -> None:  # noqa: FBT001
    records = [episode(outcome, seed=seed) for seed, outcome in enumerate(outcomes)]
    assert calibration.verdict(runtime, records).good is good
    assert bool(calibration.invalid({runtime: runtime}, {runtime: records})) is (good is False)
