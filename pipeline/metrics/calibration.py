"""What the calibrators say of the instrument: one that behaves wrongly makes the whole run invalid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.metrics.driving import counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.metrics.facts import Record

COMPLETES_ALL = {"centreline": True, "zero": False, "sleep": True}
"""Whether a calibrator, by its runtime's name, must complete every case (True) or none (False)."""


@dataclass(frozen=True)
class Verdict:
    """Whether a calibrator behaved as its nature demands.

    Attributes:
        good: True as expected, False wrong, None where it did not drive and nothing can be said.
        text: The verdict in a few words.
    """

    good: bool | None
    text: str


def verdict(runtime: str, records: Sequence[Record]) -> Verdict:
    """Judge one calibrator by its records: `centreline` and `sleep` complete every case, `zero` completes none.

    Raises:
        KeyError: No calibrator has this runtime.
    """
    must = COMPLETES_ALL[runtime]
    tally = counts(records)
    if tally.counted == 0:
        return Verdict(good=None, text="did not drive" if not tally.harness_errors else "harness errors only")
    if tally.completed == (tally.counted if must else 0):
        return Verdict(good=True, text="as expected")
    wanted = "every case" if must else "no case"
    ended = ", ".join(f"{n} {name}" for name, n in (("completed", tally.completed), *tally.failures) if n)
    return Verdict(good=False, text=f"wrong: must complete {wanted}, but {ended}")


def invalid(runtimes: Mapping[str, str], records_by_model: Mapping[str, Sequence[Record]]) -> tuple[str, ...]:
    """Why a run is not to be trusted: one line for each calibrator that behaved wrongly; empty when none did.

    Args:
        runtimes: Calibrator's name -> its runtime.
        records_by_model: Each model's records, at most one per case.
    """
    verdicts = {name: verdict(runtime, records_by_model.get(name, ())) for name, runtime in sorted(runtimes.items())}
    return tuple(f"calibrator {name}: {found.text}" for name, found in verdicts.items() if found.good is False)
