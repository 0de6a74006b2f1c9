from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.statistics import Stratum, completions_interval, design_effect, strata, stratified_wilson, wilson

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES = st.lists(
    st.integers(1, 12).flatmap(lambda n: st.builds(Stratum, st.integers(0, n), st.just(n))), min_size=1, max_size=12
)


def episode(circuit: str, direction: str, seed: int, outcome: str) -> dict[str, object]:
    case = {"circuit": circuit, "direction": direction, "conditions": "nominal", "seed": seed, "clock": "lockstep"}
    return {"case": {"model": "m", **case}, "facts": {"outcome": outcome}}


def test_wilson_known_answer() -> None:
    # 81 of 263, R: prop.test(81, 263, correct = FALSE); Newcombe (1998), table I, method 3.
    low, high = wilson(81, 263)
    assert low == pytest.approx(0.2553, abs=5e-5)
    assert high == pytest.approx(0.3662, abs=5e-5)


def test_wilson_at_none_and_all_known_answer() -> None:
    z2 = 1.959963984540054**2
    assert wilson(10, 10) == pytest.approx((10 / (10 + z2), 1.0))
    assert wilson(0, 10) == pytest.approx((0.0, z2 / (10 + z2)))


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_one_stratum_is_wilson(counts: tuple[int, int]) -> None:
    assert stratified_wilson([Stratum(*counts)]) == wilson(*counts)


@given(SAMPLES)
def test_never_degenerates_and_holds_the_estimate(samples: list[Stratum]) -> None:
    low, high = stratified_wilson(samples)
    share = sum(sample.completed for sample in samples) / sum(sample.cases for sample in samples)
    assert 0.0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1.0
    assert high - low > 0.01


@given(SAMPLES)
def test_strata_only_narrow(samples: list[Stratum]) -> None:
    pooled = wilson(sum(sample.completed for sample in samples), sum(sample.cases for sample in samples))
    low, high = stratified_wilson(samples)
    assert 0.0 < design_effect(samples) <= 1.0
    assert low >= pooled.low - 1e-12
    assert high <= pooled.high + 1e-12


def test_design_effect_known_answer() -> None:
    # Shares (3 + 2)/7 and (0 + 2)/7 about a total of 1/2: within 10/49, pooled 1/4.
    assert design_effect([Stratum(3, 3), Stratum(0, 3)]) == pytest.approx(40 / 49)
    assert design_effect([Stratum(2, 3), Stratum(2, 3)]) == pytest.approx(1.0)
    assert design_effect([Stratum(3, 3), Stratum(3, 3)]) == 1.0


@pytest.mark.parametrize("samples", [[], [Stratum(2, 1)], [Stratum(0, 0)], [Stratum(-1, 3)]])
def test_no_counts_are_refused(samples: list[Stratum]) -> None:
    with pytest.raises(ValueError, match="strata of counts"):
        stratified_wilson(samples)


def tables(strata_left: int, outcomes_left: int) -> Iterator[tuple[int, ...]]:
    """All ways to put alike strata into classes by how many cases they completed."""
    if outcomes_left == 1:
        yield (strata_left,)
        return
    for here in range(strata_left + 1):
        for rest in tables(strata_left - here, outcomes_left - 1):
            yield here, *rest


@pytest.mark.parametrize("p", [0.5, 0.9, 0.97])
def test_coverage_of_ten_strata_of_three_seeds_exactly(p: float) -> None:
    chances = [math.comb(3, x) * p**x * (1 - p) ** (3 - x) for x in range(4)]
    covered = 0.0
    for table in tables(10, 4):
        samples = [Stratum(x, 3) for x, n in enumerate(table) for _ in range(n)]
        low, high = stratified_wilson(samples)
        if low <= p <= high:
            ways = math.factorial(10) / math.prod(math.factorial(n) for n in table)
            covered += ways * math.prod(chance**n for chance, n in zip(chances, table, strict=True))
    assert covered >= 0.93


@pytest.mark.parametrize("shares", [[0.97] * 5 + [0.6] * 5, [1.0] * 7 + [0.5] * 3, [1.0] * 5 + [0.0] * 5])
def test_coverage_of_unlike_strata_by_simulation(shares: list[float]) -> None:
    random = np.random.default_rng(20100329)
    draws = random.binomial(3, shares, size=(1500, 10))
    intervals = [stratified_wilson([Stratum(int(x), 3) for x in draw]) for draw in draws]
    assert np.mean([low <= np.mean(shares) <= high for low, high in intervals]) >= 0.93


def test_strata_are_circuit_and_direction_and_harness_errors_leave_the_count() -> None:
    records = [
        episode("simple", "forward", 0, "completed"),
        episode("simple", "forward", 1, "left_lane"),
        episode("simple", "reverse", 0, "completed"),
        episode("simple", "reverse", 1, "harness_error"),
        episode("montreal", "forward", 0, "harness_error"),
    ]
    assert strata(records) == (Stratum(1, 2), Stratum(1, 1))
    assert completions_interval(records) == stratified_wilson([Stratum(1, 2), Stratum(1, 1)])
    assert completions_interval(records[3:]) is None
