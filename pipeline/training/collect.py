"""Collecting frames and the expert's answers, one process a core, each frame written to a place fixed beforehand.

What a drive yields depends on its own seed and on the network alone, never on which process drives it or when.
"""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from envs import circuit as circuits
from envs import conditions as weather
from envs import expert, track_generator, variants
from envs.car import CONTROL_HZ
from envs.errors import HarnessError
from envs.painting import Painting
from envs.world import World
from pipeline import networks
from pipeline.training import dataset as data
from pipeline.training.pilot import Nudges, answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import nn

    from envs.circuit import Circuit, Direction
    from envs.conditions import Conditions
    from pipeline.training.dataset import Dataset
    from pipeline.training.schedule import Schedule, Stage

DIRECTIONS: tuple[Direction, ...] = ("forward", "reverse")

START_OFFSET = 0.5
"""Starts beside the centreline reach up to this share of the way to the lane's edge."""

START_HEADING = 0.2
"""Largest heading error at such a start [rad]."""

ROOM = 3.0
"""Starts and nudges stray as on a lane this wide to each side, where there is more [m]."""

PAINTS = (
    "white_guide_line",
    "dashed_guide_line",
    "worn",
    "dashed_edges",
    "no_edges",
    "yellow_edges",
    "sand",
    "bare_earth",
    "dry_grass",
    "light_asphalt",
    "dark_asphalt",
    "wall",
)
"""Variants that every training circuit is driven in, in turn with itself."""

LANES = ("no_guide_line", "narrow", "wide")
"""Further ones, of circuits whose centreline is the middle of the lane and can be told without a line on it."""


@dataclass(frozen=True)
class Drive:
    """One circuit, direction and set of conditions, driven until its frames are full.

    Attributes:
        circuit: name of a training circuit, with its variant.
        direction: it is driven in.
        conditions: name of the set drawn from.
        seed: of the conditions' first draw and of the nudges; a further episode takes the next one.
        first: index of its first frame in the data set.
        count: frames it yields.
        network: file of the network that drives; None for the expert.
    """

    circuit: str
    direction: Direction
    conditions: str
    seed: int
    first: int
    count: int
    network: Path | None


def plan(
    stage: Stage, schedule: Schedule, names: Sequence[str], *, first: int, seed: int, network: Path | None
) -> list[Drive]:
    """The drives of a stage: all circuits and directions in turn, nominal ones spread evenly among the varied.

    Every other time a circuit is one of its variants.

    Args:
        stage: how many frames.
        schedule: how many a drive.
        names: training circuits.
        first: index of the stage's first frame.
        seed: of the whole run.
        network: file of the network that drives; None for the expert.
    """
    drives: list[Drive] = []
    rows = [(name, direction) for name in names for direction in DIRECTIONS]
    for number in range(-(-stage.frames // schedule.frames_per_drive)):
        start = number * schedule.frames_per_drive
        name, direction = rows[number % len(rows)]
        turn = number // len(rows) + number % len(rows)
        choices = PAINTS if name.startswith(track_generator.PREFIX) else PAINTS + LANES
        if turn % 2:
            name += variants.JOINT + choices[turn // 2 % len(choices)]
        nominal = int((turn + 1) * schedule.nominal_share) > int(turn * schedule.nominal_share)
        drives.append(
            Drive(
                circuit=name,
                direction=direction,
                conditions="nominal" if nominal else "training",
                # Far apart, so that the further episodes of one drive never repeat another drive's draw.
                seed=1000 * (seed * 1_000_000 + first + start),
                first=first + start,
                count=min(schedule.frames_per_drive, stage.frames - start),
                network=network,
            )
        )
    return drives


def collect(drives: Sequence[Drive], folder: Path, stride: int, workers: int) -> None:
    """Drive all `drives` and write their frames and labels into the data set below `folder`.

    Raises:
        HarnessError: a process died; its traceback stands on stderr.
    """
    context = multiprocessing.get_context("spawn")
    # Dealt out by circuit, so that each process paints as few circuits as possible.
    ordered = sorted(drives, key=lambda drive: drive.circuit)
    shares = [ordered[len(ordered) * i // workers : len(ordered) * (i + 1) // workers] for i in range(workers)]
    processes = [context.Process(target=work, args=(share, folder, stride), daemon=True) for share in shares if share]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.terminate()
    codes = [process.exitcode for process in processes]
    if any(codes):
        raise HarnessError(f"collecting frames: a process ended with {codes}; the reason stands above on stderr")


def work(drives: Sequence[Drive], folder: Path, stride: int) -> None:
    """One process's share of the drives."""
    torch.set_num_threads(1)
    target = data.attach(folder, write=True)
    loaded: dict[Path, nn.Module] = {}
    name = ""
    for drive in drives:
        if drive.circuit != name:  # they come sorted: one painting at a time is enough
            name, circuit = drive.circuit, circuits.load(drive.circuit)
            painting = Painting(circuit)
        network = None
        if drive.network is not None:
            if drive.network not in loaded:
                loaded[drive.network] = networks.load(drive.network)
            network = loaded[drive.network]
        fill(drive, circuit.facing(drive.direction), painting, network, target=target, stride=stride)


def fill(
    drive: Drive, circuit: Circuit, painting: Painting, network: nn.Module | None, *, target: Dataset, stride: int
) -> None:
    """Drive episode after episode until the frames of `drive` are full.

    Args:
        drive: what to drive.
        circuit: facing the drive's direction.
        painting: of that circuit.
        network: who drives; None is the expert.
        target: written at the drive's own frames.
        stride: of how many steps one frame is kept.
    """
    generator = np.random.default_rng(drive.seed)
    at, end = drive.first, drive.first + drive.count
    seed = drive.seed
    while at < end:
        conditions = _start(weather.draw(drive.conditions, seed, drive.circuit, drive.direction), circuit, generator)
        seed += 1
        nudges = Nudges(generator, CONTROL_HZ, min(circuit.half_width, ROOM))
        phase = int(generator.integers(stride))
        with World(circuit, conditions, painting=painting) as world:
            world.reset()
            while world.outcome is None and at < end:
                label = expert.command(world.true_state)
                if world.step_index % stride == phase:
                    target.frames[at], target.labels[at] = world.frame, label
                    at += 1
                command = label if network is None else answer(network, world.frame)
                world.step(nudges.on(command, world.progress.offset))


def _start(conditions: Conditions, circuit: Circuit, generator: np.random.Generator) -> Conditions:
    """Every other episode starts further astray than its conditions say."""
    offset = generator.uniform(-START_OFFSET, START_OFFSET) * min(circuit.half_width, ROOM)
    heading = generator.uniform(-START_HEADING, START_HEADING)
    if generator.random() < 0.5:
        return conditions
    return replace(conditions, start_offset=offset, start_heading=heading)
