"""The results page `results/README.md`: everything that was driven, from records, manifest and timing alone.

One joined table comes first, as a reader wants it; then the behaviour section, whose bytes follow from the driving
alone; then the timing of one host, the environment, and the commands that make it all again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline import artifacts, behaviour, surroundings
from pipeline.markdown import bold, escape, table
from pipeline.metrics import METRICS
from pipeline.metrics.calibration import invalid as wrong_calibrators
from pipeline.record import write_whole
from pipeline.standing import column, figure, standings
from pipeline.timing import offline_verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline.case import Case
    from pipeline.check_record import Check
    from pipeline.manifest import ModelRow
    from pipeline.record import Record
    from pipeline.standing import Standing

NAME = "README.md"
PLOT = "pareto.svg"
"""The plot that the page shows, in the same folder."""

STUDY = ("average_speed", "deviation_mae", "iteration_frequency", "mean_inference", "real_time_factor")
"""The columns of the study that this work follows, in its order."""

TIMES = (
    "mean_inference",
    "inference_p50",
    "inference_p95",
    "inference_p99",
    "iteration_frequency",
    "ratio_to_baseline",
    "measured_offline_mse",
)

NEEDED = ("centreline", "zero")
"""The calibrators without which no run is believed: one that must complete everything, and one nothing."""

ABOUT = (
    "Does a model that was made smaller and faster still drive? Each model below drove the cases of one plan, closed "
    "loop and headless: the camera's image in, speed and steering out, one frame at a time. Driving is deterministic "
    "and does not depend on the host's speed; times are of one host. A model that failed keeps its row. This page is "
    "written by `hotlap table` from the records and is not edited by hand."
)

PLOT_NOTE = (
    "Left and down is better. The area of a mark is the artifact's size; a circle completed all its cases, a triangle "
    "some, a cross at the upper edge none. The table above has the same figures."
)

METHOD = (
    "Each model was measured by itself, batch 1, after warm-up, pinned to one core, in blocks that took turns with the "
    "FP32 eager baseline's. Inference is the driver's own time, pre-processing included, as it claims; the frequency "
    "is 1 / mean round trip as the world saw it."
)


@dataclass(frozen=True)
class Run:
    """What a page is made of.

    Attributes:
        plan: The plan as the user gives it to ``--plan``: a name or a file.
        rows: The manifest's rows that the plan asks for, calibrators among them.
        cases: Every case the plan asks for; one without a record makes its model's row incomplete.
        records: At most one per case, the attempt that counts (`pipeline.record.latest`), in any order.
        timing: One host's timing record (`pipeline.timing.choose`), or None.
        not_run: Model -> why it could not be run just now.
        checks: Model -> its check (`pipeline.checks`).
        baseline: The manifest's baseline, whether or not the plan asks for it; None where there is none.
    """

    plan: str
    rows: tuple[ModelRow, ...]
    cases: tuple[Case, ...]
    records: tuple[Record, ...]
    timing: Mapping[str, Any] | None = None
    not_run: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    baseline: str | None = None

    def ranked(self) -> tuple[Standing, ...]:
        """The standings of the compared models, best first."""
        return self._standings(calibrator=False)

    def calibrators(self) -> tuple[Standing, ...]:
        """The standings of the calibrators."""
        return self._standings(calibrator=True)

    def _standings(self, *, calibrator: bool) -> tuple[Standing, ...]:
        rows = [row.to_dict() for row in self.rows if row.calibrator is calibrator]
        asked = Counter(case.model for case in self.cases)
        return standings(rows, self.records, asked, self.timing, not_run=self.not_run, checks=self.checks)


def draw(results_dir: Path, run: Run) -> Path | None:
    """Write the plot of latency against deviation beside the page; returns its path, None where nothing was timed.

    An older plot of what is no longer timed goes.

    Raises:
        InputError: the folder cannot be written.
    """
    from pipeline import pareto  # noqa: PLC0415 - a plotting library takes a second to load

    picture, path = pareto.picture(run.ranked()), results_dir / PLOT
    if picture is None:
        if path.is_file():
            path.unlink()
        return None
    write_whole(path, picture, replace=True)
    return path


def write(results_dir: Path, run: Run) -> Path:
    """Write the page and its plot in `results_dir`, each whole or not at all, and return the page's path.

    Raises:
        InputError: the folder cannot be written.
    """
    path = results_dir / NAME
    drawn = draw(results_dir, run)
    write_whole(path, page(run, plot=drawn is not None).encode(), replace=True)
    return path


def page(run: Run, *, plot: bool = False) -> str:
    """The whole page as Markdown; `plot` says whether the plot lies beside it."""
    ranked, calibrators = run.ranked(), run.calibrators()
    parts = ["# Results", ABOUT, *(f"> {bold('This run is invalid:')} {escape(line)}" for line in invalid(run))]
    if ranked:
        parts += [_main_table(ranked, run.baseline), _main_note(run)]
        parts += [f"![Inference time against position deviation of each model]({PLOT})", PLOT_NOTE] if plot else []
    parts += [
        behaviour.section(ranked, calibrators, invalid(run)),
        artifacts.section(ranked, run.baseline),
        "## Timing",
        *_timing(run, ranked, calibrators),
        "## Environment",
        surroundings.environment(run.records),
        "## Reproduce",
        surroundings.commands(run.plan, run.records),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def behaviour_section(run: Run) -> str:
    """The deterministic part of the page: the same bytes from the same driving; no host, no date, no time."""
    return behaviour.section(run.ranked(), run.calibrators(), invalid(run))


def invalid(run: Run) -> tuple[str, ...]:
    """Why the run is not to be trusted, one line each: wrong calibrators and harness errors; empty where it is."""
    calibrators = run.calibrators()
    wrong = wrong_calibrators(
        {standing.name: str(standing.facts["runtime"]) for standing in calibrators},
        {standing.name: standing.records for standing in calibrators},
    )
    broken = [
        f"model {standing.name}: {standing.counts.harness_errors} of {standing.asked} cases ended in a harness error"
        for standing in sorted((*run.ranked(), *calibrators), key=lambda one: one.name)
        if standing.counts.harness_errors
    ]
    present = {str(standing.facts["runtime"]) for standing in calibrators}
    absent = [
        f"no calibrator {runtime} among the models: nothing tells whether the world can be trusted; add its row"
        for runtime in NEEDED
        if runtime not in present
    ]
    return (*absent, *wrong, *broken)


def _main_table(ranked: Sequence[Standing], baseline: str | None) -> str:
    """Behaviour and timing joined: the one table to read."""
    columns = {
        "model": [escape(standing.name) for standing in ranked],
        "strategy": [_strategy(standing, baseline) for standing in ranked],
        "runtime": [artifacts.runtime(standing) for standing in ranked],
        METRICS["completions"].title: [standing.completions_text() for standing in ranked],
        "95 % interval": [standing.interval_text() for standing in ranked],
        **{METRICS[metric].heading: column(ranked, metric) for metric in STUDY},
        METRICS["ratio_to_baseline"].heading: column(ranked, "ratio_to_baseline"),
        **{METRICS[metric].heading: column(ranked, metric) for metric in ("artifact_size", "offline_mse")},
    }
    mean = METRICS["mean_inference"].heading
    columns[mean] = [
        f"{text} (noisy)" if standing.timing.get("noisy") and standing.untimed is None else text
        for standing, text in zip(ranked, columns[mean], strict=True)
    ]
    return table(list(columns), list(zip(*columns.values(), strict=True)), left=3)


def _strategy(standing: Standing, baseline: str | None) -> str:
    """What was done to the baseline to make the model, in the manifest's words."""
    said = standing.facts.get("strategy") or ("none: the baseline" if standing.name == baseline else "-")
    return escape(str(said))


