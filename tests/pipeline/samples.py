"""Small artifacts of every runtime that loads a file, made by the project's own converters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline import networks, quantised
from pipeline.networks import PILOTNET, PilotNet, Shape
from pipeline.optimize import onnx_graph, openvino_ir
from pipeline.optimize.fake_quantisation import FakeQuantised
from pipeline.training.dataset import Dataset

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Shape((4, 6, 8, 8, 8), (12, 6))


def write(folder: Path, name: str = "pilotnet") -> dict[str, Path]:
    """An fp32 PilotNet with the same random weights for each runtime."""
    torch.manual_seed(3)
    network = PilotNet(PILOTNET).eval()
    paths = {runtime: folder / f"{name}{end}" for runtime, end in ENDS.items()}
    networks.save(network, paths["torch"], {"architecture": "pilotnet"})
    graph = onnx_graph.of_floats(network)
    paths["onnxruntime"].write_bytes(graph)
    openvino_ir.write(graph, paths["openvino"])
    return paths


def fake_quantised() -> FakeQuantised:
    """A small network with ranges from random frames."""
    torch.manual_seed(3)
    frames = np.random.default_rng(5).integers(0, 256, (8, 66, 200, 3), np.uint8)
    found = FakeQuantised(PilotNet(SMALL).eval(), moving=False)
    found.calibrate(Dataset(frames, np.zeros((8, 2), np.float32)))
    return found


def write_integers(folder: Path, network: FakeQuantised) -> dict[str, Path]:
    """The integers of a network for each runtime."""
    whole = network.integers()
    paths = {runtime: folder / f"int8{end}" for runtime, end in ENDS.items()}
    quantised.save(whole, paths["torch"], {"architecture": "pilotnet"})
    paths["onnxruntime"].write_bytes(onnx_graph.of_integers(whole, bytes_as_integers=True))
    openvino_ir.write(onnx_graph.of_integers(whole, bytes_as_integers=False), paths["openvino"])
    return paths


ENDS = {"torch": ".safetensors", "onnxruntime": ".onnx", "openvino": ".xml"}
