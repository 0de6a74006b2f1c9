"""Metrics of how far from the centreline a model drove, over equal steps of centreline distance.

Offsets are sampled once per whole metre of *new* centreline distance before the outcome, so neither standing still nor
driving slowly where it is easy changes them. They are pooled over all metres of all cases: a metre is a metre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.metrics.facts import COMPLETED, Cell, Record, absolute_offsets, cell, counted, outcome
from pipeline.metrics.value import Value, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

LARGEST_EXPONENT = 308.0
"""Power of ten that a 64-bit float still holds."""


def mean_absolute(records: Sequence[Record]) -> Value:
    """Position deviation MAE: mean of abs(offset) over all metres driven before the outcome [m]."""
    return _pooled(records, lambda offsets: float(np.mean(offsets)))


def root_mean_square(records: Sequence[Record]) -> Value:
    """Square root of the mean of offset² over all metres driven before the outcome [m]."""
    return _pooled(records, lambda offsets: float(np.sqrt(np.mean(np.square(offsets)))))


def percentile_95(records: Sequence[Record]) -> Value:
    """95th percentile of abs(offset) over all metres, interpolated linearly between the two nearest [m]."""
    return _pooled(records, lambda offsets: float(np.percentile(offsets, 95.0)))


def largest(records: Sequence[Record]) -> Value:
    """Largest abs(offset) at any whole metre before the outcome [m]."""
    return _pooled(records, lambda offsets: float(np.max(offsets)))


def score(records: Sequence[Record]) -> Value:
    """Deviation score: mean of 1000**abs(offset) over all metres [1]; 1 is perfect, 4.61 is about 0.22 m.

    The number that the tables of BehaviorMetrics print as "position deviation MAE", kept to compare with them. It is
    formed as ``10**(3 max) * mean(10**(3 (abs(offset) - max)))``, so no term overflows; where the mean itself is beyond
    a 64-bit float (an offset above about 100 m) there is no value, and the reason gives its power of ten.
    """
    offsets, reason = _offsets(records)
    if reason is not None:
        return missing(reason)
    powers = 3.0 * offsets
    top = float(np.max(powers))
    rest = float(np.mean(np.power(10.0, powers - top)))
    exponent = top + float(np.log10(rest))
    if exponent >= LARGEST_EXPONENT:
        return missing(f"about 10^{exponent:.0f}, more than a 64-bit float holds")
    return Value(10.0**top * rest if top < LARGEST_EXPONENT else 10.0**exponent)


def shared_records(records_by_model: Mapping[str, Sequence[Record]]) -> dict[str, tuple[Record, ...]]:
    """Limit each model to the cells that every model completed, so that deviations are of the same metres of road.

    Args:
        records_by_model: Each compared model's records, at most one per cell.
    """
    completed: list[set[Cell]] = [
        {cell(record) for record in records if outcome(record) == COMPLETED} for records in records_by_model.values()
    ]
    common = set.intersection(*completed) if completed else set()
    return {
        name: tuple(record for record in records if cell(record) in common)
        for name, records in records_by_model.items()
    }


def mean_absolute_shared(records: Sequence[Record]) -> Value:
    """Position deviation MAE [m] of a model's `shared_records`: over the cases that every compared model completed."""
    return mean_absolute(records) if records else missing("no case that every compared model completed")


def _pooled(records: Sequence[Record], formula: Callable[[npt.NDArray[np.float64]], float]) -> Value:
    """Apply a formula to all of a model's absolute offsets [m]."""
    offsets, reason = _offsets(records)
    return missing(reason) if reason is not None else Value(formula(offsets))


def _offsets(records: Sequence[Record]) -> tuple[npt.NDArray[np.float64], str | None]:
    """All absolute offsets (n,) [m] of the records that count, and why they cannot be used where they cannot.

    They are sorted, so that no sum depends on the order in which records were read.
    """
    parts = [absolute_offsets(record) for record in counted(records)]
    offsets = np.sort(np.concatenate(parts)) if parts else np.empty(0)
    if offsets.size == 0:
        return offsets, "no metre driven"
    if not np.all(np.isfinite(offsets)):
        return offsets, "an offset that is not a number"
    return offsets, None
