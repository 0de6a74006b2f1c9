"""hotlap's speed beside that of simulators a user could pick instead: `python -m benchmarks.peers`, or `make peers`.

Steps with a camera image per second, on one core, one thread, without a GPU, in one run in which all take turns. Each
runs in a process of its own, hotlap in the world's environment, the others in one of theirs that is made from
`benchmarks/requirements.lock` when first asked for. MuJoCo needs a software OpenGL besides: Debian's libosmesa6.

Only steps are timed: not the start of an episode, and not the decision where to steer. Every turn's pictures are looked
at: they must show something, and change.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.peers import table
from benchmarks.peers.contest import NotRun, hold
from benchmarks.peers.simulator import CONTESTANTS, OURS
from envs.errors import HarnessError
from pipeline import interpreters


def main() -> None:
    """Hold the contest and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a turn")
    parser.add_argument("--first", type=float, default=10.0, help="the most that a first episode may take [s]")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="the core that all share")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="some of them, by the start of their names"
    )
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="also put the table into this page")
    parser.add_argument("--world-python", type=Path, help="an interpreter with the world's packages, to make none")
    parser.add_argument("--peers-python", type=Path, help="an interpreter with the peers' packages, to make none")
    asked = parser.parse_args()
    given = {"world": asked.world_python, "peers": asked.peers_python}

    def python_of(role: str) -> Path:
        try:
            return given[role] or interpreters.ensure(role)
        except HarnessError as error:
            raise NotRun(str(error)) from error

    chosen = [it for it in CONTESTANTS if not asked.only or it.name.startswith(tuple(asked.only))]
    for role in {it.role for it in chosen}:  # whatever is to be installed is, before anything is timed
        python_of(role)
    os.sched_setaffinity(0, {asked.core})
    load = os.getloadavg()[0]
    scores = hold(
        chosen,
        python_of,
        rounds=asked.rounds,
        seconds=asked.seconds,
        first=asked.first,
        say=lambda line: print(line, file=sys.stderr),
    )
    print(table.text(scores))
    if asked.markdown:
        page = asked.markdown.read_text(encoding="utf-8")
        facts = f"{asked.rounds} rounds of {asked.seconds:g} s; load average at the start {load:.1f}"
        asked.markdown.write_text(table.into(page, scores, facts), encoding="utf-8")
    if any(score.why_not for score in scores if score.contestant.name == OURS):
        sys.exit(1)


if __name__ == "__main__":
    main()
