"""PyTorch, eager, from safetensors, on the CPU or a CUDA device."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from envs.command import Command
from envs.errors import InputError
from pipeline.drivers import artifact as files
from pipeline.drivers.base import Options, Report

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from envs.true_state import TrueState

PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64", "int8": "int8"}
"""PyTorch's name of a number format -> hotlap's word for it."""


class Network:
    """A network of `pipeline.networks` with its weights."""

    def __init__(self, network: torch.nn.Module) -> None:
        import torch  # noqa: PLC0415

        from pipeline import networks  # noqa: PLC0415

        self._torch = torch
        self._to_input = networks.to_input
        self._network = network
        self._device = next(network.parameters()).device

    def report(self) -> Report:
        """PyTorch's version, and what the loaded parameters themselves are."""
        torch = self._torch
        kinds = {str(parameter.dtype).removeprefix("torch.") for parameter in self._network.parameters()}
        places = {parameter.device.type for parameter in self._network.parameters()}
        return Report(
            runtime="torch",
            runtime_version=str(torch.__version__),
            device="+".join(sorted(places)),
            precision="+".join(sorted(PRECISIONS.get(kind, kind) for kind in kinds)),
            threads=torch.get_num_threads(),
        )

    def reset(self) -> None:
        """Nothing to forget: the networks keep no state between frames."""

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:  # noqa: ARG002
        """The network's two outputs, clamped to [-1, 1]; NaN goes through, for the judge to refuse."""
        with self._torch.inference_mode():
            images = self._to_input(frame).to(self._device)
            speed, steering = self._network(images).clamp_(-1.0, 1.0)[0].tolist()
        return Command(speed, steering)


def load(artifact: Path | None, options: Options) -> Network:
    """The network in `artifact` on the device that `options` names.

    Raises:
        InputError: the file is missing, changed, a pickle, cut short or of the wrong shape; or there is no such device.
    """
    path = files.check(artifact, options.sha256)
    files.safetensors_header(path)
    # Imported only now: it takes two seconds, and a wrong file should be told of at once.
    import torch  # noqa: PLC0415

    from pipeline import networks  # noqa: PLC0415

    if options.device not in ("cpu", "cuda"):
        raise InputError(f"{path.name} asks for device {options.device!r}; there are cpu and cuda")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"{path.name} asks for device cuda, but this PyTorch ({torch.__version__}) sees none; use device cpu"
        )
    torch.set_num_threads(options.threads)
    if options.device == "cuda":
        _keep_exact()
    return Network(networks.load(path).to(options.device))


def _keep_exact() -> None:
    """Let a CUDA device compute what a CPU would: full fp32, and the same bits for the same frame.

    By default convolutions round to TF32, the fastest algorithm is chosen by timing, and cuBLAS may vary its order.
    """
    import torch  # noqa: PLC0415

    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(mode=True)
