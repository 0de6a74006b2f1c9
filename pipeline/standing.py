"""One model's standing: its records, its row and its timing, and from them the value of every metric."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.markdown import bold, escape
from pipeline.metrics import METRICS
from pipeline.metrics.deviation import shared_records
from pipeline.metrics.driving import Counts, counts
from pipeline.metrics.facts import cell, model_name
from pipeline.metrics.value import Value, missing
from pipeline.statistics import completions_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.metrics.facts import Record

FORMATS = {
    "progress": ".1f",
    "average_speed": ".2f",
    "deviation_mae": ".3f",
    "deviation_mae_shared": ".3f",
    "deviation_rms": ".3f",
    "deviation_p95": ".3f",
    "deviation_max": ".3f",
    "deviation_score": ".2f",
    "steering_suddenness": ".3f",
    "speed_suddenness": ".3f",
    "mean_inference": ".6f",
    "inference_p50": ".6f",
    "inference_p95": ".6f",
    "inference_p99": ".6f",
    "iteration_frequency": ".1f",
    "ratio_to_baseline": ".2f",
    "peak_memory": ".1f",
    "real_time_factor": ".1f",
    "artifact_size": ".3f",
    "parameters": ",.0f",
    "zeros": ".1f",
    "rounded_zeros": ".1f",
    "operations": ".2f",
    "offline_mse": ".5f",
    "measured_offline_mse": ".5f",
    "parity": ".1e",
    "baseline_distance": ".4f",
}
"""How a table prints each metric's value."""

LARGEST_PRINTED = 1e6
"""A figure above this is printed with its power of ten; counts apart."""


@dataclass(frozen=True)
class Standing:
    """What is known about one model.

    Attributes:
        name: The model.
        facts: Its row of the manifest (`ModelRow.to_dict`).
        records: Its records, at most one per case, sorted by case.
        shared: Those of them whose cases every compared model completed.
        asked: How many cases were asked of it.
        timing: Its entry in the host's timing record; empty where it was not measured.
        untimed: Why it has no timing; None where it has.
        not_run: Why it could not be run just now; None where it could.
        check: Its check before driving; empty where there is none that holds today.
    """

    name: str
    facts: Mapping[str, Any]
    records: tuple[Record, ...]
    shared: tuple[Record, ...]
    asked: int
    timing: Mapping[str, Any]
    untimed: str | None
    not_run: str | None = None
    check: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> Counts:
        """How its cases ended."""
        return counts(self.records)

    @property
    def completed_all(self) -> bool:
        """Whether it completed every case asked of it, and was asked one."""
        return 0 < self.asked == self.counts.completed

    @property
    def gaps(self) -> tuple[str, ...]:
        """What makes the row incomplete: cases lost to the harness, and cases not driven."""
        lost, absent = self.counts.harness_errors, self.asked - len(self.records)
        return tuple(
            [f"{lost} harness error{'s' if lost > 1 else ''}"] * (lost > 0) + [f"{absent} not driven"] * (absent > 0)
        )

    def value(self, metric: str) -> Value:
        """The value of a metric of the registry."""
        row = METRICS[metric]
        if row.reads == "timing" and self.untimed is not None:
            return missing(self.untimed)
        source = {
            "records": self.records,
            "shared records": self.shared,
            "model": self.facts,
            "timing": self.timing,
            "check": self.check,
        }
        return row.of(source[row.reads])

    @property
    def claims(self) -> Mapping[str, Any]:
        """What the runtime said of itself after loading, when it was checked or else when it was measured."""
        found: Mapping[str, Any] = self.check.get("claims") or self.timing.get("claims") or {}
        return found

    def completions_text(self) -> str:
        """Completions as n/N, with what is missing from N."""
        tally = self.counts
        if self.check.get("refused"):
            return f"refused ({escape('; '.join(self.check['refused']))})"
        if self.not_run is not None and not self.records:
            return f"not run ({escape(self.not_run)})"
        text = f"{tally.completed}/{tally.counted}" if tally.counted else "none driven"
        return f"{text} (incomplete: {', '.join(self.gaps)})" if self.gaps else text

    def interval_text(self) -> str:
        """95 % interval of completions in percent."""
        interval = completions_interval(self.records)
        return "-" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"

    def failures_text(self) -> str:
        """The outcomes that were no completion, and how often."""
        return ", ".join(f"{n} {name}" for name, n in self.counts.failures) or "none"


