"""Walls stand where they should, hide what is behind them, move by, and are not there where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from envs import circuit as circuits
from envs.backdrop import Backdrop
from envs.bullet_camera import BulletCamera
from envs.camera import GroundCamera
from envs.look import Fog, Light, Look
from envs.painting import Painting
from envs.view import FRAME_SHAPE, CameraGeometry, view_of
from envs.walls import Walls, feet, shades
from tests.envs.sight import Pose, pinhole

GEOMETRY = CameraGeometry()
NARROW = """
width = 6.0
segments = [{straight = 60.0}, {radius = 10.0, angle = 180.0}, {straight = 60.0}, {radius = 10.0, angle = 180.0}]
[markings]
wall = {colour = [200, 40, 40], height = 1.0, distance = 9.0}
"""


def standing(name: str, look: Look) -> tuple[circuits.Circuit, Walls]:
    found = circuits.load(name)
    haze = Backdrop(look, found.markings.ground, GEOMETRY).haze
    return found, Walls(found, look, GEOMETRY, haze)


def drawn(walls: Walls, pose: Pose, channels: int = 4) -> np.ndarray:
    canvas = np.zeros((*FRAME_SHAPE[:2], channels), np.uint8)
    walls.draw(canvas, view_of(pose, GEOMETRY))
    return canvas


def test_without_a_wall_nothing_is_drawn() -> None:
    _, walls = standing("simple", Look())
    assert not drawn(walls, Pose(0.0, 0.0)).any()


def test_walls_stand_beyond_the_lane_edges() -> None:
    found = circuits.load("montreal+wall")
    wall = found.markings.wall
    assert wall is not None
    line = feet(found, wall)
    away = np.array([np.hypot(*(found.points - point).T).min() for point in line.points[::7]])
    assert away.max() == pytest.approx(found.width / 2.0 + wall.distance, abs=0.02)
    assert np.count_nonzero(~line.joined) == 1  # between the left wall and the right one
    assert np.hypot(*np.diff(line.points, axis=0)[line.joined].T).max() < 3.0


def test_no_wall_stands_in_a_lane() -> None:
    found = circuits.parse(NARROW, "narrow")
    wall = found.markings.wall
    assert wall is not None
    line = feet(found, wall)
    away = np.array([np.hypot(*(found.points - point).T).min() for point in line.points])
    assert away.min() > found.width / 2.0 - 0.05
    assert away.max() > found.width / 2.0 + 8.9


def test_a_wall_hides_what_is_behind_it() -> None:
    # Among bends, where walls stand before walls, PyBullet's depth buffer says what is seen.
    found = circuits.load("many_curves+red_wall")
    painting = Painting(found)
    cameras = [GroundCamera(painting, GEOMETRY, Look()), BulletCamera(painting, GEOMETRY, Look())]
    unlike = []
    for s in np.arange(0.0, found.length, 9.0):
        x, y, heading = found.pose(float(s), 2.0 * math.sin(s))
        one, two = (camera.render(Pose(x, y, yaw=heading + 0.3 * math.cos(s)), 0).astype(float) for camera in cameras)
        # Edges apart, by half a pixel: what is unlike in a whole patch is another thing.
        patches = np.abs(one - two).max(axis=2) > 60.0
        unlike.append((patches[1:, 1:] & patches[:-1, :-1] & patches[1:, :-1] & patches[:-1, 1:]).mean())
    assert np.max(unlike) < 0.002


def test_posts_move_by() -> None:
    found, walls = standing("simple+wall", Look())
    pictures = []
    for s in (10.0, 11.0):
        x, y, heading = found.pose(s)
        pictures.append(drawn(walls, Pose(x, y, yaw=heading)).astype(float))
    assert np.mean(np.abs(pictures[0] - pictures[1]).max(axis=2) > 20.0) > 0.01


def test_colours_are_those_of_the_light() -> None:
    found, walls = standing("simple+wall", Look(Light(0.6, 0.1)))
    wall = found.markings.wall
    assert wall is not None
    x, y, heading = found.pose(20.0)
    seen = {tuple(colour) for colour in drawn(walls, Pose(x, y, yaw=heading), 3).reshape(-1, 3).tolist()}
    for shade in shades(wall, Look(Light(0.6, 0.1))):
        assert tuple(np.rint(shade).astype(int)) in seen


def test_fog_hides_walls() -> None:
    contrast = []
    for fog in (0.003, 0.03, 0.2):
        look = Look(fog=Fog(fog))
        found, walls = standing("simple+red_wall", look)
        haze = Backdrop(look, found.markings.ground, GEOMETRY).haze
        x, y, heading = found.pose(20.0)
        picture = drawn(walls, Pose(x, y, yaw=heading), 3)
        contrast.append(np.abs(picture[picture.any(axis=2)] - haze).max(axis=1).mean())
    assert contrast[0] > 1.1 * contrast[1] > 1.1 * 1.5 * contrast[2]


@pytest.mark.parametrize("offset", [0.0, 3.4, 3.7, 6.0, -4.0])
@pytest.mark.parametrize("turn", [0.0, 1.2, math.pi])
def test_beside_a_wall_and_beyond_it_there_is_a_picture(offset: float, turn: float) -> None:
    # Points beside the camera and behind it must neither warn nor leave a trace.
    found, walls = standing("montreal+wall", Look())
    for s in np.arange(0.0, found.length, 37.0):
        x, y, heading = found.pose(float(s), offset)
        for pose in (Pose(x, y, yaw=heading + turn), Pose(x, y, 0.4, 2.0, 1.0, heading + turn)):
            assert drawn(walls, pose)[..., 3].max() == 0


def test_seen_across_the_road_a_wall_fills_the_picture_from_foot_to_top() -> None:
    found, walls = standing("simple+wall", Look())
    wall = found.markings.wall
    assert wall is not None
    x, y, heading = found.pose(20.0, -2.0)
    pose = Pose(x, y, yaw=heading + math.pi / 2.0)
    away = float(found.left[0]) + wall.distance + 2.0 - GEOMETRY.forward
    place = np.array([x, y]) + (away + GEOMETRY.forward) * np.array([math.cos(pose.yaw), math.sin(pose.yaw)])
    ends = pinhole(np.array([[*place, wall.height], [*place, 0.0]]), pose, GEOMETRY)
    top, foot = ends[:, 1].tolist()
    seen = drawn(walls, pose)[..., :3].any(axis=2)
    assert seen[math.ceil(top) : math.floor(foot) + 1].all()
    assert not seen[math.ceil(foot) + 1 :].any()
