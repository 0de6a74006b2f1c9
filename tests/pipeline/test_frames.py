from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from envs import circuit
from envs.world import World
from pipeline import frames

if TYPE_CHECKING:
    from pipeline.frames import TestFrames


@pytest.fixture(scope="module")
def few() -> TestFrames:
    return frames.test_frames(frames.PARTS)


def test_they_are_frames_and_labels_that_differ(few: TestFrames) -> None:
    assert few.frames.shape == (frames.PARTS, 66, 200, 3)
    assert few.frames.dtype == np.uint8
    assert few.commands.shape == (frames.PARTS, 2)
    assert few.commands.dtype == np.float32
    assert np.all(np.abs(few.commands) <= 1.0)
    assert len({frame.tobytes() for frame in few.frames}) == frames.PARTS
    assert np.all(few.frames.std(axis=(1, 2, 3)) > 10.0)
    assert np.all(few.commands.std(axis=0) > 0.05)


def test_they_are_the_same_on_every_call(few: TestFrames) -> None:
    again = frames.test_frames(frames.PARTS)
    assert again.sha256 == few.sha256
    assert again.frames.tobytes() == few.frames.tobytes()


def test_the_digest_is_of_frames_and_labels(few: TestFrames) -> None:
    assert frames.digest(few.frames, few.commands) == few.sha256
    changed = few.commands.copy()
    changed[0, 0] += 0.5
    assert frames.digest(few.frames, changed) != few.sha256
    assert frames.digest(few.frames[::-1], few.commands) != few.sha256


def test_the_bursts_lead_astray_but_never_out_of_the_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets: list[float] = []
    judge = World.judge

    def noting(world: World) -> None:
        judge(world)
        offsets.append(abs(world.progress.offset))

    monkeypatch.setattr(World, "judge", noting)
    frames.test_frames(frames.PARTS)
    assert np.percentile(offsets, 95) > 0.2
    assert max(offsets) < 1.5


@pytest.mark.parametrize("count", [0, -20, 30])
def test_other_counts_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="multiples of 20"):
        frames.test_frames(count)


def test_the_circuits_are_the_benchmark() -> None:
    assert set(frames.CIRCUITS) == set(circuit.names("benchmark"))
    assert frames.COUNT % frames.PARTS == 0
