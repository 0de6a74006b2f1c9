"""A session's private folder, which the next session removes where a killed host has left one behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

PREFIX = "hotlap-"
GUARD = "in-use"
"""A file that its folder's host keeps locked: the kernel lets go of the lock however the host ends."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that this user alone can enter, removed at the end; first, those of hosts that are gone are removed."""
    sweep(Path(tempfile.gettempdir()))
    folder, guard = _make()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        guard.close()


def sweep(parent: Path) -> None:
    """Remove all folders below `parent` whose host is gone."""
    for path in parent.glob(f"{PREFIX}*/{GUARD}"):
        with suppress(OSError), path.open("r+b") as guard:  # somebody else's, or in use, or gone meanwhile
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)


def _make() -> tuple[Path, IO[bytes]]:
    """A new folder and its guard, locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        guard = (folder / GUARD).open("wb")
        fcntl.flock(guard, fcntl.LOCK_EX)
        if os.fstat(guard.fileno()).st_nlink:
            return folder, guard
        guard.close()  # swept between the making and the locking
