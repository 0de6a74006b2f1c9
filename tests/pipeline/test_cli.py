from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from rich.console import Console

from envs import track_generator, variants
from envs.errors import HarnessError, InputError, InvalidRunError
from pipeline import display, evaluate, executors, listing, manifest, measure, record, single, timing
from pipeline.case import Case
from pipeline.cli import main
from pipeline.executors.local import LocalExecutor
from pipeline.training import __main__ as training
from tests.pipeline.made import entry

if TYPE_CHECKING:
    from click.testing import Result

ROOT = manifest.ROOT
COMMANDS = ("check", "circuits", "drive", "evaluate", "measure", "models", "optimize", "publish", "table", "train")


def hotlap(*words: str) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="hotlap")


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions run here, each role in this interpreter."""
    found = LocalExecutor(lambda _: Path(sys.executable))
    monkeypatch.setattr(executors, "choose", lambda _: (found, "executor local"))


def test_the_help_teaches() -> None:
    text = hotlap("--help").output
    assert all(command in text for command in COMMANDS)
    assert "hotlap evaluate --plan full" in text
    for code in ("0", "1", "2", "3", "4", "130"):
        assert re.search(rf"^\s+{code}\s+\S", text, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = hotlap(command, "--help")
    assert done.exit_code == 0
    assert done.output.startswith("Usage: hotlap")
    assert set(main.commands) == set(COMMANDS)


def test_the_version_is_the_project_s() -> None:
    assert re.fullmatch(r"hotlap \d+\.\d+\.\d+\n", hotlap("--version").output)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("drive",), 2, "--model"),
        (("evaluat",), 2, "No such command"),
        (("evaluate", "--executor", "ssh"), 2, "ssh"),
        (("evaluate", "--workers", "0"), 2, "workers"),
        (("evaluate", "--plan", "quik"), 3, "hotlap: error: there is no plan 'quik'; did you mean 'quick'?"),
        (("evaluate", "--weights", "none.toml"), 3, "none.toml"),
        (("evaluate", "--plan", "ci", "--models", "nett"), 3, "there is no model 'nett'"),
        (("drive", "--model", "centrelin"), 3, "did you mean 'centreline'?"),
        (("drive", "--model", "zero", "--circuit", "simpel"), 3, "simple"),
        (("drive", "--model", "zero", "--circuit", "none.toml"), 3, "none.toml"),
        (("drive", "--model", "zero", "--circuit", "simple+wron"), 3, "name one of worn"),
        (("drive", "--model", "zero", "--circuit", "generated:x"), 3, "names no generated circuit"),
        (("drive", "--model", "zero", "--conditions", "nominall"), 3, "did you mean 'nominal'?"),
        (("circuits", "--tag", "trainig"), 3, "did you mean 'training'?"),
    ],
)
def test_what_is_wrong_is_one_line_and_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, says: str
) -> None:
    monkeypatch.setattr(executors, "choose", lambda _: pytest.fail("an executor was chosen"))
    if words[0] == "evaluate":
        words = (*words, "--results", str(tmp_path))
    done = hotlap(*words)
    assert done.exit_code == code
    assert says in done.stderr
    if code == 3:
        assert done.stderr.startswith("hotlap: error: ")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InvalidRunError("zero\nwrong"), 1, "hotlap: error: zero wrong\n"),
        (InputError("x"), 3, "hotlap: error: x\n"),
        (HarnessError("x"), 4, "hotlap: error: x\n"),
        (evaluate.StoppedError("stopped; 1 of 2"), 130, "hotlap: stopped; 1 of 2\n"),
        (KeyboardInterrupt(), 130, "hotlap: stopped\n"),
    ],
)
def test_errors_become_a_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(evaluate, "evaluate", fail)
    done = hotlap("evaluate")
    assert done.exit_code == code
    assert done.stderr.endswith(line)
    assert "Traceback" not in done.stderr


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(evaluate, "evaluate", fail)
    assert isinstance(hotlap("evaluate").exception, ZeroDivisionError)


def test_models_lists_every_row_and_checks_its_file() -> None:
    done = hotlap("models")
    assert done.exit_code == 0
    assert all(row.name in done.output for row in manifest.parse())


def test_models_says_which_artifact_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(
        '[[model]]\nname = "net"\nruntime = "torch"\nartifact = "net.safetensors"\nprecision = "fp32"\n'
        f'sha256 = "{"0" * 64}"\nhow = "hotlap train"\ndescription = "d"\n'
    )
    done = hotlap("models", "--weights", str(path))
    assert done.exit_code == 3
    assert "wrong" in done.output
    assert "make it with: hotlap train" in done.stderr


def test_measure_leaves_out_what_is_timed_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in manifest.parse() if timing.is_timed(row)]
    entries = {row.name: entry(artifact_sha256=row.sha256, device=row.device, mode=row.mode) for row in rows}
    asked: list[tuple[str, ...]] = []

    def run(*_: object, names: tuple[str, ...]) -> str:
        asked.append(names)
        return "path"

    monkeypatch.setattr(executors, "choose", lambda _: (LocalExecutor(), "executor local"))
    monkeypatch.setattr(measure, "run", run)
    monkeypatch.setattr(manifest, "load", lambda _: tuple(rows))
    record: Any = {"schema": timing.SCHEMA, "host": timing.this_host(), "models": entries}
    timing.write(tmp_path, record)
    done = hotlap("measure", "--results", str(tmp_path))
    assert done.output == "every model is timed on this host; name models or say --all to time them again\n"
    hotlap("measure", "--results", str(tmp_path), "--all")
    hotlap("measure", "--results", str(tmp_path), "--models", "pilotnet")
    del entries["zero"]
    timing.write(tmp_path, record)
    hotlap("measure", "--results", str(tmp_path))
    assert asked == [(), ("pilotnet",), ("zero",)]


def test_circuits_lists_them_by_tag() -> None:
    assert "train_1" in hotlap("circuits").output
    text = listing.table(listing.circuits((), "benchmark"))
    assert "simple" in text
    assert "train_1" not in text


def test_circuits_lists_and_draws_what_is_named(tmp_path: Path) -> None:
    track = tmp_path / "wide.csv"
    rows = [(30.0 * math.cos(0.2 * i), 30.0 * math.sin(0.2 * i), 4.0 + 0.1 * i, 40.0) for i in range(31)]
    track.write_text("".join(f"{x}, {y}, {right}, {left}\n" for x, y, right, left in rows))
    done = hotlap("circuits", str(track), "simple+worn", "--draw", "--svg", str(tmp_path / "maps"))
    assert done.exit_code == 0, done.output
    assert re.search(r"^wide +1[89]\d +\d\d\.\d +3\d\.\d-3\d\.\d", done.output, re.MULTILINE)
    assert re.search(r"^simple\+worn +\d+ ", done.output, re.MULTILINE)
    assert "wide: narrowed along" in done.output
    assert done.output.count("start, driven forward") == 2
    for name in ("wide", "simple+worn"):
        assert ET.parse(tmp_path / "maps" / f"{name}.svg").getroot().tag.endswith("svg")  # noqa: S314 - it is ours


def test_variants_are_listed() -> None:
    text = hotlap("circuits", "--variants").output
    assert all(re.search(rf"^{name} +\S", text, re.MULTILINE) for name in variants.names())


def test_driving_one_case_tells_all_and_writes_nothing(local: None, tmp_path: Path) -> None:
    done = hotlap("drive", "--model", "zero", "--results", str(tmp_path / "results"))
    assert done.exit_code == 0, done.output
    assert re.search(r"^outcome +left_lane$", done.output, re.MULTILINE)
    assert re.search(r"^average speed \(m/s\) +\d", done.output, re.MULTILINE)
    assert "\x1b" not in done.output
    assert not (tmp_path / "results").exists()


def test_keeping_writes_a_record_and_its_trace(local: None, tmp_path: Path) -> None:
    for attempt in (1, 2):
        done = hotlap("drive", "--model", "zero", "--keep", "--results", str(tmp_path))
        assert done.exit_code == 0, done.output
        assert len(record.read_all(tmp_path / "records")) == attempt
    first, second = record.read_all(tmp_path / "records")
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["facts"]["trajectory_sha256"] == second["facts"]["trajectory_sha256"]
    assert len(list((tmp_path / "traces").glob("*.npz"))) == 2


def test_a_circuit_file_can_be_driven(local: None, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((ROOT / "envs" / "circuits" / "simple.toml").read_text())
    done = hotlap("drive", "--model", "zero", "--circuit", str(path), "--direction", "reverse")
    assert done.exit_code == 0, done.output
    assert "zero mine reverse" in done.output


def test_a_centreline_csv_under_a_variant_can_be_driven(local: None, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(track_generator.generate(3, 1000.0))
    done = hotlap("drive", "--model", "zero", "--circuit", f"{path}+worn")
    assert done.exit_code == 0, done.output
    assert "zero mine+worn forward" in done.output


def test_a_harness_error_in_a_drive_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(LocalExecutor):
        def run(self, *_: Any) -> Any:
            raise HarnessError("the daemon is gone")

    found = Broken(lambda _: Path(sys.executable))
    monkeypatch.setattr(executors, "choose", lambda _: (found, "executor broken"))
    done = hotlap("drive", "--model", "zero")
    assert done.exit_code == 4
    assert "the daemon is gone" in done.stderr


def test_on_a_terminal_a_bar_moves_and_goes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    live = display.Live()
    stream = io.StringIO()
    options: dict[str, Any] = {"markup": False, "highlight": False, "width": 100, "_environ": {"TERM": "xterm"}}
    console = Console(file=stream, force_terminal=True, **options)
    monkeypatch.setattr(live, "_console", console)
    live.progress(Case("zero", "simple"), 0.1)  # before it began: nothing to move
    live.begin(0, 2)
    live.progress(Case("zero", "simple"), 0.5)
    live.say("[red] is a word here")
    live.end()
    live.end()
    assert "zero simple forward nominal seed 0" in stream.getvalue()
    assert "[red] is a word here" in stream.getvalue()


def test_the_command_line_loads_no_simulator_and_no_framework() -> None:
    """The host's environment has none of them, and a run with nothing to do must not wait for any."""
    program = (
        "import sys; import pipeline.cli, pipeline.evaluate, pipeline.single, pipeline.listing, pipeline.interpreters;"
        "print(sorted({'pybullet', 'cv2', 'gymnasium', 'torch', 'docker', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_is_done_by_its_own_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pipeline import interpreters  # noqa: PLC0415

    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/words"\nexit 3\n')
    fake.chmod(0o755)
    monkeypatch.setattr(interpreters, "ensure", lambda role: {"train": fake}[role])
    options = ["--seed", "2", "--minutes", "3.0", "--out", str(tmp_path), "--smoke"]
    assert hotlap("train", *options).exit_code == 3
    words = (tmp_path / "words").read_text().split()
    assert words == ["-m", "pipeline.training", *options]
    asked = training.parse(options)
    assert (asked.seed, asked.minutes, asked.out, asked.smoke) == (2, 3.0, tmp_path, True)


def test_a_summary_has_a_reason_for_each_missing_value() -> None:
    from pipeline.drive import no_episode  # noqa: PLC0415

    facts = no_episode("driver_error", "gone", 449.0)
    made: Any = {"facts": facts, "case": {"circuit": "simple", "direction": "forward"}}
    told = dict(single.summary(made))
    assert told["reason"] == "gone"
    assert told["average speed (m/s)"].startswith("none: ")
