"""The world's part in measuring: ask drivers for commands on fixed frames, in blocks that take turns, and time them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.true_state import PREVIEW_POINTS, PREVIEW_STEP, TrueState
from pipeline.link import blaming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pipeline.frames import TestFrames
    from pipeline.link import Link, Reply

    Frames = NDArray[np.uint8]


def straight_ahead() -> bytes:
    """A packed true state in the middle of a straight, for an oracle that is timed without a world [8 m/s]."""
    ahead = np.column_stack((PREVIEW_STEP * np.arange(1, PREVIEW_POINTS + 1), np.zeros(PREVIEW_POINTS)))
    return TrueState(8.0, 0.0, 0.0, 0.0, ahead, np.zeros(PREVIEW_POINTS)).pack()


def measure(
    links: Sequence[Link],
    states: Sequence[bytes],
    frames: TestFrames,
    emit: Callable[[dict[str, Any]], None],
    *,
    blocks: int,
    block_frames: int,
    warmup_frames: int,
    offline: int,
) -> None:
    """Time each driver on the same frames, A B A B, then take its commands on all of them.

    Args:
        links: the connected drivers.
        states: what each is shown beside a frame: nothing, or `straight_ahead` for an oracle.
        frames: the fixed frames; timing takes them round and round.
        emit: called with one event for each driver's timing, and one each time its commands are taken.
        blocks: how many blocks each driver gets.
        block_frames: frames in a block.
        warmup_frames: frames before the first block that are not counted.
        offline: how often the commands on all frames are taken too, each time after a reset.

    Raises:
        DriverFault: a driver broke the protocol or took too long.
    """
    drivers = list(enumerate(zip(links, states, strict=True)))
    for index, (link, state) in drivers:
        with blaming(index):
            link.reset(0)
            _ask(link, state, frames.frames, 0, warmup_frames)
    replies: list[list[Reply]] = [[] for _ in links]
    for block in range(blocks):
        for index, (link, state) in drivers:
            with blaming(index):
                replies[index] += _ask(link, state, frames.frames, block * block_frames, block_frames)
    for index, (link, _) in drivers:
        emit({"event": "timing", "model": link.hello.model, "index": index, **_times(replies[index])})
    for time, (index, (link, state)) in itertools.product(range(offline), drivers):
        with blaming(index):
            link.reset(1 + time)
            answers = _ask(link, state, frames.frames, 0, len(frames.frames))
        commands = [list(answer.command) for answer in answers]
        event = {"event": "offline", "model": link.hello.model, "index": index, "commands": commands}
        emit({**event, "labels": frames.commands.tolist(), "frames_sha256": frames.sha256})


def _ask(link: Link, state: bytes, frames: Frames, first: int, count: int) -> list[Reply]:
    """The driver's replies to `count` frames from `first` on, going round."""
    return [link.ask(step, frames[step % len(frames)], state) for step in range(first, first + count)]


def _times(replies: Sequence[Reply]) -> dict[str, list[int]]:
    return {
        "round_trip_ns": [reply.round_trip_ns for reply in replies],
        "claimed_inference_ns": [reply.inference_ns for reply in replies],
    }
