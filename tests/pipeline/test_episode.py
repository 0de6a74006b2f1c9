from __future__ import annotations

import base64
import hashlib
import io
import math
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs import circuit
from envs.command import Command
from envs.conditions import Conditions
from envs.expert import command as expert
from envs.progress import Limits
from envs.true_state import TrueState
from envs.world import World
from pipeline import episode
from pipeline.link import Reply
from pipeline.protocol import DeadlineError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STRAIGHT = [(distance, 0.1 * distance, 5.0, 0.0) for distance in (0.0, 0.6, 1.2, 1.8, 2.4)]


class Oracle:
    """Answers in this process: an episode needs no socket."""

    def __init__(self, fault: Exception | None = None, at: int = 3) -> None:
        self.fault, self.at = fault, at
        self.states: list[bytes] = []

    def reset(self, episode: int) -> None:
        self.episode = episode

    def ask(self, step: int, frame: NDArray[np.uint8], state: bytes = b"") -> Reply:
        assert frame.shape == (66, 200, 3)
        self.states.append(state)
        if self.fault is not None and step == self.at:
            raise self.fault
        return Reply(expert(TrueState.unpack(state)) if state else Command(0.0, 0.0), 2_000, 500)


def world() -> World:
    return World(circuit.load("simple"), Conditions())


def test_a_straight_line_is_kept_at_each_whole_metre() -> None:
    path = episode.resampled(STRAIGHT)
    np.testing.assert_allclose(path["offset"], [0.1, 0.2])
    assert path["speed"] == [5.0, 5.0]


def test_metres_driven_back_and_again_are_not_counted_twice() -> None:
    path = episode.resampled([(d, offset, 1.0, 0.0) for d, offset in ((0, 0), (1.5, 1), (0.2, 2), (1.5, 3), (2.5, 4))])
    np.testing.assert_allclose(path["offset"], [2 / 3, 3.5])


def test_several_metres_in_one_step_are_all_kept() -> None:
    np.testing.assert_allclose(episode.resampled([(0.5, 0, 1, 0), (3.5, 6, 1, 0)])["offset"], [1.0, 3.0, 5.0])


def test_a_heading_error_is_interpolated_the_short_way_round() -> None:
    (error,) = episode.resampled([(0.5, 0, 1, 3.1), (1.5, 0, 1, -3.1)])["heading_error"]
    assert abs(error) == pytest.approx(math.pi)


@given(st.lists(st.floats(-2.0, 2.0), max_size=60))
def test_there_are_as_many_metres_as_the_best_distance_has(moves: Sequence[float]) -> None:
    distances = np.concatenate([[0.0], np.cumsum(moves)])
    path = episode.resampled([(float(d), 0.0, 0.0, 0.0) for d in distances])
    assert len(path["offset"]) == len(path["speed"]) == math.floor(max(distances))


def test_suddenness_is_the_mean_change_a_second() -> None:
    assert episode.suddenness([(0.0, 0.0), (0.1, 0.0), (0.1, -0.3)]) == pytest.approx(
        {"speed_suddenness": 1.0, "steering_suddenness": 3.0}
    )
    assert episode.suddenness([(0.0, 0.0)]) == {"speed_suddenness": None, "steering_suddenness": None}


def test_the_trajectory_hash_is_over_the_documented_bytes() -> None:
    row = episode.Row(*(1.0, 2.0, 0.0, 0.0, 0.0, 3.0, 4.0, 0.0), *(0.0, 0.0, 0.0, 0.0), 5.0, 6.0, 7, 8)
    expected = hashlib.sha256(struct.pack("<6d", 1.0, 2.0, 3.0, 4.0, 6.0, 5.0)).hexdigest()
    assert episode.trajectory_hash([row]) == expected
    assert episode.trajectory_hash([row._replace(round_trip_ns=9, inference_ns=9)]) == expected
    assert episode.trajectory_hash([]) is None


def test_a_summary_of_nothing_has_no_values() -> None:
    assert episode.summary([]) == {"median": None, "p95": None, "max": None, "n": 0}
    assert episode.summary([1.0, 2.0, 3.0]) == {"median": 2.0, "p95": pytest.approx(2.9), "max": 3.0, "n": 3}


def test_an_oracle_in_this_process_completes_a_lap() -> None:
    progress: list[tuple[float, int]] = []
    with world() as simple:
        facts = episode.drive(
            simple,
            Oracle(),
            episode=4,
            grants_state=True,
            on_progress=lambda part, step: progress.append((part, step)),
            trace=True,
        )
    assert facts["outcome"] == "completed"
    assert facts["sim_time_s"] == facts["steps"] / 20
    assert facts["latency"]["round_trip_us"]["median"] == 2.0
    assert facts["split_us"]["transport"] == pytest.approx(1.5)
    assert all(0.0 <= part <= 1.0 for part, _ in progress)
    trace = np.load(io.BytesIO(base64.b64decode(facts["trace_npz_base64"])))
    assert set(trace.files) == set(episode.Row._fields)
    assert trace["x"].shape == (facts["steps"],)
    assert float(trace["distance"].max()) == facts["distance_m"]


@pytest.mark.parametrize(
    ("fault", "outcome"), [(ProtocolError("no"), "driver_error"), (DeadlineError("no"), "driver_timeout")]
)
def test_a_fault_ends_the_episode_and_what_was_driven_stays(fault: Exception, outcome: str) -> None:
    with world() as simple:
        facts = episode.drive(simple, Oracle(fault), episode=0, grants_state=False, on_progress=lambda *_: None)
    assert (facts["outcome"], facts["reason"], facts["steps"]) == (outcome, "at step 3: no", 3)
    assert facts["trajectory_sha256"]


def test_the_state_is_shown_only_where_it_is_granted() -> None:
    for grants_state in (True, False):
        oracle = Oracle(ProtocolError("enough"))
        with world() as simple:
            episode.drive(simple, oracle, episode=0, grants_state=grants_state, on_progress=lambda *_: None)
        assert {bool(state) for state in oracle.states} == {grants_state}


def test_a_case_that_is_over_before_it_begins_has_its_facts() -> None:
    with World(circuit.load("simple"), Conditions(), Limits(stall_s=0.0)) as stalled:
        facts = episode.drive(stalled, Oracle(), episode=0, grants_state=False, on_progress=lambda *_: None)
    assert (facts["outcome"], facts["steps"], facts["split_us"]) == ("stalled", 0, {})
