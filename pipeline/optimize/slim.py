"""Structured pruning, distillation and int8 together: the small network that real kernels run fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.networks import Shape
from pipeline.optimize import aware, structured
from pipeline.optimize.workshop import LEARNING

if TYPE_CHECKING:
    from pipeline.optimize.fake_quantisation import FakeQuantised
    from pipeline.optimize.workshop import Workshop


def made(workshop: Workshop, shape: str) -> FakeQuantised:
    """The baseline's best channels in a smaller shape, taught by the baseline, then trained with their rounding.

    Raises:
        InputError: the shape is none of a PilotNet.
    """
    network = structured.cut(workshop.original, Shape.parse(shape))
    workshop.tune(network, LEARNING, teacher=workshop.original)
    return aware.trained(workshop, network, teacher=workshop.original)
