"""What every strategy starts from: the untouched baseline, the same frames in the same order, and the same budget."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from envs.errors import InputError
from pipeline.training import collect, fit
from pipeline.training import dataset as data
from pipeline.training.schedule import Schedule, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from pipeline.networks import PilotNet
    from pipeline.training.dataset import Dataset

EXPERT_FRAMES, OWN_FRAMES, CALIBRATION_FRAMES = 8_000, 16_000, 1_024
"""Frames to tune on that the expert drove through, those that the baseline did, and frames to calibrate on."""

TUNING = Stage("fine-tuning", 0, network_drives=False, passes=16_000, peak_rate=2e-4, last_rate=0.0)
"""The budget of every fine-tuning. A strategy of two stages gives each of them half."""

LEARNING = Stage("learning", 0, network_drives=False, passes=64_000, peak_rate=1e-3, last_rate=0.0)
"""The budget of a student, which begins with weights that know nothing, or has lost most of its channels."""

BATCH = 64
TEACHER_SHARE = 0.5
"""Of a student's loss, how much counts what the teacher says; the rest counts the expert's answers."""


@dataclass(frozen=True)
class Size:
    """How much of everything: the real thing, or what shows in seconds that all parts work.

    Attributes:
        expert_frames: to tune on, that the expert drove through.
        own_frames: to tune on, that the baseline drove through.
        calibration_frames: to calibrate on, of tracks of their own.
        share: of the budgets' passes.
        tracks: generated tracks to drive on.
    """

    expert_frames: int = EXPERT_FRAMES
    own_frames: int = OWN_FRAMES
    calibration_frames: int = CALIBRATION_FRAMES
    share: float = 1.0
    tracks: int = 24

    @property
    def frames(self) -> int:
        """All of them."""
        return self.expert_frames + self.own_frames + self.calibration_frames


FULL, SMOKE = Size(), Size(64, 64, 64, 0.004, 1)


@dataclass(frozen=True)
class Workshop:
    """What a strategy is given.

    Attributes:
        original: the baseline; never changed: take a `baseline`.
        frames: to tune on.
        calibration: frames of their own, to take ranges from.
        seed: of everything that is drawn.
        share: of the budgets' passes.
    """

    original: PilotNet
    frames: Dataset
    calibration: Dataset
    seed: int
    share: float

    @property
    def baseline(self) -> PilotNet:
        """A copy of the baseline, which may be changed."""
        return copy.deepcopy(self.original)

    def tune(
        self,
        network: nn.Module,
        budget: Stage = TUNING,
        *,
        share: float = 1.0,
        teacher: nn.Module | None = None,
        after_step: Callable[[float], None] | None = None,
    ) -> None:
        """Train `network` in place: the same frames, order and changes of the images for every caller.

        Args:
            network: what to train.
            budget: passes and learning rates.
            share: of the budget's passes.
            teacher: whose commands count besides the expert's.
            after_step: called after each step with the share of the steps that are done.
        """
        torch.manual_seed(self.seed)
        generator = np.random.default_rng(self.seed)
        passes = max(BATCH, round(budget.passes * share * self.share))
        steps = -(-passes // BATCH)
        network.train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=budget.peak_rate, weight_decay=fit.WEIGHT_DECAY)
        weights = torch.tensor([fit.WEIGHTS[data.SPEED], fit.WEIGHTS[data.STEERING]])
        for step, (images, labels) in enumerate(data.batches(self.frames, BATCH, passes, generator), 1):
            for group in optimiser.param_groups:
                group["lr"] = fit.learning_rate(budget, step, steps)
            loss = _loss(network(images), images, labels, weights, teacher)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), fit.MAX_GRADIENT_NORM)
            optimiser.step()
            if after_step is not None:
                after_step(step / steps)
        network.eval()


def _loss(outputs: Tensor, images: Tensor, labels: Tensor, weights: Tensor, teacher: nn.Module | None) -> Tensor:
    """Weighted squared error against the expert, and against the teacher where there is one."""
    own = fit.weighted_loss(outputs, labels, weights)
    if teacher is None:
        return own
    with torch.no_grad():
        told = teacher(images)
    return (1.0 - TEACHER_SHARE) * own + TEACHER_SHARE * fit.weighted_loss(outputs, told, weights)


def gather(folder: Path, artifact: Path, names: Sequence[str], size: Size, *, seed: int, workers: int) -> None:
    """Collect the frames of a workshop below `folder`: the expert's, then the baseline's, then those to calibrate on.

    Args:
        folder: of the data set.
        artifact: the baseline's file, which drives the second part.
        names: circuits to drive; the last one gives the frames to calibrate on.
        size: how many frames.
        seed: of everything that is drawn.
        workers: processes.
    """
    data.create(folder, size.frames)
    tuning, last = names[:-1], names[-1:]
    first = 0
    drives = []
    for count, network, circuits in (
        (size.expert_frames, None, tuning),
        (size.own_frames, artifact, tuning),
        (size.calibration_frames, artifact, last),
    ):
        stage = Stage("frames", count, network_drives=network is not None, passes=0, peak_rate=0.0, last_rate=0.0)
        # A seed apart from the training's, so that no frame was seen there.
        drives += collect.plan(stage, Schedule(()), circuits, first=first, seed=seed + 500, network=network)
        first += count
    collect.collect(drives, folder, Schedule(()).stride, workers)


def parts(folder: Path, size: Size) -> tuple[Dataset, Dataset]:
    """The frames to tune on, and those to calibrate on, of what `gather` collected."""
    whole = data.attach(folder)
    tuning = size.expert_frames + size.own_frames
    return whole.part(0, tuning), whole.part(tuning, size.frames)


def check_calibration(dataset: Dataset) -> None:
    """See that ranges can be taken from the frames.

    Raises:
        InputError: there is none, or all of them look the same.
    """
    if not len(dataset.frames):
        raise InputError("the calibration set is empty; give it frames: ranges cannot be taken from nothing")
    if bool(np.all(dataset.frames == dataset.frames[:1])):
        raise InputError(
            f"all {len(dataset.frames)} frames of the calibration set are the same; ranges taken from one picture "
            "would cut off all others; collect frames from a drive"
        )
