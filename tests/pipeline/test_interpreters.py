from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from envs.errors import HarnessError, InputError
from pipeline import interpreters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Recorded:
    """Stands in for the running of commands: makes what `venv` makes, and fails where it is told to."""

    def __init__(self, *fails: str) -> None:
        self.fails = fails
        self.commands: list[str] = []

    def __call__(self, command: Sequence[str]) -> str | None:
        words = " ".join(command)
        self.commands.append(words)
        if "venv" in command:
            python = interpreters.Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
        return "ERROR: no such wheel" if any(word in words for word in self.fails) else None

    @property
    def installed(self) -> list[str]:
        return [words.rsplit("docker/", 1)[1] for words in self.commands if "--requirement" in words]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for locks in interpreters.LOCKS.values():
        for lock in (*locks, interpreters.TORCH_CUDA):
            (tmp_path / lock).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / lock).write_text(f"# {lock}\n")
    return tmp_path


def ensure(
    monkeypatch: pytest.MonkeyPatch, root: Path, role: str, recorded: Recorded, said: list[str] | None = None
) -> Path:
    monkeypatch.setattr(interpreters, "_run", recorded)
    return interpreters.ensure(role, root, (said if said is not None else []).append)


def test_an_environment_is_made_once_and_named_by_role_and_lock(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    recorded, said = Recorded(), list[str]()
    python = ensure(monkeypatch, root, "world", recorded, said)
    assert python.parent.parent.parent == root / ".hotlap" / "venvs"
    assert python.parent.parent.name.startswith("world-")
    assert len(python.parent.parent.name) == len("world-") + 12
    assert recorded.installed == ["world/requirements.lock"]
    assert len(said) == 1
    assert "making the virtual environment of role world" in said[0]
    assert ensure(monkeypatch, root, "world", Recorded("venv")) == python


def test_a_changed_lock_makes_another_environment(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    first = ensure(monkeypatch, root, "world", Recorded())
    (root / "docker/world/requirements.lock").write_text("numpy==99\n")
    assert ensure(monkeypatch, root, "world", Recorded()) != first


def test_train_has_world_and_torch_in_one(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    recorded = Recorded()
    ensure(monkeypatch, root, "train", recorded)
    assert recorded.installed == ["world/requirements.lock", "torch/cpu.lock"]


def test_an_environment_without_its_stamp_is_made_again(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    python = ensure(monkeypatch, root, "world", Recorded())
    (python.parent.parent / interpreters.STAMP).unlink()
    (python.parent.parent / "half").touch()
    recorded = Recorded()
    ensure(monkeypatch, root, "world", recorded)
    assert recorded.installed == ["world/requirements.lock"]
    assert not (python.parent.parent / "half").exists()


def test_an_environment_whose_python_is_gone_is_made_again(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    python = ensure(monkeypatch, root, "world", Recorded())
    python.unlink()
    python.symlink_to("/nowhere/python3")
    recorded = Recorded()
    ensure(monkeypatch, root, "world", recorded)
    assert recorded.installed == ["world/requirements.lock"]


def test_where_no_cpu_wheel_is_offered_the_ordinary_one_is_taken(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    recorded, said = Recorded("cpu.lock"), list[str]()
    ensure(monkeypatch, root, "torch-cpu", recorded, said)
    assert recorded.installed == ["torch/cpu.lock", "torch/cuda.lock"]
    assert said[1].startswith("no source offers what docker/torch/cpu.lock asks for; taking docker/torch/cuda.lock")


def test_what_cannot_be_installed_is_one_line_and_is_tried_again_next_time(
    monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    with pytest.raises(HarnessError) as caught:
        ensure(monkeypatch, root, "torch-cpu", Recorded("cpu.lock", "cuda.lock"))
    assert str(caught.value) == (
        "cannot install docker/torch/cuda.lock: ERROR: no such wheel; where the package index is out of reach, "
        "name a folder of wheels by pip's own PIP_FIND_LINKS"
    )
    assert ensure(monkeypatch, root, "torch-cpu", Recorded()).exists()


def test_a_host_without_venv_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    with pytest.raises(HarnessError, match="on Debian and Ubuntu the package python3-venv is needed"):
        ensure(monkeypatch, root, "world", Recorded("-m venv"))


def test_a_role_or_lock_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    with pytest.raises(
        InputError, match=r"^there is no role 'moon'; there are host, onnxruntime, onnxruntime-cuda, openv"
    ):
        ensure(monkeypatch, root, "moon", Recorded())
    (root / "docker/world/requirements.lock").unlink()
    with pytest.raises(
        InputError, match=r"cannot read the lock .*requirements.lock: No such file or directory; restore"
    ):
        ensure(monkeypatch, root, "world", Recorded())


def test_two_at_a_time_make_one(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    recorded = Recorded()
    monkeypatch.setattr(interpreters, "_run", recorded)
    threads = [threading.Thread(target=interpreters.ensure, args=("world", root, str)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorded.installed == ["world/requirements.lock"]


def test_what_a_failed_command_said_last_becomes_one_line() -> None:
    program = (
        "import sys; print('fine'); print('ERROR: a', file=sys.stderr); print('note', file=sys.stderr); sys.exit(1)"
    )
    assert interpreters._run([sys.executable, "-c", program]) == "ERROR: a"
    assert interpreters._run([sys.executable, "-c", "import sys; sys.exit(7)"]) == "exit status 7"
    assert interpreters._run([sys.executable, "-c", ""]) is None


def test_a_real_environment_is_made_from_a_lock_that_asks_for_nothing(root: Path) -> None:
    python = interpreters.ensure("world", root, str)
    done = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(python.parent.parent)
