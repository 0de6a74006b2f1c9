"""Structured pruning: whole channels go, and with them the weights that read them; a smaller network is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pipeline.networks import PilotNet, Shape
from pipeline.optimize.pruning import check_ratio, layers_of

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.optimize.workshop import Workshop


def narrowed(shape: Shape, share: float) -> Shape:
    """A shape with `share` of the channels of every layer gone, at least one left.

    Raises:
        InputError: the share is not above 0 and below 1.
    """
    check_ratio(share, "the share pruned of each layer's channels")
    return Shape(*(tuple(max(1, round(wide * (1.0 - share))) for wide in part) for part in shape))


@torch.no_grad()
def cut(network: PilotNet, shape: Shape) -> PilotNet:
    """A network of `shape` with the channels of `network` whose weights, in and out, are the largest.

    H. Li et al. 2017, "Pruning Filters for Efficient ConvNets", arXiv:1608.08710, ranks a channel by the L1 norm of
    the filter that makes it; here that times the norm of the weights that read it, as ReLU lets the scale move from
    one to the other.
    """
    smaller = PilotNet(shape)
    old: Any = layers_of(network)
    new: Any = layers_of(smaller)
    read = torch.arange(3)  # channels of the layer's input that are left
    for number, (before, after) in enumerate(zip(old, new, strict=True)):
        weight = _reading(before, read, old[number - 1] if number else None)
        wide = after.weight.shape[0]
        kept = torch.arange(wide)
        if number + 1 < len(old):
            kept = torch.topk(_importance(before, old[number + 1]), wide).indices.sort().values
        after.weight.copy_(weight[kept].reshape(after.weight.shape))
        after.bias.copy_(before.bias[kept])
        read = kept
    return smaller


def _reading(layer: nn.Conv2d | nn.Linear, read: Tensor, before: nn.Module | None) -> Tensor:
    """The layer's weights from the inputs that are left, (out, in left, ...)."""
    if isinstance(layer, nn.Linear) and isinstance(before, nn.Conv2d):
        by_channel = layer.weight.reshape(layer.weight.shape[0], before.weight.shape[0], -1)
        return by_channel[:, read].flatten(1)
    return layer.weight[:, read]


def _importance(layer: nn.Conv2d | nn.Linear, following: nn.Conv2d | nn.Linear) -> Tensor:
    """(out,) of each channel that a layer makes."""
    wide = layer.weight.shape[0]
    into = layer.weight.abs().flatten(1).sum(dim=1)
    out_of = following.weight.abs().reshape(following.weight.shape[0], wide, -1).sum(dim=(0, 2))
    return into * out_of


def pruned(workshop: Workshop, share: float) -> PilotNet:
    """The baseline without `share` of each layer's channels, tuned."""
    network = cut(workshop.original, narrowed(workshop.original.shape, share))
    workshop.tune(network)
    return network
