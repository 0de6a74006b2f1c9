"""The Makefile: a dozen one-line targets that document themselves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Makefile").read_text(encoding="utf-8")
RULE = re.compile(r"^(?P<name>[a-z][a-z-]*):(?P<rest>.*)\n(?P<recipe>(?:\t.*\n?)*)", re.MULTILINE)
TARGETS = {match["name"]: match for match in RULE.finditer(TEXT)}


def make(*arguments: str) -> str:
    return subprocess.run(["make", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_help_is_first_and_the_default() -> None:
    assert next(iter(TARGETS)) == "help"
    assert make() == make("help")


def test_help_lists_every_target_and_no_other() -> None:
    listed = [line.split()[1] for line in make("help").splitlines()]
    assert listed == list(TARGETS)


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", TEXT, re.MULTILINE)
    assert phony is not None
    assert phony[1].split() == list(TARGETS)


def test_help_fits_a_terminal() -> None:
    assert max(map(len, make("help").splitlines())) <= 100


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_one_line(name: str) -> None:
    assert TARGETS[name]["recipe"].count("\n\t") == 0
    assert re.search(r"## [A-Z]", TARGETS[name]["rest"])


@pytest.mark.parametrize("target", ["evaluate", "test"])
def test_a_dry_run_needs_nothing_installed(target: str) -> None:
    assert make("--dry-run", target)


def test_overrides_reach_the_command() -> None:
    line = make("--dry-run", "evaluate", "PLAN=ci", "EXECUTOR=local", "RESULTS=elsewhere").splitlines()[-1]
    assert "evaluate --plan ci --executor local --results elsewhere" in line


def test_what_clean_removes_is_ignored_by_git() -> None:
    names = make("--dry-run", "clean").split()[2:]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *(f"{name}/x" for name in names)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert len(ignored) == len(names)
