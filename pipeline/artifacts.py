"""The results page's section on the saved files: what they are, and whether they do what their network did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import pairs
from pipeline.markdown import escape, table
from pipeline.metrics import METRICS
from pipeline.standing import column, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.standing import Standing

OFFLINE = (
    "artifact_size",
    "parameters",
    "zeros",
    "rounded_zeros",
    "operations",
    "offline_mse",
    "parity",
    "baseline_distance",
    "peak_memory",
    "inference_p50",
    "inference_p95",
    "inference_p99",
    "ratio_to_baseline",
)

ABOUT = (
    "Each file was loaded by the runtime that drives it and asked for its commands on 200 fixed frames before it "
    "drove. Parity is the largest difference to what its own network said before it was converted, of an int8 file to "
    "its fake-quantised network; beyond the limit (fp32 1e-4, fp16 2e-3, bf16 and int8 2e-2) it is refused. The "
    "distance to the baseline is told and refuses nobody. Precision, provider and kernels are what the runtime reports "
    "after loading."
)

PAIRS = (
    "On identical cases: circuit, direction, conditions and seed. Lost are cases that the baseline completed and the "
    "model did not, gained the other way round; p is McNemar's, exact. The ratio is the model's mean position "
    "deviation over the baseline's, over the cases that both completed."
)


def section(ranked: Sequence[Standing], baseline: str | None) -> str:
    """The whole section; empty without models.

    Args:
        ranked: The compared models, best first.
        baseline: The one that all are compared with, case by case; None where the manifest has none.
    """
    if not ranked:
        return ""
    columns = {
        "model": [escape(standing.name) for standing in ranked],
        "runtime": [runtime(standing) for standing in ranked],
        "kernels": [escape(str(standing.claims.get("provider") or "-")) for standing in ranked],
        **{METRICS[metric].heading: column(ranked, metric) for metric in OFFLINE},
    }
    parts = ["## Artifacts", ABOUT, table(list(columns), list(zip(*columns.values(), strict=True)), left=3)]
    compared = _pairs(ranked, baseline)
    if compared:
        parts += ["### Against the baseline, case by case", PAIRS, compared]
    return "\n\n".join(parts)


def runtime(standing: Standing) -> str:
    """The runtime with its version, precision and device, as it reported itself; else what was asked for."""
    claims = standing.claims
    if not claims:
        asked = (standing.facts.get("runtime"), standing.facts.get("precision"), standing.facts.get("device"))
        return escape(f"{' '.join(str(word) for word in asked if word)} (asked for)")
    mode = standing.facts.get("mode")
    version = str(claims.get("runtime_version", "")).split("-")[0]
    words = [claims.get("runtime"), version, claims.get("precision"), claims.get("device"), mode]
    return escape(" ".join(str(word) for word in words if word))


def _pairs(ranked: Sequence[Standing], baseline: str | None) -> str:
    """Each model beside the baseline; empty where the baseline did not drive."""
    base = next((standing for standing in ranked if standing.name == baseline and standing.records), None)
    if base is None:
        return ""
    rows = []
    for standing in ranked:
        if standing is base or not standing.records:
            continue
        found = pairs.pair(base.records, standing.records)
        ratio = "-" if found.deviation_ratio is None else f"{found.deviation_ratio:.2f}"
        cells = [str(found.cases), str(found.lost), str(found.gained), f"{found.p_value:.3f}", ratio]
        mae = figure("deviation_mae", standing.value("deviation_mae"))
        rows.append([escape(standing.name), *cells, mae])
    headings = ["model", "cases", "lost", "gained", "p", "deviation / baseline's", METRICS["deviation_mae"].heading]
    return f"Baseline: {escape(base.name)}.\n\n{table(headings, rows)}" if rows else ""
