"""`hotlap check`: does a saved file do in its own runtime what its row says? Asked before the model drives.

Each ranked model gets one short session in measure mode, its commands on the fixed frames taken twice. A model is
refused where its runtime cannot load it, where it claims another precision or device than was asked for, where the
same frames give other commands, or where it strays from what the network commanded before it was converted.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.errors import HarnessError, InputError
from pipeline import check_record, provenance
from pipeline.baseline import baseline
from pipeline.check_record import asked_of, refusal
from pipeline.key import Keys
from pipeline.readiness import left_out
from pipeline.stopwatch import Blocks, Setting, time_models

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from pipeline.check_record import Check, Commands
    from pipeline.executors.base import Executor
    from pipeline.manifest import ModelRow
    from pipeline.stopwatch import Heard

VERSION = 1
"""Rises when the meaning of what is found changes."""

PARITY_LIMITS = {"fp32": 1e-4, "fp16": 2e-3, "bf16": 2e-2, "int8": 2e-2}
"""Precision -> the most that a command may be from the reference's, int8 from its fake-quantised reference's [1]."""

TWICE = 2
BRIEF = Blocks(turns=2, frames=1, warmup=1)
"""No time is wanted of a check."""

FRAME_SOURCES = (
    "envs/*.toml",
    "envs/circuits/*",
    "pipeline/frames.py",
    "pipeline/sampling.py",
)
"""What decides the fixed frames and how they are shown, beside the world's own sources."""


