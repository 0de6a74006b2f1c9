"""Half precision: the baseline's weights in 16 bits. Nothing is tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.networks import PRECISIONS

if TYPE_CHECKING:
    from pipeline.networks import PilotNet
    from pipeline.optimize.workshop import Workshop


def rounded(workshop: Workshop, precision: str) -> PilotNet:
    """The baseline in ``fp16`` or ``bf16``."""
    return workshop.baseline.to(PRECISIONS[precision])
