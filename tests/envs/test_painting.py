"""What is painted has the size and place that the circuit says, on every level, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest

from envs import circuit
from envs.conditions import Light, Look, Texture
from envs.ground import SPAN, Ground, textures, unevenness
from envs.kept import Kept
from envs.painting import TEXEL, TILE, Painting

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


def tiles(painting: Painting, level: int) -> list[np.ndarray]:
    reach = range(-8 >> level, (8 >> level) + 1)
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
    side = TILE * TEXEL
    for s in np.arange(0.0, ring.length, 0.7):
        for offset, colour in (
            (0.0, (250, 0, 0)),
            (2.9, (0, 0, 250)),
            (-2.9, (0, 0, 250)),
            (1.5, (0, 100, 0)),
            (3.6, (0, 0, 0)),
        ):
            x, y, _ = ring.pose(float(s), offset)
            column, row = int(x // side), int(y // side)
            tile = painting.tile(0, column, row)
            texel = (0, 0, 0) if tile is None else tile[int(y % side / TEXEL), int(x % side / TEXEL), :3].tolist()
            assert tuple(texel) == colour, (s, offset)


def test_both_directions_are_the_same_paint() -> None:
    forward = circuit.load("simple")
    one, two = Painting(forward), Painting(forward.reversed().reversed().reversed())
    for level, column, row in [(0, 0, 0), (0, -1, -1), (1, 0, 0), (2, 0, 0), (3, -1, 0)]:
        a, b = one.tile(level, column, row), two.tile(level, column, row)
        assert (a is None) == (b is None)
        assert a is None or np.array_equal(a, b)


def test_away_from_the_road_there_are_no_tiles(ring: circuit.Circuit) -> None:
    painting = Painting(ring)
    assert painting.tile(0, 3, 1) is None
    assert painting.tile(0, 100, 100) is None
    assert painting.tile(3, -5, 0) is None


def test_a_tile_cannot_be_changed(ring: circuit.Circuit) -> None:
    tile = Painting(ring).tile(0, 0, 0)
    assert tile is not None
    with pytest.raises(ValueError, match="read-only"):
        tile[0] = 0


def test_memory_is_bounded_and_what_was_forgotten_is_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.painting.KEPT", 20)
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
    fine, *coarser = textures(Look(Light(1.0, 0.0), Texture(1, 0.1)), 4)
    assert fine.shape == (2 * TILE, 2 * TILE, 4)
    assert fine[..., 0].mean() == pytest.approx(128.0, abs=0.5)
    assert fine[..., 0].std() == pytest.approx(12.8, rel=0.02)
    assert all(texture.shape == (TILE, TILE, 4) for texture in coarser)
    spread = [texture[..., 0].std() for texture in (fine, *coarser)]
    assert spread == sorted(spread, reverse=True)
    warm = textures(Look(Light(0.5, 0.1), Texture()), 1)[0]
    assert warm[0, 0].tolist() == [70, 64, 58, 0]


def test_a_window_shows_the_same_whatever_was_shown_before(ring: circuit.Circuit) -> None:
    look = Look(Light(0.9, 0.05), Texture(2, 0.2))
    busy = Ground(Painting(ring), look, levels=3)
    for level in range(3):
        for column in range(-4, 3):
            busy.window(level, column, -2)
    fresh = Ground(Painting(ring), look, levels=3).window(1, -2, -2)
    assert np.array_equal(busy.window(1, -2, -2), fresh)
    assert fresh.shape == (SPAN * TILE, SPAN * TILE, 4)


def test_neighbouring_windows_agree_where_they_overlap(ring: circuit.Circuit) -> None:
    ground = Ground(Painting(ring), Look(Light(), Texture(2, 0.2)), levels=1)
    left, right = ground.window(0, -2, -2), ground.window(0, -1, -2)
    assert np.array_equal(left[:, TILE:], right[:, :-TILE])
