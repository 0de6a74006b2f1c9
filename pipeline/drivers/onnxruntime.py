"""ONNX Runtime, from one `.onnx` file, on the CPU, or a CUDA device by its CUDA or TensorRT provider.

The graph takes the frame's bytes and holds all pre-processing: one input ``frame``, uint8 (1, 66, 200, 3), and one
output ``command``, float32 (1, 2), which is (speed, steering).
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envs.errors import InputError
from pipeline.drivers import artifact as files
from pipeline.drivers.base import Options, Report, clamped
from pipeline.protocol import MAX_TEXT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from envs.command import Command
    from envs.true_state import TrueState

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
PROVIDERS = {("cpu", ""): [CPU], ("cuda", ""): [CUDA], ("cuda", "tensorrt"): [TENSORRT, CUDA]}
"""Device and mode -> the providers that may run nodes, the first choice first."""

INTEGER = ("QLinear", "QGemm", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul")
"""How the names of kernels start that multiply 8-bit integers."""

WORDS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "double": "fp64"}
"""ONNX Runtime's word for a number format -> hotlap's."""

ENGINE = "TRTKernel"
"""How the name of a TensorRT engine starts: one kernel to ONNX Runtime, which cannot tell what is in it."""

BULK = ("Conv", "Gemm", "MatMul", ENGINE)
"""What a kernel that does the bulk of the work has in its name."""

SHAPES = {"frame": ("tensor(uint8)", [1, 66, 200, 3]), "command": ("tensor(float)", [1, 2])}


class Kernel(NamedTuple):
    """A kernel that ran: its name, who ran it, and in what number format."""

    name: str
    provider: str
    precision: str


class Session:
    """A loaded graph.

    On the CPU its input and output are bound once and the frame is copied there, which takes 2 us: handing it over with
    each call takes 25 to 60 us more. For another device a bound input would be copied there once and never again.

    Args:
        session: ONNX Runtime's.
        work: how often each kernel that does the bulk of the work ran for one frame, by the runtime's own profile.
        version: of ONNX Runtime.
        options: that it was loaded with.
    """

    def __init__(self, session: Any, work: Counter[Kernel], version: str, options: Options) -> None:
        self._session = session
        self._work = work
        self._version = version
        self._device = options.device
        self._frame = np.zeros((1, 66, 200, 3), np.uint8)
        self._answer = np.zeros((1, 2), np.float32)
        self._binding = self._bound() if options.device == "cpu" else None

    def _bound(self) -> Any:
        binding = self._session.io_binding()
        binding.bind_cpu_input("frame", self._frame)
        answer = self._answer
        binding.bind_output("command", "cpu", 0, answer.dtype.type, answer.shape, answer.ctypes.data)
        return binding

    def report(self) -> Report:
        """ONNX Runtime's version, and the kernels and provider that its profile names."""
        providers = "+".join(sorted({kernel.provider for kernel in self._work}))
        kernels = ", ".join(f"{kernel.name} x{count}" for kernel, count in sorted(self._work.items()))
        return Report(
            runtime="onnxruntime",
            runtime_version=self._version,
            device=self._device,
            precision=_precision(self._work),
            threads=self._session.get_session_options().intra_op_num_threads,
            provider=f"{providers}: {kernels}"[:MAX_TEXT],
        )

    def reset(self) -> None:
        """Nothing to forget: the graphs keep no state between frames."""

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:  # noqa: ARG002
        """The graph's two outputs, clamped to [-1, 1]; NaN goes through, for the judge to refuse."""
        self._frame[0] = frame
        if self._binding is not None:
            self._session.run_with_iobinding(self._binding)
        else:
            (self._answer,) = self._session.run(None, {"frame": self._frame})
        speed, steering = self._answer[0].tolist()
        return clamped(speed, steering)


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
        work = _profiled(onnxruntime, path, providers, options)
        session = onnxruntime.InferenceSession(
            path.read_bytes(), _settings(onnxruntime, options.threads), **_chosen(providers, options)
        )
    except InputError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise InputError(f"{path}: ONNX Runtime refuses it: {said[:300]}; convert the model again") from error
    return Session(session, work, str(onnxruntime.__version__), options)


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


def _chosen(providers: list[str], options: Options) -> dict[str, Any]:
    """The providers with their options: full fp32, an algorithm that no stopwatch chose, engines for what was asked."""
    known = {
        CUDA: {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
        TENSORRT: {f"trt_{options.precision}_enable": "1"} if options.precision in ("fp16", "int8") else {},
    }
    return {"providers": providers, "provider_options": [known.get(provider, {}) for provider in providers]}


def _profiled(onnxruntime: Any, path: Path, providers: list[str], options: Options) -> Counter[Kernel]:
    """How often each kernel that does the bulk runs for one frame: a session of its own, which writes a profile.

    The graph comes as bytes, so that weights in another file are not found.

    Raises:
        InputError: the graph takes or gives something else, or does not run where it was asked to.
    """
    if options.device == "cuda":
        onnxruntime.preload_dlls()  # CUDA's libraries lie in packages beside it
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(onnxruntime, options.threads)
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(path.read_bytes(), settings, **_chosen(providers, options))
        for ends, wanted in ((session.get_inputs(), "frame"), (session.get_outputs(), "command")):
            found = {end.name: (end.type, end.shape) for end in ends}
            if found != {wanted: SHAPES[wanted]}:
                raise InputError(
                    f"{path}: has {found} where { ({wanted: SHAPES[wanted]}) } is needed; "
                    "convert the model with its pre-processing inside"
                )
        session.run(None, {"frame": np.zeros((1, 66, 200, 3), np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = Counter(_kernel(event["args"], options) for event in events if "op_name" in event.get("args", {}))
    work = Counter({kernel: n for kernel, n in ran.items() if any(word in kernel.name for word in BULK)})
    stray = next((kernel for kernel in work if kernel.provider not in providers), None)
    if stray is not None:
        raise InputError(
            f"{path.name} asks for {providers[0]}, but its {stray.name} ran on {stray.provider}; use device cpu"
        )
    return work


def _kernel(told: dict[str, Any], options: Options) -> Kernel:
    """One entry of a profile; a TensorRT engine computes in what it was built for, which is what was asked for."""
    name = told["op_name"]
    given = next((word for tensor in told.get("input_type_shape", ()) for word in tensor), "")
    precision = "int8" if name.startswith(INTEGER) else WORDS.get(given, given)
    if name.startswith(ENGINE):
        name, precision = ENGINE, options.precision
    return Kernel(name, told.get("provider", ""), precision)


def _precision(work: Counter[Kernel]) -> str:
    """What the convolutions run in, or the dense layers where there are none; joined by + where they differ."""
    bulk = [kernel for kernel in work if "Conv" in kernel.name or kernel.name == ENGINE] or list(work)
    return "+".join(sorted({kernel.precision for kernel in bulk})) or "none"
