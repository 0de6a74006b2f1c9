"""Drivers: models running in their runtimes, one process each. A runtime is a module here with a `load` function."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from envs.errors import InputError

if TYPE_CHECKING:
    from pipeline.drivers.base import Runtime

RUNTIMES: dict[str, str] = {
    "centreline": "pipeline.drivers.centreline",
    "onnxruntime": "pipeline.drivers.onnxruntime",
    "openvino": "pipeline.drivers.openvino",
    "sleep": "pipeline.drivers.sleep",
    "torch": "pipeline.drivers.torch",
    "zero": "pipeline.drivers.zero",
}
"""Name of each runtime -> the module that drives with it, imported on use alone."""

RUNTIME_ROLE: dict[str, str] = {
    "centreline": "world",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "sleep": "world",
    "torch": "torch-cpu",
    "zero": "world",
}
"""Name of each runtime -> the role whose interpreter or image carries it on the CPU."""

CUDA_ROLE: dict[str, str] = {"torch": "torch-cuda", "onnxruntime": "onnxruntime-cuda"}
"""Name of each runtime that knows the device cuda -> the role that carries it there."""

SUFFIX: dict[str, str] = {"onnxruntime": ".onnx", "openvino": ".xml", "torch": ".safetensors"}
"""Name of each runtime that loads a file -> how that file's name ends."""

SEES_STATE: frozenset[str] = frozenset({"centreline", "sleep"})
"""The built-in oracles: the only runtimes that a job may grant the true state."""


def runtime(name: str) -> Runtime:
    """The module that drives with the runtime `name`.

    Raises:
        InputError: there is no such runtime.
    """
    if name not in RUNTIMES:
        raise InputError(f"there is no runtime {name!r}; there are {', '.join(sorted(RUNTIMES))}")
    return cast("Runtime", importlib.import_module(RUNTIMES[name]))
