"""`hotlap measure`: how long each model takes, one at a time, interleaved with the FP32 eager baseline.

Each model has a session of its own: the world asks it and the baseline in blocks that take turns (A B A B), on the same
fixed frames, after warm-up, batch 1, everything pinned to one core. The baseline's own session is A A. Two calibrators
come first: `zero`, whose round trip is the transport alone, and `sleep`, whose time is known. Raw samples are kept.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np

from envs.errors import HarnessError, InputError
from pipeline import noise, provenance, timing
from pipeline.baseline import baseline
from pipeline.drivers.sleep import INFERENCE_NS
from pipeline.readiness import left_out
from pipeline.record import write_whole
from pipeline.stopwatch import Blocks, Heard, Setting, time_models

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from pipeline.executors.base import Executor
    from pipeline.manifest import ModelRow
    from pipeline.timing import Entry, Summary, TimingRecord

    Nanoseconds = npt.NDArray[np.int64]

SLEEP_FRAMES = 40
"""Frames in a block of the sleeping calibrator: at 5 ms each more would take long and tell no more."""


def run(
    rows: Sequence[ModelRow],
    executor: Executor,
    results_dir: Path,
    *,
    names: Sequence[str] = (),
    blocks: Blocks | None = None,
    threads: int = 1,
    core: int | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Measure models and write this host's timing record, after each model.

    Args:
        rows: the manifest's; the baseline is found among them.
        executor: runs the sessions; is made ready here.
        results_dir: where the record goes, below ``timing/``.
        names: the models to measure; all where empty. The calibrators are always measured.
        blocks: how the frames are dealt out.
        threads: that each runtime may use.
        core: to pin everything to; the last that this process may use where None.
        say: called with one line for each model.

    Returns:
        The path of the timing record.

    Raises:
        InputError: a name or core is not there, or the results folder cannot be written.
        HarnessError: the world or the set-up broke.
    """
    chosen = _chosen(rows, names)
    setting = Setting(executor, _core(core), threads, blocks or Blocks())
    record = timing.of_this_host(results_dir)
    path = timing.write(results_dir, record)  # a folder that cannot be written is told of before an hour of measuring
    base = baseline(rows)
    missing = left_out(executor, (*chosen, *([base] if base else [])), say)
    chosen = [row for row in chosen if row.name not in missing]
    base = None if base is None or base.name in missing else base
    noisy: list[str] = []
    for row in sorted(chosen, key=_order):
        entry, heard = _measure(row, None if row.calibrator else base, setting)
        if row.runtime == "sleep" and not entry["failed"]:
            noisy += noise.sleep_noise(INFERENCE_NS * 1e-9, *_sleep_times(record, row, entry, chosen))
        entry["noisy"] += noisy
        record["models"][row.name] = entry
        _keep_samples(path.with_suffix("") / f"{row.name}.npz", heard)
        timing.write(results_dir, record)
        say(line(row, entry))
    return path


def line(row: ModelRow, entry: Entry) -> str:
    """One model's result in one line."""
    inference, trip = entry["inference"], entry["round_trip"]
    if entry["failed"] or trip is None:
        return f"{row.name}: not measured ({entry['failed']})"
    own = f"{1e3 * inference['mean_s']:.3f} ms" if inference else f"unknown ({entry['inference_reason']})"
    words = [f"{row.name}: inference {own}", f"round trip {1e3 * trip['mean_s']:.3f} ms"]
    if entry["ratio_to_baseline"] is not None:
        words.append(f"{entry['ratio_to_baseline']:.2f} of {entry['baseline']}")
    if entry["offline_mse"] is not None:
        words.append(f"offline MSE {entry['offline_mse']:.5f}, {timing.offline_verdict(row.to_dict(), entry)}")
    return ", ".join(words) + "".join(f"; noisy: {why}" for why in entry["noisy"])


