"""Every variant is what its row says, on every benchmark circuit, and another road to the digest."""

from __future__ import annotations

import numpy as np
import pytest

from envs import circuit, variants
from envs.errors import InputError
from envs.markings import Markings


@pytest.mark.parametrize("variant", variants.names())
def test_every_variant_makes_another_road_of_every_circuit(variant: str) -> None:
    for name in circuit.names("benchmark"):
        plain, varied = circuit.load(name), circuit.load(f"{name}+{variant}")
        assert varied.name == f"{name}+{variant}"
        assert varied.road != plain.road
        assert np.array_equal(varied.points, plain.points)
        assert varied.tags == plain.tags
        assert circuit.read(varied.source).digest == varied.digest
    assert variants.description(variant).endswith(".")


def test_markings_change_only_as_far_as_the_row_says() -> None:
    plain = Markings()
    worn = circuit.load("simple+worn").markings
    assert plain.centre
    assert worn.centre
    assert (worn.centre.colour, worn.centre.width, worn.centre.wear) == (plain.centre.colour, plain.centre.width, 0.5)
    assert worn.ground == plain.ground
    assert circuit.load("simple+no_guide_line").markings == Markings(centre=None)
    assert circuit.load("simple+no_guide_line+worn").markings.centre is None
    assert circuit.load("simple+wall").markings.wall is not None


def test_widths_change_by_their_factor_where_there_is_room() -> None:
    assert circuit.load("simple+narrow").left == pytest.approx(2.4)
    assert circuit.load("simple+wide").right == pytest.approx(3.9)
    tight = circuit.load("generated:4+wide+wide+wide")
    assert tight.note
    assert tight.half_width > circuit.load("generated:4").half_width


def test_what_is_no_variant_or_no_road_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        circuit.load("simple+wron")
    assert str(caught.value).startswith("there is no variant 'wron': name one of worn")
    with pytest.raises(InputError, match=r"simple\.toml\+narrow\+narrow\+narrow\+narrow: the lane .* is 2\.46 m wide"):
        circuit.load("simple+narrow+narrow+narrow+narrow")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("simple", ("simple", "")),
        ("simple+worn", ("simple", "worn")),
        ("simple+worn+wide", ("simple", "worn+wide")),
        ("a+b/c.csv", ("a+b/c.csv", "")),
        ("a+b/c+d.csv+worn", ("a+b/c+d.csv", "worn")),
        ("generated:3:2000+bare", ("generated:3:2000", "bare")),
    ],
)
def test_a_name_is_parted_from_its_variants(text: str, parts: tuple[str, str]) -> None:
    assert variants.parted(text) == parts
    assert variants.joined(*parts) == text
