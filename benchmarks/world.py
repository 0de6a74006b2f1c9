"""What a frame costs without any inference, by part; what a long track costs; how the expert drives every circuit.

    python -m benchmarks.world
    python -m benchmarks.world --track generated:1:6000
    python -m benchmarks.world --laps

One core, one process. A lap of the expert's is driven again, command by command, so that only the world is timed. Its
first lap paints the circuit, later ones find it painted. The transport between world and driver is measured elsewhere.
"""

from __future__ import annotations

import argparse
import os
import resource
from time import perf_counter_ns
from typing import TYPE_CHECKING, get_args

import numpy as np

from envs import circuit as circuits
from envs import expert
from envs.circuit import Direction
from envs.conditions import draw
from envs.painting import Painting
from envs.world import World

if TYPE_CHECKING:
    from envs.circuit import Circuit
    from envs.command import Command

PARTS = ("physics", "camera", "judge")
LAPS = 5


def commands_of(circuit: Circuit, conditions: str) -> list[Command]:
    """The expert's commands on a lap."""
    found = []
    with World(circuit, draw(conditions, 0, circuit.name, circuit.direction), camera=None) as world:
        world.reset()
        while world.outcome is None:
            found.append(expert.command(world.true_state))
            world.step(found[-1])
    return found


def timed_lap(world: World, commands: list[Command]) -> np.ndarray:
    """Mean time of a frame on a lap, in all and by part, (1 + len(PARTS),) [us]."""
    world.reset()
    began = perf_counter_ns()
    for command in commands:
        world.step(command)
    spent = [perf_counter_ns() - began, *(world.split_ns[part] for part in PARTS)]
    return np.array(spent) / 1e3 / len(commands)


def print_frame_times(names: list[str], conditions: str) -> None:
    """A row for each circuit: the first lap's frames a second, and the median of the later laps' by part."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    heads = ("frames/s", "first lap", "all us", *PARTS, "rest")
    print(f"{conditions}, one core, the median of {LAPS} laps after the first one")
    print(f"{'circuit':24}{'frames':>8}" + "".join(f"{head:>11}" for head in heads))
    for name in names:
        circuit = circuits.load(name)
        commands = commands_of(circuit, conditions)
        with World(circuit, draw(conditions, 0, circuit.name, "forward")) as world:
            first = timed_lap(world, commands)
            laps = np.array([timed_lap(world, commands) for _ in range(LAPS)])
        middle = laps[int(np.argsort(laps[:, 0])[LAPS // 2])]
        cells = [f"{1e6 / middle[0]:11.0f}", f"{1e6 / first[0]:11.0f}"]
        cells += [f"{value:11.1f}" for value in (*middle, middle[0] - middle[1:].sum())]
        print(f"{name:24}{len(commands):8}" + "".join(cells), flush=True)


def print_track(name: str) -> None:
    """What loading a track takes, and the memory of a process that drives a lap on it."""
    before = peak_mb()
    began = perf_counter_ns()
    circuit = circuits.load(name)
    loaded = perf_counter_ns()
    painting = Painting(circuit)
    done = perf_counter_ns()
    print(f"{name}: {circuit.length:.0f} m, read in {(loaded - began) / 1e9:.2f} s,", end=" ")
    print(f"made ready to be painted in {(done - loaded) / 1e9:.2f} s")
    commands = commands_of(circuit, "nominal")
    with World(circuit, draw("nominal", 0, circuit.name, "forward"), painting=painting) as world:
        first = timed_lap(world, commands)
        print(
            f"a lap of {len(commands)} frames: {world.outcome}, {1e6 / first[0]:.0f} frames/s, painting included;",
            end=" ",
        )
    print(f"memory of the process at most {peak_mb():.0f} MB, of which {before:.0f} MB before the track was read")


def peak_mb() -> float:
    """Most memory that this process ever held [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


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
    with World(circuits.load(name).facing(direction), draw(conditions, seed, name, direction), camera=None) as world:
        offsets = [world.reset().progress.offset]
        while world.outcome is None:
            offsets.append(world.step(expert.command(world.true_state)).observation.progress.offset)
        deviations = np.abs(offsets)
        return world.outcome, world.progress.distance / world.time, float(deviations.mean()), float(deviations.max())


def main() -> None:
    """Read the arguments and print the table asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("circuits", nargs="*", help="to time frames on (the benchmark's)")
    parser.add_argument("--conditions", default="nominal", help="set drawn from for the frames' cost (nominal)")
    parser.add_argument("--track", help="load this one, drive a lap on it, and say what time and memory that took")
    parser.add_argument("--laps", action="store_true", help="the expert's laps instead of the frames' cost")
    parser.add_argument("--seeds", type=int, default=3, help="laps of the expert for each row")
    arguments = parser.parse_args()
    if arguments.laps:
        print_laps(arguments.seeds)
    elif arguments.track:
        print_track(arguments.track)
    else:
        print_frame_times(arguments.circuits or list(circuits.names("benchmark")), arguments.conditions)


if __name__ == "__main__":
    main()
