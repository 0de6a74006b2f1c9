"""The frames and labels of one training run, kept as bytes in a file, and batches of them as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.networks import HEIGHT, WIDTH, to_input

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

SPEED, STEERING = 0, 1
"""Columns of the labels, in the order of the network's outputs."""


@dataclass(frozen=True)
class Dataset:
    """Frames and what the expert would do.

    Attributes:
        frames: ``(N, 66, 200, 3)`` uint8 RGB.
        labels: ``(N, 2)`` float32, the expert's normalised (speed, steering).
    """

    frames: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]

    def part(self, start: int, end: int) -> Dataset:
        """The frames from `start` to before `end`."""
        return Dataset(self.frames[start:end], self.labels[start:end])


def create(folder: Path, count: int) -> None:
    """Make the two files for `count` frames below `folder`."""
    for name, kind, shape in _files(count):
        np.lib.format.open_memmap(folder / name, mode="w+", dtype=kind, shape=shape).flush()


def attach(folder: Path, *, write: bool = False) -> Dataset:
    """The data set below `folder`, mapped, not read: a frame costs memory only while it is in use."""
    mode = "r+" if write else "r"
    frames, labels = (np.lib.format.open_memmap(folder / name, mode=mode) for name, _, _ in _files(0))
    return Dataset(frames, labels)


def batches(
    dataset: Dataset, size: int, passes: int, generator: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches, epoch after epoch, until at least `passes` frames were given; the last batch is as large.

    Yields:
        Images ``(size, 3, 66, 200)`` float32 in [-1, 1], channels last, and labels ``(size, 2)`` float32.
    """
    count = len(dataset.labels)
    order = np.empty(0, dtype=np.int64)
    for _ in range(-(-passes // size)):
        while len(order) < size:
            order = np.concatenate([order, generator.permutation(count)])
        # In the order of the file: the kernel reads ahead. A batch has no order of its own.
        chosen, order = np.sort(order[:size]), order[size:]
        frames, labels = flipped(dataset.frames[chosen], dataset.labels[chosen], generator.random(size) < 0.5)
        yield jittered(to_input(frames), generator), torch.from_numpy(labels)


def flipped(
    frames: npt.NDArray[np.uint8], labels: npt.NDArray[np.float32], which: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Left and right exchanged in the frames that `which` marks, true to the label: the mirrored road asks for
    the mirrored steering and the same speed.

    Args:
        frames: ``(N, 66, 200, 3)`` uint8.
        labels: ``(N, 2)`` float32.
        which: ``(N,)`` bool.

    Returns:
        New arrays of the same shapes.
    """  # noqa: D205 - one sentence, two lines
    frames, labels = frames.copy(), labels.copy()
    frames[which] = frames[which, :, ::-1]
    labels[which, STEERING] *= -1.0
    return frames, labels


def jittered(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Contrast, brightness and tint of each image changed, and grey noise added: none of it changes what to do.

    Args:
        images: ``(N, 3, 66, 200)`` float32 in [-1, 1]; changed in place.
        generator: what the changes are drawn from.

    Returns:
        The same tensor, still within [-1, 1].
    """
    count = len(images)
    contrast = torch.from_numpy(generator.uniform(0.8, 1.2, (count, 1, 1, 1)).astype(np.float32))
    brightness = torch.from_numpy(
        (generator.uniform(-0.15, 0.15, (count, 1, 1, 1)) + generator.uniform(-0.04, 0.04, (count, 3, 1, 1))).astype(
            np.float32
        )
    )
    sigma = generator.uniform(0.0, 0.05, (count, 1, 1, 1)).astype(np.float32)
    noise = torch.from_numpy(sigma * generator.standard_normal((count, 1, HEIGHT, WIDTH), dtype=np.float32))
    return images.mul_(contrast).add_(brightness).add_(noise).clamp_(-1.0, 1.0)


def _files(count: int) -> tuple[tuple[str, type, tuple[int, ...]], ...]:
    return (("frames.npy", np.uint8, (count, HEIGHT, WIDTH, 3)), ("labels.npy", np.float32, (count, 2)))
