from __future__ import annotations

import ast
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from envs import conditions
from envs.progress import Limits
from pipeline import case, key
from pipeline.case import Case, Resolved
from pipeline.drivers import RUNTIMES
from pipeline.manifest import ROOT, ModelRow

if TYPE_CHECKING:
    from pathlib import Path

NET = ModelRow("net", "torch", "a network", artifact="net.safetensors", sha256="0" * 64)
ZERO = ModelRow("zero", "zero", "never steers", calibrator=True)
SLEEP = ModelRow("sleep", "sleep", "sleeps", calibrator=True)
MEASURE_ONLY = {"pipeline/fingerprint.py", "pipeline/frames.py", "pipeline/sampling.py"}
"""What the world imports to measure or to say what it is; it does not touch the driving."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository's code and locks, to be changed."""
    for folder in ("envs", "pipeline", "docker"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "offline"))
    return tmp_path


def of(row: ModelRow = NET, root: Path = ROOT, limits: Limits | None = None, **words: object) -> str:
    wanted = replace(Case(row.name, "simple"), **words)  # type: ignore[arg-type]
    return key.Keys(root).of(case.Resolver([row], limits or Limits()).resolve(wanted))


def resolved() -> Resolved:
    return case.Resolver([NET], Limits()).resolve(Case("net", "simple"))


def test_the_same_case_has_the_same_key() -> None:
    assert of() == of()
    assert len(of()) == 64


@pytest.mark.parametrize(
    "row",
    [
        replace(NET, name="other"),
        replace(NET, sha256="1" * 64),
        replace(NET, precision="int8"),
        replace(NET, device="cuda"),
        replace(NET, threads=2),
        replace(NET, mode="graph"),
        ZERO,
    ],
)
def test_another_model_has_another_key(row: ModelRow) -> None:
    assert of(row) != of()


@pytest.mark.parametrize("words", [{"seed": 1}, {"direction": "reverse"}, {"conditions": "varied"}])
def test_another_case_has_another_key(words: dict[str, object]) -> None:
    assert of(**words) != of()


def test_other_limits_have_another_key() -> None:
    assert of(limits=Limits(stall_s=4.0)) != of()


def test_other_deadlines_have_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of()
    monkeypatch.setitem(key.DEADLINES, "command", 1.0)
    assert of() != before


def test_what_does_not_decide_the_driving_is_not_in_the_key() -> None:
    assert of(replace(NET, description="another text", how="another", offline_mse=1.0, parameters=3)) == of()


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("envs/car.py", {"net", "zero", "sleep"}),
        ("envs/axle.py", {"net", "zero", "sleep"}),
        ("pipeline/episode.py", {"net", "zero", "sleep"}),
        ("pipeline/protocol.py", {"net", "zero", "sleep"}),
        ("docker/world/requirements.lock", {"net", "zero", "sleep"}),
        ("pipeline/networks.py", {"net"}),
        ("pipeline/drivers/torch.py", {"net"}),
        ("docker/torch/cpu.lock", {"net"}),
        ("pipeline/drivers/zero.py", {"zero"}),
        ("pipeline/drivers/centreline.py", {"sleep"}),
        ("pipeline/table.py", set()),
        ("pipeline/evaluate.py", set()),
        ("envs/circuits/simple.toml", set()),
        ("envs/conditions.toml", set()),
    ],
)
def test_changed_code_changes_the_keys_of_those_who_run_it(copy: Path, path: str, changes: set[str]) -> None:
    rows = {row.name: row for row in (NET, ZERO, SLEEP)}
    before = {name: of(row, copy) for name, row in rows.items()}
    with (copy / path).open("a") as stream:
        stream.write("\n# changed\n")
    assert {name for name, row in rows.items() if of(row, copy) != before[name]} == changes


def test_another_base_image_changes_the_key(copy: Path) -> None:
    before = of(root=copy)
    pins = copy / "docker" / "pins.toml"
    pins.write_text(pins.read_text().replace('digest = "', 'digest = "sha256:0', 1))
    assert of(root=copy) != before


def test_code_that_is_edited_while_it_drives_is_noticed(copy: Path) -> None:
    keys = key.Keys(copy)
    keys.of(case.Resolver([NET], Limits()).resolve(Case("net", "simple")))
    (copy / "pipeline" / "table.py").write_text("# of no account")
    keys.check()
    for path in (copy / "pipeline" / "networks.py", copy / "envs" / "car.py"):
        before = path.stat()
        path.write_text(path.read_text() + "#")
        with pytest.raises(key.SourceChangedError, match=path.name):
            keys.check()
        path.write_text(path.read_text()[:-1])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        keys.check()


def imported(start: Path) -> set[str]:
    """Every file of the repository that `start` imports when it runs, and what those import."""
    seen: set[Path] = set()
    todo = [start]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        tree = ast.parse(path.read_text())
        hidden = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if id(node) in hidden:
                continue
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            for name in names:
                place = ROOT / name.replace(".", "/")
                todo += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    return {path.relative_to(ROOT).as_posix() for path in seen if path.is_relative_to(ROOT)}


def matching(patterns: tuple[str, ...]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}


def test_all_that_the_world_imports_is_in_the_key() -> None:
    assert imported(ROOT / "pipeline" / "world.py") - MEASURE_ONLY <= matching(key.WORLD_SOURCES)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_all_that_a_driver_imports_is_in_the_key(runtime: str) -> None:
    module = RUNTIMES[runtime].replace(".", "/") + ".py"
    others = {other.replace(".", "/") + ".py" for name, other in RUNTIMES.items() if name != runtime}
    own = (matching(key.DRIVER_SOURCES) - others) | matching(key.RUNTIME_SOURCES.get(runtime, ()))
    needed = imported(ROOT / "pipeline" / "drivers" / "__main__.py") | imported(ROOT / module)
    assert module in own
    assert needed <= own | matching(key.WORLD_SOURCES)  # the world's sources are in every key


def test_another_version_of_the_conditions_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    same = resolved()
    before, other = key.Keys().parts(same), conditions.version() + 1
    monkeypatch.setattr(conditions, "version", lambda: other)
    after = key.Keys().parts(same)
    assert after["conditions"].pop("version") == other
    assert before["conditions"].pop("version") == other - 1
    assert after == before
