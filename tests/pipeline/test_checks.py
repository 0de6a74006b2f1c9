"""Checks before driving: every refusal by its message, and what refuses nobody."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline import check_record, checks
from pipeline.stopwatch import Heard
from tests.pipeline import made

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.manifest import ModelRow

FRAMES = "f" * 64
SAID = np.array([[0.5, -0.25], [1.0, 0.125], [-0.5, 0.0]])


def model(folder: Path, reference: np.ndarray | None = SAID, **facts: Any) -> ModelRow:
    if reference is not None:
        path = folder / "m.reference.npy"
        np.save(path, reference.astype(np.float32), allow_pickle=False)
        facts = {"reference": path.name, "reference_sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **facts}
    return made.row("m", folder=folder, **{"offline_frames_sha256": FRAMES, **facts})


def heard(first: np.ndarray = SAID, second: np.ndarray | None = None, **claims: Any) -> Heard:
    found = Heard(claims={0: {"precision": "fp32", "device": "cpu", **claims}})
    found.repeats = {0: [first.tolist(), (first if second is None else second).tolist()]}
    found.offline = {0: {"frames_sha256": FRAMES}}
    return found


def judged(row: ModelRow, told: Heard) -> dict[str, Any]:
    return checks.judge(row, told, None, None)


def test_a_file_that_does_what_its_network_did_is_not_refused(tmp_path: Path) -> None:
    facts = judged(model(tmp_path), heard(SAID + 4e-5))
    assert facts["refused"] == []
    assert facts["parity"] == pytest.approx(4e-5, rel=1e-2)
    assert facts["parity_limit"] == 1e-4


def test_the_reference_is_clamped_as_drivers_clamp(tmp_path: Path) -> None:
    facts = judged(model(tmp_path, np.array([[0.5, -0.25], [1.7, 0.125], [-0.5, 0.0]])), heard())
    assert (facts["parity"], facts["refused"]) == (0.0, [])


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (heard(SAID + 2e-4), "parity: 2.0e-04 from its reference, 1e-04 allowed for fp32"),
        (
            heard(SAID, SAID + np.array([[0.0, 0.0], [0.0, 3e-3], [0.0, 0.0]])),
            "the same frames gave other commands the second time: 1 of 3, by 3.0e-03 at most",
        ),
        (heard(precision="int8"), "asked for fp32 on cpu, runs int8: a silent fallback"),
        (heard(device="cuda"), "asked for fp32 on cpu, runs fp32 on cuda: a silent fallback"),
        (heard(np.full((3, 2), np.nan)), "its commands are not finite"),
    ],
)
def test_what_is_refused(told: Heard, why: str, tmp_path: Path) -> None:
    assert judged(model(tmp_path), told)["refused"] == [why]


def test_a_reference_that_was_changed_refuses_the_model(tmp_path: Path) -> None:
    row = model(tmp_path)
    np.save(tmp_path / "m.reference.npy", (SAID + 1.0).astype(np.float32))
    assert judged(row, heard())["refused"] == ["the reference m.reference.npy is not the one that the manifest names"]


@pytest.mark.parametrize(
    ("facts", "why"),
    [({"reference": None}, "no reference"), ({"offline_frames_sha256": "0" * 64}, "the reference is of other frames")],
)
def test_parity_that_cannot_be_measured_says_why_and_refuses_nobody(
    facts: dict[str, Any], why: str, tmp_path: Path
) -> None:
    found = judged(model(tmp_path, **facts), heard())
    assert (found["parity"], found["parity_reason"], found["refused"]) == (None, why, [])


def test_a_runtime_that_cannot_load_the_file_is_a_refusal_with_its_reason(tmp_path: Path) -> None:
    facts = judged(model(tmp_path), Heard(failed="model m: driver_error: no such operator"))
    assert (facts["refused"], facts["failed"]) == (["driver_error: no such operator"], True)


def test_the_distance_to_the_baseline_is_told_and_refuses_nobody(tmp_path: Path) -> None:
    base = made.row("base")
    theirs: Any = {"frames_sha256": FRAMES, "commands": check_record.packed(SAID - 0.5)}
    facts = checks.judge(model(tmp_path), heard(), theirs, base)
    assert facts["baseline_distance"] == pytest.approx(0.5)
    assert facts["refused"] == []
    assert checks.distance(base, SAID, FRAMES, None, base) == (0.0, None)


def test_a_check_survives_being_written(tmp_path: Path) -> None:
    row = model(tmp_path)
    check: Any = {
        "schema": check_record.SCHEMA,
        "key": "k",
        "model": "m",
        "asked": check_record.asked_of(row),
        "checked_at": "2026-01-01T00:00:00Z",
        "executor": "local",
        "claims": {},
        **judged(row, heard()),
    }
    assert check_record.read(check_record.write(tmp_path, check)) == check
    np.testing.assert_allclose(check_record.commands_of(check), SAID)  # type: ignore[arg-type]
    assert check_record.select({"m": check}, [row]) == {"m": check}
    changed = model(tmp_path, precision="int8")
    assert check_record.select({"m": check}, [changed]) == {}
