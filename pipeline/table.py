"""The results table `results/README.md`: everything that was driven, on one page, from records and timing alone.

Interface (the body is being written): ``table.write(results_dir, Run(plan, rows, cases, records, timing))``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.case import Case
    from pipeline.manifest import ModelRow
    from pipeline.record import Record


@dataclass(frozen=True)
class Run:
    """What a table is made of.

    Attributes:
        plan: The plan as the user gives it to ``--plan``: a name or a file.
        rows: The manifest's rows that the plan asks for, calibrators among them.
        cases: Every case the plan asks for; one without a record makes its model's row incomplete.
        records: At most one per case, the attempt that counts (`pipeline.record.latest`), in any order.
        timing: One host's timing record (`pipeline.timing`), or None.
    """

    plan: str
    rows: tuple[ModelRow, ...]
    cases: tuple[Case, ...]
    records: tuple[Record, ...]
    timing: Mapping[str, Any] | None = None


def write(results_dir: Path, run: Run) -> Path:
    """Write ``README.md`` in `results_dir`, whole or not at all, and return its path."""
    raise NotImplementedError


def behaviour_section(run: Run) -> str:
    """The deterministic part of the page: the same bytes from the same driving; no host, no date, no time."""
    raise NotImplementedError


def invalid(run: Run) -> tuple[str, ...]:
    """Why the run is not to be trusted, one line each: wrong calibrators, harness errors. Empty when it is (exit code 1)."""
    raise NotImplementedError
