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


def mean_inference(entry: Entry) -> Value:
    """Mean of the driver's own time for one frame, pre-processing included, transport excluded [s].

    The driver says it of itself; `measure` refuses it where it exceeds the round trip that the world saw.
    """
    return _summary(entry, "inference", "mean_s")


def inference_p50(entry: Entry) -> Value:
    """Median of the driver's own time for one frame [s]."""
    return _summary(entry, "inference", "p50_s")


def inference_p95(entry: Entry) -> Value:
    """95th percentile of the driver's own time for one frame [s]."""
    return _summary(entry, "inference", "p95_s")


def inference_p99(entry: Entry) -> Value:
    """99th percentile of the driver's own time for one frame [s]."""
    return _summary(entry, "inference", "p99_s")


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


def _summary(entry: Entry, group: str, name: str) -> Value:
    """A number of one of the entry's summaries."""
    value = finite(entry.get(group), name)
    return Value(value) if value is not None else missing(str(entry.get(f"{group}_reason") or NOT_MEASURED))
