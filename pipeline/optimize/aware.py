"""Quantization-aware training: fine-tuned with every weight and activation rounded to 8 bits in the forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.optimize.fake_quantisation import FREEZE, FakeQuantised
from pipeline.optimize.workshop import TUNING

if TYPE_CHECKING:
    from torch import nn

    from pipeline.networks import PilotNet
    from pipeline.optimize.pruning import Masks
    from pipeline.optimize.workshop import Workshop
    from pipeline.training.schedule import Stage


def trained(
    workshop: Workshop,
    network: PilotNet | None = None,
    *,
    budget: Stage = TUNING,
    share: float = 1.0,
    teacher: nn.Module | None = None,
    masks: Masks | None = None,
) -> FakeQuantised:
    """A network, the baseline unless another is given, trained with its rounding.

    Ranges begin with those of the calibration set; those of the activations are fixed after `FREEZE` of the steps.
    `masks` keep the weights that were pruned at zero.
    """
    found = FakeQuantised(network or workshop.baseline, moving=True)
    found.calibrate(workshop.calibration)
    found.learn_ranges(activations=True)

    def after_step(done: float) -> None:
        if masks is not None:
            masks.hold()
        if done >= FREEZE:
            found.learn_ranges(activations=False)

    workshop.tune(found, budget, share=share, teacher=teacher, after_step=after_step)
    found.fix_ranges()
    return found
