"""Global L1 pruning: of all weights of the network together the smallest share goes; the others are tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.utils import prune

from pipeline.optimize.pruning import Masks, check_ratio, layers_of

if TYPE_CHECKING:
    from pipeline.networks import PilotNet
    from pipeline.optimize.workshop import Workshop


def masked(network: PilotNet, share: float) -> Masks:
    """Prune `network` in place, all layers together.

    Raises:
        InputError: the share is not above 0 and below 1.
    """
    check_ratio(share, "the share pruned of all weights")
    weights = [(layer, "weight") for layer in layers_of(network)]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=share)
    return Masks(network)


def pruned(workshop: Workshop, share: float) -> PilotNet:
    """The baseline, pruned and then tuned with the zeros held."""
    network = workshop.baseline
    masks = masked(network, share)
    workshop.tune(network, after_step=lambda _: masks.hold())
    return network
