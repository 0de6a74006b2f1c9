"""What a frame costs without any inference, by part; with `--laps`, how the expert drives every circuit.

    python -m benchmarks.world
    python -m benchmarks.world --laps

One core, one process. The transport between world and driver is measured elsewhere.
"""

from __future__ import annotations

import argparse
from time import perf_counter_ns
from typing import TYPE_CHECKING, get_args

import numpy as np

from envs import circuit as circuits
from envs import expert
from envs.circuit import Direction
from envs.conditions import draw
from envs.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from envs.command import Command

PARTS = ("physics", "camera", "judge")


def timed(part: Callable[[], None]) -> float:
    """Wall time of one part of a step [ms]."""
    began = perf_counter_ns()
    part()
    return (perf_counter_ns() - began) / 1e6


def frame_times(name: str) -> np.ndarray:
    """Times of every frame of the expert's lap, (n, 3) in the order of `PARTS` [ms]."""
    rows = []
    with World(circuits.load(name), draw("nominal", 0, name, "forward")) as world:
        world.reset()
        while world.outcome is None:
            command: Command = expert.command(world.true_state)
            physics = timed(lambda command=command: world.advance(command))  # type: ignore[misc]
            judge = timed(world.judge)
            rows.append((physics, timed(world.look), judge))
    return np.array(rows)


def print_frame_times() -> None:
    """A row for each benchmark circuit, lap by lap; the first frames paint their surroundings."""
    print(
        f"{'circuit':14}{'frames':>7}"
        + "".join(f"{part + ' ' + kind:>15}" for part in PARTS for kind in ("p50", "mean"))
    )
    for name in circuits.names("benchmark"):
        times = frame_times(name)
        cells = [(np.median(column), column.mean()) for column in times.T]
        print(
            f"{name:14}{len(times):7}"
            + "".join(f"{value:15.3f}" for pair in cells for value in pair)
            + f"   all {np.median(times.sum(axis=1)):.3f} p50, {times.sum(axis=1).mean():.3f} mean [ms]"
        )


def print_laps(seeds: int) -> None:
    """A row for each circuit, direction and set of conditions; worst of the seeds where there are several."""
    print(f"{'circuit':14}{'direction':10}{'conditions':11}{'completed':>10}{'m/s':>7}{'MAE m':>8}{'max m':>8}")
    for name in circuits.names():
        for direction in get_args(Direction):
            for conditions in ("nominal", "varied"):
                rows = [lap(name, direction, conditions, seed) for seed in range(seeds)]
                completed = sum(outcome == "completed" for outcome, *_ in rows)
                speed, mean, most = min(r[1] for r in rows), max(r[2] for r in rows), max(r[3] for r in rows)
                tally = f"{completed}/{seeds}"
                print(f"{name:14}{direction:10}{conditions:11}{tally:>10}{speed:7.2f}{mean:8.3f}{most:8.3f}")


def lap(name: str, direction: Direction, conditions: str, seed: int) -> tuple[str | None, float, float, float]:
    """Outcome, average speed [m/s], mean and largest deviation [m] of one lap of the expert."""
    with World(circuits.load(name).facing(direction), draw(conditions, seed, name, direction), camera=False) as world:
        offsets = [world.reset().progress.offset]
        while world.outcome is None:
            offsets.append(world.step(expert.command(world.true_state)).observation.progress.offset)
        deviations = np.abs(offsets)
        return world.outcome, world.progress.distance / world.time, float(deviations.mean()), float(deviations.max())


def main() -> None:
    """Read the arguments and print the table asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laps", action="store_true", help="the expert's laps instead of the frames' cost")
    parser.add_argument("--seeds", type=int, default=3, help="laps of the expert for each row")
    arguments = parser.parse_args()
    if arguments.laps:
        print_laps(arguments.seeds)
    else:
        print_frame_times()


if __name__ == "__main__":
    main()
