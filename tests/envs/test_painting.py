"""What is painted has the size and place that the circuit says, on every level, in bounded memory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from envs import circuit
from envs.ground import SPAN, Ground, textures, unevenness
from envs.kept import Kept
from envs.look import Light, Look, Texture
from envs.painting import CHANNELS, KEPT_BYTES, TEXEL, TILE, Painting

RING = """
width = 6.0
[[segments]]
radius = 20.0
angle = 180.0
[[segments]]
radius = 20.0
angle = 180.0
[markings]
centre = {colour = [250, 0, 0], width = 0.3}
edges = {colour = [0, 0, 250], width = 0.2}
asphalt = [0, 100, 0]
ground = [0, 0, 0]
shoulder = 0.5
"""


RED, GREEN, BLUE, BLACK, GREY = (250, 0, 0), (0, 100, 0), (0, 0, 250), (0, 0, 0), (60, 60, 60)


def colour(painting: Painting, found: circuit.Circuit, s: float, offset: float) -> tuple[int, ...]:
    """What is painted beside the centreline."""
    side = TILE * TEXEL
    x, y, _ = found.pose(s, offset)
    tile = painting.tile(0, int(x // side), int(y // side))
    return painting.ground if tile is None else tuple(tile[int(y % side / TEXEL), int(x % side / TEXEL), :3].tolist())


def tiles(painting: Painting, level: int) -> list[np.ndarray]:
    far = math.ceil(50.0 / (TILE * TEXEL * (1 << level)))
    reach = range(-far, far + 1)
    found = [painting.tile(level, c, r) for c in reach for r in reach]
    return [tile for tile in found if tile is not None]


@pytest.fixture(scope="module")
def ring() -> circuit.Circuit:
    return circuit.parse(RING, "ring")


@pytest.mark.parametrize("level", range(4))
def test_paint_covers_the_area_that_its_width_says(ring: circuit.Circuit, level: int) -> None:
    texel = TEXEL * (1 << level)
    sums = sum(tile[..., :3].sum(axis=(0, 1), dtype=np.int64) for tile in tiles(Painting(ring), level))
    red, green, blue = sums * texel**2 / np.array([250.0, 100.0, 250.0])
    assert red == pytest.approx(ring.length * 0.3, rel=0.04)
    assert blue == pytest.approx(ring.length * 0.4, rel=0.04)
    assert green == pytest.approx(ring.length * (7.0 - 0.3 - 0.4), rel=0.005)


def test_paint_lies_where_the_circuit_says(ring: circuit.Circuit) -> None:
    painting = Painting(ring)
    for s in np.arange(0.0, ring.length, 0.7):
        found = [colour(painting, ring, float(s), offset) for offset in (0.0, 2.9, -2.9, 1.5, 3.6)]
        assert found == [RED, BLUE, BLUE, GREEN, BLACK], s


@pytest.mark.parametrize("name", ["simple", "simple+worn+dashed_edges", "generated:1:1000"])
def test_both_directions_are_the_same_paint(name: str) -> None:
    forward = circuit.load(name)
    one, two = Painting(forward), Painting(forward.reversed())
    for level in range(5):
        one.has(level, 0, 0)
        for place in sorted(one._corridor[level])[::9]:
            assert np.array_equal(one.tile(level, *place), two.tile(level, *place))


def test_each_side_has_its_own_width() -> None:
    rows = "".join(f"{50 * math.cos(a)}, {50 * math.sin(a)}, 3.0, 6.0\n" for a in np.arange(0.0, math.tau, 0.1))
    found = circuit.read(circuit.Source("ring", rows, "csv"))
    painting = Painting(found)
    white, asphalt, grass = (235, 235, 235), (92, 92, 96), (84, 118, 58)
    for s in np.arange(0.0, found.length, 7.0):
        seen = [colour(painting, found, float(s), offset) for offset in (6.4, 5.9, 5.0, 0.0, -2.0, -2.9, -3.4)]
        assert seen == [grass, white, asphalt, (200, 30, 30), asphalt, white, grass], s


def test_dashes_are_as_long_as_they_say_and_close_after_a_lap(ring: circuit.Circuit) -> None:
    dashed = circuit.parse(RING.replace("width = 0.3}", "width = 0.3, dash = [2.0, 1.0]}"), "ring")
    painting = Painting(dashed)
    places = np.arange(0.0, dashed.length, 0.05)
    painted = np.array([colour(painting, dashed, float(s), 0.0) == RED for s in places])
    begins = np.flatnonzero(painted & ~np.roll(painted, 1)) * 0.05
    count = round(dashed.length / 3.0)
    assert begins == pytest.approx(np.arange(count) * dashed.length / count, abs=0.1)
    assert painted.mean() == pytest.approx(2.0 / 3.0, abs=0.02)


@pytest.mark.parametrize("level", range(4))
def test_worn_paint_lacks_its_share(ring: circuit.Circuit, level: int) -> None:
    def amount(text: str) -> float:
        return float(sum(tile[..., 2].sum(dtype=np.int64) for tile in tiles(Painting(circuit.parse(text, "r")), level)))

    left = amount(RING.replace("width = 0.2}", "width = 0.2, wear = 0.6}")) / amount(RING)
    assert left == pytest.approx(0.4, abs=0.08)


def test_worn_paint_is_gone_in_patches_and_shows_the_road() -> None:
    worn = circuit.parse(RING.replace("width = 0.3}", "width = 0.3, wear = 0.5}"), "ring")
    painting = Painting(worn)
    places = np.arange(0.0, worn.length, 0.1)
    seen = [colour(painting, worn, float(s), 0.0) for s in places]
    red = np.array([here[0] > 125 for here in seen])
    assert {RED, GREEN} <= set(seen)
    assert 4.0 < worn.length / np.count_nonzero(red & ~np.roll(red, 1)) * 2.0 < 40.0


def test_what_is_not_there_is_not_painted() -> None:
    found = circuit.load("simple+bare+sand")
    colours = {tuple(c) for c in tiles(Painting(found), 0)[0].reshape(-1, CHANNELS)[:, :3].tolist()}
    assert max(max(c) for c in colours) < 200
    assert found.markings.ground in colours


@pytest.mark.parametrize("level", [0, 1])
def test_no_paint_is_spilt_beside_the_road(level: int) -> None:
    found = circuit.load("montreal")  # one of whose tiles has a corner of the edge line on its border
    painting = Painting(found)
    texel = TEXEL * (1 << level)
    painting.has(level, 0, 0)
    farthest = 0.0
    for column, row in sorted(painting._corridor[level]):
        tile = painting.tile(level, column, row)
        assert tile is not None
        y, x = np.nonzero(tile[..., 2] > 80)  # neither ground nor the red line is so blue
        if len(x):
            places = (np.array([column, row]) * TILE + np.stack([x, y], axis=1) + 0.5) * texel
            around = np.hypot(*(found.points - places[0]).T) < 2.0 * TILE * texel
            away = np.hypot(*(places[:, None] - found.points[around][None, ::2]).transpose(2, 0, 1)).min(axis=1)
            farthest = max(farthest, float(away.max()))
    reach = found.half_width + found.markings.shoulder
    assert reach - 2.0 * texel < farthest < reach + found.step + 2.0 * texel


def test_a_track_of_six_kilometres_stays_within_its_memory() -> None:
    painting = Painting(circuit.load("generated:7:6500"))
    places = sorted(painting._corridor[0])
    assert len(places) * TILE * TILE * CHANNELS > 2 * KEPT_BYTES
    for place in places:
        painting.tile(0, *place)
    assert KEPT_BYTES * 0.9 < len(painting._tiles) * TILE * TILE * CHANNELS <= KEPT_BYTES


def test_away_from_the_road_there_are_no_tiles(ring: circuit.Circuit) -> None:
    painting, side = Painting(ring), TILE * TEXEL
    assert painting.tile(0, math.ceil(25.0 / side), 0) is None
    assert painting.tile(0, 0, math.floor(18.0 / side)) is None or side > 18.0
    assert painting.tile(3, -5, 0) is None


def test_a_tile_cannot_be_changed(ring: circuit.Circuit) -> None:
    tile = Painting(ring).tile(0, 0, 0)
    assert tile is not None
    with pytest.raises(ValueError, match="read-only"):
        tile[0] = 0


def test_memory_is_bounded_and_what_was_forgotten_is_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.painting.KEPT_BYTES", 20 * TILE * TILE * CHANNELS)
    painting = Painting(circuit.load("simple"))
    places = sorted(painting._corridor[0])
    assert len(places) > 20
    first = painting.tile(0, *places[0])
    for place in places:
        painting.tile(0, *place)
    assert len(painting._tiles) == 20
    again = painting.tile(0, *places[0])
    assert first is not None
    assert again is not None
    assert again is not first
    assert np.array_equal(first, again)


def test_kept_forgets_what_was_not_used_for_longest() -> None:
    kept: Kept[str, int] = Kept(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert kept.get("b") is None
    assert (kept.get("a"), kept.get("c")) == (1, 3)
    assert kept.make_room() == 1
    assert len(kept) == 1


def test_unevenness_has_its_size_and_no_seam() -> None:
    field = unevenness(Texture(seed=4))
    assert field.mean() == pytest.approx(0.0, abs=1e-4)
    assert field.std() == pytest.approx(1.0, abs=1e-4)
    inside = np.abs(np.diff(field, axis=0)).mean()
    assert np.abs(field[0] - field[-1]).mean() == pytest.approx(inside, rel=0.2)
    assert np.array_equal(field, unevenness(Texture(seed=4)))
    assert not np.array_equal(field, unevenness(Texture(seed=5)))


def test_textures_carry_light_and_contrast() -> None:
    fine, *coarser = textures(Look(Light(1.0, 0.0), texture=Texture(1, 0.1)), 4)
    period = len(unevenness(Texture()))
    assert fine[..., 0].mean() == pytest.approx(128.0, abs=0.5)
    assert fine[..., 0].std() == pytest.approx(12.8, rel=0.02)
    sides = [max(TILE, period >> level) for level in range(4)]
    assert [texture.shape for texture in (fine, *coarser)] == [(side, side, 4) for side in sides]
    spread = [texture[..., 0].std() for texture in (fine, *coarser)]
    assert spread == sorted(spread, reverse=True)
    warm = textures(Look(Light(0.5, 0.1), texture=Texture()), 1)[0]
    assert warm[0, 0].tolist() == [70, 64, 58, 0]


def test_a_window_shows_the_same_whatever_was_shown_before(ring: circuit.Circuit) -> None:
    look = Look(Light(0.9, 0.05), texture=Texture(2, 0.2))
    busy = Ground(Painting(ring), look, levels=3)
    for level in range(3):
        for column in range(-4, 3):
            busy.window(level, column, -2)
    fresh = Ground(Painting(ring), look, levels=3).window(1, -2, -2)
    assert np.array_equal(busy.window(1, -2, -2), fresh)
    assert fresh.shape == (SPAN * TILE, SPAN * TILE, 4)


def test_neighbouring_windows_agree_where_they_overlap(ring: circuit.Circuit) -> None:
    ground = Ground(Painting(ring), Look(Light(), texture=Texture(2, 0.2)), levels=1)
    left, right = ground.window(0, -2, -2), ground.window(0, -1, -2)
    assert np.array_equal(left[:, TILE:], right[:, :-TILE])