def summary(samples: Nanoseconds) -> Summary:
    """Mean, percentiles (interpolated linearly) and largest of times [ns], in seconds."""
    seconds = samples.ravel() * 1e-9
    p50, p95, p99 = (float(value) for value in np.percentile(seconds, (50, 95, 99)))
    return {
        "mean_s": float(np.mean(seconds)),
        "p50_s": p50,
        "p95_s": p95,
        "p99_s": p99,
        "max_s": float(np.max(seconds)),
        "n": int(seconds.size),
    }


def mean_squared_error(commands: object, labels: object) -> float:
    """Mean of (command - label)² over all frames and both outputs [1].

    Raises:
        ValueError: they are not two tables of the same shape (N, 2) with N >= 1, of finite numbers.
    """
    given, wanted = np.asarray(commands, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if given.shape != wanted.shape or given.ndim != 2 or given.shape[1] != 2 or not given.size:
        raise ValueError(f"commands of shape {given.shape} cannot be compared with labels of shape {wanted.shape}")
    error = float(np.mean(np.square(given - wanted)))
    if not np.isfinite(error):
        raise ValueError("a command or a label is not a finite number")
    return error


def _chosen(rows: Sequence[ModelRow], names: Sequence[str]) -> list[ModelRow]:
    """The rows to measure: those named, and always the calibrators that say whether the host can be trusted.

    Raises:
        InputError: a name is not in the manifest, or is a calibrator that is not timed.
    """
    known = {row.name: row for row in rows if timing.is_timed(row)}
    for name in names:
        if name not in known:
            raise InputError(f"model {name!r} cannot be measured; choose of {', '.join(sorted(known))}")
    return [row for row in known.values() if row.calibrator or not names or row.name in names]


def _core(core: int | None) -> int:
    """The core to pin to.

    Raises:
        InputError: this process may not use it.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if core is None:
        return allowed[-1]  # interrupts and whatever else runs tend to sit on the first
    if core not in allowed:
        raise InputError(f"core {core} cannot be used here; choose of {', '.join(map(str, allowed))}")
    return core


def _order(row: ModelRow) -> int:
    """Calibrators first: `zero`, then `sleep`, which is compared with it; the others as the manifest has them."""
    return timing.TIMED_CALIBRATORS.index(row.runtime) if row.calibrator else len(timing.TIMED_CALIBRATORS)


def _measure(row: ModelRow, base: ModelRow | None, setting: Setting) -> tuple[Entry, Heard]:
    """Run one model's session and make its entry.

    Raises:
        HarnessError: the world broke.
    """
    models = (row,) if base is None else (row, base)
    blocks = setting.blocks
    if row.runtime == "sleep":
        blocks = Blocks(blocks.turns, min(blocks.frames, SLEEP_FRAMES), min(blocks.warmup, SLEEP_FRAMES))
    busy, load = noise.busy_share(), os.getloadavg()[0]
    heard = time_models(models, setting, blocks, offline=0 if row.calibrator else 1)
    entry = _entry(row, base, heard, setting, blocks)
    entry["busy_share"], entry["load_average"] = busy, load
    entry["noisy"] = noise.busy_noise(busy) + entry["noisy"]
    return entry, heard


def _entry(row: ModelRow, base: ModelRow | None, heard: Heard, setting: Setting, blocks: Blocks) -> Entry:
    """The entry of the session's first driver."""
    state = provenance.commit()
    entry: Entry = {
        "artifact_sha256": row.sha256,
        "measured_at": provenance.now(),
        "commit": state.sha,
        "dirty": state.dirty,
        "executor": setting.executor.name,
        "threads": setting.threads,
        "device": row.device,
        "mode": row.mode,
        "core": setting.core,
        "claims": heard.claims.get(0, {}),
        "blocks": {"turns": blocks.turns, "frames": blocks.frames, "warmup": blocks.warmup},
        "inference": None,
        "inference_reason": heard.failed,
        "round_trip": None,
        "peak_memory_bytes": heard.peak_memory.get(0),
        "block_medians_s": [],
        "baseline": None if base is None else base.name,
        "ratio_to_baseline": None,
        "ratio_reason": heard.failed or "no baseline: the manifest has no torch fp32 row",
        "offline_mse": None,
        "offline_reason": heard.failed,
        "offline_frames_sha256": None,
        "busy_share": 0.0,
        "load_average": 0.0,
        "noisy": [],
        "failed": heard.failed,
    }
    if heard.failed is None:
        _add_times(entry, heard, to_itself=base is not None and base.name == row.name)
        _add_offline(entry, heard, row)
    return entry


def _add_times(entry: Entry, heard: Heard, *, to_itself: bool) -> None:
    """Summaries of both times, the ratio to the baseline, and what is noisy about them."""
    claimed, seen = heard.inference[0], heard.round_trip[0]
    entry["round_trip"] = summary(seen)
    entry["block_medians_s"] = [float(value) * 1e-9 for value in np.median(claimed, axis=1)]
    if np.any(claimed > seen):
        # A claim of more time than passed from frame to command cannot be true, and nothing else it says is worth more.
        entry["inference_reason"] = entry["ratio_reason"] = "the driver claims more time than the world saw pass"
        return
    entry["inference"] = summary(claimed)
    # A driver that does nothing claims a few clock ticks, which differ by any ratio: its round trips are compared.
    steady = np.median(claimed if np.median(claimed) > 1e-4 * 1e9 else seen, axis=1)
    entry["noisy"] += noise.block_noise([float(value) for value in steady])
    if 1 in heard.inference:
        ratio = float(np.median(claimed) / np.median(heard.inference[1]))
        entry["ratio_to_baseline"], entry["ratio_reason"] = ratio, None
        base = [float(value) for value in np.median(heard.inference[1], axis=1)]
        entry["noisy"] += noise.self_noise(ratio) if to_itself else []
        entry["noisy"] += [f"the baseline: {why}" for why in noise.block_noise(base)]


def _add_offline(entry: Entry, heard: Heard, row: ModelRow) -> None:
    """The offline MSE, or why there is none, and whether it is the manifest's."""
    event = heard.offline.get(0)
    if event is None or "labels" not in event:
        entry["offline_reason"] = "a calibrator" if row.calibrator else "the world sent no labels"
        return
    entry["offline_frames_sha256"] = event["frames_sha256"]
    try:
        entry["offline_mse"] = mean_squared_error(event["commands"], event["labels"])
    except ValueError as error:
        entry["offline_reason"] = str(error)


def _sleep_times(record: TimingRecord, row: ModelRow, entry: Entry, chosen: Sequence[ModelRow]) -> tuple[float, float]:
    """Median of the sleep as claimed, and as the world saw it less the transport, which `zero` measured [s]."""
    claimed, seen = entry["inference"], entry["round_trip"]
    zero = next((record["models"].get(other.name) for other in chosen if other.runtime == "zero"), None)
    transport = zero["round_trip"]["p50_s"] if zero is not None and zero["round_trip"] is not None else 0.0
    if claimed is None or seen is None:
        raise HarnessError(f"the calibrator {row.name} {entry['inference_reason']}: the clocks cannot be trusted")
    return claimed["p50_s"], seen["p50_s"] - transport


def _keep_samples(path: Path, heard: Heard) -> None:
    """Keep the raw samples [ns], (blocks, frames), as a compressed archive: those of the model and the baseline's.

    Raises:
        InputError: the folder cannot be written.
    """
    if not heard.round_trip:
        return
    arrays = {}
    for index, name in enumerate(("model", "baseline")):
        if index in heard.round_trip:
            arrays[f"{name}_round_trip_ns"] = heard.round_trip[index]
            arrays[f"{name}_inference_ns"] = heard.inference[index]
    archive = io.BytesIO()
    np.savez_compressed(archive, **arrays)  # type: ignore[arg-type]
    timing.make_folder(path.parent)
    write_whole(path, archive.getvalue(), replace=True)
