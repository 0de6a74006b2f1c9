from __future__ import annotations

import copy
import json
import multiprocessing
from typing import TYPE_CHECKING, Any

import pytest

from envs.errors import InputError
from pipeline import record

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ab" * 32


def made(key: str = KEY, attempt: int = 1, outcome: str = "completed") -> Any:
    return {
        "schema": 1,
        "key": key,
        "attempt": attempt,
        "case": {
            "model": "net",
            "circuit": "simple",
            "circuit_digest": "0" * 64,
            "lap_m": 449.0,
            "width_m": 6.0,
            "direction": "forward",
            "conditions": "nominal",
            "conditions_drawn": {"grip": 1.0},
            "seed": 0,
            "clock": "lockstep",
            "limits": {"stall_s": 5.0},
        },
        "facts": {
            "outcome": outcome,
            "reason": None,
            "steps": 800,
            "sim_time_s": 40.0,
            "wall_s": 1.0,
            "distance_m": 449.0,
            "lap_m": 449.0,
            "path": {"step_m": 1.0, "s0": 0.0, "offset": [0.0, 1], "speed": [8.0], "heading_error": []},
            "commands": {"steering_suddenness": 0.1, "speed_suddenness": None},
            "trajectory_sha256": "0" * 64,
            "latency": {},
            "split_us": {},
        },
        "model": {"name": "net"},
        "provenance": {
            "hotlap": "0.1.0",
            "commit": None,
            "commit_reason": "git is not installed",
            "dirty": None,
            "executor": "local",
            "environment": {},
            "python": "3.11.0",
            "cpu": "a processor",
            "started_at": "2026-01-01T00:00:00+00:00",
        },
        "fingerprint": {"world": {}, "driver": {}},
    }


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        record.read(path)
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = record.write(tmp_path, made())
    assert path.name == f"{KEY}.1.json"
    assert record.read(path) == made()
    assert record.read_all(tmp_path) == [made()]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_record_is_never_replaced(tmp_path: Path) -> None:
    path = record.write(tmp_path, made())
    with pytest.raises(FileExistsError):
        record.write(tmp_path, made(outcome="left_lane"))
    assert record.read(path)["facts"]["outcome"] == "completed"


def test_a_number_that_is_none_is_not_written(tmp_path: Path) -> None:
    bad = made()
    bad["facts"]["distance_m"] = float("nan")
    with pytest.raises(ValueError, match="JSON compliant"):
        record.write(tmp_path, bad)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99])
def test_a_record_cut_off_is_refused_by_name_with_what_to_do(tmp_path: Path, share: float) -> None:
    path = record.write(tmp_path, made())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    text = refused(path)
    assert "damaged" in text
    assert "delete it" in text


def changed(*place: str, to: object) -> Any:
    found = copy.deepcopy(made())
    inner = found
    for step in place[:-1]:
        inner = inner[step]
    if to is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = to
    return found


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (changed("schema", to=2), "schema 2"),
        ([1], "schema None"),
        (changed("facts", "outcome", to="won"), "won"),
        (changed("facts", "path", "offset", to=[1.0, "x"]), "record.facts.path.offset[]"),
        (changed("facts", "path", "offset", to=None), "record.facts.path.offset is missing"),
        (changed("facts", "steps", to=True), "record.facts.steps"),
        (changed("facts", "steps", to=1.5), "record.facts.steps"),
        (changed("facts", "distance_m", to=float("inf")), "no finite number"),
        (changed("case", "direction", to="left"), "left"),
        (changed("provenance", to=3), "record.provenance is no table"),
        (changed("key", to="cd" * 32), "not the one in its name"),
        (changed("attempt", to=2), "not the one in its name"),
    ],
)
def test_a_garbled_record_is_refused_by_place(tmp_path: Path, body: Any, says: str) -> None:
    path = tmp_path / f"{KEY}.1.json"
    path.write_text(json.dumps(body))
    assert says in refused(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{KEY}.1.json"
    path.write_bytes(b"\xff\xfe\x00" * 100)
    assert "damaged" in refused(path)


def test_a_strange_file_among_the_records_is_refused_and_leftovers_are_not_seen(tmp_path: Path) -> None:
    (tmp_path / f".{KEY}.1.json.tmp").write_text("half a rec")
    assert record.read_all(tmp_path) == []
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(InputError, match=r"notes\.json"):
        record.read_all(tmp_path)


def test_the_attempt_that_counts_is_the_last_that_settles(tmp_path: Path) -> None:
    for attempt, outcome in enumerate(("left_lane", "completed", "harness_error"), 1):
        record.write(tmp_path, made(attempt=attempt, outcome=outcome))
    attempts = record.find(tmp_path, {KEY})[KEY]
    assert [one["attempt"] for one in attempts] == [1, 2, 3]
    assert record.latest(attempts)["facts"]["outcome"] == "completed"
    assert record.latest(attempts[2:])["facts"]["outcome"] == "harness_error"


def test_only_wanted_records_are_opened(tmp_path: Path) -> None:
    record.write(tmp_path, made())
    (tmp_path / f"{'cd' * 32}.1.json").write_text("{")
    assert list(record.find(tmp_path, {KEY})) == [KEY]


def test_a_folder_has_one_writer_and_leftovers_are_swept(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    leftover = tmp_path / "records" / f".{KEY}.1.json.tmp"
    leftover.write_text("half")
    with record.sole_writer(tmp_path) as records:
        assert records == tmp_path / "records"
        assert not leftover.exists()
        with pytest.raises(InputError, match="another hotlap"), record.sole_writer(tmp_path):
            pass
    with record.sole_writer(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for results in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="cannot be written"), record.sole_writer(results):
            pass


def _write_forever(folder: Path) -> None:
    attempt = 0
    while True:
        attempt += 1
        record.write(folder, made(attempt=attempt))


def test_a_writer_killed_at_any_moment_leaves_whole_records_only(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for turn in range(3):
        folder = tmp_path / str(turn)
        folder.mkdir()
        process = context.Process(target=_write_forever, args=(folder,))
        process.start()
        while not any(folder.glob("[!.]*.json")):
            process.join(0.01)
        process.join(0.05)
        process.kill()
        process.join()
        assert record.read_all(folder)
