"""Saving a network as artifacts: written aside, loaded by its own runtime, asked for commands, then put in place."""

from __future__ import annotations

import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from envs.errors import HotlapError, InputError
from pipeline import drivers, networks, quantised
from pipeline.drivers import artifact as files
from pipeline.drivers.base import Options
from pipeline.optimize import onnx_graph, openvino_ir
from pipeline.optimize.catalogue import ONNX, OPENVINO, SCRIPT, TORCH
from pipeline.optimize.fake_quantisation import FakeQuantised

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.networks import Shape
    from pipeline.optimize.catalogue import Variant

    Commands = npt.NDArray[np.float32]

RUNTIMES = {TORCH: "torch", SCRIPT: "torch", ONNX: "onnxruntime", OPENVINO: "openvino"}
SUFFIXES = {TORCH: ".safetensors", SCRIPT: ".safetensors", ONNX: ".onnx", OPENVINO: ".xml"}
TITLES = {TORCH: "PyTorch", SCRIPT: "PyTorch as a frozen TorchScript graph", ONNX: "ONNX Runtime", OPENVINO: "OpenVINO"}


@dataclass(frozen=True)
class Exam:
    """The fixed test frames.

    Attributes:
        frames: (N, 66, 200, 3) uint8.
        labels: (N, 2) float32, the expert's commands.
        sha256: of both.
    """

    frames: npt.NDArray[np.uint8]
    labels: Commands
    sha256: str


def make(variant: Variant, network: Any, exam: Exam, out: Path, seed: int) -> list[dict[str, Any]]:
    """Save a network in every way that its variant asks for; returns the rows of the manifest.

    Nothing lies in `out` that is not whole: each file is written aside and moved.

    Args:
        variant: what the network is.
        network: a `PilotNet` or `FakeQuantised`, before conversion, in evaluation mode.
        exam: on which the reference commands are taken.
        out: the manifest's folder.
        seed: it was made with.

    Raises:
        InputError: a file cannot be written, or a runtime refuses it.
        HotlapError: a converter failed.
    """
    shape: Shape = network.shape
    with tempfile.TemporaryDirectory(dir=out, prefix=".optimize-") as name:
        aside = Path(name)
        known = out / f"{variant.name}.safetensors"
        if TORCH not in variant.exports and SCRIPT in variant.exports and known.exists():
            shutil.copyfile(known, aside / known.name)
        facts = _facts(variant, network, shape, seed)
        network = _saved(variant, network, shape, aside, seed)
        if variant.dynamic:
            facts["rounded_zeros"] = _zeros(network.parameters()) - facts["zeros"]
        reference = commands_of(network, exam.frames)
        facts |= _reference(variant, reference, aside) | {"offline_frames_sha256": exam.sha256}
        rows = []
        for export in variant.exports:
            path = aside / f"{variant.name}{SUFFIXES[export]}"
            rows.append(_row(variant, export, path, facts, exam))
        for file in sorted(aside.iterdir()):
            file.replace(out / file.name)
    return rows


def commands_of(network: nn.Module, frames: npt.NDArray[np.uint8]) -> Commands:
    """What a network says to each frame, one at a time, (N, 2) float32, not clamped."""
    kind = next(network.parameters()).dtype
    with torch.inference_mode():
        answers = [network(networks.to_input(frame).to(kind)).float()[0].numpy() for frame in frames]
    return np.stack(answers)


def operations(shape: Shape) -> int:
    """Multiply-adds for one frame."""
    network: Any = networks.PilotNet(shape)
    total, height, width = 0, networks.HEIGHT, networks.WIDTH
    for layer in (*network.features, *network.head):
        if isinstance(layer, nn.Conv2d):
            kernel, stride = layer.kernel_size[0], layer.stride[0]
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
            total += layer.weight.numel() * height * width
        elif isinstance(layer, nn.Linear):
            total += layer.weight.numel()
    return total


