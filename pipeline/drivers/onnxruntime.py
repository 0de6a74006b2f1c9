"""ONNX Runtime, from one `.onnx` file, on the CPU, or a CUDA device by its CUDA or TensorRT provider.

The graph takes the frame's bytes and holds all pre-processing: one input ``frame``, uint8 (1, 66, 200, 3), and one
output ``command``, float32 (1, 2), which is (speed, steering).
"""

from __future__ import annotations

import importlib
import json
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.command import Command
from envs.errors import InputError
from pipeline.drivers import artifact as files
from pipeline.drivers.base import Options, Report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from envs.true_state import TrueState

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
PROVIDERS = {("cpu", ""): [CPU], ("cuda", ""): [CUDA], ("cuda", "tensorrt"): [TENSORRT, CUDA]}
"""Device and mode -> the providers that may run nodes, the first choice first."""

INTEGER = ("QLinearConv", "ConvInteger", "QGemm", "QLinearMatMul", "MatMulInteger", "DynamicQuantizeMatMul")
"""Kernels that multiply 8-bit integers."""

BULK = ("Conv", "Gemm", "MatMul")
"""What a kernel that does the bulk of the work has in its name."""

SHAPES = {"frame": ("tensor(uint8)", [1, 66, 200, 3]), "command": ("tensor(float)", [1, 2])}


class Session:
    """A loaded graph.

    Args:
        session: ONNX Runtime's.
        ran: how often each kernel ran for one frame, by provider, as the runtime's own profile tells.
        version: of ONNX Runtime.
        options: that it was loaded with.
    """

    def __init__(self, session: Any, ran: Counter[tuple[str, str]], version: str, options: Options) -> None:
        self._session = session
        self._ran = ran
        self._version = version
        self._device = options.device
        self._threads = options.threads

    def report(self) -> Report:
        """ONNX Runtime's version, and the kernels and provider that its profile names."""
        work = Counter({key: n for key, n in self._ran.items() if any(word in key[1] for word in BULK)})
        providers = sorted({provider for provider, _ in self._ran})
        kernels = ", ".join(f"{kernel} x{n}" for (_, kernel), n in sorted(work.items()))
        return Report(
            runtime="onnxruntime",
            runtime_version=self._version,
            device=self._device if providers != [CPU] else "cpu",
            precision=_precision(work),
            threads=self._threads,
            provider=f"{'+'.join(providers)}: {kernels}"[:120],
        )

    def reset(self) -> None:
        """Nothing to forget: the graphs keep no state between frames."""

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:  # noqa: ARG002
        """The graph's two outputs, clamped to [-1, 1]; NaN goes through, for the judge to refuse."""
        speed, steering = self._session.run(None, {"frame": frame[np.newaxis]})[0][0].tolist()
        return Command(_clamped(speed), _clamped(steering))


def load(artifact: Path | None, options: Options) -> Session:
    """The graph in `artifact` on the device that `options` names.

    Raises:
        InputError: the file is missing, changed, damaged, or takes or gives something else; it keeps its weights in
            another file, or has operators that this runtime does not know; ONNX Runtime or its provider is not there.
    """
    path = files.check(artifact, options.sha256)
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise InputError(f"ONNX Runtime is not installed here ({error}); use the runtime's own environment") from error
    providers = _providers(path, options, onnxruntime.get_available_providers())
    try:
        ran = _profiled(onnxruntime, path, providers, options.threads)
        session = onnxruntime.InferenceSession(
            path.read_bytes(), _settings(onnxruntime, options.threads), providers=providers
        )
    except InputError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise InputError(f"{path}: ONNX Runtime refuses it: {said[:300]}; convert the model again") from error
    return Session(session, ran, str(onnxruntime.__version__), options)


def _providers(path: Path, options: Options, known: list[str]) -> list[str]:
    """The providers for a device and mode.

    Raises:
        InputError: there is no such device or mode, or this build of the runtime has no such provider.
    """
    wanted = PROVIDERS.get((options.device, options.mode))
    if wanted is None:
        asked = f"device {options.device!r}" + (f" and mode {options.mode!r}" if options.mode else "")
        raise InputError(f"{path.name} asks for {asked}; there are cpu, cuda, and cuda with mode 'tensorrt'")
    for provider in wanted:
        if provider not in known:
            raise InputError(
                f"{path.name} asks for {provider}, but this ONNX Runtime has {', '.join(known)}; use device cpu"
            )
    return wanted


def _settings(onnxruntime: Any, threads: int) -> Any:
    """One stream of work on so many threads, which sleep while there is nothing to do."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return settings


def _profiled(onnxruntime: Any, path: Path, providers: list[str], threads: int) -> Counter[tuple[str, str]]:
    """How often each kernel runs for one frame, by provider: a session of its own, which writes a profile.

    The graph comes as bytes, so that weights in another file are not found.

    Raises:
        InputError: the graph takes or gives something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(onnxruntime, threads)
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(path.read_bytes(), settings, providers=providers)
        for ends, wanted in ((session.get_inputs(), "frame"), (session.get_outputs(), "command")):
            found = {end.name: (end.type, end.shape) for end in ends}
            if found != {wanted: SHAPES[wanted]}:
                raise InputError(
                    f"{path}: has {found} where { ({wanted: SHAPES[wanted]}) } is needed; "
                    "convert the model with its pre-processing inside"
                )
        session.run(None, {"frame": np.zeros((1, 66, 200, 3), np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    told = [event["args"] for event in events if event.get("cat") == "Node" and "op_name" in event.get("args", {})]
    return Counter((entry["provider"], entry["op_name"]) for entry in told if "provider" in entry)


def _precision(work: Counter[tuple[str, str]]) -> str:
    """What the convolutions run in, or the dense layers where there are none."""
    kernels = [kernel for _, kernel in work if "Conv" in kernel] or [kernel for _, kernel in work]
    return "int8" if kernels and all(kernel in INTEGER for kernel in kernels) else "fp32"


def _clamped(value: float) -> float:
    return value if -1.0 <= value <= 1.0 or math.isnan(value) else math.copysign(1.0, value)
