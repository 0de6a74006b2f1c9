"""What lies over the picture and before the ground: each effect is as strong as it says, where it says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from envs import circuit, conditions
from envs.camera import CameraGeometry, GroundCamera
from envs.ground import patches
from envs.lens import pixel_of
from envs.look import Fog, Light, Look, Mount, Night, Rain, Shadow, Sun
from envs.painting import Painting
from envs.view import MIDDLE, view_of
from tests.envs.sight import Floats, Pose

if TYPE_CHECKING:
    from collections.abc import Callable

GEOMETRY = CameraGeometry()
STADIUM = """
width = 6.0
[[segments]]
straight = 200.0
[[segments]]
radius = 25.0
angle = 180.0
[[segments]]
straight = 200.0
[[segments]]
radius = 25.0
angle = 180.0
"""


@pytest.fixture(scope="module")
def painting() -> Painting:
    return Painting(circuit.parse(STADIUM, "stadium"))


def seen(painting: Painting, look: Look, pose: Pose | None = None, step: int = 0) -> Floats:
    camera = GroundCamera(painting, GEOMETRY, look)
    return camera.render(pose or Pose(20.0, 0.0), step).astype(np.float64)


def below_horizon(distance: float) -> float:
    """Row at which ground `distance` ahead of the camera appears in the middle of the picture."""
    down = math.atan(GEOMETRY.height / distance) - GEOMETRY.tilt
    return MIDDLE[1] + GEOMETRY.focal * math.tan(down)


def test_at_the_visibility_five_percent_of_a_contrast_is_left(painting: Painting) -> None:
    visibility = 30.0
    clear, foggy = seen(painting, Look()), seen(painting, Look(fog=Fog(3.0 / visibility)))
    fog = foggy[:5].mean(axis=(0, 1))
    for distance, left in ((5.0, math.exp(-0.5)), (10.0, math.exp(-1.0)), (15.0, math.exp(-1.5))):
        row = round(below_horizon(distance))
        at = GEOMETRY.height / math.tan(GEOMETRY.tilt + math.atan((row - MIDDLE[1]) / GEOMETRY.focal))
        share = (foggy[row, 95:105] - fog).mean() / (clear[row, 95:105] - fog).mean()
        assert share == pytest.approx(math.exp(-3.0 * at / visibility), abs=0.03)
        assert share == pytest.approx(left, abs=0.08)


def test_darkness_takes_its_share_where_no_beam_reaches(painting: Painting) -> None:
    clear, dark = seen(painting, Look()), seen(painting, Look(night=Night(darkness=0.8, reach=30.0)))
    assert dark[:10].mean() == pytest.approx(0.2 * clear[:10].mean(), rel=0.02)
    near, far = (round(below_horizon(distance)) for distance in (5.0, 30.0))
    assert dark[near, 99:101].mean() > 0.9 * clear[near, 99:101].mean()
    half = dark[far, 92:108].mean() / clear[far, 92:108].mean()
    assert half == pytest.approx(0.2 + 0.8 / 2.0, abs=0.06)


def test_the_sun_stands_where_it_should_and_glares_around(painting: Painting) -> None:
    azimuth, elevation = 0.3, 0.1
    sun = Sun(elevation, azimuth, glare=120.0)
    dim = Light(gain=0.3)
    dark, lit = seen(painting, Look(dim)), seen(painting, Look(dim, sun))
    brightest = np.argwhere(lit.sum(axis=2) == lit.sum(axis=2).max())
    row, column = brightest.mean(axis=0)
    x, y, z = math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)
    depth = x * math.cos(GEOMETRY.tilt) - z * math.sin(GEOMETRY.tilt)
    assert column == pytest.approx(MIDDLE[0] - GEOMETRY.focal * y / depth, abs=1.0)
    rise = x * math.sin(GEOMETRY.tilt) + z * math.cos(GEOMETRY.tilt)
    assert row == pytest.approx(MIDDLE[1] - GEOMETRY.focal * rise / depth, abs=1.0)
    gained = lit - dark
    assert gained.min() >= 0.0
    assert gained[60, 10].mean() < gained[40, round(column)].mean() < 120.0
    behind = seen(painting, Look(sun=sun), Pose(20.0, 0.0, yaw=math.pi))
    assert np.array_equal(behind, seen(painting, Look(), Pose(20.0, 0.0, yaw=math.pi)))


def test_pixel_of_undoes_the_view() -> None:
    view = view_of(Pose(1.0, 2.0, 0.1, 0.1, -0.05, 2.0), CameraGeometry(turn=0.1))
    for u, v in ((0.0, 0.0), (150.0, 20.0), (99.5, 32.5)):
        towards = (
            view.east[0] * u + view.east[1] * v + view.east[2],
            view.north[0] * u + view.north[1] * v + view.north[2],
            -(view.sink[0] * u + view.sink[1] * v + view.sink[2]),
        )
        assert pixel_of(towards, view) == pytest.approx((u, v), abs=1e-9)
        assert pixel_of((-towards[0], -towards[1], -towards[2]), view) is None


@pytest.mark.parametrize("cover", [0.05, 0.45])
def test_drops_cover_what_they_should_and_change_with_the_wiper(painting: Painting, cover: float) -> None:
    clear = seen(painting, Look())
    looks = [seen(painting, Look(rain=Rain(4, cover)), step=step) for step in (0, 19, *range(20, 400, 20))]
    assert np.array_equal(looks[0], looks[1])
    assert len({look.tobytes() for look in looks}) > 5
    touched = np.mean([(look != clear).any(axis=2)[20:] for look in looks])
    assert 0.5 * cover < touched < 1.3 * cover + 0.02


def test_patches_of_shadow_cover_a_third_and_take_their_depth() -> None:
    left = patches(Shadow(3, 0.6)) / 255.0
    assert left.min() == pytest.approx(0.4, abs=0.01)
    assert left.max() == 1.0
    assert (left < 0.7).mean() == pytest.approx(1.0 / 3.0, abs=0.02)
    seam = np.abs(left[:, 0] - left[:, -1]).mean()
    assert seam < 3.0 * np.abs(np.diff(left, axis=1)).mean()


def test_shadows_lie_on_the_ground_and_stay_there(painting: Painting) -> None:
    look = Look(shadow=Shadow(3, 0.6))
    assert np.array_equal(seen(painting, look)[:20], seen(painting, Look())[:20])
    ratio = seen(painting, look)[30:] / seen(painting, Look())[30:]
    assert ratio.min() < 0.55
    assert ratio.max() == pytest.approx(1.0, abs=0.03)
    # The same place, seen from half a metre further on, is as dark: shadows do not move with the car.
    camera = GroundCamera(painting, GEOMETRY, look)
    rows = [round(below_horizon(8.0)), round(below_horizon(7.5))]
    places = [
        camera.render(Pose(20.0 + x, 0.0), 0)[row, 60:140].astype(float)
        for x, row in zip((0.0, 0.5), rows, strict=True)
    ]
    assert np.abs(places[0] - places[1]).mean() < 12.0


@pytest.mark.parametrize(("speed", "yaw_rate"), [(12.0, 0.0), (0.0, 0.8), (9.0, -0.5)])
def test_an_exposure_is_the_mean_of_what_passes_meanwhile(painting: Painting, speed: float, yaw_rate: float) -> None:
    exposure, pose = 0.05, Pose(60.0, 0.4, 0.0, 0.01, 0.005, 0.1, speed, yaw_rate)
    blurred = seen(painting, Look(exposure=exposure), pose)
    passed = []
    for ago in np.linspace(0.0, exposure, 4):
        middle = pose.yaw - yaw_rate * ago / 2.0
        place = pose._replace(
            x=pose.x - speed * ago * math.cos(middle),
            y=pose.y - speed * ago * math.sin(middle),
            yaw=pose.yaw - yaw_rate * ago,
        )
        passed.append(seen(painting, Look(), place))
    assert np.abs(blurred - np.mean(passed, axis=0)).max() <= 1.0
    assert np.abs(blurred - passed[0]).max() > 15.0


def test_a_moved_camera_sees_from_where_it_sits() -> None:
    moved = GEOMETRY.moved(Mount(tilt=0.02, turn=0.05, shift=0.3))
    assert (moved.tilt, moved.turn, moved.left) == pytest.approx((GEOMETRY.tilt + 0.02, 0.05, 0.3))
    view = view_of(Pose(0.0, 0.0), moved)
    assert view.y == pytest.approx(0.3)
    # Turned clockwise as seen from behind, the left side of the picture looks higher: the horizon falls to the left.
    horizon = [-(view.sink[2] + view.sink[0] * u) / view.sink[1] for u in (0.0, 199.0)]
    assert horizon[0] - horizon[1] == pytest.approx(199.0 * math.tan(0.05), rel=0.02)


def change(one: Floats, two: Floats) -> float:
    return float(np.abs(one - two).mean())


@pytest.mark.parametrize("factor", ["light", "shadow", "fog", "rain", "night", "noise", "blur", "mount"])
def test_a_severer_picture_is_further_from_the_plain_one(painting: Painting, factor: str) -> None:
    def picture(name: str, draw: Callable[..., conditions.Conditions] = conditions.draw) -> Floats:
        drawn = draw(name, 3, "stadium", "forward")
        camera = GroundCamera(painting, GEOMETRY.moved(drawn.mount), drawn.look)
        return camera.render(Pose(210.0, 0.0, 0.0, 0.0, 0.0, 0.1, 11.0, 0.4), 2).astype(np.float64)

    plain = picture("nominal")
    away = [change(picture(f"{factor}_{i}"), plain) for i in range(1, 6)]
    assert away == sorted(away)
    assert away[0] > 0.1
