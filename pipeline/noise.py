"""Whether a host is quiet enough to measure on. What is too noisy is flagged, never averaged away."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_SPREAD = 1.15
"""Largest median of a block / smallest, above which a model's timing is noisy: the host changed between its blocks."""

SELF_RATIO = 1.05
"""The baseline interleaved with itself must come out equal within this ratio, either way."""

SLEEP_ERROR = 0.05
"""How far the sleep of known length may be off, as a share of it."""

BUSY_SHARE = 0.2
"""Share of all cores' time that others may use just before a measurement: below one core in two, or in four."""

STAT = Path("/proc/stat")


def block_noise(medians: Sequence[float]) -> list[str]:
    """What the medians of a model's blocks [s] say: nothing, or that they differ too much."""
    if len(medians) < 2 or min(medians) <= 0.0:
        return []
    spread = max(medians) / min(medians)
    return [f"its blocks differ by {spread:.2f}x (bound {BLOCK_SPREAD:.2f}x)"] if spread > BLOCK_SPREAD else []


def self_noise(ratio: float) -> list[str]:
    """What the baseline's ratio to itself says."""
    off = max(ratio, 1.0 / ratio)
    return [f"the baseline differs from itself by {off:.2f}x (bound {SELF_RATIO:.2f}x)"] if off > SELF_RATIO else []


def sleep_noise(known_s: float, claimed_s: float, seen_s: float) -> list[str]:
    """What a sleep of known length says.

    Args:
        known_s: its length [s].
        claimed_s: median as the driver timed it [s].
        seen_s: median round trip as the world timed it, less that of a driver that does nothing [s].
    """
    off = max(abs(claimed_s / known_s - 1.0), abs(seen_s / known_s - 1.0))
    if off <= SLEEP_ERROR:
        return []
    return [f"a sleep of {1e3 * known_s:.1f} ms is timed {100 * off:.1f} % off (bound {100 * SLEEP_ERROR:.0f} %)"]


def busy_noise(share: float) -> list[str]:
    """What the share of all cores' time that others used says."""
    return [f"others used {100 * share:.0f} % of the cores before it began"] if share > BUSY_SHARE else []


def busy_share(seconds: float = 1.0) -> float:
    """Share of all cores' time in which they were not idle, from now on; 0 where the kernel does not say."""
    if not STAT.is_file():
        return 0.0
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    total = sum(after) - sum(before)
    idle = sum(after[3:5]) - sum(before[3:5])
    return (total - idle) / total if total > 0 else 0.0


def _ticks() -> list[int]:
    """The kernel's count of all cores' time: user, nice, system, idle, waiting for input, and what interrupts took."""
    first = STAT.read_text(encoding="ascii").split("\n", 1)[0]
    # Guests' time, the last two numbers, is counted in user and nice already.
    return [int(word) for word in first.split()[1:9]]
