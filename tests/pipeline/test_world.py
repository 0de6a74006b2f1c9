from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.executors.base import Session
from tests.pipeline import sessions

ROOT = Path(__file__).parents[2]

FAULTS = {
    "nan": ("driver_error", "at step 5: its command is not in [-1, 1]: speed 0, steering nan"),
    "out of range": ("driver_error", "at step 5: its command is not in [-1, 1]: speed 1.5, steering 0"),
    "three numbers": ("driver_error", "at step 5: a command has 25 bytes (two numbers); it sent 29"),
    "half a message": ("driver_timeout", "at step 5: it sent only 12 bytes of a message within 1 s"),
    "silence": ("driver_timeout", "at step 5: it sent nothing within 1 s"),
    "other nonce": ("driver_error", "at step 5: its command carries another nonce than the frame it was asked about"),
    "length 0": ("driver_error", "at step 5: it sent a message of 0 bytes; 1 to 1048576 are allowed"),
    "length huge": ("driver_error", "at step 5: it sent a message of 2147483648 bytes; 1 to 1048576 are allowed"),
    "ready again": ("driver_error", "at step 5: it sent a message of type b'Y' where a command (b'C') was due"),
    "twice": ("driver_error", "at step 6: it sent 29 bytes before it was asked: they came before a frame"),
    "early": ("driver_error", "at step 0: it sent 29 bytes before it was asked: they came before a frame"),
    "raises": ("driver_error", "at step 5: it closed the connection"),
    "killed": ("driver_error", "at step 5: it closed the connection"),
    "exit 0": ("driver_error", "at step 5: it closed the connection"),
    "never ready": ("driver_timeout", "at step 0: it sent nothing within 1 s"),
    "ready for another": ("driver_error", "at step 0: it is ready for episode 1; it was asked for episode 0"),
    "hello not json": ("driver_error", "before the first episode: its hello is no JSON: b'{nope'"),
    "hello other version": (
        "driver_error",
        "before the first episode: it speaks protocol version 1; this world speaks 2",
    ),
    "hello lacks device": ("driver_error", "before the first episode: its hello lacks 'device'"),
    "hello other model": (
        "driver_error",
        "before the first episode: its hello says model = 'good'; 'bad' was asked for",
    ),
    "dies before hello": ("driver_error", "before the first episode: the driver ended before it said hello"),
}
QUICK = {"ready": 1.0, "command": 1.0}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_driver_that_misbehaves_ends_its_case_with_an_outcome_and_a_reason(fault: str) -> None:
    # Deadlines that are meant to pass are short; the others are long, so that a busy machine changes nothing.
    short = FAULTS[fault][0] == "driver_timeout"
    cases = [sessions.case(seed=1), sessions.case(seed=2)]
    events, end = sessions.run_bad(fault, cases, deadlines=QUICK if short else None)
    (episode,) = [event for event in events if event["event"] == "episode"]
    assert episode["key"] == cases[0]["key"]
    assert (episode["facts"]["outcome"], episode["facts"]["reason"]) == FAULTS[fault]
    assert events[-1] == {"event": "stopped", "reason": f"the driver failed: {FAULTS[fault][1]}".replace(BEFORE, "")}
    assert end.world_exit == 0
    assert not end.timed_out


BEFORE = "before the first episode: "


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("never connects", "it did not connect within 0.5 s"),
        ("no hello", "it sent nothing within"),
        ("hello half", "it sent only 20 bytes of a message within"),
    ],
)
def test_a_driver_that_is_not_there_in_time(fault: str, reason: str) -> None:
    # The connect deadline is short, so a driver that is slow to start on a busy machine may not even connect.
    events, end = sessions.run_bad(fault, deadlines={"connect": 0.5 if fault == "never connects" else 3.0})
    (facts,) = sessions.facts(events)
    assert facts["outcome"] == "driver_timeout"
    assert facts["reason"].startswith(BEFORE + reason)
    assert (facts["steps"], facts["distance_m"], facts["trajectory_sha256"]) == (0, 0.0, None)
    assert end.world_exit == 0


def test_the_log_and_the_exit_status_of_a_driver_that_fails_are_kept() -> None:
    _, raised = sessions.run_bad("raises")
    assert raised.drivers[0].exit == 1
    assert raised.drivers[0].log_tail.endswith("ValueError: the weights are cursed")
    _, killed = sessions.run_bad("killed")
    assert killed.drivers[0].exit == -signal.SIGKILL
    _, early = sessions.run_bad("dies before hello")
    assert (early.drivers[0].exit, early.drivers[0].log_tail) == (3, "bad driver: the artifact is cut short")


def test_zero_leaves_the_lane_and_the_oracle_completes_with_all_facts() -> None:
    events, end = sessions.run(Session((sessions.spec("zero"),), sessions.job("zero", [sessions.case()]), 120.0))
    (zero,) = sessions.facts(events)
    assert zero["outcome"] in ("left_lane", "stalled", "timeout")
    assert zero["commands"] == {"speed_suddenness": 0.0, "steering_suddenness": 0.0}
    assert (end.world_exit, end.drivers[0].exit, end.drivers[0].log_tail) == (0, 0, "")

    job = {**sessions.job("centreline", [sessions.case()], grants_state=True), "trace": True}
    events, end = sessions.run(Session((sessions.spec("centreline"),), job, 300.0))
    (facts,) = sessions.facts(events)
    assert (facts["outcome"], facts["reason"]) == ("completed", None)
    assert facts["distance_m"] >= facts["lap_m"]
    assert len(facts["path"]["offset"]) == int(facts["distance_m"])
    assert set(facts["split_us"]) == {"physics", "camera", "judge", "transport", "loop"}
    assert facts["latency"]["round_trip_us"]["n"] == facts["steps"]
    assert facts["trace_npz_base64"]
    hello = next(event for event in events if event["event"] == "hello")
    assert (hello["runtime"], hello["precision"]) == ("centreline", "none")
    assert len(hello["fingerprint_of_world"]["sha256"]) == 64
    assert events[-1] == {"event": "stopped", "reason": "done"}
    for event in events:
        json.dumps(event, allow_nan=False)


