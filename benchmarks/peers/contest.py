"""The contest: every contestant in a process of its own, all on one core, taking turns."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from benchmarks.peers.simulator import Contestant, Setting
from pipeline.interpreters import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ENVIRONMENT = {
    "PATH": os.defpath + ":/sbin:/usr/sbin",
    **dict.fromkeys(THREADS, "1"),
    "LP_NUM_THREADS": "0",  # Mesa's software renderer draws in the thread that asks
}
"""The whole environment of the workers: nothing of the caller's slows one down or changes what it draws."""

PATIENCE_S = 120.0
"""How long a worker may take to start, or to answer beyond the time it was told to drive [s]."""

LEAST_CONTRAST = 2.0
LEAST_CHANGE = 0.5
"""A picture that varies less, or changes less from the start of a turn to its end, is none [grey levels of 255]."""


class NotRun(Exception):  # noqa: N818  a reason, no error
    """Why a contestant has no figures, in one line."""


@dataclass
class Score:
    """What a contestant did.

    Attributes:
        contestant: which.
        setting: how it was set up; None where it did not start.
        start_ms: median time of starting an episode [ms].
        why_not: why it has no figures; None where it has.
        first: what it did in its first episode.
        turns: what it did in each turn.
    """

    contestant: Contestant
    setting: Setting | None = None
    start_ms: float = 0.0
    why_not: str | None = None
    first: dict[str, Any] = field(default_factory=dict)
    turns: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Frames per second of each turn, slowest first."""
        return sorted(map(rate, self.turns))

    @property
    def rate(self) -> float:
        """Their median [1/s]."""
        return statistics.median(self.rates)

    @property
    def split_us(self) -> dict[str, float]:
        """Mean time of a frame by part, all turns together, "rest" included [us]; empty where it does not say."""
        frames = sum(turn["frames"] for turn in self.turns)
        parts = {part: sum(turn["parts"][part] for turn in self.turns) for part in self.turns[0]["parts"]}
        if parts:
            parts["rest"] = sum(turn["ns"] for turn in self.turns) - sum(parts.values())
        return {part: spent / frames / 1e3 for part, spent in parts.items()}


def rate(turn: Mapping[str, Any]) -> float:
    """Frames per second of a turn."""
    return float(turn["frames"] / turn["ns"] * 1e9)


class Worker:
    """A contestant's process, a context manager.

    Args:
        python: runs it.
        contestant: what it runs.

    Raises:
        NotRun: it does not start.
    """

    def __init__(self, python: Path, contestant: Contestant) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.peers.worker", contestant.place],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def start(self) -> tuple[Setting, float]:
        """How it is set up, and the median time of starting an episode [ms]."""
        said = self._answer(PATIENCE_S)
        return Setting(said["version"], said["image"], said["frame"]), float(said["start_ms"])

    def drive(self, seconds: float, *, one_episode: bool = False) -> dict[str, Any]:
        """What `worker.drive` tells.

        Raises:
            NotRun: it died, fell silent, or its pictures show nothing.
        """
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(json.dumps({"seconds": seconds, "one_episode": one_episode}).encode() + b"\n")
        turn = self._answer(PATIENCE_S + seconds)
        if turn["contrast"] < LEAST_CONTRAST:
            raise NotRun(f"its pictures are blank: their values vary by {turn['contrast']:.1f} of 255")
        if turn["change"] < LEAST_CHANGE:
            raise NotRun(f"its pictures do not change: {turn['change']:.2f} of 255 from first to last of a turn")
        return turn

    def _answer(self, patience: float) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        if not select.select([self._process.stdout], [], [], patience)[0]:
            raise NotRun(f"it did not answer within {patience:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise NotRun(f"it ended with exit status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise NotRun(" ".join(answer["failed"].split()))
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def hold(
    contestants: Sequence[Contestant],
    python_of: Callable[[str], Path],
    *,
    rounds: int,
    seconds: float,
    first: float,
    say: Callable[[str], None],
) -> list[Score]:
    """Let all of them drive, one at a time and in turns, on the core that this process is pinned to.

    Args:
        contestants: in the order of their turns.
        python_of: the interpreter of a role; raises `NotRun`.
        rounds: turns of each.
        seconds: of a turn.
        first: the most that a first episode, which is not counted among the turns, may take [s].
        say: called with a line now and then.

    Returns:
        one score for each, in the same order.
    """
    scores = [Score(contestant) for contestant in contestants]
    with ExitStack() as stack:
        running = []
        for score in scores:
            say(f"{score.contestant.name}: first episode")
            try:
                worker = stack.enter_context(Worker(python_of(score.contestant.role), score.contestant))
                score.setting, score.start_ms = worker.start()
                score.first = worker.drive(first, one_episode=True)
                running.append((score, worker))
            except NotRun as reason:
                score.why_not = str(reason)
        for turn in range(rounds):
            say(f"round {turn + 1} of {rounds}")
            for score, worker in running:
                try:
                    if score.why_not is None:
                        score.turns.append(worker.drive(seconds))
                except NotRun as reason:
                    score.why_not = str(reason)
    return scores
