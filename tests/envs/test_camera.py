"""The camera against an independent pinhole, the horizon, and a frame that depends on pose and step alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from envs import circuit
from envs.camera import FRAME_SHAPE, CameraGeometry, GroundCamera
from envs.conditions import draw
from envs.look import Light, Look, Noise, Texture
from envs.painting import Painting
from tests.envs.sight import Pose, crossings, distance, edge, pinhole, rows_crossed

OVAL = """
width = 6.0
[[segments]]
straight = 120.0
[[segments]]
radius = 25.0
angle = 180.0
[[segments]]
straight = 120.0
[[segments]]
radius = 25.0
angle = 180.0
"""
# White ground beside a black road and no lines: the lane edge is where the picture is grey.
CONTRAST = (
    OVAL + "[markings]\ncentre = false\nedges = false\nasphalt = [0, 0, 0]\nground = [240, 240, 240]\nshoulder = 0.001"
)


def camera_on(found: circuit.Circuit, look: Look | None = None) -> GroundCamera:
    return GroundCamera(Painting(found), CameraGeometry(), look or Look())


@pytest.fixture(scope="module")
def contrast() -> circuit.Circuit:
    return circuit.parse(CONTRAST, "contrast")


def test_lane_edges_fall_where_a_pinhole_puts_them(contrast: circuit.Circuit) -> None:
    camera = camera_on(contrast)
    edges = [edge(contrast, side) for side in (1.0, -1.0)]
    random = np.random.default_rng(1)
    errors = []
    for _ in range(60):
        x, y, heading = contrast.pose(random.uniform(0.0, contrast.length), random.uniform(-1.0, 1.0))
        z, roll, pitch, turn = random.uniform(-1.0, 1.0, 4) * (0.05, 0.05, 0.04, 0.2)
        pose = Pose(x, y, float(z), float(roll), float(pitch), heading + float(turn))
        frame = camera.render(pose, 0)[..., 1].astype(float)
        for points in edges:
            crossed = rows_crossed(points, pose, camera.geometry)
            errors += [distance(frame[row], at, 120.0) for row, at in crossed]
    assert len(errors) > 1500
    assert max(errors) < 1.0
    assert np.mean(errors) < 0.15


@pytest.mark.parametrize("roll", [-0.15, -0.02, 0.0, 0.01, 0.15])
@pytest.mark.parametrize("pitch", [-0.05, 0.0, 0.08])
def test_horizon_is_exact(roll: float, pitch: float) -> None:
    dark = circuit.parse(CONTRAST.replace("[240, 240, 240]", "[0, 0, 0]"), "dark")
    camera = camera_on(dark)
    pose = Pose(30.0, -1.0, 0.02, roll, pitch, 0.7)
    frame = camera.render(pose, 0)[..., 2].astype(float)
    bearings = 0.7 + np.linspace(-0.9, 0.9, 2001)
    far = np.column_stack([1e9 * np.cos(bearings), 1e9 * np.sin(bearings), np.zeros(len(bearings))])
    u, v, _ = pinhole(far, pose, camera.geometry).T
    for column in range(2, FRAME_SHAPE[1] - 2, 7):
        expected = np.interp(column, u[::-1], v[::-1])
        if 2.0 < expected < FRAME_SHAPE[0] - 3.0:
            # Sky above, dark below: the share of sky in the column is where the horizon is.
            found = crossings(frame[:, column], 0.5 * frame[int(expected) - 2, column])
            assert len(found) == 1
            assert found[0] == pytest.approx(expected, abs=0.3)


def test_the_horizon_stands_in_the_upper_third_and_the_bonnet_is_near() -> None:
    geometry = CameraGeometry()
    level = pinhole(np.array([[1e9, 0.0, 0.0]]), Pose(0.0, 0.0), geometry)[0, 1]
    assert FRAME_SHAPE[0] / 4.0 < level < FRAME_SHAPE[0] / 2.5
    near = pinhole(np.array([[geometry.forward + 3.0, 0.0, 0.0]]), Pose(0.0, 0.0), geometry)[0, 1]
    assert FRAME_SHAPE[0] - 6.0 < near < FRAME_SHAPE[0] - 1.0


def test_markings_stay_visible_at_thirty_metres() -> None:
    found = circuit.load("montreal")
    camera = camera_on(found)
    for s in np.arange(-60.0, 0.0, 7.3):
        x, y, heading = found.pose(float(s), 0.3)
        pose = Pose(x, y, yaw=heading)
        frame = camera.render(pose, 0).astype(float)
        for offset, wanted in ((0.0, "red"), (2.9, "white"), (-2.9, "white")):
            px, py, _ = found.pose(float(s) + 30.0, offset)
            u, v, _ = pinhole(np.array([[px, py, 0.0]]), pose, camera.geometry)[0]
            patch = frame[round(v) - 1 : round(v) + 2, round(u) - 2 : round(u) + 3]
            if wanted == "red":
                assert (patch[..., 0] - patch[..., 1]).max() > 60.0
            else:
                road = frame[round(v), round(u) - int(math.copysign(4, -offset))]
                assert patch.min(axis=2).max() > road.max() + 20.0


def test_a_tenth_of_a_pixel_of_motion_does_not_shimmer() -> None:
    found = circuit.load("many_curves")
    camera = camera_on(found, Look(texture=Texture(1, 0.05)))
    tenth = 0.1 / camera.geometry.focal
    changes = []
    for s in np.arange(0.0, found.length, 15.0):
        x, y, heading = found.pose(float(s))
        one = camera.render(Pose(x, y, yaw=heading), 0).astype(float)
        moved = (Pose(x, y, yaw=heading + tenth), Pose(x, y, pitch=tenth, yaw=heading))
        changes += [np.abs(camera.render(pose, 0) - one) for pose in moved]
    assert np.mean(changes) < 1.0
    # A tenth of the strongest contrast, white on asphalt, is 15 grey levels; half as much again is left for aliasing.
    assert np.quantile(changes, 0.999) < 22.5


def test_a_frame_does_not_depend_on_what_was_rendered_before() -> None:
    found = circuit.load("many_curves")
    look = draw("varied", 3, "many_curves", "forward").look
    painting = Painting(found)
    driven = GroundCamera(painting, CameraGeometry(), look)
    poses = []
    for step, s in enumerate(np.arange(0.0, 2.2 * found.length, 3.0)):
        x, y, heading = found.pose(float(s), 0.5 * math.sin(step))
        pose = Pose(x, y, 0.01, 0.02 * math.sin(step), 0.01 * math.cos(step), heading)
        frame = driven.render(pose, step)
        if step % 40 == 0:
            poses.append((pose, step, frame))
    for pose, step, frame in poses:
        assert np.array_equal(driven.render(pose, step), frame)
        fresh = GroundCamera(Painting(found), CameraGeometry(), look)
        assert fresh.render(pose, step).tobytes() == frame.tobytes()


def test_frames_are_new_arrays_of_the_stated_kind() -> None:
    camera = camera_on(circuit.load("simple"))
    one = camera.render(Pose(0.0, 0.0), 0)
    two = camera.render(Pose(0.0, 0.0), 0)
    assert one.shape == FRAME_SHAPE == (66, 200, 3)
    assert one.dtype == np.uint8
    assert one.flags.c_contiguous
    assert one.flags.writeable
    assert not np.shares_memory(one, two)


def test_noise_has_its_size_and_is_a_function_of_seed_and_step() -> None:
    found = circuit.load("simple")
    pose = Pose(0.0, 0.0)
    clean = camera_on(found).render(pose, 0).astype(float)
    noisy = camera_on(found, Look(noise=Noise(7, 5.0)))
    frames = [noisy.render(pose, step).astype(float) for step in range(20)]
    noise = np.array(frames) - clean
    assert noise.mean() == pytest.approx(0.0, abs=0.05)
    assert noise.std() == pytest.approx(5.0, rel=0.02)
    assert np.array_equal(noisy.render(pose, 3), frames[3])
    pairs = [np.corrcoef(noise[i].ravel(), noise[i + 1].ravel())[0, 1] for i in range(19)]
    assert np.abs(pairs).max() < 0.05
    other = camera_on(found, Look(noise=Noise(8, 5.0))).render(pose, 3)
    assert not np.array_equal(other, frames[3])


def test_light_multiplies_what_is_seen() -> None:
    found = circuit.load("simple")
    pose = Pose(0.0, 0.0)
    plain = camera_on(found).render(pose, 0).astype(float)
    dim = camera_on(found, Look(Light(0.5, 0.1))).render(pose, 0).astype(float)
    assert dim[:, :, 0].mean() / plain[:, :, 0].mean() == pytest.approx(0.55, rel=0.02)
    assert dim[:, :, 1].mean() / plain[:, :, 1].mean() == pytest.approx(0.5, rel=0.02)
    assert dim[:, :, 2].mean() / plain[:, :, 2].mean() == pytest.approx(0.45, rel=0.02)


def test_texture_shows_on_the_ground_alone() -> None:
    found = circuit.load("simple")
    plain = camera_on(found).render(Pose(0.0, 0.0), 0)
    rough = camera_on(found, Look(texture=Texture(3, 0.15))).render(Pose(0.0, 0.0), 0)
    assert np.array_equal(plain[:20], rough[:20])
    ratio = rough[40:].astype(float) / np.maximum(plain[40:], 1)
    assert 0.05 < ratio.std() < 0.2


def test_another_camera_is_another_view(contrast: circuit.Circuit) -> None:
    geometry = CameraGeometry(fov=math.radians(60.0), forward=0.5, left=0.3, height=1.8, tilt=math.radians(12.0))
    camera = GroundCamera(Painting(contrast), geometry, Look())
    pose = Pose(20.0, 0.0)
    frame = camera.render(pose, 0)[..., 1].astype(float)
    for y in (3.0, -3.0):
        for ahead in (6.0, 8.0, 12.0, 18.0):
            u, v, _ = pinhole(np.array([[20.5 + ahead, y, 0.0]]), pose, geometry)[0]
            along = pinhole(np.array([[20.5 + ahead + 0.1, y, 0.0]]), pose, geometry)[0]
            if 3.0 < u < 196.0 and v < 65.0:
                row = round(v)
                at = u + (row - v) * (along[0] - u) / (along[1] - v)
                assert np.abs(crossings(frame[row], 120.0) - at).min() < 1.0


@pytest.mark.parametrize("roll", [math.pi / 2.0, math.pi, -3.0])
def test_a_car_on_its_head_still_has_a_picture(roll: float) -> None:
    camera = camera_on(circuit.load("simple"))
    assert camera.render(Pose(0.0, 0.0, 0.5, roll, 1.5, 0.3), 0).shape == FRAME_SHAPE
