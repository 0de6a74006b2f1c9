"""Pictures for people: they show the car, the way driven, the lane where it is, and cost nothing until asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from envs import circuit as circuits
from envs import expert
from envs.car import CarState
from envs.chase_view import SHAPE as CHASE
from envs.chase_view import ChaseView
from envs.env import HotlapEnv
from envs.errors import InputError
from envs.look import Fog, Light, Look
from envs.map_view import SHAPE as MAP
from envs.map_view import MapView
from envs.painting import Painting
from envs.view import FRAME_SHAPE

SHAPES = {"camera": FRAME_SHAPE, "chase": CHASE, "map": MAP}


def standing(circuit: circuits.Circuit, s: float, steering: float = 0.0) -> CarState:
    x, y, heading = circuit.pose(s)
    return CarState(x, y, 0.0, 0.0, 0.0, heading, 0.0, 0.0, steering)


@pytest.mark.parametrize("view", SHAPES)
def test_each_view_is_a_picture_of_its_kind_that_changes(view: str) -> None:
    environment = HotlapEnv(render_mode="rgb_array", view=view)  # type: ignore[arg-type]
    observed, info = environment.reset(seed=1)
    first = environment.render()
    for _ in range(60):
        action = np.array(expert.command(info["true_state"]), np.float32)
        observed, *_, info = environment.step(action)
    last = environment.render()
    assert first is not None
    assert last is not None
    assert first.shape == last.shape == SHAPES[view]
    assert first.dtype == np.uint8
    assert last.flags.c_contiguous
    assert not np.array_equal(first, last)
    assert not np.shares_memory(last, observed)
    assert np.array_equal(environment.render(), last)
    assert np.array_equal(last, observed) == (view == "camera")
    environment.close()


def test_views_are_made_when_first_asked_for() -> None:
    for view in ("chase", "map"):
        environment = HotlapEnv(render_mode="rgb_array", view=view)  # type: ignore[arg-type]
        environment.reset(seed=1)
        environment.step(np.zeros(2, np.float32))
        assert environment._chase is None
        assert environment._map is None
        environment.render()
        assert (environment._chase is None) == (view == "map")
        assert (environment._map is None) == (view == "chase")
        environment.close()


def test_without_a_render_mode_there_is_no_picture() -> None:
    environment = HotlapEnv(view="map")
    environment.reset(seed=1)
    assert environment.render() is None
    environment.close()


@pytest.mark.parametrize("view", SHAPES)
def test_rendering_changes_nothing_of_the_lap(view: str) -> None:
    looked_at = HotlapEnv(render_mode="rgb_array", view=view)  # type: ignore[arg-type]
    other = HotlapEnv()
    assert np.array_equal(looked_at.reset(seed=5)[0], other.reset(seed=5)[0])
    for _ in range(10):
        looked_at.render()
        action = np.array([0.2, 0.1], np.float32)
        assert np.array_equal(looked_at.step(action)[0], other.step(action)[0])
    looked_at.close()
    other.close()


def test_refuses_an_unknown_view() -> None:
    with pytest.raises(InputError, match="view is 'above': give one of 'camera', 'chase', 'map'"):
        HotlapEnv(view="above")  # type: ignore[arg-type]


def test_a_new_lap_is_seen_in_its_own_light() -> None:
    environment = HotlapEnv(conditions="varied", render_mode="rgb_array")
    pictures = []
    for seed in (1, 2):
        environment.reset(seed=seed)
        picture = environment.render()
        assert picture is not None
        pictures.append(picture[:20].mean())
    assert abs(pictures[0] - pictures[1]) > 3.0
    environment.close()


@pytest.mark.parametrize("name", ["simple", "montreal", "generated:2:5000"])
def test_the_map_shows_the_whole_circuit_the_way_and_the_car(name: str) -> None:
    circuit = circuits.load(name)
    view = MapView(circuit)
    here = standing(circuit, 0.5 * circuit.length)
    way = [circuit.pose(s)[:2] for s in np.linspace(0.1, 0.4, 60) * circuit.length]
    picture = view.picture(here, way)
    for s in np.linspace(0.6, 0.95, 40) * circuit.length:
        u, v = view._pixels(np.array(circuit.pose(float(s))[:2])) // 16
        around = picture[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3).astype(int)
        assert np.abs(around - circuit.markings.asphalt).max(axis=1).min() < 40
    u, v = view._pixels(np.array(way[30])) // 16
    assert picture[v, u, 0] > 200 > picture[v, u, 2]
    u, v = view._pixels(np.array([here.x, here.y])) // 16
    assert picture[v - 1 : v + 2, u - 1 : u + 2].min() > 200
    assert np.array_equal(view.picture(here, way), picture)


def test_the_map_has_north_up() -> None:
    circuit = circuits.load("simple")
    view = MapView(circuit)
    east, north = view._pixels(np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]))[1:] - view._pixels(np.zeros(2))
    assert east[0] > 0 == east[1]
    assert north[1] < 0 == north[0]


@pytest.fixture(scope="module")
def painting() -> Painting:
    return Painting(circuits.load("montreal+wall"))


def test_the_chase_view_sees_the_lane_edges_where_they_are(painting: Painting) -> None:
    view = ChaseView(painting, Look())
    car = standing(painting.circuit, 40.0)  # on the straight
    picture, seen = view.picture(car), view._view(car)
    onto = np.linalg.inv(np.array((seen.east, seen.north, np.negative(seen.sink))))
    for ahead in (4.0, 8.0, 15.0):
        for offset in (2.9, -2.9):
            x, y, _ = painting.circuit.pose(40.0 + ahead, offset)
            u, v, depth = onto @ (x - seen.x, y - seen.y, -seen.z)
            column, row = round((u / depth + 0.5) / 2.0 - 0.5), round((v / depth + 0.5) / 2.0 - 0.5)
            assert picture[row - 1 : row + 2, column - 2 : column + 3].min(axis=2).max() > 170, (ahead, offset)


def test_the_chase_view_shows_the_car_and_how_it_leans(painting: Painting) -> None:
    view = ChaseView(painting, Look())
    car = standing(painting.circuit, 40.0)
    rest = view.picture(car).astype(int)
    red = (rest[..., 0] - rest[..., 1] > 80) & (rest[..., 2] < 90)
    assert 0.01 < red[150:, 200:440].mean() < 0.7
    assert np.abs(view.picture(car._replace(roll=0.05)).astype(int) - rest).max() > 40
    assert np.abs(view.picture(car._replace(pitch=0.05)).astype(int) - rest).max() > 40


def test_the_chase_view_is_seen_in_the_episodes_light_and_fog(painting: Painting) -> None:
    car = standing(painting.circuit, 40.0)
    plain, dim, thick = (
        ChaseView(painting, look).picture(car).astype(float) for look in (Look(), Look(Light(0.5)), Look(fog=Fog(0.05)))
    )
    assert dim.mean() == pytest.approx(plain.mean() / 2.0, rel=0.02)
    assert thick[70:140].std() < 0.7 * plain[70:140].std()


@pytest.mark.parametrize("roll", [0.0, 1.5, math.pi])
def test_a_car_on_its_head_can_be_looked_at(painting: Painting, roll: float) -> None:
    car = standing(painting.circuit, 300.0, 0.4)._replace(roll=roll, z=0.3, pitch=-0.4)
    assert ChaseView(painting, Look()).picture(car).shape == CHASE
