"""A network in OpenVINO's own format: an `.xml` with the graph, a `.bin` with the weights, made from an ONNX graph."""

from __future__ import annotations

import importlib
import re
import tempfile
from pathlib import Path
from typing import Any


def write(graph: bytes, path: Path) -> None:
    """Convert an ONNX graph and write it to `path`, an `.xml`, and the `.bin` beside it; always in the same bytes.

    Nodes that the conversion adds are named by a counter of the whole process: they are named anew. OpenVINO notes how
    the file was made at its end; that part is cut off: it holds the path of a temporary file.
    """
    openvino: Any = importlib.import_module("openvino")  # the converter's environment alone has it
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "graph.onnx"
        source.write_bytes(graph)
        model = openvino.convert_model(source)
        for number, node in enumerate(model.get_ordered_ops()):
            if node.get_type_name() not in ("Parameter", "Result"):
                node.set_friendly_name(f"{node.get_type_name()}_{number}")
        openvino.save_model(model, path, compress_to_fp16=False)
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"\n\t<rt_info>.*?\n\t</rt_info>", "", text, flags=re.DOTALL), encoding="utf-8")
