"""Make the compressed variants of the baseline: ``python -m pipeline.optimize``, or ``hotlap optimize``."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs import circuit as circuits
from envs.errors import HotlapError, InputError
from pipeline import frames, manifest, networks
from pipeline.optimize import catalogue, job, workshop
from pipeline.optimize.job import Job
from pipeline.training import cache, row
from pipeline.training.__main__ import CACHE, FIRST_TRACK, TRACK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.optimize.catalogue import Variant
    from pipeline.optimize.workshop import Size

BASELINE = "pilotnet"
TRACKS = 50
"""Generated tracks lie so far beyond those of the training: their frames were never seen there."""


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        variants: to make.
        seed: of everything that is drawn.
        out: folder of the artifacts and their manifest.
        baseline: file of the network that all start from.
        size: how much of everything.
        workers: processes, each on one thread; they change nothing but the time.
    """

    variants: tuple[Variant, ...]
    seed: int
    out: Path
    baseline: Path
    size: Size
    workers: int


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    started = time.monotonic()

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        print(f"[{minutes:2d}:{seconds:02d}] {text}", flush=True)

    try:
        options = parse(arguments)
        failed = run(options, say)
    except HotlapError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped; what was finished is written.", file=sys.stderr)
        return 130
    for line in failed:
        print(f"Error: {line}", file=sys.stderr)
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None) -> Options:
    """The options.

    Raises:
        InputError: a name is not known.
    """
    parser = argparse.ArgumentParser(
        prog="hotlap optimize",
        usage="hotlap optimize [NAME ...] [--seed N] [--out DIR] [--smoke] [--list]",
        description="Make compressed variants of the baseline, each an artifact and a row of the manifest.",
        epilog="All of them take about three quarters of an hour on two idle cores.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="variants or rows to make (all)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything that is drawn (1)")
    parser.add_argument("--out", type=Path, default=manifest.MANIFEST.parent, metavar="DIR", help="where to (weights/)")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="start from this (DIR/pilotnet.safetensors)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes of one thread each (2)")
    parser.add_argument("--smoke", action="store_true", help="seconds in place of minutes: shows that all parts work")
    parser.add_argument("--list", action="store_true", help="list the variants and stop")
    found = parser.parse_args(arguments)
    variants = catalogue.chosen(found.names)
    if found.list:
        for variant in variants:
            print(f"{variant.name:18}{', '.join(variant.exports):34}{variant.strategy or 'the baseline'}")
        sys.exit(0)
    if found.seed < 0 or found.workers < 1:
        raise InputError(f"--seed is {found.seed} and --workers {found.workers}; give 0 or more, and 1 or more")
    baseline = found.baseline or found.out / f"{BASELINE}.safetensors"
    size = workshop.SMOKE if found.smoke else workshop.FULL
    return Options(variants, found.seed, found.out, baseline, size, found.workers)


def run(options: Options, say: Callable[[str], None]) -> list[str]:
    """Collect frames and make the variants; returns a line for each that failed.

    Raises:
        InputError: the baseline cannot be read, or the folder not be written.
        HarnessError: a process died while it collected.
    """
    networks.load(options.baseline)
    last = FIRST_TRACK + TRACKS + options.size.tracks
    names = [*circuits.names("training")[:-1], *(TRACK.format(n) for n in range(FIRST_TRACK + TRACKS, last + 1))]
    names = names[-2:] if options.size is workshop.SMOKE else names
    failed = []
    with cache.folder(CACHE) as folder:
        say(f"seed {options.seed}: collecting {options.size.frames} frames on {len(names)} circuits")
        workshop.gather(folder, options.baseline, names, options.size, seed=options.seed, workers=options.workers)
        workshop.check_calibration(workshop.parts(folder, options.size)[1])
        exam = frames.test_frames()
        np.savez(folder / "exam.npz", frames=exam.frames, labels=exam.commands, sha256=exam.sha256)
        jobs = [
            Job(variant.name, options.baseline, folder, options.out, options.seed, options.size)
            for variant in options.variants
        ]
        with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
            for done in pool.map(job.do, jobs):
                for found in done.rows:
                    row.write(options.out / "manifest.toml", found)
                if done.problem is not None:
                    failed.append(f"{done.name}: {done.problem}")
                errors = ", ".join(f"{found['name']} {found['offline_mse']:.5f}" for found in done.rows)
                say(f"{done.name}: {done.seconds:.0f} s; {done.problem or f'offline MSE {errors}'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
