"""The behaviour section of the results page: how the models drove, from records and manifest alone.

The same driving gives the same bytes: nothing here depends on a host, a date, a time or the order of anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.markdown import bold, details, escape, table
from pipeline.metrics import METRICS, deviation, driving
from pipeline.metrics.calibration import verdict
from pipeline.metrics.facts import COMPLETED, HARNESS_ERROR, cell, number, outcome, reason
from pipeline.standing import column, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.metrics.facts import Record
    from pipeline.standing import Standing

BEGIN, END = "<!-- behaviour -->", "<!-- /behaviour -->"

DRIVING = ("average_speed", "deviation_mae", "deviation_mae_shared", "deviation_score", "progress")
ARTIFACT = ("artifact_size", "parameters", "offline_mse")
SPREAD = ("deviation_rms", "deviation_p95", "deviation_max", "steering_suddenness", "speed_suddenness", "zeros")

LOCAL_PATH = re.compile(r"/(?:tmp|run|home|root|var)/\S+")
"""Places in a reason that differ from run to run."""

NOTES = (
    "Completed: cases completed / cases that count, and the 95 % interval over seeds, stratified by circuit and "
    "direction. Speed is centreline distance / simulated time. Deviation is the mean abs(offset) from the centreline "
    "over every metre driven before the outcome, failures included; shared cases are those that every model with a "
    'completion completed. The deviation score is the mean of `1000**abs(offset)`, which other tables print as "MAE". '
    "Best values are bold among models that completed all their cases, where there are two or more."
)


def section(ranked: Sequence[Standing], calibrators: Sequence[Standing], invalid: Sequence[str]) -> str:
    """The whole section, between its two comments.

    Args:
        ranked: The compared models, best first.
        calibrators: The calibrators, compared with nobody.
        invalid: Why the run is not to be trusted, one line each.
    """
    parts = [BEGIN, "## Behaviour"]
    parts += [f"> {bold('This run is invalid:')} {escape(line)}" for line in invalid]
    parts.append(_ranking(ranked) if ranked else "No model of the plan was asked to drive.")
    if ranked:
        parts += [NOTES, _split(ranked, "circuit"), _split(ranked, "conditions"), _spread(ranked), _failures(ranked)]
    if calibrators:
        parts += ["### Calibrators", _calibrators(calibrators)]
    return "\n\n".join([part for part in parts if part] + [END])


def _ranking(ranked: Sequence[Standing]) -> str:
    """The behaviour of each model, one row each."""
    columns = {
        "model": [escape(standing.name) for standing in ranked],
        METRICS["completions"].title: [standing.completions_text() for standing in ranked],
        "95 % interval": [standing.interval_text() for standing in ranked],
        **{METRICS[metric].heading: column(ranked, metric) for metric in DRIVING},
        "failures": [standing.failures_text() for standing in ranked],
        **{METRICS[metric].heading: column(ranked, metric) for metric in ARTIFACT},
    }
    return table(list(columns), list(zip(*columns.values(), strict=True)))


def _split(ranked: Sequence[Standing], part: str) -> str:
    """Completions and deviation of each model on each circuit, or under each set of conditions."""
    names = sorted({str(record["case"][part]) for standing in ranked for record in standing.records})
    if len(names) < 2:
        return ""
    rows = []
    for standing in ranked:
        cells = [_part([record for record in standing.records if record["case"][part] == name]) for name in names]
        rows.append([escape(standing.name), *cells])
    title = {"circuit": "By circuit", "conditions": "By conditions"}[part]
    explained = "Completed, and position deviation MAE (m) over all metres driven there."
    return f"### {title}\n\n{explained}\n\n{table(['model', *map(escape, names)], rows)}"


def _part(records: Sequence[Record]) -> str:
    tally = driving.counts(records)
    if not tally.counted:
        return "-"
    mae = deviation.mean_absolute(records)
    told = "no metre" if mae.value is None else figure("deviation_mae", mae)
    return f"{tally.completed}/{tally.counted}, {told}"


def _spread(ranked: Sequence[Standing]) -> str:
    """The further metrics, on a click."""
    columns = {
        "model": [escape(standing.name) for standing in ranked],
        **{METRICS[metric].heading: column(ranked, metric) for metric in SPREAD},
    }
    return details("Further metrics", table(list(columns), list(zip(*columns.values(), strict=True))))


def _failures(ranked: Sequence[Standing]) -> str:
    """Every case that was not completed, with its reason, on a click."""
    rows = [
        [
            escape(standing.name),
            *(escape(str(part)) for part in cell(record)[:3]),
            str(cell(record).seed),
            outcome(record),
            _because(record),
            _metres(record),
        ]
        for standing in ranked
        for record in standing.records
        if outcome(record) != COMPLETED
    ]
    if not rows:
        return ""
    headings = ["model", "circuit", "direction", "conditions", "seed", "outcome", "reason", "after (m)"]
    return details(f"Cases not completed: {len(rows)}", table(headings, rows, left=7))


def _because(record: Record) -> str:
    """The reason of an outcome; the harness's own belongs to the host and is left to the record."""
    told = reason(record)
    if told is None:
        return ""
    return "see the record" if outcome(record) == HARNESS_ERROR else escape(LOCAL_PATH.sub("...", told))


def _metres(record: Record) -> str:
    metres = number(record, "distance_m")
    return "-" if metres is None else f"{metres:.1f}"


def _calibrators(calibrators: Sequence[Standing]) -> str:
    """What the calibrators say of the instrument."""
    rows = []
    for standing in sorted(calibrators, key=lambda one: one.name):
        judged = verdict(str(standing.facts["runtime"]), standing.records)
        text = escape(judged.text) if judged.good is not False else bold(escape(judged.text))
        metrics = [figure(metric, standing.value(metric)) for metric in ("progress", "average_speed", "deviation_mae")]
        rows.append([escape(standing.name), text, standing.completions_text(), *metrics])
    headings = [METRICS[metric].heading for metric in ("progress", "average_speed", "deviation_mae")]
    return table(["calibrator", "verdict", "completed", *headings], rows, left=2)
