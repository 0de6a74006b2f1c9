"""Reading the facts of a record: the one place that knows how a record is laid out.

A record is the JSON object of one episode, as `pipeline.record.Record` describes it. Facts that an outcome does not
have are absent or null; these readers return None for them, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Record = Mapping[str, Any]

COMPLETED = "completed"
HARNESS_ERROR = "harness_error"


class Cell(NamedTuple):
    """What a case asks, whichever model drives it: two models are compared on equal cells."""

    circuit: str
    direction: str
    conditions: str
    seed: int
    clock: str


def cell(record: Record) -> Cell:
    """The case of a record without its model."""
    case = record["case"]
    return Cell(case["circuit"], case["direction"], case["conditions"], case["seed"], case["clock"])


def model_name(record: Record) -> str:
    """The name of the model that drove."""
    return str(record["case"]["model"])


def outcome(record: Record) -> str:
    """The episode's outcome, one of DESIGN's words."""
    return str(record["facts"]["outcome"])


def reason(record: Record) -> str | None:
    """The outcome's reason in one line, where it has one."""
    text = fact(record, "reason")
    return None if text is None else " ".join(str(text).split())


def fact(record: Record, name: str) -> Any:
    """A fact of the episode by its name; None where the record does not have it."""
    return record["facts"].get(name)


def number(record: Record, name: str) -> float | None:
    """A fact of the episode that is a finite number; None where it is absent or none."""
    return finite(record["facts"], name)


def finite(facts: object, name: str) -> float | None:
    """The finite number called `name` in a table of facts; None where there is no such table or number."""
    value = facts.get(name) if isinstance(facts, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def counted(records: Iterable[Record]) -> tuple[Record, ...]:
    """The records that say something about a model: all but the harness's own errors."""
    return tuple(record for record in records if outcome(record) != HARNESS_ERROR)


def absolute_offsets(record: Record) -> npt.NDArray[np.float64]:
    """Absolute offset at each whole metre of new centreline distance before the outcome, (n,) [m]; n may be 0."""
    path = fact(record, "path")
    offsets = path.get("offset") if isinstance(path, Mapping) else None
    return np.abs(np.asarray(offsets if offsets is not None else [], dtype=np.float64))
