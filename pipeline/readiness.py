"""Making ready what models run in: a runtime that cannot be had keeps its own models from running, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.errors import HarnessError
from pipeline.drive import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.executors.base import Executor
    from pipeline.manifest import ModelRow

WORLD = "world"


def left_out(executor: Executor, rows: Sequence[ModelRow], say: Callable[[str], None]) -> dict[str, str]:
    """Make ready the world and what `rows` run in, one role at a time; model -> why it cannot be run.

    Raises:
        HarnessError: the world itself cannot be made ready.
    """
    executor.prepare({WORLD})
    found: dict[str, str] = {}
    for role in sorted({row.role for row in rows} - {WORLD}):
        try:
            executor.prepare({WORLD, role})
        except HarnessError as error:
            names = [row.name for row in rows if row.role == role]
            say(f"not run: {', '.join(names)}: {one_line(str(error))}")
            # The rest of the line is about this host, and the table is about the models.
            found.update(dict.fromkeys(names, str(error).partition(";")[0]))
    return found
