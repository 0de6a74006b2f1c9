"""Imports run one way only: results rebuild on any laptop, and the world knows nothing of the pipeline."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {"pybullet", "gymnasium", "cv2", "docker", "torch", "tensorflow", "onnxruntime", "openvino", "safetensors"}

REBUILDS = (
    *("metrics", "statistics", "standing", "behaviour", "surroundings", "table", "published", "timing", "noise"),
    *("check_record", "artifacts", "pairs", "pareto", "baseline"),
)


@pytest.mark.parametrize("module", REBUILDS)
def test_results_rebuild_without_simulator_docker_or_framework(module: str) -> None:
    code = f"import sys, pipeline.{module}; print(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("path", sorted((ROOT / "envs").rglob("*.py")), ids=lambda path: path.stem)
def test_the_world_never_imports_the_pipeline(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not [name for name in names if name.split(".")[0] == "pipeline"]


def test_the_package_of_the_world_is_light() -> None:
    # A driver's image carries envs.command and no simulator: importing it must not ask for one.
    code = "import sys, envs.command, envs.errors; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not (HEAVY | {"numpy"}) & {name.split(".")[0] for name in done.stdout.split()}
