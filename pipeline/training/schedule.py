"""How much of everything a training run does: all numbers of a run that are not physics stand here."""

from __future__ import annotations

from dataclasses import dataclass, replace

FRAMES_PER_SECOND = 420.0
"""Frames a second that training passes through PilotNet on two idle cores of a 2021 server (Zen 3); it only turns
minutes into a number of passes, so that a schedule, and with it the trained network, does not depend on the clock."""


@dataclass(frozen=True)
class Stage:
    """Frames collected, then a fit on all frames so far.

    Attributes:
        name: what the stage is called in the output.
        frames: frames to collect first.
        network_drives: whether the network of the stage before drives; otherwise the expert does.
        passes: frames passed through the network in the fit, repetitions counted.
        peak_rate: learning rate after the warm-up.
        last_rate: learning rate at the end, reached by a cosine.
    """

    name: str
    frames: int
    network_drives: bool
    passes: int
    peak_rate: float
    last_rate: float


@dataclass(frozen=True)
class Schedule:
    """A whole run.

    Attributes:
        stages: in their order; the last one is the final fit.
        frames_per_drive: frames that one drive contributes; a drive has one circuit, direction and set of conditions.
        stride: of how many control steps one frame is kept; neighbours look too much alike to be worth their passes.
        batch: frames in one step of the optimiser.
        nominal_share: share of the drives under nominal conditions; the others have varied ones.
        circuits: how many of the repository's training circuits to drive at most; None is all but the held-out one.
        tracks: how many generated tracks to drive as well.
        validation_seeds: closed-loop cases for each held-out circuit, direction and set of conditions at the end.
    """

    stages: tuple[Stage, ...]
    frames_per_drive: int = 100
    stride: int = 4
    batch: int = 64
    nominal_share: float = 0.4
    circuits: int | None = None
    tracks: int = 24
    validation_seeds: int = 2

    @property
    def frames(self) -> int:
        """Frames collected in the whole run."""
        return sum(stage.frames for stage in self.stages)


FULL = Schedule(
    stages=(
        Stage("expert", 20_000, network_drives=False, passes=40_000, peak_rate=1e-3, last_rate=2e-4),
        Stage("aggregation 1", 8_000, network_drives=True, passes=24_000, peak_rate=7e-4, last_rate=2e-4),
        Stage("aggregation 2", 8_000, network_drives=True, passes=24_000, peak_rate=7e-4, last_rate=2e-4),
        Stage("aggregation 3 and final fit", 8_000, network_drives=True, passes=110_000, peak_rate=7e-4, last_rate=0.0),
    ),
)

SMOKE = Schedule(
    stages=(
        Stage("expert", 64, network_drives=False, passes=128, peak_rate=1e-3, last_rate=2e-4),
        Stage("aggregation 1", 48, network_drives=True, passes=64, peak_rate=7e-4, last_rate=2e-4),
        Stage("aggregation 2 and final fit", 32, network_drives=True, passes=64, peak_rate=7e-4, last_rate=0.0),
    ),
    frames_per_drive=16,
    batch=32,
    circuits=1,
    tracks=1,
    validation_seeds=0,
)


def full(minutes: float | None = None) -> Schedule:
    """The full schedule, its fits lengthened or shortened to take `minutes` on two idle cores [min].

    Collecting is not scaled: the frames stay the same, and their passes change.
    """
    if minutes is None:
        return FULL
    factor = minutes * 60.0 * FRAMES_PER_SECOND / sum(stage.passes for stage in FULL.stages)
    stages = tuple(replace(stage, passes=max(FULL.batch, round(stage.passes * factor))) for stage in FULL.stages)
    return replace(FULL, stages=stages)
