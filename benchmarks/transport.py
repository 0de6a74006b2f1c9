"""What it costs that a driver is a process, or a container, of its own: ``python benchmarks/transport.py``.

One interleaved run asks the driver `zero`, which computes nothing, for commands on the same frames in three ways: by a
call in this process, across processes (the local executor), and across containers (the docker executor, where a daemon
answers). World and driver share one core, as in `hotlap measure`. Printed are medians of the round trip of all rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline import drivers, executors, protocol
from pipeline.drivers.base import Options
from pipeline.executors.base import DriverSpec, Executor, Session
from pipeline.executors.local import LocalExecutor
from pipeline.manifest import ModelRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Samples = list[int]

ZERO = ModelRow(name="zero", runtime="zero", description="never steers", calibrator=True)
ACROSS_PROCESSES_US = 60.0
"""What a frame across processes may cost more than a call in this process, median [us]."""
ACROSS_CONTAINERS_US = 20.0
"""What a frame across containers may cost more than across processes, median [us]."""


def in_process(count: int) -> Samples:
    """Times of `count` plain calls of the driver [ns]."""
    driver = drivers.runtime("zero").load(None, Options())
    frames = np.random.default_rng(1).integers(0, 256, (16, *protocol.FRAME_SHAPE), dtype=np.uint8)
    taken = []
    for step in range(count):
        start = time.perf_counter_ns()
        driver.command(frames[step % len(frames)], None)
        taken.append(time.perf_counter_ns() - start)
    return taken


def across(executor: Executor, count: int, core: int) -> Samples:
    """Times of `count` round trips between a world and a driver that `executor` runs [ns].

    Raises:
        SystemExit: there are no times: the world or the driver failed.
    """
    job = {"schema": 1, "mode": "measure", "drivers": [{"model": "zero", "grants_state": False}], "core": core}
    job |= {"blocks": 1, "block_frames": count, "warmup_frames": 200, "offline": False}
    events: list[dict[str, Any]] = []
    spec = DriverSpec(ZERO, "world", None, core=core)
    end = executor.run(Session((spec,), job, deadline_s=300.0), events.append)
    for event in events:
        if event["event"] == "timing":
            return list(event["round_trip_ns"])
    sys.exit(f"transport: no times from executor {executor.name}: {events[-1:]} {end}")


def measure(ways: dict[str, Callable[[], Samples]], rounds: int) -> dict[str, Samples]:
    """The times of all rounds by each way; the ways take turns, so that a busy moment does not strike one alone."""
    taken: dict[str, Samples] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            taken[name] += way()
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
    return taken


def report(taken: dict[str, Samples]) -> str:
    """The table and the two differences, as text."""
    lines = [f"{'way':<20}{'median us':>12}{'p95 us':>12}{'n':>8}"]
    medians = {}
    for name, samples in taken.items():
        medians[name] = statistics.median(samples) / 1e3
        p95 = statistics.quantiles(samples, n=20)[-1] / 1e3
        lines.append(f"{name:<20}{medians[name]:>12.1f}{p95:>12.1f}{len(samples):>8}")
    lines.append("")
    processes = medians["processes"] - medians["call"]
    lines.append(f"processes less call:       {processes:7.1f} us (at most {ACROSS_PROCESSES_US:g} wanted)")
    if "containers" in medians:
        containers = medians["containers"] - medians["processes"]
        lines.append(f"containers less processes: {containers:7.1f} us (at most {ACROSS_CONTAINERS_US:g} wanted)")
    else:
        lines.append("containers less processes: not measured (no Docker daemon answers)")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Measure as `arguments` say and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=2000, help="frames in each round by each way")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core that all share")
    parser.add_argument("--python", type=Path, help="an interpreter with the world's packages, to make no environment")
    asked = parser.parse_args(arguments)
    with ExitStack() as stack:
        python = asked.python
        local = stack.enter_context(LocalExecutor(None if python is None else lambda _: python))
        local.prepare(["world"])
        ways: dict[str, Callable[[], Samples]] = {
            "call": lambda: in_process(asked.frames),
            "processes": lambda: across(local, asked.frames, asked.core),
        }
        if executors.daemon_answers():
            docker = stack.enter_context(executors.choose("docker")[0])
            docker.prepare(["world"])
            ways["containers"] = lambda: across(docker, asked.frames, asked.core)
        os.sched_setaffinity(0, {asked.core})
        print(report(measure(ways, asked.rounds)))


if __name__ == "__main__":
    main(sys.argv[1:])
