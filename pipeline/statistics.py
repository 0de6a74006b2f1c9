"""How sure a count of completions is: a 95 % interval over seeds, stratified by circuit and direction.

Circuits and directions are fixed by the plan; the seeds are the sample. A model that completes every case of an easy
circuit and half of a hard one has less doubt about its total than as many coins would, and the interval says so.
"""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from pipeline.metrics.facts import COMPLETED, cell, counted, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.metrics.facts import Record

CONFIDENCE = 0.95
PSEUDO_CASES = 4.0


class Stratum(NamedTuple):
    """Cases alike but for their seed.

    Attributes:
        completed: How many were completed.
        cases: How many were driven; at least 1.
    """

    completed: int
    cases: int


class Interval(NamedTuple):
    """A confidence interval of a proportion.

    Attributes:
        low: Lower end, in [0, 1].
        high: Upper end, in [0, 1].
    """

    low: float
    high: float


def strata(records: Iterable[Record]) -> tuple[Stratum, ...]:
    """Group one model's records by circuit and direction; the harness's own errors leave the count."""
    groups: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for record in counted(records):
        where = cell(record)
        groups[where.circuit, where.direction].append(outcome(record) == COMPLETED)
    return tuple(Stratum(sum(group), len(group)) for _, group in sorted(groups.items()))


def wilson(completed: float, cases: float, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of one proportion; the counts may be effective ones and need not be whole.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22, 1927.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = completed / cases
    scale = 1.0 + z * z / cases
    centre = (share + z * z / (2.0 * cases)) / scale
    half = z * math.sqrt(share * (1.0 - share) / cases + z * z / (4.0 * cases * cases)) / scale
    # The ends are exact where all or none are completed; rounding must not leave 0.9999999 there.
    low = 0.0 if completed <= 0.0 else max(0.0, centre - half)
    high = 1.0 if completed >= cases else min(1.0, centre + half)
    return Interval(low, high)


def stratified_wilson(samples: Sequence[Stratum], confidence: float = CONFIDENCE) -> Interval:
    """Wilson's interval of the share completed over all cases, at the sample size that the strata make it worth.

    Strata that differ make a total surer than as many coins would be: its variance is the mean of the strata's own
    variances, less than that of the pooled share by the design effect d <= 1 (`design_effect`). So the interval is
    Wilson's with N / d cases in place of N, as N. Dean and M. Pagano recommend for surveys ("Evaluating confidence
    interval methods for binomial proportions in clustered surveys", Journal of Survey Statistics and Methodology 3(4),
    2015). With one stratum, or with strata that all fare alike, it is Wilson's interval itself, so it keeps a width at
    0 % and at 100 %.

    The stratified Wilson interval of X. Yan and X. G. Su (Statistics in Biopharmaceutical Research 2(3), 2010) is not
    used: it adds up the strata's own intervals, and with three seeds a stratum these are so crude that in ten strata
    its 95 % hold the truth 77 % to 90 % of the time.

    Raises:
        ValueError: There is no stratum, or one is no count.
    """
    if not samples or any(not 0 <= sample.completed <= sample.cases or sample.cases < 1 for sample in samples):
        raise ValueError(f"an interval needs strata of counts, got {list(samples)}")
    effect = design_effect(samples)
    completed = sum(sample.completed for sample in samples)
    cases = sum(sample.cases for sample in samples)
    return wilson(completed / effect, cases / effect, confidence)


def design_effect(samples: Sequence[Stratum]) -> float:
    """Variance of the total share by strata / its variance if pooled, in (0, 1]; 1 where strata do not differ.

    Each stratum's share is drawn towards the total p by four pseudo-cases, (x + 4 p) / (n + 4), the number that
    Agresti and Coull add at 95 %: with three seeds most strata stand at 0 or 1 by chance, and taken at their word they
    would leave no variance at all. What chance alone then still takes from the effect is at most about 6 %.
    """
    cases = sum(sample.cases for sample in samples)
    completed = sum(sample.completed for sample in samples)
    if len(samples) == 1 or completed in (0, cases):
        return 1.0
    total = completed / cases
    weights = [sample.cases / cases for sample in samples]
    shares = [(sample.completed + PSEUDO_CASES * total) / (sample.cases + PSEUDO_CASES) for sample in samples]
    mean = sum(weight * share for weight, share in zip(weights, shares, strict=True))
    within = sum(weight * share * (1.0 - share) for weight, share in zip(weights, shares, strict=True))
    return min(1.0, within / (mean * (1.0 - mean)))


def completions_interval(records: Iterable[Record]) -> Interval | None:
    """95 % interval of one model's completions; None where no case counts."""
    samples = strata(records)
    return stratified_wilson(samples) if samples else None
