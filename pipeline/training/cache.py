"""The folder in which a run keeps its frames, gone when the run is, however it ended."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """A new folder below `parent`; removed at the end, and with it what runs that were killed have left there.

    A run holds a lock on its folder, which the system lets go of when the run ends in whatever way.

    Raises:
        InputError: `parent` cannot be written.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        path = Path(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise InputError(f"{parent}: cannot keep frames there: {error.strerror}; make the folder writable") from error
    lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path
    finally:
        shutil.rmtree(path)
        os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove the folders below `parent` that no run holds."""
    for left in parent.iterdir():
        lock = os.open(left, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
