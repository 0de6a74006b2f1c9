"""Two models on identical cases: known answers."""

from __future__ import annotations

import pytest

from pipeline.pairs import Pairing, mcnemar, pair
from tests.pipeline import made


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (0, 5, 2 / 32), (6, 1, 2 * (1 + 7) / 128), (4, 4, 1.0)],
)
def test_mcnemars_exact_p_value(lost: int, gained: int, p: float) -> None:
    assert mcnemar(lost, gained) == pytest.approx(p)


def test_what_is_lost_gained_and_compared() -> None:
    def records(model: str, outcomes: list[str], offset: float) -> list[object]:
        return [made.record(made.case(model, seed), outcome, offset=offset) for seed, outcome in enumerate(outcomes)]

    base = records("a", ["completed", "completed", "left_lane", "completed", "harness_error"], 0.10)
    other = records("b", ["completed", "left_lane", "completed", "completed", "completed", "completed"], 0.15)
    found = pair(base, other)  # type: ignore[arg-type]
    assert found[:4] == (4, 1, 1, 1.0)
    assert found.deviation_ratio == pytest.approx(1.5)
    assert pair(base, []) == Pairing(0, 0, 0, 1.0, None)  # type: ignore[arg-type]