def key_of(row: ModelRow, base: ModelRow | None, keys: Keys) -> str:
    """The key of a row's check, 64 hex digits: what is asked, who answers, on which frames, and what it is held to.

    Raises:
        InputError: a lock or the pins are missing.
    """
    parts = {
        "version": VERSION,
        "name": row.name,
        "asked": asked_of(row),
        "limits": PARITY_LIMITS,
        "driver": keys.driver(row),
        "world": keys.world,
        "frames": keys.sources(FRAME_SOURCES),
        "baseline": None if base is None or base.name == row.name else key_of(base, None, keys),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def found(results: Path, rows: Sequence[ModelRow]) -> dict[str, Check]:
    """The checks of the ranked `rows` that hold today, by model.

    Raises:
        InputError: a record is damaged.
    """
    keys, base = Keys(), baseline(rows)
    paths = {row.name: check_record.path_of(results, key_of(row, base, keys)) for row in rows if not row.calibrator}
    return {name: check_record.read(path) for name, path in paths.items() if path.is_file()}


def unchecked(rows: Sequence[ModelRow], known: dict[str, Check]) -> tuple[str, ...]:
    """The ranked models among `rows` without a check that holds, or whose runtime failed in it, in their order."""
    return tuple(
        row.name for row in rows if not row.calibrator and (row.name not in known or known[row.name]["failed"])
    )


def run(
    rows: Sequence[ModelRow],
    executor: Executor,
    results: Path,
    *,
    names: Collection[str],
    say: Callable[[str], None] = print,
) -> dict[str, Check]:
    """Check models, the baseline first where its own check is missing, and write a record of each.

    Args:
        rows: the manifest's; the baseline is found among them.
        executor: runs the sessions; is made ready here.
        results: where the records go, below ``checks/``.
        names: the models to check.
        say: called with one line for each model.

    Returns:
        All checks of `rows` that hold now, by model.

    Raises:
        InputError: the results folder cannot be written.
        HarnessError: the world or the set-up broke.
    """
    base, known, keys = baseline(rows), found(results, rows), Keys()
    wanted = set(names)
    if base is not None and base.name in unchecked(rows, known):
        wanted.add(base.name)
    todo = sorted((row for row in rows if row.name in wanted), key=lambda row: row is not base)
    missing = left_out(executor, todo, say)
    for row in (row for row in todo if row.name not in missing):
        heard = time_models((row,), Setting(executor, None, row.threads, BRIEF), BRIEF, offline=TWICE)
        facts = judge(row, heard, None if base is None else known.get(base.name), base)
        check: Any = {
            "schema": check_record.SCHEMA,
            "key": key_of(row, base, keys),
            "model": row.name,
            "asked": asked_of(row),
            "checked_at": provenance.now(),
            "executor": executor.name,
            "claims": heard.claims.get(0, {}),
            **facts,
        }
        known[row.name] = check
        check_record.write(results, check)
        say(line(check))
    return known


def line(check: Check) -> str:
    """One model's check in one line."""
    why = refusal(check)
    if why is not None:
        return f"{check['model']}: refused ({why})"
    parity, distance = check["parity"], check["baseline_distance"]
    words = [
        f"parity not measured ({check['parity_reason']})"
        if parity is None
        else f"parity {parity:.1e} of {check['parity_limit']:.0e} allowed",
        f"distance to the baseline not measured ({check['baseline_distance_reason']})"
        if distance is None
        else f"{distance:.4f} from {check['baseline']}",
    ]
    return f"{check['model']}: {', '.join(words)}"


def judge(row: ModelRow, heard: Heard, base_check: Check | None, base: ModelRow | None) -> dict[str, Any]:
    """What a session says of a model: the facts of its `Check`.

    Args:
        row: the model.
        heard: its session, with commands taken twice.
        base_check: the baseline's check; its own is not asked for.
        base: the baseline.

    Raises:
        HarnessError: the world told of no commands, though nothing failed.
    """
    facts: dict[str, Any] = {
        "frames_sha256": None,
        "commands": None,
        "parity": None,
        "parity_limit": PARITY_LIMITS[row.precision],
        "parity_reason": None,
        "baseline": None if base is None else base.name,
        "baseline_distance": None,
        "baseline_distance_reason": None,
        "refused": fallback(row, heard.claims.get(0, {})),
        "failed": heard.failed is not None,
    }
    if heard.failed is not None:
        why = heard.failed.removeprefix(f"model {row.name}: ").replace(f"{row.folder}/", "")
        facts["refused"] = [why]  # whatever it claimed, it did not run
        facts["parity_reason"] = facts["baseline_distance_reason"] = "it gave no commands"
        return facts
    taken = [np.asarray(commands, dtype=np.float64) for commands in heard.repeats.get(0, [])]
    if len(taken) != TWICE or any(commands.ndim != 2 or commands.shape[1:] != (2,) for commands in taken):
        raise HarnessError(f"checking {row.name}: the world told of no commands taken twice")
    first, sha256 = taken[0], str(heard.offline[0]["frames_sha256"])
    facts["frames_sha256"], facts["refused"] = sha256, facts["refused"] + unsteady(*taken)
    if not np.all(np.isfinite(first)):
        facts["parity_reason"] = facts["baseline_distance_reason"] = "its commands are not finite"
        return facts
    facts["commands"] = check_record.packed(first)
    parity, facts["parity_reason"], wrong = compare(row, first, sha256)
    facts["parity"], facts["refused"] = parity, facts["refused"] + wrong
    facts["baseline_distance"], facts["baseline_distance_reason"] = distance(row, first, sha256, base_check, base)
    return facts


def fallback(row: ModelRow, claims: dict[str, Any]) -> list[str]:
    """Why the claimed precision and device are not those asked for; nothing where they are."""
    precision, device = claims.get("precision"), claims.get("device")
    if (precision, device) == (row.precision, row.device):
        return []
    where = "" if device == row.device else f" on {device}"
    return [f"asked for {row.precision} on {row.device}, runs {precision}{where}: a silent fallback"]


def unsteady(first: Commands, second: Commands) -> list[str]:
    """Why commands are refused for themselves: not finite, or not the same bits on the same frames."""
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
        return ["its commands are not finite"]
    if first.tobytes() == second.tobytes():
        return []
    if first.shape != second.shape:
        return ["the same frames gave another number of commands the second time"]
    differ = int(np.sum(np.any(first != second, axis=1)))
    most = float(np.max(np.abs(first - second)))
    return [f"the same frames gave other commands the second time: {differ} of {len(first)}, by {most:.1e} at most"]


def compare(row: ModelRow, commands: Commands, frames_sha256: str) -> tuple[float | None, str | None, list[str]]:
    """Parity with the reference [1], or why there is none, and why the model is refused for it."""
    if row.reference is None:
        return None, "no reference", []
    if row.offline_frames_sha256 != frames_sha256:
        return None, "the reference is of other frames", []
    try:
        reference = read_reference(row, commands.shape)
    except InputError as error:
        return None, "the reference cannot be used", [str(error)]
    parity = float(np.max(np.abs(commands - np.clip(reference, -1.0, 1.0))))
    limit = PARITY_LIMITS[row.precision]
    if parity > limit:
        return parity, None, [f"parity: {parity:.1e} from its reference, {limit:.0e} allowed for {row.precision}"]
    return parity, None, []


def read_reference(row: ModelRow, shape: tuple[int, ...]) -> Commands:
    """The commands in the row's reference file, of that shape.

    Raises:
        InputError: the file is missing, is not the one that the manifest names, or holds something else.
    """
    try:
        content = (row.folder / str(row.reference)).read_bytes()
    except OSError as error:
        raise InputError(f"the reference {row.reference} cannot be read: {error.strerror}") from error
    if row.reference_sha256 is not None and hashlib.sha256(content).hexdigest() != row.reference_sha256:
        raise InputError(f"the reference {row.reference} is not the one that the manifest names")
    try:
        values = np.asarray(np.load(io.BytesIO(content), allow_pickle=False), dtype=np.float64)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"the reference {row.reference} is no array of NumPy's") from error
    if values.shape != shape or not np.all(np.isfinite(values)):
        raise InputError(f"the reference {row.reference} holds no finite commands of shape {shape}")
    return values


def distance(
    row: ModelRow, commands: Commands, frames_sha256: str, base_check: Check | None, base: ModelRow | None
) -> tuple[float | None, str | None]:
    """RMS of command - baseline's over frames and both outputs [1], or why there is none."""
    if base is None:
        return None, "the manifest has no baseline"
    if row.name == base.name:
        return 0.0, None
    theirs = None if base_check is None else check_record.commands_of(base_check)
    if base_check is None or theirs is None:
        return None, f"{base.name} gave no commands"
    if base_check["frames_sha256"] != frames_sha256 or theirs.shape != commands.shape:
        return None, f"{base.name} was asked on other frames"
    return float(np.sqrt(np.mean(np.square(commands - theirs)))), None
