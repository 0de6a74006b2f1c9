"""The networks that models are made of, their input, and the one file format they are kept in.

A torch driver's image carries this file: beyond the standard library it imports NumPy, PyTorch and safetensors alone.
"""

from __future__ import annotations

import json
import os
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn

from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

FORMAT = "hotlap-1"
"""Value of the metadata entry ``format`` in every artifact written here."""

HEIGHT, WIDTH = 66, 200
"""Size of a frame [px]."""


class Shape(NamedTuple):
    """The widths of a PilotNet's layers, from the image to the last but one; its two outputs come after them.

    Attributes:
        convolutions: channels of 3 to 5 convolutions: the first three are 5 x 5 with stride 2, the others 3 x 3.
        dense: of the dense layers, at least one.
    """

    convolutions: tuple[int, ...]
    dense: tuple[int, ...]

    def __str__(self) -> str:
        """As an artifact's metadata has it, such as ``24-36-48-64-64/100-50-10``."""
        return "/".join("-".join(map(str, part)) for part in self)

    @staticmethod
    def parse(text: str) -> Shape:
        """The shape that `str` wrote.

        Raises:
            InputError: it is none, or its network would have no output.
        """
        if not re.fullmatch(r"[1-9]\d{0,3}(-[1-9]\d{0,3}){2,4}/[1-9]\d{0,3}(-[1-9]\d{0,3}){0,9}", text):
            raise InputError(f"{text!r} is no shape of a PilotNet; one is {PILOTNET}")
        convolutions, dense = (tuple(map(int, part.split("-"))) for part in text.split("/"))
        return Shape(convolutions, dense)


PILOTNET = Shape((24, 36, 48, 64, 64), (100, 50, 10))
"""The shape of Bojarski et al. 2016: 252,230 parameters, 26.9 M multiply-adds a frame."""

KERNELS = ((5, 2), (5, 2), (5, 2), (3, 1), (3, 1))
"""Kernel and stride of each convolution [px]."""


class PilotNet(nn.Module):
    """NVIDIA's PilotNet with ReLU and two outputs, and networks of its kind with other widths.

    Input ``(N, 3, 66, 200)`` float32 in [-1, 1]; output ``(N, 2)`` float32, normalised (speed, steering), not clamped.

    Source: Bojarski et al. 2016, "End to End Learning for Self-Driving Cars", arXiv:1604.07316, figure 4. Its fixed
    normalisation layer is `to_input`; its flattened 1,164 is the 64 x 1 x 18 = 1,152 that the layers before it give.
    """

    def __init__(self, shape: Shape = PILOTNET) -> None:
        super().__init__()
        self.shape = shape
        features: list[nn.Module] = []
        channels, height, width = 3, HEIGHT, WIDTH
        for wide, (kernel, stride) in zip(shape.convolutions, KERNELS, strict=False):
            features += [nn.Conv2d(channels, wide, kernel_size=kernel, stride=stride), nn.ReLU()]
            channels, height, width = wide, (height - kernel) // stride + 1, (width - kernel) // stride + 1
        self.features = nn.Sequential(*features)
        head: list[nn.Module] = []
        inputs = channels * height * width
        for wide in shape.dense:
            head += [nn.Linear(inputs, wide), nn.ReLU()]
            inputs = wide
        self.head = nn.Sequential(*head, nn.Linear(inputs, 2))

    def forward(self, images: Tensor) -> Tensor:
        """Commands ``(N, 2)`` for images ``(N, 3, 66, 200)``."""
        # reshape, not view: a channels-last batch is not contiguous in this order.
        features: Tensor = self.features(images)
        commands: Tensor = self.head(features.reshape(features.shape[0], -1))
        return commands


ARCHITECTURES: dict[str, Callable[[Shape], nn.Module]] = {"pilotnet": PilotNet}
"""Name in an artifact's metadata -> constructor."""

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""hotlap's word for a number format -> PyTorch's type, of the formats that a network's weights may be saved in."""


