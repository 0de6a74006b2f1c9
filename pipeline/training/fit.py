"""The fit: weighted squared error, AdamW, one warm-up and one cosine for each stage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.networks import to_input
from pipeline.training import dataset as data
from pipeline.training.dataset import SPEED, STEERING, Dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from pipeline.training.schedule import Stage

WEIGHTS = {SPEED: 1.0, STEERING: 30.0}
"""What a squared error counts in the loss. Steering decides whether the car stays in its lane, and its labels are
small: 0.05 normalised is 0.025 rad, a bend of 100 m radius, where 0.05 of speed is 0.4 m/s."""

WARM_UP = 0.05
"""Share of a fit's steps in which the learning rate rises from zero."""

WEIGHT_DECAY = 1e-4
MAX_GRADIENT_NORM = 1.0
REPORTS = 10


def seed_everything(seed: int, threads: int) -> None:
    """Make PyTorch repeat itself on this machine: same seed, versions, threads and kind of CPU give the same bytes."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    # A help for finding reads of memory never written, which costs a fill of every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_num_threads(threads)


def fit(
    network: nn.Module,
    dataset: Dataset,
    stage: Stage,
    batch: int,
    *,
    generator: np.random.Generator,
    say: Callable[[str], None],
) -> float:
    """Train `network` in place on `dataset`.

    Args:
        network: any of `pipeline.networks.ARCHITECTURES`.
        dataset: all frames collected so far.
        stage: how long and at which learning rates.
        batch: frames in one step.
        generator: draws order and augmentation.
        say: told the progress in words.

    Returns:
        The mean loss of the last tenth of the steps.
    """
    steps = -(-stage.passes // batch)
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=stage.peak_rate, weight_decay=WEIGHT_DECAY)
    weights = torch.tensor([WEIGHTS[SPEED], WEIGHTS[STEERING]])
    loss_sum, loss_count, mean = 0.0, 0, math.nan
    for step, (images, labels) in enumerate(data.batches(dataset, batch, stage.passes, generator), 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(stage, step, steps)
        loss = weighted_loss(network(images), labels, weights)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        optimiser.step()
        loss_sum, loss_count = loss_sum + loss.item(), loss_count + 1
        if step * REPORTS // steps > (step - 1) * REPORTS // steps:
            mean, loss_sum, loss_count = loss_sum / loss_count, 0.0, 0
            say(f"{stage.name}: fit {step * 100 // steps} %, loss {mean:.4f}")
    network.eval()
    return mean


def weighted_loss(outputs: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Mean over frames and outputs of weight times squared error; all ``(N, 2)`` but weights ``(2,)``."""
    return (weights * (outputs - labels).square()).mean()


def learning_rate(stage: Stage, step: int, steps: int) -> float:
    """The rate at `step` of 1 … `steps`: a straight rise, then a cosine to the stage's last rate."""
    warm_up = max(1, round(WARM_UP * steps))
    if step <= warm_up:
        return stage.peak_rate * step / warm_up
    fall = 0.5 * (1.0 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
    return stage.last_rate + (stage.peak_rate - stage.last_rate) * fall


def errors(network: nn.Module, dataset: Dataset, batch: int = 64) -> tuple[float, float]:
    """Root mean squared error of (speed, steering), normalised, without augmentation."""
    total = np.zeros(2)
    with torch.inference_mode():
        for start in range(0, len(dataset.labels), batch):
            outputs = network(to_input(dataset.frames[start : start + batch])).numpy()
            total += np.square(outputs - dataset.labels[start : start + batch], dtype=np.float64).sum(axis=0)
    speed, steering = np.sqrt(total / max(1, len(dataset.labels)))
    return float(speed), float(steering)
