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
    return _share(facts, "zeros")


def rounded_zeros(facts: Facts) -> Value:
    """Share of parameters that became zero by rounding alone, beyond the pruned ones [%]."""
    return _share(facts, "rounded_zeros")


def operations(facts: Facts) -> Value:
    """Multiply-adds for one frame, as the manifest counts them from the network's shape [10⁶]."""
    value = _number(facts, "operations", "not in the manifest")
    return value if value.value is None else Value(value.value / 1e6)


def offline_mse(facts: Facts) -> Value:
    """Mean of (command - expert's label)² over the fixed test frames and both outputs, of the saved file [1].

    As the manifest states it; `hotlap measure` repeats it in the model's own runtime and compares.
    """
    return _number(facts, "offline_mse", "not in the manifest")


def _share(facts: Facts, name: str) -> Value:
    """A count as a share of the parameters [%]."""
    total, part = _number(facts, "parameters", "not in the manifest"), _number(facts, name, "not in the manifest")
    if total.value is None or part.value is None:
        return missing("not in the manifest")
    return Value(100.0 * part.value / total.value) if total.value > 0.0 else missing("no parameters")


def _number(facts: Facts, name: str, absent: str) -> Value:
    value = finite(facts, name)
    return Value(value) if value is not None else missing(absent)
