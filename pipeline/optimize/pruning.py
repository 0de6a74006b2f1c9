"""Unstructured pruning by magnitude: which weights go, and masks that hold them at zero while the others are tuned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils import prune

from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.networks import PilotNet


class Masks:
    """The weights of a network that stay zero.

    PyTorch's own pruning keeps a mask by hiding the weight behind another parameter, which neither fake quantisation
    nor a copy of the layers survives; here the parameters stay what they are, and `hold` puts the zeros back.

    Args:
        network: pruned by `torch.nn.utils.prune`; its hidden parameters are made plain ones again.
    """

    def __init__(self, network: PilotNet) -> None:
        self._held: list[tuple[nn.Parameter, torch.Tensor]] = []
        layers: Any = layers_of(network)
        for layer in layers:
            mask = layer.weight_mask.bool()
            prune.remove(layer, "weight")  # type: ignore[no-untyped-call]
            self._held.append((layer.weight, ~mask))
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Set the pruned weights to zero."""
        for weight, pruned in self._held:
            weight[pruned] = 0.0

    @property
    def zeros(self) -> int:
        """How many weights are pruned."""
        return sum(int(pruned.sum()) for _, pruned in self._held)


def layers_of(network: PilotNet) -> Sequence[nn.Conv2d | nn.Linear]:
    """The layers with weights, from the image to the commands."""
    return [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]


def check_ratio(ratio: float, what: str) -> float:
    """A share of weights or channels that can be pruned.

    Raises:
        InputError: it is not above 0 and below 1.
    """
    if math.isnan(ratio) or not 0.0 < ratio < 1.0:
        raise InputError(f"{what} is {ratio}; give a share above 0 and below 1: 0 prunes nothing, 1 leaves nothing")
    return ratio
