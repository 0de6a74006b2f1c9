"""Metrics of what a saved file does in its own runtime, read from the model's check (`pipeline.check_record`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.metrics.facts import finite
from pipeline.metrics.value import Value, missing

Check = Mapping[str, Any]

NOT_CHECKED = "not checked"


def parity(check: Check) -> Value:
    """Largest abs(command - reference) over the fixed frames and both outputs, commands being in [-1, 1] [1].

    The reference is what the network commanded before it was converted, clipped to [-1, 1] as drivers clamp.
    """
    return _number(check, "parity")


def baseline_distance(check: Check) -> Value:
    """Root mean square of command - baseline's command over the fixed frames, speed and steering together [1]."""
    return _number(check, "baseline_distance")


def _number(check: Check, name: str) -> Value:
    value = finite(check, name)
    return Value(value) if value is not None else missing(str(check.get(f"{name}_reason") or NOT_CHECKED))
