"""Virtual environments for the local executor: one for each role, made from its lock when first asked for.

They lie in `.hotlap/venvs/<role>-<first 12 digits of the lock's hash>`, so a changed lock makes a new one. A stamp,
written last, says that one is whole; one without a stamp is made again. A lock file keeps two processes apart.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envs.errors import HarnessError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

STAMP = "hotlap-complete"
TORCH_CPU = "docker/torch/cpu.lock"
TORCH_CUDA = "docker/torch/cuda.lock"

LOCKS: dict[str, tuple[str, ...]] = {
    "host": ("requirements/host.lock",),
    "world": ("docker/world/requirements.lock",),
    "torch-cpu": (TORCH_CPU,),
    "torch-cuda": (TORCH_CUDA,),
    "onnxruntime": ("docker/onnxruntime/requirements.lock",),
    "onnxruntime-cuda": ("docker/onnxruntime/cuda.lock",),
    "openvino": ("docker/openvino/requirements.lock",),
    "optimize": ("docker/world/requirements.lock", TORCH_CPU, "requirements/optimize.lock"),
    "train": ("docker/world/requirements.lock", TORCH_CPU),
    "peers": ("benchmarks/requirements.lock",),
}
"""Role -> the locks that its environment is made from."""

INSTEAD = {TORCH_CPU: TORCH_CUDA}
"""A lock -> what is installed where no source offers its wheels: the ordinary PyTorch runs on a CPU too."""


def ensure(role: str, root: Path = ROOT, say: Callable[[str], None] | None = None) -> Path:
    """The Python of `role`, in an environment that is made now if it is not there.

    Args:
        role: a key of `LOCKS`.
        root: the repository; the environments lie below it.
        say: called with one line when something takes long; by default it is printed on stderr.

    Raises:
        InputError: there is no such role, or its lock is missing.
        HarnessError: the environment could not be made; the end of pip's output says why.
    """
    if role not in LOCKS:
        raise InputError(f"there is no role {role!r}; there are {', '.join(sorted(LOCKS))}")
    say = say or _print
    locks = [root / name for name in LOCKS[role]]
    folder = root / ".hotlap" / "venvs" / f"{role}-{_hash(locks)[:12]}"
    python = folder / "bin" / "python"
    if _whole(folder):
        return python
    with _alone(folder):
        if not _whole(folder):  # another process may have made it meanwhile
            _make(role, folder, locks, root, say)
    return python


def _whole(folder: Path) -> bool:
    """Whether the environment was finished, and the Python that it leans on is still there."""
    return (folder / STAMP).exists() and (folder / "bin" / "python").exists()


def _make(role: str, folder: Path, locks: Sequence[Path], root: Path, say: Callable[[str], None]) -> None:
    say(f"making the virtual environment of role {role} in {_short(folder, root)} (once; PyTorch takes a minute)")
    shutil.rmtree(folder, ignore_errors=True)
    failed = _run([sys.executable, "-m", "venv", str(folder)])
    if failed is not None:
        raise HarnessError(
            f"cannot make a virtual environment in {folder}: {failed}; "
            "on Debian and Ubuntu the package python3-venv is needed"
        )
    for lock in locks:
        install(folder, lock, root, say)
    (folder / STAMP).write_text("".join(f"{_short(lock, root)}\n" for lock in locks))


def install(folder: Path, lock: Path, root: Path, say: Callable[[str], None]) -> None:
    """Install what `lock` lists, or what its stand-in lists where no source offers the wheels.

    Raises:
        HarnessError: neither could be installed.
    """
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    failed = _run([*pip, "--requirement", str(lock)])
    instead = INSTEAD.get(_short(lock, root))
    if failed is not None and instead is not None:
        say(f"no source offers what {_short(lock, root)} asks for; taking {instead} (larger, runs on a CPU too)")
        lock = root / instead
        failed = _run([*pip, "--requirement", str(lock)])
    if failed is not None:
        raise HarnessError(
            f"cannot install {_short(lock, root)}: {failed}; where the package index is out of reach, "
            "name a folder of wheels by pip's own PIP_FIND_LINKS"
        )


def _run(command: Sequence[str]) -> str | None:
    """Run a command without showing what it says; None if it went well, else what it said last, in one line."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    wrong = [line for line in said if "error" in line.lower()] or said
    return " | ".join(wrong[-3:]) or f"exit status {done.returncode}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Within this, no other process makes `folder`.

    Raises:
        InputError: its place cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        guard = folder.with_name(folder.name + ".lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write in {folder.parent}: {error.strerror}; make it writable") from error
    with guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _hash(locks: Sequence[Path]) -> str:
    """A hash of the locks and of the Python that will run them.

    Raises:
        InputError: a lock is missing.
    """
    total = hashlib.sha256(f"{sys.version_info.major}.{sys.version_info.minor}".encode())
    for lock in locks:
        try:
            total.update(hashlib.sha256(lock.read_bytes()).digest())
        except OSError as error:
            raise InputError(f"cannot read the lock {lock}: {error.strerror}; restore it with git") from error
    return total.hexdigest()


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _print(line: str) -> None:
    print(f"hotlap: {line}", file=sys.stderr, flush=True)
