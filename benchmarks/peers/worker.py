"""One contestant in a process of its own: `python -m benchmarks.peers.worker MODULE:CLASS`.

It speaks in lines of JSON: first, unasked, how it is set up; then, to each {"seconds", "one_episode"} it reads, what it
did in that time. It ends when its input does.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import statistics
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers.simulator import Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.peers.simulator import Simulator

STARTS = 5
"""Episodes started to see what that costs."""


def drive(simulator: Simulator, seeds: Iterator[int], seconds: float, *, one_episode: bool) -> dict[str, Any]:
    """Step for so long, and tell how that went.

    Args:
        simulator: has begun.
        seeds: of the episodes that begin meanwhile.
        seconds: spent in steps.
        one_episode: stop sooner where the episode ends.

    Returns:
        frames: how many.
        ns: time spent in them.
        parts: of that, by part; empty where the simulator does not say.
        contrast: standard deviation of the first or last picture's values, whichever is less.
        change: mean absolute difference between these two pictures.
        peak_mb: most memory the process has ever had resident.
    """
    frames = spent = 0
    before = simulator.parts() if isinstance(simulator, Split) else None
    first = picture = np.zeros(0, np.uint8)
    while spent < seconds * 1e9:
        if simulator.over:
            if one_episode and frames:
                break
            simulator.begin(next(seeds))
        action = simulator.decide()
        began = perf_counter_ns()
        picture = simulator.step(action)
        spent += perf_counter_ns() - began
        frames += 1
        if frames == 1:
            first = np.array(picture)
    return {
        "frames": frames,
        "ns": spent,
        "parts": dict(simulator.parts() - before) if isinstance(simulator, Split) and before is not None else {},
        "contrast": min(float(first.std()), float(picture.std())),
        "change": float(np.abs(first.astype(float) - picture).mean()),
        "peak_mb": peak_mb(),
    }


def start_ms(simulator: Simulator, seeds: Iterator[int]) -> float:
    """Median time of starting an episode, not counting the first [ms]."""
    spent = []
    for _ in range(STARTS):
        began = perf_counter_ns()
        simulator.begin(next(seeds))
        spent.append((perf_counter_ns() - began) / 1e6)
    return statistics.median(spent)


def peak_mb() -> float:
    """The most memory this process has ever had resident [MB]."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def answers(place: str, questions: Iterable[str]) -> Iterator[dict[str, Any]]:
    """How the contestant at "module:class" is set up, then what it did at each question."""
    module, name = place.split(":")
    simulator: Simulator = getattr(importlib.import_module(module), name)()
    seeds = itertools.count()
    simulator.begin(next(seeds))
    yield asdict(simulator.setting) | {"start_ms": start_ms(simulator, seeds)}
    for question in questions:
        yield drive(simulator, seeds, **json.loads(question))


def main() -> None:
    """Answer until there are no more questions, or until something fails, which is an answer too."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what simulators print is no answer
    try:
        for answer in answers(sys.argv[1], sys.stdin):
            print(json.dumps(answer), file=out)
    except Exception as error:  # noqa: BLE001  whatever a simulator raises, its row says it
        print(json.dumps({"failed": f"{type(error).__name__}: {error}"}), file=out)
    os._exit(0)  # some renderers cannot be torn down in an orderly way


if __name__ == "__main__":
    main()
