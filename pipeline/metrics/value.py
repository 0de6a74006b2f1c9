"""A metric's answer: a number, or no number and the reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Reads = Literal["records", "shared records", "model", "timing", "check"]
"""What a metric is a function of: a model's records, those of its records whose cases every compared model completed,
its row of the manifest with the facts of its artifact, its entry in one host's timing record, or its check."""


@dataclass(frozen=True)
class Value:
    """A metric's value, or the reason why there is none. No value is never zero.

    Attributes:
        value: The number in the metric's unit, always finite; None where there is none.
        reason: Why there is no value, in a few words; None where there is one.
    """

    value: float | None
    reason: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would print as a number and is none.

        Raises:
            ValueError: The value is not finite, or value and reason are both given or both missing.
        """
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a metric's value must be finite, got {self.value}: return the reason in its place")
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"a metric has either a value or a reason, got {self.value!r} and {self.reason!r}")


@dataclass(frozen=True)
class Metric:
    """One row of the registry.

    Attributes:
        title: What a table's column says, without the unit.
        unit: Unit of the value, empty for a pure number.
        better: Which way is better; None where neither is.
        reads: What `of` takes.
        of: The definition, a pure function; its docstring gives the formula and its source.
    """

    title: str
    unit: str
    better: Literal["higher", "lower"] | None
    reads: Reads
    of: Callable[[Any], Value]

    @property
    def heading(self) -> str:
        """The column's heading: title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


def missing(reason: str) -> Value:
    """No value, and why."""
    return Value(None, reason)
