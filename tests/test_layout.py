"""What the repository may hold, and where: rules that no linter knows. Who may import whom is in test_layers.py."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LONGEST_FILE = 350
LONGEST_TEST = 400  # a contract is read as a list
LARGEST_WEIGHTS = 40_000_000

# Put together from parts, so that this file keeps its own rule.
FORBIDDEN = tuple(
    "".join(parts)
    for parts in (
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("download.py", "torch.org"),
        ("registry.", "npmjs"),
        ("deb.", "debian.org"),
        ("/wo", "rk/"),
        ("/op", "t/wheels"),
        ("/op", "t/py", "pi"),
        ("/tm", "p/dev/"),
        ("/ro", "ot/.py", "env"),
    )
)

SIMULATOR = {"pybullet", "cv2", "gymnasium"}
RUNTIMES = {"torch", "safetensors"}
CONTAINERS = {"docker", "requests"}
TABLES = {"pandas", "numpy", "tabulate", "rich", "click", "tomlkit"}
HEAVY = SIMULATOR | RUNTIMES | CONTAINERS | TABLES


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that is in git or on its way there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def python_files() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in files() if path.suffix == ".py")


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in memory after `statement` in a fresh interpreter."""
    script = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_no_package_index_and_no_path_of_one_machine_is_named() -> None:
    found = []
    for path in files():
        text = path.read_bytes().decode("utf-8", "ignore").lower()
        found += [f"{path.relative_to(ROOT)} names {word}" for word in FORBIDDEN if word in text]
    assert not found


def test_docker_is_no_package() -> None:
    assert not list((ROOT / "docker").rglob("__init__.py")), "it would shadow the SDK of that name"


def test_no_drawer_for_odds_and_ends() -> None:
    drawers = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert not [name for name in python_files() if Path(name).name in drawers]


@pytest.mark.parametrize("name", python_files())
def test_a_file_is_read_in_one_sitting(name: str) -> None:
    longest = LONGEST_TEST if name.startswith("tests/") else LONGEST_FILE
    assert (ROOT / name).read_text(encoding="utf-8").count("\n") <= longest


def test_packages_are_two_levels_deep_at_most() -> None:
    deep = [name for name in python_files() if name.startswith(("envs/", "pipeline/")) and name.count("/") > 2]
    assert not deep


def test_weights_in_git_are_small() -> None:
    weights = [path for path in files() if path.is_relative_to(ROOT / "weights")]
    assert sum(path.stat().st_size for path in weights) < LARGEST_WEIGHTS


@pytest.mark.parametrize("module", ["envs", "envs.command", "envs.errors", "pipeline"])
def test_a_package_alone_loads_nothing_heavy(module: str) -> None:
    assert not loaded_by(f"import {module}") & HEAVY


def test_the_drivers_package_loads_no_simulator_and_no_runtime() -> None:
    assert not loaded_by("import pipeline.drivers, pipeline.drivers.base") & (SIMULATOR | RUNTIMES | CONTAINERS)


def test_the_world_loads_no_runtime_and_no_containers() -> None:
    assert not loaded_by("import pipeline.world") & (RUNTIMES | CONTAINERS | {"pandas"})
