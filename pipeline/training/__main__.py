"""Train PilotNet from nothing: ``python -m pipeline.training``, or ``hotlap train``.

The expert drives the training circuits and is nudged off its line; then the network drives and the expert says what it
should have done (S. Ross, G. Gordon, D. Bagnell 2011, "A Reduction of Imitation Learning and Structured Prediction to
No-Regret Online Learning", arXiv:1011.0686); after each round the network is fitted to all frames so far.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs import circuit as circuits
from envs.errors import HotlapError, InputError
from pipeline import frames, manifest, networks
from pipeline.training import cache, collect, fit, row, schedule, validate
from pipeline.training import dataset as data
from pipeline.training.pilot import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from pipeline.training.schedule import Schedule

ARCHITECTURE = "pilotnet"
TRACK = "generated:{}:2000"
FIRST_TRACK = 100_001
"""Seed of the first generated track that is trained on; tests and benchmarks draw theirs from 1 up."""

CACHE = manifest.ROOT / ".hotlap" / "training"
WORKERS = 2
MINUTES = (1.0, 240.0)


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        seed: of everything that is drawn.
        minutes: length of the fits on two idle cores [min]; None is the schedule's own.
        out: folder of the artifact and its manifest.
        smoke: whether only to show that all parts work.
        row_only: whether to train nothing, and write the row of the artifact that is there anew.
    """

    seed: int
    minutes: float | None
    out: Path
    smoke: bool
    row_only: bool

    @property
    def command(self) -> str:
        """The command that does the same again."""
        words = [f"hotlap train --seed {self.seed}"]
        words += [f"--minutes {self.minutes:g}"] if self.minutes is not None else []
        words += ["--smoke"] if self.smoke else []
        return " ".join(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = parse(arguments)
    started = time.monotonic()

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        print(f"[{minutes:2d}:{seconds:02d}] {text}", flush=True)

    try:
        if options.row_only:
            write_row(options.out / f"{ARCHITECTURE}.safetensors")
        else:
            train(options, say)
    except HotlapError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130
    return 0


def parse(arguments: Sequence[str] | None) -> Options:
    """The options; a wrong one ends the process with exit code 2 and one line."""
    parser = argparse.ArgumentParser(
        prog="hotlap train",
        usage="hotlap train [--seed N] [--minutes M] [--out DIR] [--smoke | --row-only]",
        description="Train PilotNet on the training circuits; write its artifact and its manifest row.",
        epilog="About a quarter of an hour on two idle cores. Same seed, versions and kind of CPU: same bytes.",
    )
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help="of everything that is drawn (1)")
    parser.add_argument(
        "--minutes", type=_minutes, metavar="M", help="time for the fits on two idle cores; the frames stay the same"
    )
    parser.add_argument(
        "--out", type=Path, default=manifest.MANIFEST.parent, metavar="DIR", help="where to write (weights/)"
    )
    parser.add_argument("--smoke", action="store_true", help="a run of seconds that shows that all parts work")
    parser.add_argument(
        "--row-only", action="store_true", help="train nothing; write the artifact's row anew after the world changed"
    )
    found = parser.parse_args(arguments)
    return Options(found.seed, found.minutes, found.out, found.smoke, found.row_only)


def train(options: Options, say: Callable[[str], None]) -> Path:
    """The whole run; returns the artifact's path.

    Raises:
        InputError: the output folder cannot be written, or its manifest cannot be read.
        HarnessError: a process that collects frames died.
    """
    _check_out(options.out)
    plan = schedule.SMOKE if options.smoke else schedule.full(options.minutes)
    *names, held_out = circuits.names("training")
    names = [*names[: plan.circuits], *(TRACK.format(FIRST_TRACK + i) for i in range(plan.tracks))]
    fit.seed_everything(options.seed, threads=WORKERS)
    say(f"seed {options.seed}: {plan.frames} frames on {len(names)} training circuits; {held_out} is kept for the end")
    network = networks.build(ARCHITECTURE)
    with cache.folder(CACHE) as frames_folder:
        _run(network, plan, names, seed=options.seed, folder=frames_folder, say=say)
    artifact = _write(network, options)
    say(f"wrote {artifact} and its row in {artifact.with_name('manifest.toml')}")
    if plan.validation_seeds:
        seeds = range(1, plan.validation_seeds + 1)
        say(f"driving {held_out}, which it has never seen")
        cases = validate.trials([held_out], ["nominal", "varied"], seeds, collect.DIRECTIONS)
        for line in validate.lines(validate.laps(artifact, cases)):
            say(line)
    return artifact


