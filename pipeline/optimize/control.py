"""The control: the fine-tuning that the others get, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.networks import PilotNet
    from pipeline.optimize.workshop import Workshop


def fine_tuned(workshop: Workshop) -> PilotNet:
    """The baseline after the budget of a fine-tuning."""
    network = workshop.baseline
    workshop.tune(network)
    return network
