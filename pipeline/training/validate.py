"""Driving a network in process, lap by lap: what `python -m pipeline.training` reports at its end.

``python -m pipeline.training.validate --artifact FILE`` does the same for any artifact and any circuits.
"""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from envs import circuit as circuits
from envs import conditions as weather
from envs import expert
from envs.errors import HotlapError
from envs.painting import Painting
from envs.world import World
from pipeline import networks
from pipeline.manifest import ROOT
from pipeline.training.collect import DIRECTIONS
from pipeline.training.pilot import answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import nn

    from envs.circuit import Circuit
    from envs.conditions import Conditions


class Lap(NamedTuple):
    """One case driven by a network.

    Attributes:
        circuit: its name.
        direction: forward or reverse.
        conditions: name of the set.
        seed: of the draw.
        outcome: completed, left_lane, stalled or timeout.
        progress: share of the lap driven, at most 1.
        speed: centreline distance over simulated time [m/s].
        deviation: mean of abs(offset) over centreline distance [m].
    """

    circuit: str
    direction: str
    conditions: str
    seed: int
    outcome: str
    progress: float
    speed: float
    deviation: float


def lap(circuit: Circuit, conditions: Conditions, painting: Painting, network: nn.Module | None) -> Lap:
    """Drive one case with `network`, or with the expert where there is none."""
    offsets, ways = [], []
    with World(circuit, conditions, painting=painting) as world:
        world.reset()
        while world.outcome is None:
            command = expert.command(world.true_state) if network is None else answer(network, world.frame)
            before = world.progress.distance
            world.step(command)
            offsets.append(abs(world.progress.offset))
            ways.append(max(0.0, world.progress.distance - before))
        distance = max(world.progress.distance, 0.0)
        return Lap(
            circuit=circuit.name,
            direction=circuit.direction,
            conditions=conditions.name,
            seed=conditions.seed,
            outcome=world.outcome,
            progress=min(1.0, distance / circuit.length),
            speed=distance / world.time,
            deviation=float(np.average(offsets, weights=np.asarray(ways) + 1e-9)),
        )


def laps(
    network: nn.Module | None, names: Sequence[str], conditions: Sequence[str], seeds: Sequence[int]
) -> Iterator[Lap]:
    """All cases of circuits `names` in both directions under each of `conditions` with each of `seeds`."""
    for name in names:
        forward = circuits.load(name)
        painting = Painting(forward)
        for direction in DIRECTIONS:
            for kind in conditions:
                for seed in seeds:
                    drawn = weather.draw(kind, seed, name, direction)
                    yield lap(forward.facing(direction), drawn, painting, network)


def lines(driven: Iterable[Lap]) -> Iterator[str]:
    """A heading, then one line for each circuit, direction and set of conditions, as soon as its laps are driven."""
    yield f"{'circuit':14} {'direction':9} {'conditions':10} completed  speed m/s (least)  deviation m (most)"
    for (circuit, direction, conditions), group in groupby(driven, key=lambda each: each[:3]):
        of = list(group)
        done = sum(each.outcome == "completed" for each in of)
        speeds, deviations = [each.speed for each in of], [each.deviation for each in of]
        yield (
            f"{circuit:14} {direction:9} {conditions:10} {done:4d}/{len(of):<4d}  "
            f"{np.mean(speeds):8.2f} ({min(speeds):.2f})    {np.mean(deviations):8.3f} ({max(deviations):.3f})"
        )
        for each in of:
            if each.outcome != "completed":
                yield f"    seed {each.seed}: {each.outcome} at {each.progress:.0%}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.training.validate", description=main.__doc__)
    parser.description = "Drive an artifact in process, without drivers, records or containers, and print the laps."
    parser.add_argument(
        "--artifact", type=Path, default=ROOT / "weights" / "pilotnet.safetensors", help="what to drive"
    )
    parser.add_argument("--circuits", nargs="+", metavar="NAME", help="default: the benchmark circuits")
    parser.add_argument("--conditions", nargs="+", default=["nominal", "varied"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10, help="cases for each of them, seeds 1, 2, …")
    parser.add_argument("--expert", action="store_true", help="drive with the expert instead")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        network = None if options.expert else networks.load(options.artifact)
        names = options.circuits or circuits.names("benchmark")
        for line in lines(laps(network, names, options.conditions, range(1, options.seeds + 1))):
            print(line, flush=True)
    except HotlapError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