def _run(
    network: nn.Module, plan: Schedule, names: Sequence[str], *, seed: int, folder: Path, say: Callable[[str], None]
) -> None:
    """All stages, in place on `network`."""
    data.create(folder, plan.frames)
    generator = np.random.default_rng(seed)
    count = 0
    for number, stage in enumerate(plan.stages):
        say(f"{stage.name}: collecting {stage.frames} frames")
        driver = None
        if stage.network_drives:
            driver = folder / f"{number}.safetensors"
            networks.save(network, driver, {"architecture": ARCHITECTURE})
        drives = collect.plan(stage, plan, names, first=count, seed=seed, network=driver)
        collect.collect(drives, folder, plan.stride, WORKERS)
        new = data.attach(folder)
        if stage.network_drives:
            speed, steering = fit.errors(network, new.part(count, count + stage.frames))
            say(f"{stage.name}: the network was off by {speed:.3f} in speed, {steering:.4f} in steering (RMS)")
        count += stage.frames
        fit.fit(network, new.part(0, count), stage, plan.batch, generator=generator, say=say)


def _write(network: nn.Module, options: Options) -> Path:
    """Save the artifact and its row; returns the artifact's path."""
    path = options.out / f"{ARCHITECTURE}.safetensors"
    metadata = {"architecture": ARCHITECTURE, "seed": str(options.seed), "how": options.command}
    networks.save(network, path, metadata)
    write_row(path)
    return path


def write_row(artifact: Path) -> None:
    """Write the row of an artifact from training into the manifest beside it, its offline error worked out anew.

    Raises:
        InputError: the artifact does not load or was not made by training, or the manifest cannot be written.
    """
    network = networks.load(artifact)
    made = networks.read_metadata(artifact)
    if not {"seed", "how"} <= made.keys():
        raise InputError(f"{artifact}: does not say how it was made; train it with `hotlap train`")
    fixed = frames.test_frames()
    commands = np.array([answer(network, frame) for frame in fixed.frames])
    row.write(
        artifact.with_name("manifest.toml"),
        {
            "name": ARCHITECTURE,
            "runtime": "torch",
            "artifact": artifact.name,
            "sha256": hashlib.sha256(artifact.read_bytes()).hexdigest(),
            "precision": "fp32",
            "device": "cpu",
            "how": made["how"],
            "seed": int(made["seed"]),
            "parameters": networks.count_parameters(network),
            "zeros": sum(int((parameter == 0).sum()) for parameter in network.parameters()),
            "offline_mse": round(float(np.mean(np.square(commands - fixed.commands))), 8),
            "offline_frames_sha256": fixed.sha256,
            "description": "PilotNet (Bojarski et al. 2016) with ReLU, trained here: the baseline of every comparison.",
        },
    )


def _check_out(out: Path) -> None:
    """Find out before the work, not after it, whether its result can be kept."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(f"{out}: cannot write there: {error.strerror}; give another folder with --out") from error
    path = out / "manifest.toml"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    row.replaced(text, {"name": ARCHITECTURE}, str(path))


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number from 0 to 2147483647")
    return int(text)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not MINUTES[0] <= value <= MINUTES[1]:
        raise argparse.ArgumentTypeError(f"{text!r} is no length; give {MINUTES[0]:g} to {MINUTES[1]:g} minutes")
    return value


if __name__ == "__main__":
    sys.exit(main())
