"""Two models on identical cases: what one completes and the other does not, and how their deviations compare."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pipeline.metrics import deviation
from pipeline.metrics.facts import COMPLETED, cell, counted, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.metrics.facts import Record


class Pairing(NamedTuple):
    """A model beside another, the baseline.

    Attributes:
        cases: that count for both.
        lost: of them, those that the baseline alone completed.
        gained: those that the model alone completed.
        p_value: of a difference in completions at least as uneven, if neither were better; McNemar's test, exact.
        deviation_ratio: mean of the model's deviations / mean of the baseline's, over the cases that both completed;
            None where there is none.
    """

    cases: int
    lost: int
    gained: int
    p_value: float
    deviation_ratio: float | None


def pair(baseline: Iterable[Record], model: Iterable[Record]) -> Pairing:
    """Compare the records of two models, at most one per case each; the harness's own errors leave the count."""
    theirs = {cell(record): record for record in counted(baseline)}
    ours = {cell(record): record for record in counted(model)}
    common = sorted(theirs.keys() & ours.keys())
    done = [(outcome(theirs[key]) == COMPLETED, outcome(ours[key]) == COMPLETED) for key in common]
    lost, gained = done.count((True, False)), done.count((False, True))
    both = [key for key, (their, our) in zip(common, done, strict=True) if their and our]
    our_mean, their_mean = _mean([ours[key] for key in both]), _mean([theirs[key] for key in both])
    ratio = our_mean / their_mean if our_mean is not None and their_mean else None
    return Pairing(len(common), lost, gained, mcnemar(lost, gained), ratio)


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided p value of McNemar's exact test: a fair coin for each of the cases in which the two differ.

    Q. McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12; the binomial in place of its approximation.
    """
    n, fewer = lost + gained, min(lost, gained)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / float(2**n)
    return min(1.0, 2.0 * tail)


def _mean(records: list[Record]) -> float | None:
    """Mean over cases of the position deviation MAE [m]."""
    values = [value for record in records if (value := deviation.mean_absolute([record]).value) is not None]
    return sum(values) / len(values) if values else None
