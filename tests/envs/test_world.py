"""The world: the same episode whatever came before, the true state as it is, the parts of a step in order."""

from __future__ import annotations

import hashlib
import math
import struct
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pybullet
import pytest

from envs import circuit as circuits
from envs.camera import FRAME_SHAPE
from envs.command import Command, normalised
from envs.conditions import Conditions, Loss, Pushes, draw
from envs.expert import command
from envs.look import Look, Mount, Noise
from envs.progress import COMPLETED, LEFT_LANE, STALLED
from envs.true_state import TrueState
from envs.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from envs.circuit import Circuit

CIRCLE = "width = 6.0\n[[segments]]\nradius = 20.0\nangle = 360.0\n"


@cache
def circle() -> Circuit:
    return circuits.parse(CIRCLE, "circle")


def blind(conditions: Conditions, circuit: Circuit | None = None) -> World:
    return World(circuit or circle(), conditions, camera=None)


def trajectory(world: World, steps: int) -> str:
    """Hash of a seeded drive, frames included where there are any."""
    random = np.random.default_rng(3)
    digest = hashlib.sha256()
    world.reset()
    while world.outcome is None and world.step_index < steps:
        speed, steering = random.normal(0.0, 0.1, 2)
        base = command(world.true_state)
        frame = world.step(normalised(8.0 + 10.0 * float(speed), 0.5 * (base.steering + float(steering))))[0].frame
        car = world.car_state
        digest.update(struct.pack("<9d", *car))
        if frame is not None:
            digest.update(frame.tobytes())
    return digest.hexdigest()


def test_same_commands_same_bits_alone_or_after_others() -> None:
    conditions = draw("varied", 5, "circle", "forward")
    with blind(conditions) as world:
        alone = trajectory(world, 150)
        assert trajectory(world, 150) == alone
    with blind(draw("varied", 6, "circle", "forward"), circle().reversed()) as other, blind(conditions) as world:
        assert trajectory(other, 60) != alone
        other.reset()
        world.reset()
        other.step(Command(1.0, 1.0))
        assert trajectory(world, 150) == alone


def test_frames_too_are_the_same_bits() -> None:
    conditions = draw("varied", 5, "circle", "forward")
    with World(circle(), conditions) as world:
        assert world.reset().frame is not None
        first = trajectory(world, 40)
        assert world.frame.shape == FRAME_SHAPE
        assert world.frame.dtype == np.uint8
        kept = world.frame
        copy = kept.copy()
        assert trajectory(world, 40) == first
        assert np.array_equal(kept, copy)  # a frame given out is never painted over


def test_starts_where_the_conditions_say() -> None:
    conditions = Conditions(start_fraction=0.25, start_offset=0.5, start_heading=-0.05)
    with blind(conditions) as world:
        observation = world.reset()
    assert observation.frame is None
    assert observation.car.speed == 0.0
    assert observation.progress.s == pytest.approx(0.25 * circle().length, abs=1e-3)
    assert observation.progress.offset == pytest.approx(0.5, abs=1e-3)
    assert observation.progress.heading_error == pytest.approx(-0.05, abs=1e-6)
    assert observation.progress.distance == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_starts_within_the_lane_however_narrow(side: float) -> None:
    narrow = circuits.parse(CIRCLE.replace("6.0", "2.6"), "narrow")
    with blind(Conditions(start_offset=1.4 * side), narrow) as world:
        assert world.reset().progress.offset == pytest.approx(1.0 * side, abs=1e-3)
        assert world.outcome is None


def test_a_lost_frame_is_the_last_one_again() -> None:
    loss = Loss(seed=2, share=0.5)
    with World(circle(), Conditions(loss=loss, look=Look(noise=Noise(1, 2.0)))) as world:
        last = world.reset().frame
        seen = set()
        for step in range(1, 30):
            frame = world.step(normalised(5.0, 0.12)).observation.frame
            assert np.array_equal(frame, last) == loss.at(step)
            assert frame is not last
            seen.add(loss.at(step))
            last = frame
        assert seen == {True, False}


