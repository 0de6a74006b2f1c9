"""Dynamic range quantization: int8 weights of the dense layers, whose inputs are rounded as they come. No tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.networks import PilotNet
    from pipeline.optimize.workshop import Workshop


def untouched(workshop: Workshop) -> PilotNet:
    """The baseline: `pipeline.quantised.save_dynamic` rounds it as it saves it."""
    return workshop.baseline