def test_a_case_gives_the_same_trajectory_alone_and_after_others() -> None:
    def hashes(*seeds: int) -> dict[str, str]:
        job = sessions.job("zero", [sessions.case(seed=seed) for seed in seeds])
        events, _ = sessions.run(Session((sessions.spec("zero"),), job, 120.0))
        return {event["key"]: event["facts"]["trajectory_sha256"] for event in events if event["event"] == "episode"}

    together = hashes(1, 2, 3)
    assert len(set(together.values())) == 3
    assert {**hashes(3), **hashes(2, 1)} == together


def test_a_model_is_not_shown_the_true_state_whatever_it_claims() -> None:
    events, end = sessions.run(
        Session((sessions.spec("centreline"),), sessions.job("centreline", [sessions.case()]), 120.0)
    )
    (facts,) = sessions.facts(events)
    assert (facts["outcome"], facts["steps"]) == ("driver_error", 0)
    assert "the world's job does not grant it" in end.drivers[0].log_tail
    assert end.drivers[0].exit == 4


def start(job: dict[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.world", path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def with_socket(job: dict[str, Any], path: Path) -> dict[str, Any]:
    return {**job, "drivers": [{**job["drivers"][0], "socket": str(path)}]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_world_stops_in_order_when_it_is_told_to(number: signal.Signals, tmp_path: Path) -> None:
    with start(with_socket(sessions.job("a", [sessions.case()]), tmp_path / "s"), tmp_path) as world:
        assert world.stdout is not None
        assert json.loads(world.stdout.readline()) == {"event": "listening"}
        world.send_signal(number)
        rest = world.stdout.read()
        assert world.wait(timeout=20) == 0
    assert json.loads(rest) == {"event": "stopped", "reason": f"asked to by {number.name}"}
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"schema": 2}, "is no job of schema 1; host and world are of different versions"),
        ({"mode": "fly"}, "asks for mode 'fly'; there are drive and measure"),
        ({"drivers": [{"socket": "/nowhere/s", "model": "a"}]}, "cannot listen at /nowhere/s: No such file or dir"),
        ({"drivers": [{"socket": "/" + "x" * 120, "model": "a"}]}, "the socket's path has 121 bytes"),
    ],
)
def test_a_job_that_cannot_be_run_is_one_line_and_no_event(change: dict[str, Any], text: str, tmp_path: Path) -> None:
    job = with_socket(sessions.job("a", [sessions.case()]), tmp_path / "s")
    with start({**job, **change}, tmp_path) as world:
        out, err = world.communicate(timeout=30)
    assert world.returncode in (3, 4)
    assert out == b""
    (line,) = err.decode().splitlines()
    assert line.startswith("world: ")
    assert text in line


def test_measuring_asks_the_drivers_in_turns_and_takes_their_commands() -> None:
    job = {
        **sessions.job("zero", []),
        "mode": "measure",
        "drivers": [{"model": "zero", "grants_state": False}, {"model": "sleep", "grants_state": True}],
        "blocks": 2,
        "block_frames": 3,
        "warmup_frames": 2,
        "offline": True,
        "offline_times": 2,
        "core": None,
    }
    events, end = sessions.run(Session((sessions.spec("zero"), sessions.spec("sleep")), job, 300.0))
    assert end.world_exit == 0
    assert [driver.exit for driver in end.drivers] == [0, 0]
    timings = {event["model"]: event for event in events if event["event"] == "timing"}
    assert [len(timings[name]["round_trip_ns"]) for name in ("zero", "sleep")] == [6, 6]
    assert min(timings["sleep"]["claimed_inference_ns"]) >= 5_000_000
    taken = [event for event in events if event["event"] == "offline"]
    assert [event["model"] for event in taken] == ["zero", "sleep", "zero", "sleep"]
    offline = {event["model"]: event for event in taken}
    assert set(map(tuple, offline["zero"]["commands"])) == {(0.0, 0.0)}
    assert len(offline["sleep"]["frames_sha256"]) == 64
    assert len(offline["zero"]["labels"]) == len(offline["zero"]["commands"])


def test_a_driver_that_fails_while_measured_is_named() -> None:
    job = {
        **sessions.job("zero", []),
        "mode": "measure",
        "blocks": 1,
        "block_frames": 1,
        "warmup_frames": 0,
        "offline": False,
    }
    job["drivers"].append({"model": "other", "grants_state": False})
    events, end = sessions.run(Session((sessions.spec("zero"), sessions.spec("zero")), job, 300.0))
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert (failed["index"], failed["model"], failed["outcome"]) == (1, "other", "driver_error")
    assert failed["reason"] == "its hello says model = 'zero'; 'other' was asked for"
    assert end.world_exit == 0
