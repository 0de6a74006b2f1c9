"""Metrics of how far and how fast a model drove: completions, progress, average speed, suddenness, real time factor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.metrics.facts import COMPLETED, HARNESS_ERROR, Record, counted, fact, finite, number, outcome
from pipeline.metrics.value import Value, missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOT_DRIVEN = "no case driven"


@dataclass(frozen=True)
class Counts:
    """How a model's cases ended.

    Attributes:
        completed: Cases completed.
        counted: Cases that count: all that were driven but the harness's own errors.
        harness_errors: Cases that ended in a harness error; they say nothing about the model.
        failures: The other outcomes and how often each occurred, sorted by their name.
    """

    completed: int
    counted: int
    harness_errors: int
    failures: tuple[tuple[str, int], ...]


def counts(records: Sequence[Record]) -> Counts:
    """Count a model's outcomes."""
    tally = Counter(outcome(record) for record in records)
    return Counts(
        completed=tally[COMPLETED],
        counted=sum(tally.values()) - tally[HARNESS_ERROR],
        harness_errors=tally[HARNESS_ERROR],
        failures=tuple(sorted((name, n) for name, n in tally.items() if name not in (COMPLETED, HARNESS_ERROR))),
    )


def completions(records: Sequence[Record]) -> Value:
    """Cases completed / cases asked, in [0, 1]; harness errors leave the count. Source: DESIGN, "Metrics"."""
    tally = counts(records)
    return Value(tally.completed / tally.counted) if tally.counted else missing(NOT_DRIVEN)


def progress(records: Sequence[Record]) -> Value:
    """Mean over cases of unwrapped centreline distance / lap length, each at most 100 and at least 0 [%].

    Every case weighs the same, whatever the length of its circuit. Source: DESIGN, "Metrics".
    """
    driven = counted(records)
    if not driven:
        return missing(NOT_DRIVEN)
    shares: list[float] = []
    for record in driven:
        distance, lap = number(record, "distance_m"), number(record, "lap_m")
        if distance is None or not lap:
            return missing(_incomplete(driven, "distance_m", "lap_m"))
        shares.append(min(100.0, max(0.0, 100.0 * distance / lap)))
    return Value(sum(shares) / len(shares))


def average_speed(records: Sequence[Record]) -> Value:
    """Centreline distance / simulated time, total over total of all cases [m/s].

    Total over total, so that a second of a long lap weighs as much as a second of a short one; metres driven before a
    failure count, with the time they took. Source: DESIGN, "Metrics".
    """
    driven = counted(records)
    if not driven:
        return missing(NOT_DRIVEN)
    metres = [number(record, "distance_m") for record in driven]
    seconds = [number(record, "sim_time_s") for record in driven]
    if None in metres or None in seconds:
        return missing(_incomplete(driven, "distance_m", "sim_time_s"))
    time = sum(second for second in seconds if second is not None)
    if time <= 0.0:
        return missing("no simulated time: every case ended before its first step")
    return Value(sum(metre for metre in metres if metre is not None) / time)


def steering_suddenness(records: Sequence[Record]) -> Value:
    """Mean absolute change of the normalised steering command per second of simulated time [1/s], weighted by time."""
    return _suddenness(records, "steering_suddenness")


def speed_suddenness(records: Sequence[Record]) -> Value:
    """Mean absolute change of the normalised speed command per second of simulated time [1/s], weighted by time."""
    return _suddenness(records, "speed_suddenness")


def real_time_factor(records: Sequence[Record]) -> Value:
    """Simulated time / wall time, total over total of all episodes [1]: above 1 is faster than the real world.

    A fact of the host and its load, not of the driving; it stands with the timing. Source: DESIGN, "Metrics".
    """
    driven = counted(records)
    if not driven:
        return missing(NOT_DRIVEN)
    simulated, wall = 0.0, 0.0
    for record in driven:
        seconds, wall_seconds = number(record, "sim_time_s"), number(record, "wall_s")
        if seconds is None or wall_seconds is None:
            return missing(_incomplete(driven, "sim_time_s", "wall_s"))
        simulated, wall = simulated + seconds, wall + wall_seconds
    return Value(simulated / wall) if wall > 0.0 and simulated > 0.0 else missing("no time was simulated")


def _suddenness(records: Sequence[Record], name: str) -> Value:
    """The mean of a per-second command change, each episode weighted by its simulated time."""
    total, time = 0.0, 0.0
    for record in counted(records):
        value = finite(fact(record, "commands"), name)
        seconds = number(record, "sim_time_s")
        if value is None or not seconds or seconds < 0.0:
            continue  # an episode of fewer than two commands has no change to measure and weighs nothing
        total, time = total + value * seconds, time + seconds
    return Value(total / time) if time else missing("no two commands in any case")


def _incomplete(records: Sequence[Record], *names: str) -> str:
    """The reason when facts are absent: a mean over what is left would flatter the model."""
    without = sum(1 for record in records if any(number(record, name) is None for name in names))
    return f"{without} of {len(records)} records without {' and '.join(names)}" if without else f"{names[-1]} is zero"


def by_circuit(records: Sequence[Record]) -> Mapping[str, tuple[Record, ...]]:
    """A model's records, grouped by circuit; circuits in the order of their names."""
    names = sorted({str(record["case"]["circuit"]) for record in records})
    return {name: tuple(record for record in records if str(record["case"]["circuit"]) == name) for name in names}
