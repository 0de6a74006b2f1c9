from __future__ import annotations

import ast
import subprocess
from typing import TYPE_CHECKING

import pytest

from envs.errors import HarnessError
from pipeline import images
from pipeline.drivers import RUNTIME_ROLE, RUNTIMES
from pipeline.manifest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALWAYS = {"pipeline.drivers.__main__", "pipeline.fingerprint"}
STARTS = {
    "world": {"pipeline.world", *ALWAYS, *(RUNTIMES[name] for name, role in RUNTIME_ROLE.items() if role == "world")},
    "torch-cpu": {"pipeline.drivers.torch", *ALWAYS},
    "onnxruntime": {"pipeline.drivers.onnxruntime", *ALWAYS},
    "openvino": {"pipeline.drivers.openvino", *ALWAYS},
}
NOT_NEEDED = {name: set() if name == "world" else {ROOT / "envs" / "true_state.py"} for name in STARTS}
"""What an image does without: a network is never given the true state."""


def imported(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports anywhere but for the type checker."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if node in skipped:
            continue
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            skipped.update(inner for child in node.body for inner in ast.walk(child))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(module: str) -> Path | None:
    if module.split(".", maxsplit=1)[0] not in ("envs", "pipeline"):
        return None
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def closure(modules: set[str]) -> set[Path]:
    found: set[Path] = set()
    waiting = [file for module in modules if (file := file_of(module))]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for module in imported(path) if (file := file_of(module))]
    return found


@pytest.mark.parametrize("name", STARTS)
def test_an_image_holds_all_that_its_programs_import(name: str) -> None:
    assert closure(STARTS[name]) - NOT_NEEDED[name] <= set(images.sources(name))


def test_no_image_holds_the_outer_ring() -> None:
    outer = {ROOT / "pipeline" / name for name in ("evaluate.py", "images.py", "record.py", "table.py")}
    for name in images.IMAGES:
        assert not outer & set(images.sources(name))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository that `images` takes for its own."""
    for path, text in {
        "docker/world/Dockerfile": "COPY --from=build /venv /venv\nCOPY envs /app/envs\nCOPY a \\\n  b /app/\n",
        "docker/world/requirements.lock": "numpy==1",
        "envs/circuit.py": "",
        "envs/__pycache__/circuit.pyc": "",
        "a": "a",
        "b": "b",
        "c": "c",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(images, "ROOT", tmp_path)
    return tmp_path


def test_sources_are_what_the_dockerfile_copies(repository: Path) -> None:
    assert images.sources("world") == tuple(repository / name for name in ("a", "b", "envs/circuit.py"))


@pytest.mark.parametrize(
    "path", ["docker/world/Dockerfile", "docker/world/requirements.lock", "envs/circuit.py", "envs/new.toml", "b"]
)
def test_the_tag_changes_with_what_is_in_the_image(repository: Path, path: str) -> None:
    before = images.tag("world")
    with (repository / path).open("a") as stream:
        stream.write("\n# changed\n")
    assert images.tag("world") != before


@pytest.mark.parametrize("path", ["c", "envs/__pycache__/circuit.pyc"])
def test_the_tag_changes_with_nothing_else(repository: Path, path: str) -> None:
    before = images.tag("world")
    (repository / path).write_text("changed")
    assert images.tag("world") == before


def test_a_dockerfile_that_copies_what_is_not_there_is_refused(repository: Path) -> None:
    (repository / "a").unlink()
    with pytest.raises(HarnessError, match="copies a, which is not there"):
        images.tag("world")


class Daemon:
    """Stands for the Docker client: knows some images, and what may be pulled or made."""

    def __init__(self, *there: str, pulls: bool = False, makes: bool = False) -> None:
        self.there = set(there)
        self.works = {"pull": pulls, "docker/airgapped.sh": makes}
        self.asked: list[str] = []

    def __call__(self, words: list[str], _timeout_s: float | None) -> subprocess.CompletedProcess[str]:
        if "inspect" in words:
            there = words[-1] in self.there
            return subprocess.CompletedProcess(words, int(not there), "sha256:1\n" if there else "", "")
        step = next(step for step in self.works if any(step in word for word in words))
        self.asked.append(step)
        return subprocess.CompletedProcess(words, int(not self.works[step]), "", f"{step} says no\n")


PUBLIC, LOCAL = "python:3.11-slim-bookworm", "local/python-base:3.11-bookworm"


@pytest.mark.parametrize(
    ("daemon", "chosen", "asked"),
    [
        (Daemon(PUBLIC, LOCAL), PUBLIC, []),
        (Daemon(LOCAL, pulls=True), LOCAL, []),
        (Daemon(pulls=True, makes=True), PUBLIC, ["pull"]),
        (Daemon(makes=True), LOCAL, ["pull", "docker/airgapped.sh"]),
    ],
)
def test_the_base_is_what_can_be_had(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, chosen: str, asked: list[str]
) -> None:
    monkeypatch.setattr(images, "_run", daemon)
    monkeypatch.setattr(images.daemon, "builder", lambda: "docker")
    told: list[str] = []
    assert images.base(told.append) == chosen
    assert daemon.asked == asked
    assert any(chosen in line for line in told)


def test_no_base_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_run", Daemon())
    monkeypatch.setattr(images.daemon, "builder", lambda: "docker")
    with pytest.raises(HarnessError, match=r"no base image: .*airgapped.sh says no.*docs/air-gapped.md"):
        images.base(lambda _: None)