def test_pushes_and_play_reach_the_car() -> None:
    def sideways(conditions: Conditions) -> float:
        with blind(conditions, circuits.load("simple")) as world:
            world.reset()
            for _ in range(80):
                world.step(normalised(8.0, 0.0))
            return world.progress.offset

    assert abs(sideways(Conditions())) < 0.02
    assert abs(sideways(Conditions(pushes=Pushes(seed=3, acceleration=8.0)))) > 0.1

    def turned(play: float) -> float:
        with blind(Conditions(steering_play=play)) as world:
            world.reset()
            for _ in range(40):
                world.step(normalised(4.0, 0.1))
            return world.car_state.steering

    assert turned(0.0) == pytest.approx(0.1)
    assert turned(0.04) == pytest.approx(0.08)


def test_the_camera_sits_where_the_conditions_put_it() -> None:
    with World(circle(), Conditions()) as straight, World(circle(), Conditions(mount=Mount(tilt=0.05))) as tilted:
        assert not np.array_equal(straight.reset().frame, tilted.reset().frame)


def test_true_state_shows_the_lane_in_the_cars_eyes() -> None:
    with blind(Conditions(start_fraction=0.9, start_offset=-0.5, start_heading=0.2)) as world:
        world.reset()
        state = world.true_state
    assert state.offset == pytest.approx(-0.5, abs=2e-3)
    assert state.heading_error == pytest.approx(0.2, abs=1e-6)
    assert state.curvature == pytest.approx(0.05, rel=1e-6)
    assert state.preview_curvature == pytest.approx([0.05] * 16)
    arcs = 2.5 * np.arange(1, 17) / 20.0
    ahead = np.column_stack((20.0 * np.sin(arcs), 0.5 + 20.0 * (1.0 - np.cos(arcs))))
    turned = ahead @ np.array([[math.cos(0.2), -math.sin(0.2)], [math.sin(0.2), math.cos(0.2)]])
    assert state.preview == pytest.approx(turned, abs=2e-3)


def test_true_state_survives_packing() -> None:
    with blind(Conditions(start_offset=0.3)) as world:
        world.reset()
        state = world.true_state
    packed = state.pack()
    assert len(packed) == 52 * 8
    assert struct.unpack(">d", packed[8:16])[0] == state.offset
    again = TrueState.unpack(packed)
    assert again[:4] == state[:4]
    assert np.array_equal(again.preview, state.preview)
    assert np.array_equal(again.preview_curvature, state.preview_curvature)
    with pytest.raises(ValueError, match="416 bytes"):
        TrueState.unpack(packed[:-1])


def ending(world: World, answer: Callable[[World], Command]) -> tuple[str | None, float]:
    """Outcome and time of an episode [s]."""
    world.reset()
    assert (world.step_index, world.time) == (0, 0.0)
    while world.outcome is None:
        world.step(answer(world))
    return world.outcome, world.time


def test_outcomes() -> None:
    with blind(Conditions()) as world:
        assert ending(world, lambda world: command(world.true_state))[0] == COMPLETED
        assert world.progress.distance >= circle().length
        assert ending(world, lambda _: Command(-1.0, 0.0)) == (STALLED, 5.0)
        assert ending(world, lambda _: Command(0.0, 0.0))[0] == LEFT_LANE


def test_a_step_needs_an_episode() -> None:
    world = blind(Conditions())
    with pytest.raises(RuntimeError, match="not begun"):
        world.step(Command(0.0, 0.0))
    world.reset()
    with pytest.raises(RuntimeError, match="no frame"):
        _ = world.frame
    while world.outcome is None:
        world.step(Command(0.0, 0.0))
    with pytest.raises(RuntimeError, match="over"):
        world.step(Command(0.0, 0.0))
    world.close()
    world.close()


def test_engines_are_let_go() -> None:
    with blind(Conditions()) as world:
        clients = []
        for _ in range(3):
            world.reset()
            clients.append(world._client)
            connected = [pybullet.getConnectionInfo(client)["isConnected"] for client in set(clients)]
            assert sum(connected) == 1
    assert not any(pybullet.getConnectionInfo(client)["isConnected"] for client in clients)