def standings(
    rows: Sequence[Mapping[str, Any]],
    records: Sequence[Record],
    asked: Mapping[str, int],
    timing: Mapping[str, Any] | None,
    *,
    not_run: Mapping[str, str] | None = None,
    checks: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Standing, ...]:
    """The standing of each row, best first: by completions, then by deviation, then by name.

    Only rows given here are compared with one another, so calibrators are passed apart.

    Args:
        rows: Rows of the manifest as mappings.
        records: Of any models, at most one per case.
        asked: Model's name -> how many cases were asked of it.
        timing: One host's timing record.
        not_run: Model -> why it could not be run just now.
        checks: Model -> its check.
    """
    # What a refused model drove before it was refused is not shown: nobody knows what drove there.
    refused = {name for name, check in (checks or {}).items() if check["refused"]}
    allowed = [record for record in records if model_name(record) not in refused]
    by_model: dict[str, tuple[Record, ...]] = {
        row["name"]: tuple(sorted((record for record in allowed if model_name(record) == row["name"]), key=cell))
        for row in rows
    }
    # A model that completed nothing has no lap to compare and must not empty the common ground of the others.
    shared = shared_records({name: driven for name, driven in by_model.items() if counts(driven).completed})
    found = [
        Standing(
            name=row["name"],
            facts=row,
            records=by_model[row["name"]],
            shared=shared.get(row["name"], ()),
            asked=asked.get(row["name"], 0),
            timing=_entry(row, timing),
            untimed=untimed(row, timing),
            not_run=(not_run or {}).get(row["name"]),
            check=(checks or {}).get(row["name"], {}),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=_rank))


def untimed(row: Mapping[str, Any], timing: Mapping[str, Any] | None) -> str | None:
    """Why a model has no timing, None where it has one that holds for the artifact of today."""
    if timing is None:
        return "not measured"
    entry = timing["models"].get(row["name"])
    if entry is None:
        return "not measured"
    if entry.get("artifact_sha256") != row.get("sha256"):
        return "not measured since the artifact changed"
    return str(entry["failed"]) if entry.get("failed") else None


def column(found: Sequence[Standing], metric: str) -> list[str]:
    """The printed values of one metric, best in bold among the models that completed all their cases.

    Where only one model did, there is nothing to be best of.
    """
    texts = [figure(metric, standing.value(metric)) for standing in found]
    rivals = [
        (value, text)
        for standing, text in zip(found, texts, strict=True)
        if standing.completed_all and (value := standing.value(metric).value) is not None
    ]
    better = METRICS[metric].better
    if better is None or len(rivals) < 2:
        return texts
    best = (max if better == "higher" else min)(rivals)[1]
    return [
        bold(text) if text == best and standing.completed_all else text
        for standing, text in zip(found, texts, strict=True)
    ]


def figure(metric: str, value: Value) -> str:
    """A value as the table prints it; where there is none, a dash and the reason."""
    if value.value is None:
        return f"- ({escape(str(value.reason))})"
    form = FORMATS[metric]
    return format(value.value, ".3e" if abs(value.value) > LARGEST_PRINTED and form != ",.0f" else form)


def _entry(row: Mapping[str, Any], timing: Mapping[str, Any] | None) -> Mapping[str, Any]:
    entry = timing["models"].get(row["name"]) if timing is not None else None
    return entry if entry is not None else {}


def _rank(standing: Standing) -> tuple[float, float, str]:
    completions, deviation = standing.value("completions").value, standing.value("deviation_mae").value
    return (
        -1.0 * (completions if completions is not None else -1.0),
        deviation if deviation is not None else float("inf"),
        standing.name,
    )
