"""Frames a second of two environments on two cores against one: plain processes, and Gymnasium's vector environments.

    python -m benchmarks.vector
    python -m benchmarks.vector --rounds 15 --seconds 4

Each process is held on a core of its own and drives laps by the expert, whose decisions count as well. In each round
the first core drives alone, then the second, then both, started together; "one" is the mean of the two alone. Printed
are medians over the rounds, and the median of each round's own ratio, by wall time and by processor time: read the
latter on a host that is not quiet. So that a host can be told from what runs on it, a plain loop runs likewise.

"processes" step an environment each. "workers" are those of an `AsyncVectorEnv`, whose own process, on no core of its
own, decides for all, sends, and waits for all: one worker against two, by wall time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import fmean, median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np

from envs import expert
from envs.env import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

CIRCUIT = "many_curves"
WANTED = 1.9
"""Two on two cores against one, by wall time on a quiet host."""

_WARM_UP = 2.0  # before the first round; it paints the circuit [s]
_SPAWN = multiprocessing.get_context("spawn")


class Rate(NamedTuple):
    """What was done a second.

    Attributes:
        wall: of wall time.
        processor: of the process's time on a processor.
    """

    wall: float
    processor: float


class Lap:
    """An environment, stepped by the expert."""

    def __init__(self, seed: int) -> None:
        self._environment = gymnasium.make(identifier(CIRCUIT))
        _, self._info = self._environment.reset(seed=seed)

    def __call__(self) -> None:
        """One frame."""
        _, _, terminated, truncated, self._info = self._environment.step(action(self._info["true_state"]))
        if terminated or truncated:
            _, self._info = self._environment.reset()


def action(state: Any) -> np.ndarray:
    """The expert's."""
    return np.array(expert.command(state), np.float32)


def loop() -> None:
    """Some work that touches no memory to speak of."""
    total = 0
    for i in range(2000):
        total += i * i


def measured(work: Callable[[], None], seconds: float) -> Rate:
    """How often it is done."""
    count, began, used = 0, perf_counter(), process_time()
    while perf_counter() - began < seconds:
        work()
        count += 1
    return Rate(count / (perf_counter() - began), count / (process_time() - used))


def serve(core: int, end: Connection) -> None:
    """On a core, answer each (work, seconds) that comes with its rate; stop at None."""
    os.sched_setaffinity(0, {core})
    works: dict[str, Callable[[], None]] = {"processes": Lap(core), "plain loop": loop}
    for work, seconds in iter(end.recv, None):
        end.send(measured(works[work], seconds))


@contextmanager
def processes(cores: list[int]) -> Iterator[list[Connection]]:
    """A process on each core, to `serve`; their ends."""
    pipes = [_SPAWN.Pipe() for _ in cores]
    started = [_SPAWN.Process(target=serve, args=(c, there)) for c, (_, there) in zip(cores, pipes, strict=True)]
    for process in started:
        process.start()
    try:
        yield [here for here, _ in pipes]
    finally:
        for (here, _), process in zip(pipes, started, strict=True):
            here.send(None)
            process.join()


def rates(ends: list[Connection], work: str, seconds: float) -> list[Rate]:
    """Of processes that work at the same time."""
    for end in ends:
        end.send((work, seconds))
    return [end.recv() for end in ends]


def pinned(core: int) -> gymnasium.Env[Any, Any]:
    """An environment, whose process is held on a core from now on."""
    os.sched_setaffinity(0, {core})
    return gymnasium.make(identifier(CIRCUIT))


class Workers:
    """An `AsyncVectorEnv`, each worker on a core."""

    def __init__(self, cores: list[int]) -> None:
        self._laps = gymnasium.vector.AsyncVectorEnv([partial(pinned, core) for core in cores], context="spawn")
        _, self._infos = self._laps.reset(seed=[*cores])
        self.close = self._laps.close

    def __call__(self) -> None:
        """One frame of each."""
        actions = np.stack([action(state) for state in self._infos["true_state"]])
        *_, self._infos = self._laps.step(actions)

    def rate(self, seconds: float) -> float:
        """Frames a second of all together."""
        return self._laps.num_envs * measured(self, seconds).wall


def print_row(name: str, ones: list[float], twos: list[float]) -> None:
    """Medians of one and of two, and the ratio."""
    ratio = median(two / one for one, two in zip(ones, twos, strict=True))
    print(f"{name:28}{median(ones):10.0f}{median(twos):10.0f}{ratio:9.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="in each round, for each")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[-2:]
    if len(cores) < 2:
        sys.exit("vector: this needs two cores")
    found: dict[str, list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        ends = stack.enter_context(processes(cores))
        workers = [Workers(cores[:count]) for count in (1, 2)]
        for pool in workers:
            stack.callback(pool.close)
            pool.rate(_WARM_UP)
        rates(ends, "processes", _WARM_UP)
        for number in range(asked.rounds):
            for work in ("plain loop", "processes"):
                alone = [rates([end], work, asked.seconds)[0] for end in ends]
                both = rates(ends, work, asked.seconds)
                for unit in Rate._fields:
                    one, two = ([getattr(rate, unit) for rate in some] for some in (alone, both))
                    found.setdefault(f"{work}, {unit} time", []).append((fmean(one), sum(two)))
            one_worker, two_workers = (pool.rate(asked.seconds) for pool in workers)
            found.setdefault("workers, wall time", []).append((one_worker, two_workers))
            print(f"round {number + 1} of {asked.rounds}", file=sys.stderr)
    print(f"{CIRCUIT}, frames a second, {asked.rounds} rounds of {asked.seconds:g} s; wanted: two {WANTED} times one")
    print(f"{'':28}{'one':>10}{'two':>10}{'ratio':>9}")
    for name, rounds in found.items():
        print_row(name, *(list(side) for side in zip(*rounds, strict=True)))


if __name__ == "__main__":
    main()