def to_input(frames: npt.NDArray[np.uint8]) -> Tensor:
    """The network's input for camera frames: the one pre-processing of driving, measuring and training.

    Args:
        frames: ``(66, 200, 3)`` or ``(N, 66, 200, 3)`` uint8 RGB.

    Returns:
        ``(N, 3, 66, 200)`` float32 in [-1, 1], in channels-last memory order; N is 1 for a single frame.
    """
    # A frame that came over a socket is read-only memory, which PyTorch warns of although it is only read here.
    batch = torch.from_numpy(frames if frames.flags.writeable else frames.copy())
    if batch.ndim == 3:
        batch = batch.unsqueeze(0)
    return batch.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def build(architecture: str, shape: Shape = PILOTNET) -> nn.Module:
    """A new network with random weights.

    Raises:
        InputError: the architecture is not known.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"architecture {architecture!r} is not known; known are {', '.join(sorted(ARCHITECTURES))}")
    return ARCHITECTURES[architecture](shape)


def count_parameters(network: nn.Module) -> int:
    """Number of weights and biases."""
    return sum(parameter.numel() for parameter in network.parameters())


def save(network: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network as safetensors, atomically and always in the same bytes for the same weights and metadata.

    Args:
        network: one of `ARCHITECTURES`, on any device.
        path: where to; an existing file is replaced.
        metadata: must hold ``architecture``, and ``shape`` and ``precision`` where they are not the usual ones;
            ``format`` is added.

    Raises:
        InputError: the architecture is not known, or the file cannot be written.
    """
    if metadata.get("architecture") not in ARCHITECTURES:
        raise InputError(f"{path}: cannot save architecture {metadata.get('architecture')!r}; add it to ARCHITECTURES")
    write(network.state_dict(), path, metadata)


def write(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors, atomically and always in the same bytes; ``format`` is added to the metadata.

    Raises:
        InputError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    blob = _in_fixed_order(serialise(tensors, metadata={**metadata, "format": FORMAT}))
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot write the artifact: {error.strerror}; choose a writable folder") from error


def load(path: Path) -> nn.Module:
    """Read a network from safetensors, strictly, in evaluation mode on the CPU.

    Raises:
        InputError: the file is missing, no safetensors file of ours, cut short, or does not fit its architecture:
            a tensor missing, left over, of another shape or type, or with a value that is not finite.
    """
    metadata = read_metadata(path)
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: metadata says format {metadata.get('format')!r}, not {FORMAT!r}; save it with hotlap"
        )
    try:
        shape = Shape.parse(metadata.get("shape", str(PILOTNET)))
        network = build(metadata.get("architecture", ""), shape)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    precision = metadata.get("precision", "fp32")
    if precision not in PRECISIONS:
        raise InputError(f"{path}: precision {precision!r} is not one of {', '.join(PRECISIONS)}; save it with hotlap")
    network.to(PRECISIONS[precision])
    tensors = load_file(path)
    _check_fit(path, wanted=network.state_dict(), found=tensors)
    network.load_state_dict(tensors, strict=True)
    return network.eval()


def read_metadata(path: Path) -> dict[str, str]:
    """The text entries in an artifact's header.

    Raises:
        InputError: the file is missing or no complete safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as artifact:
            return dict(artifact.metadata() or {})
    except SafetensorError as error:
        raise InputError(
            f"{path}: not a complete safetensors file ({error}); pickles are refused, so save it with hotlap"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot read the artifact: {error.strerror or error}; check the path") from error


def _check_fit(path: Path, *, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise InputError(f"{path}: tensor {name!r} is missing; this is not the architecture it claims to be")
        if name not in wanted:
            raise InputError(f"{path}: tensor {name!r} is left over; this is not the architecture it claims to be")
        if found[name].shape != wanted[name].shape:
            shapes = f"{tuple(found[name].shape)} where {tuple(wanted[name].shape)} is needed"
            raise InputError(f"{path}: tensor {name!r} has shape {shapes}; train the model again")
        if found[name].dtype != wanted[name].dtype:
            types = f"{found[name].dtype} where {wanted[name].dtype} is needed"
            raise InputError(f"{path}: tensor {name!r} has type {types}; train the model again")
        if not bool(torch.isfinite(found[name]).all()):
            raise InputError(f"{path}: tensor {name!r} has values that are not finite; train the model again")


def _in_fixed_order(blob: bytes) -> bytes:
    """The same safetensors file with its metadata sorted by name.

    The library keeps metadata in a hash map, so that one network saved twice gives two files and two sha256.
    """
    (size,) = struct.unpack_from("<Q", blob)
    header = json.loads(blob[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the tensors aligned to eight bytes
    return struct.pack("<Q", len(text)) + text + blob[8 + size :]
