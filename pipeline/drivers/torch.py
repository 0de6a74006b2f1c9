"""PyTorch, eager or as a frozen graph, from safetensors, on the CPU or a CUDA device; int8 on the CPU."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.command import Command
from envs.errors import InputError
from pipeline.drivers import artifact as files
from pipeline.drivers.base import Options, Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from envs.true_state import TrueState

PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64", "int8": "int8"}
"""PyTorch's name of a number format -> hotlap's word for it."""


MODES = ("eager", "torchscript")
"""Ways to run a network: layer by layer, or as one graph that PyTorch traces, freezes and fuses after loading. Neither
needs a compiler; `torch.compile` needs one in the image and a place to run its output from, and is no faster here."""


class Network:
    """A network of `pipeline.networks` or `pipeline.quantised` with its weights.

    Args:
        network: takes images as `prepare` makes them.
        prepare: turns a frame, (66, 200, 3) uint8, into the network's input.
        mode: one of `MODES`.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        prepare: Callable[[NDArray[np.uint8]], torch.Tensor],
        mode: str,
    ) -> None:
        import torch  # noqa: PLC0415

        self._torch = torch
        self._prepare = prepare
        self._device = next(iter(network.state_dict().values())).device
        self._loaded = network
        self._provider = mode
        self._network: Any = network if mode == "eager" else self._frozen(network)

    def _frozen(self, network: torch.nn.Module) -> Any:
        """The network as one graph."""
        torch = self._torch
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            example = self._prepare(np.zeros((66, 200, 3), np.uint8)).to(self._device)
            traced: Any = torch.jit.trace(network, example, check_trace=False)
            graph: Any = torch.jit.freeze(traced)
            for _ in range(3):  # it is optimised by what it sees in its first runs
                graph(example)
        return graph

    def report(self) -> Report:
        """PyTorch's version, and what the loaded network itself is."""
        return Report(
            runtime="torch",
            runtime_version=str(self._torch.__version__),
            device=self._device.type,
            precision=_kinds(self._loaded),
            threads=self._torch.get_num_threads(),
            provider=self._provider,
        )

    def reset(self) -> None:
        """Nothing to forget: the networks keep no state between frames."""

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:  # noqa: ARG002
        """The network's two outputs, clamped to [-1, 1]; NaN goes through, for the judge to refuse."""
        with self._torch.inference_mode():
            images = self._prepare(frame).to(self._device)
            speed, steering = self._network(images).clamp_(-1.0, 1.0)[0].tolist()
        return Command(speed, steering)


def load(artifact: Path | None, options: Options) -> Network:
    """The network in `artifact` on the device that `options` names.

    Raises:
        InputError: the file is missing, changed, a pickle, cut short or of the wrong shape; or there is no such device
            or mode.
    """
    path = files.check(artifact, options.sha256)
    files.safetensors_header(path)
    # Imported only now: it takes two seconds, and a wrong file should be told of at once.
    import torch  # noqa: PLC0415

    if options.device not in ("cpu", "cuda"):
        raise InputError(f"{path.name} asks for device {options.device!r}; there are cpu and cuda")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"{path.name} asks for device cuda, but this PyTorch ({torch.__version__}) sees none; use device cpu"
        )
    mode = options.mode or MODES[0]
    if mode not in MODES:
        raise InputError(f"{path.name} asks for mode {mode!r}; there are {' and '.join(MODES)}")
    torch.set_num_threads(options.threads)
    if options.device == "cuda":
        _keep_exact()
    return _network(path, options.device, mode)


def _network(path: Path, device: str, mode: str) -> Network:
    """The network in a file, by the precision that its metadata names."""
    from pipeline import networks, quantised  # noqa: PLC0415

    precision = networks.read_metadata(path).get("precision", "fp32")
    if precision in (quantised.STATIC, quantised.DYNAMIC) and device != "cpu":
        raise InputError(f"{path.name} is int8, which PyTorch runs on the CPU alone; use device cpu or another runtime")
    if precision == quantised.STATIC:
        kernels = quantised.Kernels(quantised.load(path)).eval()
        return Network(kernels, _as_bytes, mode)
    network = quantised.load_dynamic(path) if precision == quantised.DYNAMIC else networks.load(path)
    kind = next(network.parameters()).dtype
    network.to(device)

    def prepare(frame: NDArray[np.uint8]) -> torch.Tensor:
        return networks.to_input(frame).to(kind)

    return Network(network, prepare, mode)


def _as_bytes(frame: NDArray[np.uint8]) -> torch.Tensor:
    """A frame as (1, 3, 66, 200) uint8 without copying it, where it may be written."""
    import torch  # noqa: PLC0415

    return torch.from_numpy(frame if frame.flags.writeable else frame.copy()).unsqueeze(0).permute(0, 3, 1, 2)


def _kinds(network: torch.nn.Module) -> str:
    """The word for what the loaded layers compute in: int8 where any of them has PyTorch's quantised kernels."""
    from torch.ao.nn.quantized.modules.utils import WeightedQuantizedModule  # noqa: PLC0415

    if any(isinstance(layer, WeightedQuantizedModule) for layer in network.modules()):
        return "int8"
    kinds = {str(parameter.dtype).removeprefix("torch.") for parameter in network.parameters()}
    return "+".join(sorted(PRECISIONS.get(kind, kind) for kind in kinds))


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
