"""Distillation: a smaller network that knows nothing learns from the baseline's commands and the expert's.

G. Hinton, O. Vinyals, J. Dean 2015, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531; for commands in
place of classes, what the teacher says is a second label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pipeline.networks import PilotNet, Shape
from pipeline.optimize.workshop import LEARNING

if TYPE_CHECKING:
    from pipeline.optimize.workshop import Workshop


def student(workshop: Workshop, shape: str) -> PilotNet:
    """A network of a shape of its own, taught from nothing.

    Raises:
        InputError: the shape is none of a PilotNet.
    """
    torch.manual_seed(workshop.seed)
    network = PilotNet(Shape.parse(shape))
    workshop.tune(network, LEARNING, teacher=workshop.original)
    return network
