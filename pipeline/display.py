"""What the user sees while cases are driven: a live line on a terminal, plain lines anywhere else."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from pipeline.case import Case
    from pipeline.record import Record


class Display(Protocol):
    """Shows how far a run has come; called from any thread."""

    def say(self, line: str) -> None:
        """Show one line that stays."""
        ...

    def begin(self, done: int, total: int) -> None:
        """Driving begins; `done` of `total` cases have their record already."""
        ...

    def progress(self, case: Case, fraction: float) -> None:
        """So much of a case's lap is driven, in [0, 1]."""
        ...

    def finished(self, case: Case, record: Record) -> None:
        """A case has its record."""
        ...

    def end(self) -> None:
        """Driving is over, or was interrupted: leave the terminal as it was."""
        ...


class Plain:
    """Lines for a file, a pipe or a log: one for each finished case, no control characters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = 0
        self._total = 0

    def say(self, line: str) -> None:
        """Print the line at once."""
        with self._lock:
            print(line, flush=True)

    def begin(self, done: int, total: int) -> None:
        """Count from here."""
        self._done, self._total = done, total

    def progress(self, case: Case, fraction: float) -> None:
        """Nothing: a log needs no live line."""

    def finished(self, case: Case, record: Record) -> None:
        """Print how the case ended."""
        with self._lock:
            self._done += 1
            width = len(str(self._total))
            print(f"[{self._done:{width}}/{self._total}] {case}: {ended(record)}", flush=True)

    def end(self) -> None:
        """Nothing is left open."""


class Live:
    """A bar for the whole run and one for each model that drives, for a terminal."""

    def __init__(self) -> None:
        # Imported on use: a run with nothing to drive, and one that is piped, do without.
        from rich.console import Console  # noqa: PLC0415

        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._lock = threading.Lock()
        self._bars: Progress | None = None
        self._all: TaskID | None = None
        self._models: dict[str, TaskID] = {}

    def say(self, line: str) -> None:
        """Print the line above the bars."""
        self._console.print(line)

    def begin(self, done: int, total: int) -> None:
        """Show the bars."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True)
        self._all = self._bars.add_task("cases", total=total, completed=done)
        self._bars.start()

    def progress(self, case: Case, fraction: float) -> None:
        """Move the bar of the case's model."""
        with self._lock:
            if self._bars is None:
                return
            if case.model not in self._models:
                self._models[case.model] = self._bars.add_task(str(case), total=100)
            self._bars.update(self._models[case.model], description=str(case), completed=int(100 * fraction))

    def finished(self, case: Case, record: Record) -> None:
        """Count the case; one that was not completed leaves a line."""
        with self._lock:
            if self._bars is None or self._all is None:
                return
            self._bars.advance(self._all)
            bar = self._models.pop(case.model, None)
            if bar is not None:
                self._bars.remove_task(bar)
            if record["facts"]["outcome"] != "completed":
                self._console.print(f"{case}: {ended(record)}")

    def end(self) -> None:
        """Take the bars away."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None


def choose() -> Display:
    """A live display on a terminal that can move its cursor, plain lines otherwise."""
    movable = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return Live() if movable else Plain()


def ended(record: Record) -> str:
    """How an episode ended, in a few words."""
    facts = record["facts"]
    if facts["outcome"] == "completed":
        speed = facts["distance_m"] / facts["sim_time_s"] if facts["sim_time_s"] else 0.0
        return f"completed at {speed:.1f} m/s"
    where = f" after {facts['distance_m']:.0f} of {facts['lap_m']:.0f} m" if facts["steps"] else ""
    reason = f": {facts['reason']}" if facts["reason"] else ""
    return f"{facts['outcome']}{where}{reason}"
