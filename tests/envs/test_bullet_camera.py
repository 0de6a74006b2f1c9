"""The two cameras against each other and against an independent pinhole, and the contract that both keep."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from envs import circuit as circuits
from envs.bullet_camera import BulletCamera
from envs.camera import GroundCamera
from envs.command import Command
from envs.conditions import draw
from envs.look import Fog, Light, Look
from envs.markings import Markings
from envs.painting import Painting
from envs.view import FRAME_SHAPE, CameraGeometry
from envs.world import World
from tests.envs.sight import Pose, columns_crossed, crossings, distance, edge, rows_crossed

if TYPE_CHECKING:
    from collections.abc import Callable

    from envs.circuit import Circuit
    from envs.world import Camera

    Maker = Callable[[Painting, CameraGeometry, Look], Camera]

CAMERAS = (GroundCamera, BulletCamera)
CIRCUITS = ("simple", "many_curves", "montreal", "generated:3", "generated:8:4000")
POSES = 40  # on each circuit, 200 in all
CONTRAST = Markings(centre=None, edges=None, asphalt=(0, 0, 0), ground=(240, 240, 240), shoulder=0.001)
"""White ground beside a black road and no lines: the lane edge is where the picture is grey."""


def contrasting(name: str) -> Circuit:
    return replace(circuits.load(name), markings=CONTRAST)


def near(circuit: Circuit, random: np.random.Generator) -> Pose:
    x, y, heading = circuit.pose(random.uniform(0.0, circuit.length), random.uniform(-1.0, 1.0))
    z, roll, pitch, turn = (random.uniform(-1.0, 1.0, 4) * (0.05, 0.05, 0.04, 0.2)).tolist()
    return Pose(x, y, z, roll, pitch, heading + turn)


@pytest.mark.parametrize("name", CIRCUITS)
def test_both_cameras_see_the_lane_edges_where_a_pinhole_does(name: str) -> None:
    circuit = contrasting(name)
    painting, geometry = Painting(circuit), CameraGeometry()
    ground, bullet = (camera(painting, geometry, Look()) for camera in CAMERAS)
    edges = [edge(circuit, side) for side in (1.0, -1.0)]
    random = np.random.default_rng(CIRCUITS.index(name))
    errors = []
    for _ in range(POSES):
        pose = near(circuit, random)
        one, two = (camera.render(pose, 0)[..., 1].astype(float) for camera in (ground, bullet))
        for row, at in (crossed for points in edges for crossed in rows_crossed(points, pose, geometry)):
            seen = crossings(two[row], 120.0)
            there = float(seen[np.abs(seen - at).argmin()]) if len(seen) else math.inf
            errors.append((distance(one[row], at, 120.0), abs(there - at), distance(one[row], there, 120.0)))
    assert len(errors) > 8 * POSES
    of_ground, of_bullet, between = np.array(errors).T
    assert max(of_ground) < 1.0
    assert max(of_bullet) < 1.0
    assert max(between) < 1.5
    assert np.mean(between) < 0.4


@pytest.mark.parametrize("name", ["simple+wall", "montreal+wall"])
def test_both_cameras_see_the_walls_upper_edge_where_a_pinhole_does(name: str) -> None:
    found = circuits.load(name)
    wall = found.markings.wall
    assert wall is not None
    black = replace(CONTRAST, ground=(0, 0, 0), wall=replace(wall, colour=(240, 240, 240)))
    painting, geometry = Painting(replace(found, markings=black)), CameraGeometry()
    ground, bullet = (camera(painting, geometry, Look()) for camera in CAMERAS)
    behind = replace(found, left=found.left + wall.distance, right=found.right + wall.distance)
    tops = [edge(behind, side) + np.array([0.0, 0.0, wall.height]) for side in (1.0, -1.0)]
    random = np.random.default_rng(1)
    errors = []
    for _ in range(POSES):
        pose = near(found, random)
        one, two = (camera.render(pose, 0)[..., 1].astype(float).T for camera in (ground, bullet))
        for column, at in (crossed for points in tops for crossed in columns_crossed(points, pose, geometry)):
            # Only where the wall stands before black ground, and neither sky nor another wall.
            if two[column, round(at) - 5 : round(at) - 1].max() == 0.0:
                errors.append([distance(frame[column], at, 120.0) for frame in (one, two)])
    assert len(errors) > 1000
    assert np.max(errors) < 1.0
    assert np.mean(errors) < 0.4


@pytest.fixture(scope="module", params=CAMERAS, ids=lambda camera: camera.__name__)
def made(request: pytest.FixtureRequest) -> Maker:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def walled() -> Painting:
    return Painting(circuits.load("montreal+wall"))


def test_frames_are_new_arrays_of_the_stated_kind(made: Maker, walled: Painting) -> None:
    camera = made(walled, CameraGeometry(), Look())
    one, two = camera.render(Pose(0.0, 0.0), 0), camera.render(Pose(0.0, 0.0), 0)
    assert one.shape == FRAME_SHAPE == (66, 200, 3)
    assert one.dtype == np.uint8
    assert one.flags.c_contiguous
    assert one.flags.writeable
    assert not np.shares_memory(one, two)


def test_a_frame_is_a_function_of_pose_and_step(made: Maker, walled: Painting) -> None:
    look = draw("varied", 3, "montreal", "forward").look
    circuit = walled.circuit
    driven = made(walled, CameraGeometry(), look)
    seen = []
    for step, s in enumerate(np.arange(0.0, circuit.length, 20.0)):
        pose = Pose(*circuit.pose(float(s), math.sin(step))[:2], 0.01, 0.02, 0.01, circuit.pose(float(s))[2])
        seen.append((pose, step, driven.render(pose, step)))
    for pose, step, frame in seen[::-10]:
        assert np.array_equal(driven.render(pose, step), frame)
        assert np.array_equal(made(walled, CameraGeometry(), look).render(pose, step), frame)
        assert not np.array_equal(driven.render(pose, step + 1), frame)


def test_light_and_fog_are_on_everything(made: Maker, walled: Painting) -> None:
    pose = Pose(*walled.circuit.pose(30.0)[:2], yaw=walled.circuit.pose(30.0)[2])
    plain, dim, thick = (
        made(walled, CameraGeometry(), look).render(pose, 0).astype(float)
        for look in (Look(), Look(Light(0.5, 0.0)), Look(fog=Fog(0.1)))
    )
    assert np.abs(dim - plain / 2.0).max() < 8.0  # rounded in each of several layers
    assert np.ptp(thick[24:32], axis=(0, 1)).max() < 0.3 * np.ptp(plain[24:32], axis=(0, 1)).max()


def test_another_camera_is_another_view(made: Maker) -> None:
    circuit = contrasting("simple")
    geometry = CameraGeometry(math.radians(60.0), 0.5, 0.3, 1.8, math.radians(12.0), math.radians(5.0))
    camera = made(Painting(circuit), geometry, Look())
    x, y, heading = circuit.pose(20.0)
    pose = Pose(x, y, roll=-0.03, yaw=heading)
    frame = camera.render(pose, 0)[..., 1].astype(float)
    crossed = [found for side in (1.0, -1.0) for found in rows_crossed(edge(circuit, side), pose, geometry)]
    assert len(crossed) > 20
    assert max(distance(frame[row], at, 120.0) for row, at in crossed) < 1.0


@pytest.mark.parametrize("roll", [math.pi / 2.0, math.pi, -3.0])
def test_a_car_on_its_head_still_has_a_picture(made: Maker, walled: Painting, roll: float) -> None:
    assert made(walled, CameraGeometry(), Look()).render(Pose(0.0, 0.0, 0.5, roll, 1.5, 0.3), 0).shape == FRAME_SHAPE


@pytest.mark.parametrize("name", ["many_curves+wall", "montreal+dashed_guide_line+dashed_edges"])
def test_the_pictures_are_alike_all_over(name: str) -> None:
    circuit = circuits.load(name)
    cameras = [made(Painting(circuit), CameraGeometry(), Look()) for made in CAMERAS]
    random = np.random.default_rng(5)
    unlike = []
    for _ in range(POSES):
        pose = near(circuit, random)
        one, two = (camera.render(pose, 0).astype(float) for camera in cameras)
        unlike.append(np.mean(np.abs(one - two).max(axis=2) > 60.0))
    assert np.max(unlike) < 0.05


def test_a_world_drives_with_either(made: Maker) -> None:
    circuit = circuits.load("simple")
    with World(circuit, draw("nominal", 1, "simple", "forward"), camera=made) as world:
        first = world.reset().frame
        second = world.step(Command(0.5, 0.0)).observation.frame
    assert first is not None
    assert second is not None
    assert not np.array_equal(first, second)


def test_a_long_tracks_mesh_is_in_the_scene_near_the_camera_alone() -> None:
    circuit = circuits.load("generated:7:6500")
    camera = BulletCamera(Painting(circuit), CameraGeometry(), Look())
    for s in np.arange(0.0, circuit.length, 100.0):
        x, y, heading = circuit.pose(float(s))
        camera.render(Pose(x, y, yaw=heading), 0)
        assert 0 < len(camera._bodies) < len(camera._shapes) / 5
