"""OpenVINO on the CPU, from its own format: an `.xml` with the graph and a `.bin` with the weights beside it.

The graph takes the frame's bytes and holds all pre-processing: one input ``frame``, uint8 (1, 66, 200, 3), and one
output ``command``, float32 (1, 2), which is (speed, steering).
"""

from __future__ import annotations

import importlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from envs.errors import InputError
from pipeline.drivers import artifact as files
from pipeline.drivers.base import Options, Report, clamped
from pipeline.protocol import MAX_TEXT

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from envs.command import Command
    from envs.true_state import TrueState

HINTS = {"fp32": "f32", "int8": "f32", "fp16": "f16", "bf16": "bf16"}
"""Precision asked for -> what OpenVINO may compute floats in; by itself it takes the fastest, and says nothing."""

WORDS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "u8": "int8", "i8": "int8"}
"""OpenVINO's word for a number format -> hotlap's."""

FACTS = ("layerType", "primitiveType", "runtimePrecision")
"""What OpenVINO says of each node of a compiled graph: what it computes, by which kernel, and in what."""

WANTED = {"frame": ("u8", [1, 66, 200, 3]), "command": ("f32", [1, 2])}


class Compiled:
    """A compiled graph.

    The frame is copied into the request's own input, 2 us: handing it over with each call took 50 to 100 us more.

    Args:
        compiled: OpenVINO's.
        version: of OpenVINO.
    """

    def __init__(self, compiled: Any, version: str) -> None:
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self._frame = self._request.get_input_tensor(0).data[0]
        self._answer = self._request.get_output_tensor(0).data[0]
        self._version = version

    def report(self) -> Report:
        """The kernels that the compiled graph consists of, as OpenVINO itself lists them."""
        kernels: Counter[tuple[str, str, str]] = Counter()
        for node in self._compiled.get_runtime_model().get_ops():
            facts = node.get_rt_info()
            kind, kernel, precision = (str(facts[name].value) for name in FACTS)
            if kind in ("Convolution", "FullyConnected", "MatMul"):
                kernels[kind, kernel, precision] += 1
        bulk = [key for key in kernels if key[0] == "Convolution"] or list(kernels)
        precisions = sorted({WORDS.get(precision, precision) for _, _, precision in bulk})
        told = ", ".join(f"{kernel} x{n}" for (_, kernel, _), n in sorted(kernels.items()))
        return Report(
            runtime="openvino",
            runtime_version=self._version,
            device="cpu",
            precision="+".join(precisions) or "none",
            threads=int(self._compiled.get_property("INFERENCE_NUM_THREADS")),
            provider=f"{'+'.join(self._compiled.get_property('EXECUTION_DEVICES'))}: {told}"[:MAX_TEXT],
        )

    def reset(self) -> None:
        """Nothing to forget: the graphs keep no state between frames."""

    def command(self, frame: NDArray[np.uint8], state: TrueState | None) -> Command:  # noqa: ARG002
        """The graph's two outputs, clamped to [-1, 1]; NaN goes through, for the judge to refuse."""
        self._frame[:] = frame
        self._request.infer(share_outputs=True)
        speed, steering = self._answer.tolist()
        return clamped(speed, steering)


def load(artifact: Path | None, options: Options) -> Compiled:
    """The graph in `artifact`, compiled for this CPU.

    Raises:
        InputError: a file is missing, changed, damaged, or takes or gives something else; there is no such device or
            mode; OpenVINO is not there.
    """
    path = files.check(artifact, options.sha256)
    if options.precision not in HINTS:
        raise InputError(f"{path.name} asks for precision {options.precision!r}; there are {', '.join(HINTS)}")
    if options.device != "cpu" or options.mode:
        asked = f"device {options.device!r}" + (f" and mode {options.mode!r}" if options.mode else "")
        raise InputError(f"{path.name} asks for {asked}; OpenVINO is run on cpu, without a mode")
    try:
        openvino: Any = importlib.import_module("openvino")
    except ImportError as error:
        raise InputError(f"OpenVINO is not installed here ({error}); use the runtime's own environment") from error
    settings = {
        "INFERENCE_NUM_THREADS": options.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": HINTS[options.precision],
        "ENABLE_CPU_PINNING": False,  # whoever starts the driver pins it
    }
    try:
        core = openvino.Core()
        model = core.read_model(path)
        _check_ends(path, model)
        compiled = core.compile_model(model, "CPU", settings)
    except InputError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise InputError(f"{path}: OpenVINO refuses it: {said[:300]}; convert the model again") from error
    return Compiled(compiled, str(openvino.__version__))


def _check_ends(path: Path, model: Any) -> None:
    """See that the graph takes a frame and gives a command.

    Raises:
        InputError: it does not.
    """
    for ends, wanted in ((model.inputs, "frame"), (model.outputs, "command")):
        found = {end.any_name: (end.element_type.get_type_name(), _lengths(end.partial_shape)) for end in ends}
        if found != {wanted: WANTED[wanted]}:
            raise InputError(
                f"{path}: has {found} where { ({wanted: WANTED[wanted]}) } is needed; "
                "convert the model with its pre-processing inside"
            )


def _lengths(shape: Any) -> list[int]:
    """Lengths of a shape, -1 where they are left open."""
    return [length.get_length() if length.is_static else -1 for length in shape]
