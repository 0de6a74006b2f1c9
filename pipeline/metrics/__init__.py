"""Metrics: pure functions of records, each with a name, a unit and which way is better.

This package and what is built on it import no simulator, no Docker and no model runtime: results rebuild on any laptop
from the records alone.
"""

from __future__ import annotations

from pipeline.metrics import artifact, check, deviation, driving, timing
from pipeline.metrics.value import Metric, Value

__all__ = ["METRICS", "Metric", "Value"]

METRICS: dict[str, Metric] = {
    # title, unit, which way is better, what it reads, definition
    "completions": Metric("completed", "", "higher", "records", driving.completions),
    "progress": Metric("progress", "%", "higher", "records", driving.progress),
    "average_speed": Metric("average speed", "m/s", "higher", "records", driving.average_speed),
    "deviation_mae": Metric("position deviation MAE", "m", "lower", "records", deviation.mean_absolute),
    "deviation_mae_shared": Metric(
        "position deviation MAE, shared cases", "m", "lower", "shared records", deviation.mean_absolute_shared
    ),
    "deviation_rms": Metric("deviation RMS", "m", "lower", "records", deviation.root_mean_square),
    "deviation_p95": Metric("deviation p95", "m", "lower", "records", deviation.percentile_95),
    "deviation_max": Metric("deviation max", "m", "lower", "records", deviation.largest),
    "deviation_score": Metric("deviation score", "", "lower", "records", deviation.score),
    "steering_suddenness": Metric("steering suddenness", "1/s", "lower", "records", driving.steering_suddenness),
    "speed_suddenness": Metric("speed suddenness", "1/s", "lower", "records", driving.speed_suddenness),
    "mean_inference": Metric("mean inference time", "s", "lower", "timing", timing.mean_inference),
    "inference_p50": Metric("inference p50", "s", "lower", "timing", timing.inference_p50),
    "inference_p95": Metric("inference p95", "s", "lower", "timing", timing.inference_p95),
    "inference_p99": Metric("inference p99", "s", "lower", "timing", timing.inference_p99),
    "iteration_frequency": Metric("brain iteration frequency RT", "Hz", "higher", "timing", timing.iteration_frequency),
    "ratio_to_baseline": Metric("inference time / FP32 eager", "", "lower", "timing", timing.ratio_to_baseline),
    "measured_offline_mse": Metric("offline MSE here", "", "lower", "timing", timing.measured_offline_mse),
    "peak_memory": Metric("peak memory", "MB", "lower", "timing", timing.peak_memory),
    "real_time_factor": Metric("real time factor", "", "higher", "records", driving.real_time_factor),
    "artifact_size": Metric("size", "MB", "lower", "model", artifact.size),
    "parameters": Metric("parameters", "", "lower", "model", artifact.parameters),
    "zeros": Metric("zeros", "%", None, "model", artifact.zeros),
    "rounded_zeros": Metric("zeros by rounding", "%", None, "model", artifact.rounded_zeros),
    "operations": Metric("multiply-adds", "M", "lower", "model", artifact.operations),
    "offline_mse": Metric("offline MSE", "", "lower", "model", artifact.offline_mse),
    "parity": Metric("parity, max", "", None, "check", check.parity),
    "baseline_distance": Metric("distance to the baseline, RMS", "", None, "check", check.baseline_distance),
}
