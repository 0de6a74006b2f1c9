"""A network as an ONNX graph: the frame's bytes in, the commands out, all pre-processing inside.

One input ``frame``, uint8 (1, 66, 200, 3), and one output ``command``, float32 (1, 2). Integers are written as
QuantizeLinear and DequantizeLinear pairs around float operators, which ONNX Runtime and OpenVINO replace by their int8
kernels. The graph is written node by node, so that the same network gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper
from torch import nn

from pipeline.networks import HEIGHT, WIDTH
from pipeline.optimize.fake_quantisation import INPUT_SCALE

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.networks import PilotNet
    from pipeline.quantised import Integers, Layer

OPSET, IR_VERSION = 17, 8
"""Old enough for every runtime of the last years; nothing newer is needed."""


def of_floats(network: PilotNet) -> bytes:
    """An fp32 network; the normalisation of the frame is in the first convolution's weights and bias."""
    graph = _Graph()
    graph.node("Cast", ["planes"], "signal", to=TensorProto.FLOAT)
    layers = [layer for layer in (*network.features, *network.head) if not isinstance(layer, nn.ReLU)]
    signal, flat = "signal", False
    for number, layer in enumerate(layers):
        weight, bias = (part.detach().double().numpy() for part in (layer.weight, layer.bias))
        if number == 0:
            bias = bias - weight.sum(axis=(1, 2, 3))
            weight = weight * INPUT_SCALE
        names = [
            graph.constant(f"{number}.weight", weight.astype(np.float32)),
            graph.constant(f"{number}.bias", bias.astype(np.float32)),
        ]
        if isinstance(layer, nn.Linear) and not flat:
            signal, flat = graph.node("Flatten", [signal], f"{number}.flat"), True
        last = number + 1 == len(layers)
        signal = graph.layer([signal, *names], "command" if last else f"{number}.sum", _stride(layer))
        if not last:
            signal = graph.node("Relu", [signal], f"{number}.out")
    return graph.bytes()


def of_integers(integers: Integers, *, bytes_as_integers: bool) -> bytes:
    """An int8 network; its last layer is fp32.

    Args:
        integers: the network.
        bytes_as_integers: whether the frame's bytes are the first layer's integers at once; else they become floats
            and are rounded again, to the same integers. ONNX Runtime is faster with the one, and OpenVINO runs the
            first layer in int8 only with the other.
    """
    graph = _Graph()
    zero = graph.constant("zero", np.zeros((), np.uint8))
    scale = graph.constant("frame.scale", np.array(INPUT_SCALE, np.float32))
    if bytes_as_integers:
        signal, flat = graph.node("DequantizeLinear", ["planes", scale, zero], "signal"), False
    else:
        floats = graph.node("Cast", ["planes"], "floats", to=TensorProto.FLOAT)
        signal, flat = graph.rounded(graph.node("Mul", [floats, scale], "scaled"), INPUT_SCALE, "signal", zero), False
    for number, layer in enumerate(integers.layers):
        if layer.weight.ndim == 2 and not flat:
            signal, flat = graph.node("Flatten", [signal], f"{number}.flat"), True
            if number:  # the pair around the reshaping, so that its input and output stay integers
                signal = graph.rounded(signal, integers.layers[number - 1].made, f"{number}.flat", zero)
        signal = _integer_layer(graph, layer, number, signal)
        signal = graph.node("Relu", [signal], f"{number}.relu")
        signal = graph.rounded(signal, layer.made, f"{number}.made", zero)
    weight = graph.constant("last.weight", integers.weight.numpy())
    bias = graph.constant("last.bias", integers.bias.numpy())
    graph.layer([signal, weight, bias], "command", 0)
    return graph.bytes()


def _integer_layer(graph: _Graph, layer: Layer, number: int, signal: str) -> str:
    """A layer with dequantised int8 weights and int32 bias; the name of its sum."""
    channels = layer.scale.numpy()
    weight = graph.constant(f"{number}.weight", layer.weight.numpy())
    scale = graph.constant(f"{number}.scale", channels)
    zeros = graph.constant(f"{number}.zeros", np.zeros(len(channels), np.int8))
    bias_scale = (channels.astype(np.float64) * layer.given).astype(np.float32)
    whole = np.rint(layer.bias.numpy().astype(np.float64) / bias_scale).astype(np.int32)
    inputs = [
        signal,
        graph.node("DequantizeLinear", [weight, scale, zeros], f"{number}.weight.float", axis=0),
        graph.node(
            "DequantizeLinear",
            [
                graph.constant(f"{number}.bias", whole),
                graph.constant(f"{number}.bias.scale", bias_scale),
                graph.constant(f"{number}.bias.zeros", np.zeros(len(channels), np.int32)),
            ],
            f"{number}.bias.float",
            axis=0,
        ),
    ]
    return graph.layer(inputs, f"{number}.sum", layer.stride if layer.weight.ndim == 4 else 0)


def _stride(layer: nn.Module) -> int:
    """Of a convolution; 0 for a dense layer."""
    return int(layer.stride[0]) if isinstance(layer, nn.Conv2d) else 0


class _Graph:
    """Nodes and constants as they are written."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self.node("Transpose", ["frame"], "planes", perm=[0, 3, 1, 2])

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def layer(self, inputs: list[str], output: str, stride: int) -> str:
        """A convolution, or a dense layer where the stride is 0."""
        if stride:
            return self.node("Conv", inputs, output, strides=[stride, stride])
        return self.node("Gemm", inputs, output, transB=1)

    def rounded(self, signal: str, scale: float, name: str, zero: str) -> str:
        """A signal as 8-bit integers, and as floats again."""
        step = self.constant(f"{name}.scale", np.array(scale, np.float32))
        whole = self.node("QuantizeLinear", [signal, step, zero], f"{name}.whole")
        return self.node("DequantizeLinear", [whole, step, zero], f"{name}.float")

    def bytes(self) -> bytes:
        frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])
        command = helper.make_tensor_value_info("command", TensorProto.FLOAT, [1, 2])
        graph = helper.make_graph(self._nodes, "pilotnet", [frame], [command], self._constants)
        model = helper.make_model(graph, producer_name="hotlap", opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))
