"""A network that computes in floats as its int8 version will in integers, by PyTorch's fake quantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize, MinMaxObserver, MovingAverageMinMaxObserver, PerChannelMinMaxObserver
from torch.nn import functional

from pipeline.networks import to_input
from pipeline.optimize.workshop import check_calibration
from pipeline.quantised import LARGEST, SMALLEST, Integers, Layer

if TYPE_CHECKING:
    from pipeline.networks import PilotNet
    from pipeline.training.dataset import Dataset

INPUT_SCALE = 1.0 / 127.5
"""Of the frame's bytes: `to_input` is this scale, less 1, which goes into the first layer's bias."""

FREEZE = 0.5
"""Share of a quantisation-aware training after which the ranges of the activations stay as they are."""


class FakeQuantised(nn.Module):
    """A PilotNet whose weights and activations are rounded to what 8 bits can hold.

    Weights: symmetric, a scale for each output channel, in `SMALLEST` to `LARGEST`. Activations: what comes out of each
    ReLU, 0 to 255, one scale. The last dense layer is not rounded. Input and output are those of the PilotNet.

    B. Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", arXiv:1712.05877; gradients pass the rounding straight through.

    Args:
        network: whose layers are taken over, not copied.
        moving: whether ranges follow a moving average (while training), or are the extremes of all that is seen.
    """

    def __init__(self, network: PilotNet, *, moving: bool) -> None:
        super().__init__()
        self.shape = network.shape
        layers = [layer for layer in (*network.features, *network.head) if not isinstance(layer, nn.ReLU)]
        # PyTorch's types know nothing of what a list of modules holds.
        self.layers: Any = nn.ModuleList(layers[:-1])
        self.last: Any = layers[-1]
        self.weights: Any = nn.ModuleList(_of_weights() for _ in self.layers)
        self.activations: Any = nn.ModuleList(_of_activations(moving=moving) for _ in self.layers)

    def forward(self, images: Tensor) -> Tensor:
        """Commands ``(N, 2)`` for images ``(N, 3, 66, 200)``."""
        signal = images
        for layer, of_weight, of_activation in zip(self.layers, self.weights, self.activations, strict=True):
            weight = of_weight(layer.weight)
            if isinstance(layer, nn.Conv2d):
                signal = functional.conv2d(signal, weight, layer.bias, stride=layer.stride)
            else:
                signal = functional.linear(signal.reshape(signal.shape[0], -1), weight, layer.bias)
            signal = of_activation(functional.relu(signal))
        commands: Tensor = self.last(signal)
        return commands

    def calibrate(self, dataset: Dataset, batch: int = 64) -> None:
        """Take the ranges from frames.

        Raises:
            InputError: there are none, or all are the same.
        """
        check_calibration(dataset)
        self.eval()
        _switch(self, observe=True, round_off=False)
        with torch.no_grad():
            for start in range(0, len(dataset.frames), batch):
                self(to_input(dataset.frames[start : start + batch]))
        _switch(self, observe=False, round_off=True)

    def learn_ranges(self, *, activations: bool) -> None:
        """While training: the ranges of the weights follow them, those of the activations only where asked."""
        _switch(self, observe=True, round_off=True)
        if not activations:
            for module in self.activations:
                module.disable_observer()

    def fix_ranges(self) -> None:
        """Take the weights' ranges as they are now, and no others from now on."""
        _switch(self, observe=False, round_off=True)
        with torch.no_grad():
            for layer, of_weight in zip(self.layers, self.weights, strict=True):
                of_weight.activation_post_process.reset_min_max_vals()
                of_weight.enable_observer()
                of_weight(layer.weight)
                of_weight.disable_observer()

    @torch.no_grad()
    def integers(self) -> Integers:
        """The same network in integers."""
        found: list[Layer] = []
        given = INPUT_SCALE
        for number, (layer, of_weight) in enumerate(zip(self.layers, self.weights, strict=True)):
            scale = of_weight.scale.float()
            along = scale.reshape(-1, *(1,) * (layer.weight.ndim - 1))
            whole = torch.clamp(torch.round(layer.weight / along), SMALLEST, LARGEST).to(torch.int8)
            bias = layer.bias.detach().clone()
            if number == 0:
                bias -= scale * whole.float().sum(dim=(1, 2, 3))
            made = float(self.activations[number].scale)
            stride = layer.stride[0] if isinstance(layer, nn.Conv2d) else 1
            found.append(Layer(whole, scale.clone(), bias, stride, given, made))
            given = made
        return Integers(tuple(found), self.last.weight.detach().clone(), self.last.bias.detach().clone())


def _of_weights() -> Any:
    return FakeQuantize(  # type: ignore[no-untyped-call]
        observer=PerChannelMinMaxObserver,
        quant_min=SMALLEST,
        quant_max=LARGEST,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
    )


def _of_activations(*, moving: bool) -> Any:
    return FakeQuantize(  # type: ignore[no-untyped-call]
        observer=MovingAverageMinMaxObserver if moving else MinMaxObserver,
        quant_min=0,
        quant_max=255,
        dtype=torch.quint8,
        qscheme=torch.per_tensor_affine,
    )


def _switch(network: FakeQuantised, *, observe: bool, round_off: bool) -> None:
    for module in (*network.weights, *network.activations):
        module.enable_observer() if observe else module.disable_observer()
        module.enable_fake_quant() if round_off else module.disable_fake_quant()
