"""`hotlap measure`: how long each model takes, one at a time, interleaved with the FP32 eager baseline.

Interface (the body is being written): ``measure.run(rows, executor, results_dir)`` returns the path of the host's timing record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pipeline.executors.base import Executor
    from pipeline.manifest import ModelRow


def run(
    rows: Sequence[ModelRow],
    executor: Executor,
    results_dir: Path,
    *,
    names: Sequence[str] = (),
    blocks: int = 5,
    block_frames: int = 200,
    warmup_frames: int = 50,
    threads: int = 1,
    core: int | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Measure the models called `names` (all where empty) of the manifest's `rows` and write this host's timing record."""
    raise NotImplementedError