def _saved(variant: Variant, network: nn.Module, shape: Shape, aside: Path, seed: int) -> nn.Module:
    """Write every file of the variant; returns the network whose commands the files should give.

    Raises:
        HotlapError: a converter failed.
    """
    metadata = {"architecture": "pilotnet", "shape": str(shape), "how": _how(variant, seed), "seed": str(seed)}
    path = aside / f"{variant.name}.safetensors"
    if variant.dynamic:
        return quantised.save_dynamic(network, path, metadata)
    whole = network.integers() if isinstance(network, FakeQuantised) else None
    if {TORCH, SCRIPT} & set(variant.exports) and not path.exists():
        if whole is not None:
            quantised.save(whole, path, metadata)
        else:
            networks.save(network, path, {**metadata, "precision": variant.precision})
    for export in variant.exports:
        target = path.with_suffix(SUFFIXES[export])
        try:
            if export == ONNX:
                target.write_bytes(_graph(network, whole, bytes_as_integers=True))
            elif export == OPENVINO:
                openvino_ir.write(_graph(network, whole, bytes_as_integers=False), target)
        except Exception as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            name = variant.row_name(export)
            raise HotlapError(f"{name}: the converter failed, nothing was written: {said}") from error
    return network


def _graph(network: nn.Module, whole: quantised.Integers | None, *, bytes_as_integers: bool) -> bytes:
    """The ONNX graph of a network, or of its integers."""
    if whole is not None:
        return onnx_graph.of_integers(whole, bytes_as_integers=bytes_as_integers)
    floats: Any = network
    return onnx_graph.of_floats(floats)


def _row(variant: Variant, export: str, path: Path, facts: dict[str, Any], exam: Exam) -> dict[str, Any]:
    """The manifest's row of one artifact, its offline error taken by its own runtime.

    Raises:
        InputError: the runtime refuses the file.
    """
    runtime, mode = RUNTIMES[export], "torchscript" if export == SCRIPT else ""
    options = Options(precision=variant.precision, mode=mode)
    driver = drivers.runtime(runtime).load(path, options)
    said = driver.report().precision
    note = "" if said == variant.precision else f" Asked for {variant.precision}; where it was made, it ran {said}."
    answers = np.array([driver.command(frame, None) for frame in exam.frames], np.float64)
    error = float(np.mean(np.square(answers - exam.labels)))
    if not np.isfinite(error):
        raise InputError(f"{variant.row_name(export)}: its commands are no numbers; nothing was written")
    row = {
        "name": variant.row_name(export),
        "runtime": runtime,
        "artifact": path.name,
        "sha256": files.digest(path),
        "precision": variant.precision,
        "device": "cpu",
        "strategy": variant.strategy or "none: the baseline in another runtime",
        **({"mode": mode} if mode else {}),
        **facts,
        "offline_mse": round(error, 8),
    }
    return {**row, "description": f"{_title(variant)}, for {TITLES[export]}.{note}"}


def _title(variant: Variant) -> str:
    text = variant.strategy or "the baseline"
    return text[0].upper() + text[1:]


def _how(variant: Variant, seed: int) -> str:
    return f"hotlap optimize {variant.name} --seed {seed}"


def _facts(variant: Variant, network: nn.Module, shape: Shape, seed: int) -> dict[str, Any]:
    """What is the same for all artifacts of a network."""
    zeros = _zeros(network.parameters())
    rounded = zeros
    if isinstance(network, FakeQuantised):
        whole = network.integers()
        rounded = _zeros([*(layer.weight for layer in whole.layers), whole.weight])
        rounded += sum(_zeros([part.bias]) for part in (*network.layers, network.last))
    return {
        "how": _how(variant, seed),
        "seed": seed,
        "parameters": networks.count_parameters(network),
        "zeros": zeros,
        "rounded_zeros": max(0, rounded - zeros),
        "operations": operations(shape),
    }


def _zeros(tensors: Sequence[Any] | Any) -> int:
    return sum(int((tensor == 0).sum()) for tensor in tensors)


def _reference(variant: Variant, commands: Commands, aside: Path) -> dict[str, Any]:
    """Keep the reference commands; returns the row's entries."""
    stream = io.BytesIO()
    np.save(stream, commands.astype("<f4"), allow_pickle=False)
    path = aside / f"{variant.name}.reference.npy"
    path.write_bytes(stream.getvalue())
    return {"reference": path.name, "reference_sha256": files.digest(path)}
