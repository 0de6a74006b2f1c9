"""Networks of 8-bit integers: what they are, the file that they are kept in, and PyTorch's own kernels that run them.

Every layer but the last takes unsigned 8-bit activations with zero point 0 (the frame's own bytes first, then what a
ReLU lets through), and signed weights with a scale for each output channel. The last dense layer stays in fp32: its two
outputs need more than 256 steps. Weights keep within [-64, 63]: 2 x 255 x 64 fits 16 bits, so that a CPU without
VNNI, which adds products in pairs of 16 bits, gives the same sums as every other.

A torch driver's image carries this file: beyond the standard library it imports NumPy, PyTorch and safetensors alone.
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.ao.nn.intrinsic import quantized as fused
from torch.ao.nn.quantized import dynamic

from envs.errors import InputError
from pipeline import networks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STATIC, DYNAMIC = "int8", "int8 dynamic"
"""Values of the metadata entry ``precision``: 8-bit activations throughout, or dense layers alone, as they come."""

SMALLEST, LARGEST = -64, 63
"""Range of a weight."""


class Layer(NamedTuple):
    """A convolution or dense layer with a ReLU behind it.

    Attributes:
        weight: (out, in, k, k) or (out, in) int8.
        scale: (out,) float32, of the weights of each output channel.
        bias: (out,) float32.
        stride: of a convolution [px]; 1 for a dense layer.
        given: scale of its input.
        made: scale of its output.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor
    stride: int
    given: float
    made: float


class Integers(NamedTuple):
    """A whole network: frame bytes in, (speed, steering) out.

    Attributes:
        layers: in their order; the first takes the frame's bytes, scale 1.
        weight: (2, in) float32, of the last dense layer.
        bias: (2,) float32.
    """

    layers: tuple[Layer, ...]
    weight: Tensor
    bias: Tensor


