"""The contest's figures as text, and as the block of Markdown that `docs/peers.md` shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabulate import tabulate

from benchmarks.peers.contest import rate
from benchmarks.peers.simulator import OURS
from pipeline import provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.peers.contest import Score

BLOCK = re.compile(r"(<!-- peers -->\n).*?(\n<!-- /peers -->)", re.DOTALL)


def text(scores: Sequence[Score]) -> str:
    """The figures for a terminal."""
    table = tabulate([figures(score, scores) for score in scores], headers="keys", disable_numparse=True)
    return "\n\n".join([table, *findings(scores)])


def markdown(scores: Sequence[Score], facts: str) -> str:
    """The figures, and what was measured, where and when, in Markdown."""
    rows = [figures(score, scores) | setting(score) for score in scores]
    table = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
    state = provenance.commit()
    where = f"{(state.sha or 'unknown')[:12]}{' and uncommitted changes' if state.dirty else ''}"
    said = f"Measured on {provenance.now()[:10]}, commit {where}, on one core of {provenance.cpu_model()}: {facts}."
    return "\n\n".join([said, table, *findings(scores)])


def into(page: str, scores: Sequence[Score], facts: str) -> str:
    """A page with its block of figures replaced.

    Raises:
        ValueError: it has none.
    """
    new, count = BLOCK.subn(lambda match: f"{match[1]}{markdown(scores, facts)}{match[2]}", page)
    if count != 1:
        raise ValueError(f"the page needs one block from <!-- peers --> to <!-- /peers -->, and has {count}")
    return new


def figures(score: Score, scores: Sequence[Score]) -> dict[str, str]:
    """A row: the figures of one contestant, or why there are none."""
    row = {"simulator": score.contestant.name}
    if score.why_not:
        return row | {"frames/s": f"not run: {score.why_not}"}
    return row | {
        "frames/s": f"{score.rate:,.0f}",
        "least to most": f"{min(score.rates):,.0f} to {max(score.rates):,.0f}",
        "first episode": f"{rate(score.first):,.0f}",
        "hotlap is": times(ours(scores), score),
        "start (ms)": f"{score.start_ms:.1f}",
        "peak MB": f"{score.turns[-1]['peak_mb']:.0f}",
    }


def setting(score: Score) -> dict[str, str]:
    """The rest of a row of Markdown: what was measured."""
    if score.setting is None:
        return {}
    return {"version": score.setting.version, "image": score.setting.image, "a frame": score.setting.frame}


def findings(scores: Sequence[Score]) -> list[str]:
    """What the figures say: hotlap against the fastest peer, and where its time goes."""
    us = ours(scores)
    if us is None:
        return []
    found = []
    peers = [score for score in scores if score.contestant.role == "peers" and not score.why_not]
    if peers:
        fastest = max(peers, key=lambda score: score.rate)
        found.append(f"hotlap is {times(us, fastest)} as fast as the fastest peer, {fastest.contestant.name}.")
    split = ", ".join(f"{part} {spent:.0f}" for part, spent in us.split_us.items())
    found.append(f"A frame of hotlap [µs]: {split}; in all {sum(us.split_us.values()):.0f}.")
    return found


def ours(scores: Sequence[Score]) -> Score | None:
    """Hotlap's own score, where it has one."""
    return next((score for score in scores if score.contestant.name == OURS and not score.why_not), None)


def times(us: Score | None, other: Score) -> str:
    """How many times as fast as another hotlap is, by the medians of the rounds."""
    return f"{us.rate / other.rate:.1f} times" if us else ""
