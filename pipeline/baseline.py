"""The baseline: the one model that every other is compared with, FP32 eager PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.manifest import ModelRow

RUNTIME, PRECISION, DEVICE = "torch", "fp32", "cpu"
"""The baseline is the manifest's first ranked row of these."""


def baseline(rows: Iterable[ModelRow]) -> ModelRow | None:
    """The FP32 eager baseline: the first ranked row of that runtime and precision on the CPU; None if there is none."""
    return next(
        (
            row
            for row in rows
            if not row.calibrator and (row.runtime, row.precision, row.device) == (RUNTIME, PRECISION, DEVICE)
        ),
        None,
    )
