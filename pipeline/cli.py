"""The command line: what can be asked, and how an answer ends. Each command's work is done by a module of its own.

Those modules are imported when their command runs: `hotlap --help` waits for none of them.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envs.errors import HotlapError, InputError
from pipeline import making, options

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = making.INTERRUPTED

EPILOG = """\b
Examples:
  hotlap evaluate                          the quick plan, and the table from it
  hotlap evaluate --plan full --workers 4  the whole night's work
  hotlap drive --model pilotnet --circuit montreal --direction reverse --seed 3
  hotlap drive --model centreline --circuit my_track.csv
\b
Exit codes:
  0    done; a model that fails is a result, and the table shows it
  1    the results are not good: a calibrator behaved wrongly, or the harness failed in a case
  2    the command line itself is wrong
  3    something given is wrong: a manifest, plan, circuit, artifact, record or folder
  4    the world, Docker or the set-up broke
  130  stopped by Ctrl-C; what is recorded stays
"""


class CommandLine(click.Group):
    """The one place where an error of hotlap becomes a line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and exit with the documented code."""
        kwargs["standalone_mode"] = False
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            code = super().main(*args, **kwargs)
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except HotlapError as error:
            kind = "" if error.exit_code == INTERRUPTED else "error: "
            print(f"hotlap: {kind}{' '.join(str(error).split())}", file=sys.stderr)
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            print("hotlap: stopped", file=sys.stderr)
            code = INTERRUPTED
        sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_: int, __: FrameType | None) -> None:
    """A polite request to end is taken like Ctrl-C: what was started is removed first."""
    raise KeyboardInterrupt


def _version(context: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click calls it
    if asked:
        from pipeline import provenance

        print(f"hotlap {provenance.version()}")
        context.exit()


@click.group(cls=CommandLine, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def main() -> None:
    """This compressed driving model is smaller and faster. Does it still drive?

    hotlap drives every model of the manifest round circuits, each in its own pinned container, and writes completions,
    speed, deviation and timing into one table, results/README.md.
    """


@main.command()
@options.plan
@options.executor
@options.models
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Models side by side (cores, 2 at most).")
@options.results
@click.option("--again", is_flag=True, help="Drive recorded cases again, as further attempts.")
@click.option("--measure/--no-measure", default=True, help="Time models that have no timing on this host (default).")
@options.weights
def evaluate(
    plan: str,
    executor: str,
    models: tuple[str, ...],
    workers: int | None,
    results: Path | None,
    *,
    again: bool,
    measure: bool,
    weights: Path | None,
) -> None:
    """Drive what is missing of a plan, judge the calibrators, write the table.

    A case that has its record is not driven again: stop at any moment and run the same command to go on.

    \b
    Examples:
      hotlap evaluate
      hotlap evaluate --plan my_plan.toml --models pilotnet --executor local
    """  # noqa: D301  \b is click's mark
    from pipeline import agenda, display
    from pipeline import evaluate as work

    request = agenda.Request(
        plan=plan,
        executor=executor,
        models=options.names(models),
        workers=workers,
        results=results or agenda.RESULTS,
        again=again,
        measure=measure,
        **options.manifest(weights),
    )
    work.evaluate(request, display.choose())


@main.command()
@click.option("--model", required=True, metavar="NAME", help="A model of the manifest; hotlap models lists them.")
@click.option("--circuit", default="simple", metavar="NAME|FILE", help="hotlap circuits lists them (simple).")
@click.option("--direction", type=click.Choice(("forward", "reverse")), default="forward", show_default=True)
@click.option("--conditions", default="nominal", metavar="SET", show_default=True, help="nominal or varied.")
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=0, show_default=True)
@options.executor
@click.option("--keep", is_flag=True, help="Write the record and the trace into the results folder.")
@options.results
@options.weights
def drive(
    model: str,
    circuit: str,
    direction: str,
    conditions: str,
    *,
    seed: int,
    executor: str,
    keep: bool,
    results: Path | None,
    weights: Path | None,
) -> None:
    """Drive one case, show it live, and tell how it ended.

    \b
    Examples:
      hotlap drive --model pilotnet --circuit montreal --direction reverse --conditions varied --seed 3
      hotlap drive --model centreline --circuit my_track.csv
      hotlap drive --model pilotnet --circuit simple+worn
      hotlap drive --model pilotnet --circuit generated:17
    """  # noqa: D301
    from pipeline import agenda, display, single
    from pipeline.case import Case

    request = single.Request(
        Case(model, circuit, direction, conditions, seed),
        executor=executor,
        keep=(results or agenda.RESULTS) if keep else None,
        **options.manifest(weights),
    )
    shown = single.summary(single.drive(request, display.choose()))
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        print(f"{name:{width}}  {value}")


@main.command()
@options.executor
@options.models
@options.results
@click.option("--all", "everything", is_flag=True, help="Time models again that this host has timed.")
@options.weights
def measure(
    executor: str, models: tuple[str, ...], results: Path | None, *, everything: bool, weights: Path | None
) -> None:
    """Time inference on this host, one model at a time, and its driver's peak memory.

    Models that this host has timed are left out, unless named. Blocks of frames alternate with the FP32 baseline's, on
    a pinned core. Let nothing else run meanwhile: a host too noisy to measure on is marked in the table.

    \b
    Examples:
      hotlap measure
      hotlap measure --models pilotnet
    """  # noqa: D301
    from pipeline import agenda, executors, manifest, timing
    from pipeline import measure as work

    rows = manifest.load(weights or manifest.MANIFEST)
    names = tuple(manifest.find(rows, name).name for name in options.names(models))
    if not names and not everything:
        names = timing.unmeasured(results or agenda.RESULTS, rows)
        if not names:
            print("every model is timed on this host; name models or say --all to time them again")
            return
    chosen, sentence = executors.choose(executor)
    print(sentence, flush=True)
    with chosen:
        print(f"timing: {work.run(rows, chosen, results or agenda.RESULTS, names=names)}")


@main.command()
@options.executor
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@options.results
@options.weights
def check(executor: str, names: tuple[str, ...], results: Path | None, weights: Path | None) -> None:
    """Check that saved files do in their own runtime what their rows say; `evaluate` does so before it drives.

    Parity with the network before its conversion, the same commands for the same frames, the precision and device that
    really ran. Models that were checked and have not changed are left out, unless named.

    \b
    Examples:
      hotlap check
      hotlap check qat-openvino
    """  # noqa: D301
    from pipeline import agenda, checks, executors, manifest

    rows, folder = manifest.load(weights or manifest.MANIFEST), results or agenda.RESULTS
    wanted = tuple(manifest.find(rows, name).name for name in names) or checks.unchecked(
        rows, checks.found(folder, rows)
    )
    if not wanted:
        print("every model is checked; name models to check them again")
        return
    chosen, sentence = executors.choose(executor)
    print(sentence, flush=True)
    with chosen:
        found = checks.run(rows, chosen, folder, names=wanted)
    refused = [name for name in wanted if name in found and found[name]["refused"]]
    if refused:
        raise InputError(f"refused: {', '.join(refused)}; the reasons are above")


main.add_command(making.train)
main.add_command(making.optimize)


@main.command()
@options.plan
@options.models
@options.results
@options.weights
@click.option("--published", is_flag=True, help="From results/published/, which came with the repository.")
def table(plan: str, models: tuple[str, ...], results: Path | None, weights: Path | None, *, published: bool) -> None:
    """Write the table again from the records alone; nothing is driven.

    \b
    Examples:
      hotlap table --plan full
      hotlap table --plan compare --published
    """  # noqa: D301
    from pipeline import agenda, display
    from pipeline import evaluate as work

    request = agenda.Request(
        plan=plan, models=options.names(models), results=results or agenda.RESULTS, **options.manifest(weights)
    )
    work.tabulate(request, display.choose(), of_published=published)


@main.command()
@options.plan
@options.results
@options.weights
def publish(plan: str, results: Path | None, weights: Path | None) -> None:
    """Compile a driven plan's records and timing into results/published/.

    \b
    Example:
      hotlap publish --plan quick
    """  # noqa: D301
    from pipeline import agenda, display
    from pipeline import evaluate as work

    request = agenda.Request(plan=plan, results=results or agenda.RESULTS, **options.manifest(weights))
    work.publish(request, display.choose())


@main.command()
@options.weights
def models(weights: Path | None) -> None:
    """List the manifest's models and check their artifacts."""
    from pipeline import listing, manifest

    text, wrong = listing.models(weights or manifest.MANIFEST)
    print(text, flush=True)
    if wrong:
        raise InputError(f"{len(wrong)} of the models cannot be driven: {'; '.join(wrong)}")


@main.command()
@click.argument("circuit", nargs=-1, metavar="[NAME|FILE]...")
@click.option("--tag", metavar="TAG", help="Only circuits with this tag: benchmark or training.")
@click.option("--draw", is_flag=True, help="Draw each in the terminal.")
@click.option("--svg", type=click.Path(path_type=Path), metavar="DIR", help="Write a map of each into this folder.")
@click.option("--variants", is_flag=True, help="List the variants instead: any CIRCUIT becomes CIRCUIT+VARIANT.")
def circuits(circuit: tuple[str, ...], tag: str | None, *, draw: bool, svg: Path | None, variants: bool) -> None:
    """List circuits: length, tightest bend, narrowest and widest lane, tags.

    \b
    Examples:
      hotlap circuits --tag benchmark
      hotlap circuits my_track.csv simple+worn generated:17 --draw
    """  # noqa: D301
    from envs import drawing
    from pipeline import listing

    if variants:
        print(listing.variants())
        return
    found = listing.circuits(circuit, tag)
    print(listing.table(found))
    for each in found if draw else ():
        print(f"\n{each.name}\n{drawing.terminal(each)}")
    for file in listing.maps(found, svg) if svg else ():
        print(f"wrote {file}")
