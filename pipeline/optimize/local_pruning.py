"""Local L1 pruning: in each layer the same share of its smallest weights goes; the others are tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.utils import prune

from pipeline.optimize.pruning import Masks, check_ratio, layers_of

if TYPE_CHECKING:
    from pipeline.networks import PilotNet
    from pipeline.optimize.workshop import Workshop


def masked(network: PilotNet, convolutions: float, dense: float) -> Masks:
    """Prune `network` in place, each layer for itself.

    Raises:
        InputError: a share is not above 0 and below 1.
    """
    check_ratio(convolutions, "the share pruned of a convolution")
    check_ratio(dense, "the share pruned of a dense layer")
    for layer in layers_of(network):
        amount = convolutions if isinstance(layer, nn.Conv2d) else dense
        prune.l1_unstructured(layer, "weight", amount=amount)  # type: ignore[no-untyped-call]
    return Masks(network)


def pruned(workshop: Workshop, convolutions: float, dense: float) -> PilotNet:
    """The baseline, pruned and then tuned with the zeros held."""
    network = workshop.baseline
    masks = masked(network, convolutions, dense)
    workshop.tune(network, after_step=lambda _: masks.hold())
    return network