def _main_note(run: Run) -> str:
    """What the joined table's times are of."""
    if run.timing is None:
        return "No times were measured: run `hotlap measure` with nothing else running."
    return f"Inference time and iteration frequency: {_host(run.timing)}. Real time factor: while driving, as below."


def _timing(run: Run, ranked: Sequence[Standing], calibrators: Sequence[Standing]) -> list[str]:
    """The timing section: one host's figures, and whether they can be trusted."""
    where = surroundings.processors(run.records) or "no host"
    factor = (
        "Real time factor is simulated time / wall time of the driving itself, sessions side by side, on "
        f"{where}; it measures the harness as much as the model."
    )
    if run.timing is None:
        return ["Not measured: run `hotlap measure` with nothing else running.", factor]
    timed = [standing for standing in calibrators if standing.untimed is None]
    columns = {
        "model": [escape(standing.name) for standing in ranked],
        "runtime": [_claims(standing) for standing in ranked],
        **{METRICS[metric].heading: column(ranked, metric) for metric in TIMES},
        "that MSE": [_offline(standing) for standing in ranked],
        "noise": [_noise(standing) for standing in ranked],
    }
    parts = [
        f"Host: {_host(run.timing)}. {METHOD}",
        table(list(columns), list(zip(*columns.values(), strict=True)), left=2) if ranked else "",
    ]
    if timed:
        rows = [
            [
                escape(standing.name),
                *(figure(metric, standing.value(metric)) for metric in ("inference_p50", "iteration_frequency")),
                f"{1e6 * standing.timing['round_trip']['p50_s']:.0f}",
                _noise(standing),
            ]
            for standing in sorted(timed, key=lambda one: one.name)
        ]
        headings = [METRICS[metric].heading for metric in ("inference_p50", "iteration_frequency")]
        parts.append(table(["calibrator", *headings, "round trip p50 (us)", "noise"], rows))
    return [*parts, factor]


def _host(timing: Mapping[str, Any]) -> str:
    """One host in words."""
    host = timing["host"]
    entries = timing["models"].values()
    executors = sorted({entry["executor"] for entry in entries})
    threads = sorted({entry["threads"] for entry in entries})
    days = sorted({entry["measured_at"][:10] for entry in entries})
    words = [
        f"{escape(host['cpu'])}, {host['cores']} cores, {host['memory_gib']:g} GiB",
        f"{escape(host['kernel'])}, governor {host['governor'] or 'not readable'}",
        f"executor {', '.join(executors)}",
        f"{', '.join(map(str, threads))} thread{'s' if threads != [1] else ''}",
        " to ".join(dict.fromkeys(days[:1] + days[-1:])),
    ]
    return f"`{host['id']}` ({'; '.join(word for word in words if word)})"


def _claims(standing: Standing) -> str:
    """The runtime as it reported itself after loading."""
    claims = standing.timing.get("claims") or {}
    words = [claims.get(name) for name in ("runtime", "runtime_version", "precision", "device")]
    return escape(" ".join(str(word) for word in words if word)) or "-"


def _offline(standing: Standing) -> str:
    """Whether the saved file does here what the manifest says of it."""
    return "-" if standing.untimed is not None else escape(offline_verdict(standing.facts, standing.timing))


def _noise(standing: Standing) -> str:
    """Why the figures are not to be trusted, or that nothing speaks against them."""
    if standing.untimed is not None:
        return "-"
    return escape("; ".join(standing.timing["noisy"])) or "quiet"
