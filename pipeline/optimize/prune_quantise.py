"""Prune, then quantise: local L1 pruning, half the budget to recover, half for quantization-aware training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.optimize import aware
from pipeline.optimize.local_pruning import masked

if TYPE_CHECKING:
    from pipeline.optimize.fake_quantisation import FakeQuantised
    from pipeline.optimize.workshop import Workshop


def made(workshop: Workshop, convolutions: float, dense: float) -> FakeQuantised:
    """The baseline pruned, tuned, and trained with its rounding; the zeros are held throughout."""
    network = workshop.baseline
    masks = masked(network, convolutions, dense)
    workshop.tune(network, share=0.5, after_step=lambda _: masks.hold())
    return aware.trained(workshop, network, share=0.5, masks=masks)
