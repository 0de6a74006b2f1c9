"""Records of checks: what a saved file does in its own runtime, `results/checks/<key>.json`, written by `hotlap check`.

Schema history: 1 first version.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from envs.errors import InputError
from pipeline import shape
from pipeline.record import write_whole
from pipeline.timing import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from pipeline.manifest import ModelRow

    Commands = npt.NDArray[np.float64]

SCHEMA = 1


class Check(TypedDict):
    """What one model's check found.

    Attributes:
        key: hash of all that decides what is found.
        model: the name.
        asked: what the manifest asks for (`asked_of`).
        checked_at: UTC, ISO 8601.
        executor: that ran it.
        claims: what the runtime said of itself (its hello).
        frames_sha256: the fixed frames that commands were taken on; None where none were.
        commands: on those frames, (frames, 2) float32, little-endian, as base64.
        parity: largest abs(command - reference) [1]; None with `parity_reason`.
        parity_limit: the most that its precision is allowed [1].
        baseline: name of the model that it is compared with; None where there is none.
        baseline_distance: RMS of command - baseline's command [1]; None with `baseline_distance_reason`.
        refused: why the model must not drive, one line each; empty where it may.
        failed: the runtime gave no commands; such a check is tried again.
    """

    schema: int
    key: str
    model: str
    asked: dict[str, Any]
    checked_at: str
    executor: str
    claims: dict[str, Any]
    frames_sha256: str | None
    commands: str | None
    parity: float | None
    parity_limit: float
    parity_reason: str | None
    baseline: str | None
    baseline_distance: float | None
    baseline_distance_reason: str | None
    refused: list[str]
    failed: bool


def asked_of(row: ModelRow) -> dict[str, Any]:
    """What a row asks for, as far as a check tells about it."""
    parts = ("runtime", "precision", "device", "mode", "threads", "reference_sha256", "offline_frames_sha256")
    return {"artifact": row.sha256, **{part: getattr(row, part) for part in parts}}


def refusal(check: Mapping[str, Any] | None) -> str | None:
    """Why the model must not drive, in one line; None where it may or was not checked."""
    return "; ".join(check["refused"]) or None if check else None


def commands_of(check: Check) -> Commands | None:
    """The commands that were taken, (frames, 2) [1]; None where none were."""
    if check["commands"] is None:
        return None
    return np.frombuffer(base64.b64decode(check["commands"]), dtype="<f4").reshape(-1, 2).astype(np.float64)


def packed(commands: Commands) -> str:
    """Commands as a record keeps them."""
    return base64.b64encode(commands.astype("<f4").tobytes()).decode("ascii")


def path_of(results: Path, key: str) -> Path:
    """The record of the check with that key in a results folder."""
    return results / "checks" / f"{key}.json"


def write(results: Path, check: Check) -> Path:
    """Write `check` to its file, whole or not at all, in place of an older one, and return the path.

    Raises:
        InputError: the folder cannot be written.
    """
    path = path_of(results, check["key"])
    make_folder(path.parent)
    write_whole(path, (json.dumps(check, allow_nan=False, sort_keys=True, indent=1) + "\n").encode(), replace=True)
    return path


def read(path: Path) -> Check:
    """The record at `path`.

    Raises:
        InputError: it cannot be read, is cut off or garbled, or is of another schema.
    """
    found: Check = _checked(path, _json(path), "check")
    return found


def write_all(path: Path, checks: Iterable[Check]) -> None:
    """Write checks into one file, sorted by model: the same checks give the same bytes.

    Raises:
        InputError: the folder cannot be written.
    """
    by_model = {check["model"]: check for check in checks}
    write_whole(path, (json.dumps(by_model, allow_nan=False, sort_keys=True, indent=1) + "\n").encode(), replace=True)


def read_all(path: Path) -> dict[str, Check]:
    """The checks in one file, by model.

    Raises:
        InputError: as `read`.
    """
    data = _json(path)
    if not isinstance(data, dict):
        raise _damaged(path, "it is no table")
    return {name: _checked(path, check, f"checks.{name}") for name, check in data.items()}


def select(checks: Mapping[str, Check], rows: Iterable[ModelRow]) -> dict[str, Check]:
    """Those of `checks` that are about what today's `rows` ask for."""
    return {row.name: checks[row.name] for row in rows if row.name in checks and _is_about(checks[row.name], row)}


def _is_about(check: Check, row: ModelRow) -> bool:
    return check["asked"] == asked_of(row)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: the checks cannot be read: {error.strerror}; delete it and check again") from error
    except ValueError as error:
        raise _damaged(path, f"it is cut off or garbled ({error})") from error


def _checked(path: Path, data: Any, at: str) -> Any:
    problem = shape.problem_of(data, Check, at)
    if problem is None and data["schema"] != SCHEMA:
        problem = f"{at} has schema {data['schema']!r} where this hotlap reads {SCHEMA}"
    if problem is not None:
        raise _damaged(path, problem)
    return data


def _damaged(path: Path, problem: str) -> InputError:
    return InputError(f"{path}: the record of a check is damaged: {problem}; delete it and check again")
