"""Commands that make artifacts: `train` and `optimize`, each done by an environment of its own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
INTERRUPTED = 130


@click.command()
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Of everything that is drawn (1).")
@click.option("--minutes", type=float, metavar="M", help="Time for the fits on two idle cores.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write (weights/).")
@click.option("--smoke", is_flag=True, help="A run of seconds that shows that all parts work.")
@click.option("--row-only", is_flag=True, help="Train nothing; write the artifact's row anew after the world changed.")
def train(seed: int | None, minutes: float | None, out: Path | None, *, smoke: bool, row_only: bool) -> int:
    """Train PilotNet on the training circuits; write its artifact and its row.

    About a quarter of an hour on two idle cores, in an environment of its own that is made when first asked for. The
    same seed, versions and kind of processor give the same bytes.

    \b
    Example:
      hotlap train --seed 1
    """  # noqa: D301
    given = {"--seed": seed, "--minutes": minutes, "--out": None if out is None else out.resolve()}
    words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    words += [flag for flag, chosen in (("--smoke", smoke), ("--row-only", row_only)) if chosen]
    return _run("train", "pipeline.training", words)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Of everything that is drawn (1).")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write (weights/).")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes of one thread each (2).")
@click.option("--smoke", is_flag=True, help="A run of a minute that shows that all parts work.")
@click.option("--list", "listed", is_flag=True, help="List the variants and stop.")
def optimize(
    names: tuple[str, ...], seed: int | None, out: Path | None, workers: int | None, *, smoke: bool, listed: bool
) -> int:
    """Make compressed variants of the baseline, each an artifact and a row: those named, or all.

    All of them take about three quarters of an hour on two idle cores, in an environment of its own that is made when
    first asked for. Every variant starts from the same untouched baseline.

    \b
    Examples:
      hotlap optimize --list
      hotlap optimize qat slim_16
    """  # noqa: D301
    given = {"--seed": seed, "--out": None if out is None else out.resolve(), "--workers": workers}
    words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    words += [flag for flag, chosen in (("--smoke", smoke), ("--list", listed)) if chosen]
    return _run("optimize", "pipeline.optimize", [*names, *words])


def _run(role: str, module: str, words: list[str]) -> int:
    """Run a module in the environment of a role; returns its exit code."""
    from pipeline import interpreters  # noqa: PLC0415 - `hotlap --help` does not wait for it

    python = interpreters.ensure(role)
    with subprocess.Popen([str(python), "-m", module, *words], cwd=ROOT) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            child.wait()
            return INTERRUPTED
