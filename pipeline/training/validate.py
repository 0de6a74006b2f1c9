"""Driving an artifact without drivers, records or containers: what `python -m pipeline.training` reports at its end.

``python -m pipeline.training.validate --artifact FILE`` does the same for any artifact and any circuits; with
``--generated 100`` on a hundred tracks that no network was trained on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections import defaultdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
import torch

from envs import circuit as circuits
from envs import conditions as weather
from envs import expert
from envs.camera import GroundCamera
from envs.circuit import Direction
from envs.errors import HotlapError
from envs.painting import Painting
from envs.track_generator import PREFIX
from envs.world import World
from pipeline import networks
from pipeline.manifest import ROOT
from pipeline.statistics import Interval, Stratum, stratified_wilson, wilson
from pipeline.training.pilot import answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import nn

    from envs.circuit import Circuit
    from envs.conditions import Conditions


class Trial(NamedTuple):
    """A case without its model.

    Attributes:
        circuit: a name, or a file.
        direction: forward or reverse.
        conditions: name of the set.
        seed: of the draw.
    """

    circuit: str
    direction: Direction
    conditions: str
    seed: int


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
    camera = GroundCamera if network is not None else None
    with World(circuit, conditions, painting=painting, camera=camera) as world:
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


def trials(
    names: Iterable[str], conditions: Sequence[str], seeds: Sequence[int], directions: Sequence[Direction]
) -> list[Trial]:
    """Every combination, circuit by circuit."""
    return [
        Trial(name, direction, kind, seed)
        for name in names
        for direction in directions
        for kind in conditions
        for seed in seeds
    ]


def laps(artifact: Path | None, cases: Sequence[Trial], workers: int = 1) -> Iterator[Lap]:
    """Drive all cases, in their order, the artifact's network or the expert where there is none.

    Raises:
        InputError: a circuit, conditions or the artifact are wrong.
    """
    work = [(artifact, name, list(group)) for name, group in groupby(cases, key=lambda each: each.circuit)]
    if workers == 1:
        for each in work:
            yield from _on_one_circuit(each)
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(work))) as pool:
        for driven in pool.imap(_on_one_circuit, work):
            yield from driven


def _on_one_circuit(work: tuple[Path | None, str, list[Trial]]) -> list[Lap]:
    artifact, name, cases = work
    torch.set_num_threads(1)
    network = None if artifact is None else networks.load(artifact)
    forward = circuits.load(name)
    painting = Painting(forward)
    return [
        lap(
            forward.facing(each.direction),
            weather.draw(each.conditions, each.seed, forward.name, each.direction),
            painting,
            network,
        )
        for each in cases
    ]


def lines(driven: Iterable[Lap]) -> Iterator[str]:
    """A heading, a line for each circuit, direction and set of conditions as soon as it is driven, then the totals."""
    yield f"{'circuit':24} {'direction':9} {'conditions':10} completed  speed m/s (least)  deviation m (most)"
    everything: dict[str, list[Lap]] = defaultdict(list)
    for (circuit, direction, conditions), group in groupby(driven, key=lambda each: each[:3]):
        of = list(group)
        everything[conditions] += of
        yield f"{circuit:24} {direction:9} {_figures(conditions, of)}"
        for each in of:
            if each.outcome != "completed":
                yield f"    seed {each.seed}: {each.outcome} at {each.progress:.0%}"
    for conditions, of in everything.items():
        low, high = interval(of)
        yield f"{'all':24} {'':9} {_figures(conditions, of)}   95 % interval {100.0 * low:.1f} to {100.0 * high:.1f} %"


def interval(of: Iterable[Lap]) -> Interval:
    """Of the share completed: over seeds where a circuit was driven with several, else over circuits."""
    groups: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for each in of:
        groups[each.circuit, each.direction].append(each.outcome == "completed")
    strata = [Stratum(sum(group), len(group)) for group in groups.values()]
    if max(stratum.cases for stratum in strata) == 1:
        return wilson(sum(stratum.completed for stratum in strata), len(strata))
    return stratified_wilson(strata)


def _figures(conditions: str, of: Sequence[Lap]) -> str:
    done = sum(each.outcome == "completed" for each in of)
    speeds, deviations = [each.speed for each in of], [each.deviation for each in of]
    return (
        f"{conditions:10} {done:4d}/{len(of):<4d}  {np.mean(speeds):8.2f} ({min(speeds):.2f})    "
        f"{np.mean(deviations):8.3f} ({max(deviations):.3f})"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.training.validate")
    parser.description = "Drive an artifact in process, without drivers, records or containers, and print the laps."
    parser.add_argument(
        "--artifact", type=Path, default=ROOT / "weights" / "pilotnet.safetensors", help="what to drive"
    )
    parser.add_argument("--circuits", nargs="+", metavar="NAME", help="default: the benchmark circuits")
    parser.add_argument("--generated", type=int, metavar="N", help="generated tracks 1 to N instead")
    parser.add_argument("--length", type=int, metavar="M", help="of those tracks [m]; drawn from the seed if not given")
    parser.add_argument("--directions", nargs="+", default=get_args(Direction), choices=get_args(Direction))
    parser.add_argument("--conditions", nargs="+", default=["nominal", "varied"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10, help="cases for each of them, seeds 1, 2, …")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (as many as cores)")
    parser.add_argument("--expert", action="store_true", help="drive with the expert instead")
    options = parser.parse_args(arguments)
    names = options.circuits or circuits.names("benchmark")
    if options.generated:
        length = f":{options.length}" if options.length else ""
        names = [f"{PREFIX}{seed}{length}" for seed in range(1, options.generated + 1)]
    cases = trials(names, options.conditions, range(1, options.seeds + 1), options.directions)
    try:
        for line in lines(laps(None if options.expert else options.artifact, cases, options.workers)):
            print(line, flush=True)
    except HotlapError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
