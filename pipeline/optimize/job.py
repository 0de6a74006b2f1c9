"""One variant made in a process of its own, on one thread: what it is told, and what it gives back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from envs.errors import HotlapError
from pipeline import networks
from pipeline.optimize import catalogue, product, workshop
from pipeline.optimize.product import Exam
from pipeline.training import fit

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.optimize.workshop import Size


@dataclass(frozen=True)
class Job:
    """What to make of what.

    Attributes:
        name: of the variant.
        baseline: file of the network that it starts from.
        folder: of the collected frames, and of `exam.npz`, the fixed test frames.
        out: where the artifacts go.
        seed: of everything that is drawn.
        size: how much of everything.
    """

    name: str
    baseline: Path
    folder: Path
    out: Path
    seed: int
    size: Size


@dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes:
        name: of the variant.
        rows: of the manifest, one for each artifact; none where it failed.
        problem: what went wrong, in one line; None where nothing did.
        seconds: that it took [s].
    """

    name: str
    rows: tuple[dict[str, Any], ...]
    problem: str | None
    seconds: float


def do(job: Job) -> Done:
    """Make one variant and save its artifacts."""
    started = time.monotonic()
    variant = next(one for one in catalogue.VARIANTS if one.name == job.name)
    rows: list[dict[str, Any]] = []
    problem = None
    try:
        # One thread each: the bytes of the artifacts must not depend on how many variants are made at once.
        fit.seed_everything(job.seed, threads=1)
        baseline: Any = networks.load(job.baseline)
        frames, calibration = workshop.parts(job.folder, job.size)
        shop = workshop.Workshop(baseline, frames, calibration, job.seed, job.size.share)
        network = variant.make(shop)
        torch.use_deterministic_algorithms(mode=False)  # PyTorch's dynamic kernels have none
        kept = np.load(job.folder / "exam.npz")
        exam = Exam(kept["frames"], kept["labels"], str(kept["sha256"]))
        rows = product.make(variant, network, exam, job.out, job.seed)
    except HotlapError as error:
        problem = str(error)
    return Done(job.name, tuple(rows), problem, time.monotonic() - started)