def save(integers: Integers, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network of integers as safetensors, always the same bytes for the same network and metadata.

    Raises:
        InputError: the file cannot be written.
    """
    tensors = {"last.weight": integers.weight, "last.bias": integers.bias}
    rows = []
    for number, layer in enumerate(integers.layers):
        tensors |= {f"{number}.{name}": getattr(layer, name) for name in ("weight", "scale", "bias")}
        rows.append({"stride": layer.stride, "given": layer.given, "made": layer.made})
    networks.write(tensors, path, {**metadata, "precision": STATIC, "layers": json.dumps(rows)})


def load(path: Path) -> Integers:
    """Read what `save` wrote.

    Raises:
        InputError: the file is missing, cut short, or its tensors do not belong together.
    """
    metadata = networks.read_metadata(path)
    tensors = load_file(path)
    try:
        rows = json.loads(metadata["layers"])
        layers = tuple(
            Layer(
                tensors.pop(f"{number}.weight"),
                tensors.pop(f"{number}.scale"),
                tensors.pop(f"{number}.bias"),
                int(row["stride"]),
                float(row["given"]),
                float(row["made"]),
            )
            for number, row in enumerate(rows)
        )
        integers = Integers(layers, tensors.pop("last.weight"), tensors.pop("last.bias"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its layers make no sense ({error!r}); make it again with hotlap optimize") from error
    problem = f"tensor {next(iter(tensors))!r} is left over" if tensors else _problem(integers)
    if problem:
        raise InputError(f"{path}: {problem}; make it again with hotlap optimize")
    return integers


def _problem(integers: Integers) -> str | None:
    """What does not fit in a network, or None."""
    for number, layer in enumerate(integers.layers):
        out = layer.weight.shape[:1]
        if layer.weight.dtype != torch.int8 or layer.weight.ndim not in (2, 4):
            return f"layer {number} has no int8 weights of a convolution or dense layer"
        if layer.scale.shape != out or layer.bias.shape != out:
            return f"layer {number} has {tuple(layer.scale.shape)} scales for {tuple(out)} channels"
        numbers = torch.cat([layer.scale, layer.bias, torch.tensor([layer.given, layer.made])])
        if not bool(torch.isfinite(numbers).all()) or float(layer.scale.min()) <= 0.0 or min(layer[4:]) <= 0.0:
            return f"layer {number} has a scale that is not positive, or a number that is not finite"
    if integers.weight.ndim != 2 or integers.weight.shape[0] != 2 or integers.bias.shape != (2,):
        return f"its last layer has shape {tuple(integers.weight.shape)}, not (2, inputs)"
    return None


class Kernels(nn.Module):
    """PyTorch's quantised kernels for a network of integers.

    Input ``(N, 3, 66, 200)`` uint8, the frame's own bytes; output ``(N, 2)`` float32, not clamped.
    """

    def __init__(self, integers: Integers) -> None:
        super().__init__()
        self.given = integers.layers[0].given
        layers = [_kernel(layer) for layer in integers.layers]
        self.features = nn.Sequential(*(layer for layer in layers if isinstance(layer, fused.ConvReLU2d)))
        self.head = nn.Sequential(*(layer for layer in layers if isinstance(layer, fused.LinearReLU)))
        self.last = nn.Linear(integers.weight.shape[1], 2)
        self.last.weight.data, self.last.bias.data = integers.weight, integers.bias

    def forward(self, images: Tensor) -> Tensor:
        """Commands for images."""
        whole = torch._make_per_tensor_quantized_tensor(images, self.given, 0)  # noqa: SLF001 - PyTorch has no other
        features = self.features(whole)
        commands: Tensor = self.last(self.head(features.reshape(features.shape[0], -1)).dequantize())
        return commands


def _kernel(layer: Layer) -> Any:
    """The module of PyTorch that runs a layer with its ReLU."""
    with warnings.catch_warnings():
        # PyTorch means to drop these kernels in favour of torchao's; this version, which is pinned, has them.
        warnings.simplefilter("ignore")
        torch._empty_affine_quantized([1], scale=1.0, zero_point=0, dtype=torch.quint8)  # noqa: SLF001 - warns once
        wide, inputs, *kernel = layer.weight.shape
        make: Any = fused.ConvReLU2d if kernel else fused.LinearReLU
        module = make(inputs, wide, kernel[0], stride=layer.stride) if kernel else make(inputs, wide)
    zeros = torch.zeros(wide, dtype=torch.int64)
    weight = torch._make_per_channel_quantized_tensor(layer.weight, layer.scale.double(), zeros, 0)  # noqa: SLF001
    module.set_weight_bias(weight, layer.bias)
    module.scale, module.zero_point = layer.made, 0
    return module


def save_dynamic(network: nn.Module, path: Path, metadata: Mapping[str, str]) -> nn.Module:
    """Write a PilotNet whose dense layers are int8, one scale for each, and return it with these layers rounded.

    Raises:
        InputError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        if name.startswith("head") and name.endswith("weight"):
            scale = tensor.abs().max() / LARGEST
            whole = torch.clamp(torch.round(tensor / scale), SMALLEST, LARGEST).to(torch.int8)
            tensors |= {name: whole, f"{name}.scale": scale.reshape(1)}
        else:
            tensors[name] = tensor
    networks.write(tensors, path, {**metadata, "precision": DYNAMIC})
    network.load_state_dict(_rounded(tensors))
    return network


def load_dynamic(path: Path) -> nn.Module:
    """The network that `save_dynamic` wrote, its dense layers run by PyTorch's dynamically quantised kernels.

    Raises:
        InputError: the file is missing, cut short, or does not fit its architecture.
    """
    metadata = networks.read_metadata(path)
    try:
        shape = networks.Shape.parse(metadata.get("shape", str(networks.PILOTNET)))
        network = networks.build(metadata.get("architecture", ""), shape)
        tensors = load_file(path)
        network.load_state_dict(_rounded(tensors), strict=True)
    except (InputError, RuntimeError, KeyError) as error:
        text = str(error).replace("\n", " ")
        raise InputError(f"{path}: {text}; make it again with hotlap optimize") from error
    head: Any = network.head
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._empty_affine_quantized([1], scale=1.0, zero_point=0, dtype=torch.qint8)  # noqa: SLF001 - warns once
    for place, layer in enumerate(head):
        if isinstance(layer, nn.Linear):
            scale = float(tensors[f"head.{place}.weight.scale"])
            whole = torch._make_per_tensor_quantized_tensor(tensors[f"head.{place}.weight"], scale, 0)  # noqa: SLF001
            make: Any = dynamic.Linear
            kernel = make(layer.in_features, layer.out_features)
            kernel.set_weight_bias(whole, layer.bias.detach())
            head[place] = kernel
    return network.eval()


def _rounded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as floats."""
    return {
        name: tensor.float() * tensors[f"{name}.scale"] if tensor.dtype == torch.int8 else tensor
        for name, tensor in tensors.items()
        if not name.endswith(".scale")
    }
