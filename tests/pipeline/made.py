"""What the tests of results share: rows, records and timing entries as the pipeline writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.case import Case
from pipeline.manifest import ModelRow

if TYPE_CHECKING:
    from pathlib import Path

SHA = "a" * 64
CALIBRATORS = ("centreline", "zero", "sleep")
HOST = {"id": "chip-2-abc123", "cpu": "Chip", "cores": 2, "memory_gib": 8.0, "kernel": "Linux 6", "governor": None}


def row(name: str, **facts: Any) -> ModelRow:
    return ModelRow(**{"name": name, "runtime": "torch", "description": "a net", "sha256": SHA, **facts})


def calibrator(name: str) -> ModelRow:
    return ModelRow(name, name, "a calibrator", calibrator=True)


def case(model: str, seed: int = 0, circuit: str = "simple", conditions: str = "nominal") -> Case:
    return Case(model, circuit, "forward", conditions, seed)


def record(driven: Case, outcome: str = "completed", *, offset: float = 0.1, **changed: Any) -> Any:
    metres = 100 if outcome == "completed" else 40
    facts = {
        "outcome": outcome,
        "reason": None,
        "steps": 200,
        "sim_time_s": 10.0,
        "wall_s": 0.5,
        "distance_m": float(metres),
        "lap_m": 100.0,
        "path": {
            "step_m": 1.0,
            "s0": 0.0,
            "offset": [offset * (-1) ** i for i in range(metres)],
            "speed": [8.0 + 1 / 3] * metres,
            "heading_error": [0.01] * metres,
        },
        "commands": {"steering_suddenness": 0.5, "speed_suddenness": 0.1},
        "trajectory_sha256": "0" * 64,
        "latency": {},
        "split_us": {},
    }
    provenance = {
        "hotlap": "0.1.0",
        "commit": "c" * 40,
        "commit_reason": None,
        "dirty": False,
        "executor": "local",
        "environment": {"world": {"python": "CPython 3.11", "packages": {"numpy": {"version": "2.4.6"}}}},
        "python": "3.11.2",
        "cpu": "Chip",
        "started_at": "2026-01-01T00:00:00+00:00",
    }
    where = {key: getattr(driven, key) for key in ("model", "circuit", "direction", "conditions", "seed", "clock")}
    more = {"circuit_digest": SHA, "lap_m": 100.0, "width_m": 6.0, "conditions_drawn": {}, "limits": {}}
    return {
        "schema": 1,
        "key": SHA,
        "attempt": 1,
        "case": {**where, **more},
        "facts": {**facts, **changed.pop("facts", {})},
        "model": {"sha256": None if driven.model in CALIBRATORS else SHA},
        "provenance": {**provenance, **changed.pop("provenance", {})},
        "fingerprint": {"world": {}, "driver": {}},
    }


def summary(mean: float) -> dict[str, Any]:
    return {"mean_s": mean, "p50_s": mean, "p95_s": 1.1 * mean, "p99_s": 1.2 * mean, "max_s": 2 * mean, "n": 1000}


def entry(mean: float = 0.001, **changed: Any) -> dict[str, Any]:
    return {
        "artifact_sha256": SHA,
        "measured_at": "2026-01-02T03:04:05+00:00",
        "commit": None,
        "dirty": None,
        "executor": "local",
        "threads": 1,
        "device": "cpu",
        "mode": "",
        "core": 1,
        "claims": {"runtime": "torch", "runtime_version": "2.13.0", "precision": "fp32", "device": "cpu"},
        "blocks": {"turns": 5, "frames": 200, "warmup": 50},
        "inference": summary(mean),
        "inference_reason": None,
        "round_trip": summary(1.25 * mean),
        "peak_memory_bytes": 200_000_000,
        "block_medians_s": [mean] * 5,
        "baseline": "net",
        "ratio_to_baseline": mean / 0.001,
        "ratio_reason": None,
        "offline_mse": 0.0123,
        "offline_reason": None,
        "offline_frames_sha256": SHA,
        "busy_share": 0.01,
        "load_average": 0.1,
        "noisy": [],
        "failed": None,
        **changed,
    }


def timing(**entries: Any) -> Any:
    return {"schema": 2, "host": HOST, "models": entries}


def artifact(folder: Path, size: int = 1_015_000) -> str:
    (folder / "net.safetensors").write_bytes(b"\0" * size)
    return "net.safetensors"
