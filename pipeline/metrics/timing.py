"""Metrics of how long a model takes, read from its entry in one host's timing record (`pipeline.timing`).

An entry holds the summaries that `hotlap measure` made of its raw samples: after warm-up, batch 1, on a pinned core, in
blocks interleaved with the FP32 eager baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.metrics.facts import finite
from pipeline.metrics.value import Value, missing

Entry = Mapping[str, Any]

NOT_MEASURED = "not measured"

BEYOND = 10
"""A percentile with fewer samples beyond it than this is chance, and is not told."""

BYTES_PER_MEGABYTE = 1e6


def mean_inference(entry: Entry) -> Value:
    """Mean of the driver's own time for one frame, pre-processing included, transport excluded [s].

    The driver says it of itself; `measure` refuses it where it exceeds the round trip that the world saw.
    """
    return _summary(entry, "inference", "mean_s")


def inference_p50(entry: Entry) -> Value:
    """Median of the driver's own time for one frame [s]."""
    return _percentile(entry, 50)


def inference_p95(entry: Entry) -> Value:
    """95th percentile of the driver's own time for one frame [s]."""
    return _percentile(entry, 95)


def inference_p99(entry: Entry) -> Value:
    """99th percentile of the driver's own time for one frame [s]; it takes 1000 frames."""
    return _percentile(entry, 99)


def iteration_frequency(entry: Entry) -> Value:
    """Brain iteration frequency RT: 1 / mean round trip from frame to command as the world saw it [Hz]."""
    mean = _summary(entry, "round_trip", "mean_s")
    if mean.value is None:
        return mean
    return Value(1.0 / mean.value) if mean.value > 0.0 else missing("a round trip of no time")


def ratio_to_baseline(entry: Entry) -> Value:
    """Median inference time / median of the FP32 eager baseline's, from blocks interleaved with it in one run [1].

    Below 1 is faster. Medians, because one late wake-up moves a mean; ratios from one run, because absolute times drift
    from machine to machine and from hour to hour.
    """
    ratio = finite(entry, "ratio_to_baseline")
    return Value(ratio) if ratio is not None else missing(str(entry.get("ratio_reason") or NOT_MEASURED))


def measured_offline_mse(entry: Entry) -> Value:
    """Offline MSE as this host measured it in the model's own runtime: mean of (command - label)² [1]."""
    mse = finite(entry, "offline_mse")
    return Value(mse) if mse is not None else missing(str(entry.get("offline_reason") or NOT_MEASURED))


def peak_memory(entry: Entry) -> Value:
    """The most memory that the driver's process used while it was measured, seen from outside [MB], 1 MB = 10⁶ bytes.

    Of a plain process its resident memory's high-water mark, of a container its control group's peak, cached files
    included.
    """
    peak = finite(entry, "peak_memory_bytes")
    return Value(peak / BYTES_PER_MEGABYTE) if peak is not None else missing(str(entry.get("failed") or NOT_MEASURED))


def _percentile(entry: Entry, percent: int) -> Value:
    """A percentile of the inference time [s], where enough samples lie beyond it."""
    value = _summary(entry, "inference", f"p{percent}_s")
    samples = finite(entry.get("inference"), "n")
    if value.value is None or samples is None:
        return value if value.value is None else missing("nobody says of how many samples")
    if samples * (100 - percent) < 100 * BEYOND:
        return missing(f"{samples:.0f} samples are too few for p{percent}")
    return value


def _summary(entry: Entry, group: str, name: str) -> Value:
    """A number of one of the entry's summaries."""
    value = finite(entry.get(group), name)
    return Value(value) if value is not None else missing(str(entry.get(f"{group}_reason") or NOT_MEASURED))
