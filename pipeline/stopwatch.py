"""One timing session: the world asks one or two drivers in blocks that take turns, and what it tells is heard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.errors import HarnessError, InputError
from pipeline.drivers import SEES_STATE
from pipeline.executors.base import DriverSpec, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.executors.base import Executor, SessionEnd
    from pipeline.manifest import ModelRow

    Nanoseconds = npt.NDArray[np.int64]

OFFLINE_FRAMES = 200
"""How many fixed frames the offline commands are taken on (`pipeline.frames.COUNT`, which this host cannot import)."""

SETUP_S, SLOWEST_S = 180.0, 2.0
"""A session's deadline: so long to start, and so long for each frame, which is a driver's own deadline [s]."""


@dataclass(frozen=True)
class Blocks:
    """How the frames of a session are dealt out.

    Attributes:
        turns: blocks that each driver gets.
        frames: in a block.
        warmup: frames before the first block that are not counted.
    """

    turns: int = 6
    frames: int = 500
    warmup: int = 50

    def __post_init__(self) -> None:
        """Refuse what measures nothing.

        Raises:
            InputError: a count is below 1, or there is no second block to compare the first with.
        """
        if self.turns < 2 or self.frames < 1 or self.warmup < 1:
            raise InputError(
                f"measuring takes 2 blocks or more of 1 frame or more after 1 or more to warm up, "
                f"not {self.turns} of {self.frames} after {self.warmup}; raise the counts"
            )


@dataclass(frozen=True)
class Setting:
    """What all sessions of one measurement share.

    Attributes:
        executor: runs them.
        core: everything is pinned to; None pins nothing, where no time is wanted.
        threads: for each runtime.
        blocks: how the frames are dealt out.
    """

    executor: Executor
    core: int | None
    threads: int
    blocks: Blocks


@dataclass
class Heard:
    """What a session told, by the index of the driver.

    Attributes:
        claims: the hellos.
        round_trip: as the world saw it, (blocks, frames) [ns].
        inference: as the driver claims it, (blocks, frames) [ns].
        offline: the events of offline commands; the first, where they are taken several times.
        repeats: the offline commands of each time, in order.
        peak_memory: as the executor saw it [bytes].
        failed: why there are no figures.
    """

    claims: dict[int, dict[str, Any]] = field(default_factory=dict)
    round_trip: dict[int, Nanoseconds] = field(default_factory=dict)
    inference: dict[int, Nanoseconds] = field(default_factory=dict)
    offline: dict[int, dict[str, Any]] = field(default_factory=dict)
    repeats: dict[int, list[list[list[float]]]] = field(default_factory=dict)
    peak_memory: dict[int, int] = field(default_factory=dict)
    failed: str | None = None


def time_models(models: Sequence[ModelRow], setting: Setting, blocks: Blocks, *, offline: int) -> Heard:
    """Run the session that times `models` in turns.

    Args:
        models: one, or two that are interleaved.
        setting: what all sessions share.
        blocks: how the frames are dealt out.
        offline: how often the commands on the fixed frames are taken too.

    Returns:
        What was heard; `Heard.failed` says so where a driver failed or its artifact was refused.

    Raises:
        HarnessError: the world broke.
    """
    heard = Heard()
    try:
        end = setting.executor.run(
            _session(models, setting, blocks, offline=offline), lambda event: _hear(event, heard, blocks)
        )
    except InputError as error:
        heard.failed = str(error)
    else:
        heard.failed = _failure(models, heard, end)
        peaks = {index: driver.peak_memory_bytes for index, driver in enumerate(end.drivers)}
        heard.peak_memory = {index: peak for index, peak in peaks.items() if peak is not None}
    return heard


def _session(models: Sequence[ModelRow], setting: Setting, blocks: Blocks, *, offline: int) -> Session:
    """The session that measures `models` in turns."""
    frames = len(models) * (blocks.turns * blocks.frames + blocks.warmup + OFFLINE_FRAMES * offline)
    return Session(
        drivers=tuple(DriverSpec(row, row.role, row.path, row.device, setting.threads, setting.core) for row in models),
        job={
            "schema": 1,
            "mode": "measure",
            "drivers": [{"model": row.name, "grants_state": row.runtime in SEES_STATE} for row in models],
            "blocks": blocks.turns,
            "block_frames": blocks.frames,
            "warmup_frames": blocks.warmup,
            "offline": offline > 0,
            "offline_times": offline,
            "core": setting.core,
        },
        deadline_s=SETUP_S + SLOWEST_S * frames,
    )


def _hear(event: dict[str, Any], heard: Heard, blocks: Blocks) -> None:
    """Take in one event of the world.

    Raises:
        HarnessError: it tells of another number of frames than was asked for.
    """
    kind, index = event["event"], event.get("index", 0)
    if kind == "hello":
        told = ("event", "index", "fingerprint_of_world")
        heard.claims[index] = {key: value for key, value in event.items() if key not in told}
    elif kind == "timing":
        for name, kept in (("round_trip_ns", heard.round_trip), ("claimed_inference_ns", heard.inference)):
            samples = np.asarray(event[name], dtype=np.int64)
            if samples.size != blocks.turns * blocks.frames:
                asked = blocks.turns * blocks.frames
                raise HarnessError(f"the world timed {samples.size} frames of {event['model']!r}, not {asked}")
            kept[index] = samples.reshape(blocks.turns, blocks.frames)
    elif kind == "offline":
        heard.offline.setdefault(index, event)
        heard.repeats.setdefault(index, []).append(event["commands"])
    elif kind == "failed":
        heard.failed = f"model {event['model']}: {event['outcome']}: {event['reason']}"


def _failure(models: Sequence[ModelRow], heard: Heard, end: SessionEnd) -> str | None:
    """Why the session gave no figures; None where it did.

    Raises:
        HarnessError: no driver is to blame.
    """
    for row, driver in zip(models, end.drivers, strict=True):
        said = driver.log_tail.strip().splitlines()
        if driver.oom:
            return f"model {row.name}: driver_oom"
        if driver.exit not in (0, None) and len(heard.round_trip) < len(models):
            return f"model {row.name}: driver_error: {said[-1] if said else f'exit {driver.exit}'}"
    if heard.failed is None and (end.timed_out or end.world_exit != 0 or len(heard.round_trip) < len(models)):
        said = end.world_log_tail.strip().splitlines()
        why = "took too long" if end.timed_out else f"ended with status {end.world_exit}"
        raise HarnessError(f"measuring {models[0].name}: the world {why}: {said[-1] if said else 'it said nothing'}")
    return heard.failed
