"""Metrics of the saved model, read from its row of the manifest and the artifact's own size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.metrics.facts import finite
from pipeline.metrics.value import Value, missing

Facts = Mapping[str, Any]
"""A row of the manifest by `pipeline.manifest.ModelRow.to_dict`; ``size_bytes`` is of the saved file [byte]."""

BYTES_PER_MEGABYTE = 1e6


def size(facts: Facts) -> Value:
    """Size of the saved file or folder [MB], 1 MB = 10⁶ bytes."""
    value = _number(facts, "size_bytes", "no artifact")
    return value if value.value is None else Value(value.value / BYTES_PER_MEGABYTE)


def parameters(facts: Facts) -> Value:
    """Numbers learned, as the manifest states them for the saved network [1]."""
    return _number(facts, "parameters", "not in the manifest")


def zeros(facts: Facts) -> Value:
    """Share of parameters that are zero because they were pruned [%]; zeros from rounding are not counted."""
    total, zero = _number(facts, "parameters", "not in the manifest"), _number(facts, "zeros", "not in the manifest")
    if total.value is None or zero.value is None:
        return missing("not in the manifest")
    return Value(100.0 * zero.value / total.value) if total.value > 0.0 else missing("no parameters")


def offline_mse(facts: Facts) -> Value:
    """Mean of (command - expert's label)² over the fixed test frames and both outputs, of the saved file [1].

    As the manifest states it; `hotlap measure` repeats it in the model's own runtime and compares.
    """
    return _number(facts, "offline_mse", "not in the manifest")


def _number(facts: Facts, name: str, absent: str) -> Value:
    value = finite(facts, name)
    return Value(value) if value is not None else missing(absent)
