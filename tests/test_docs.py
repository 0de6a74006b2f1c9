"""What is documented is true: commands exist and run, links lead somewhere, the README's table is the results'."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest

from envs import circuit, conditions
from pipeline import manifest, plan
from pipeline.readme import block, first_table, with_table

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))

FENCE = re.compile(r"^ *```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")

RUN_ELSEWHERE = {"make test": "CI runs it; here it would run itself"}
SMALL = ["PLAN=ci", "EXECUTOR=local"]


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def in_git(name: str) -> str:
    """A file as it would be committed, nothing where there is none."""
    show = ["git", "show", f":{name}"]
    return subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def commands() -> list[str]:
    """The README's shell commands, in order."""
    blocks = [match["body"] for match in FENCE.finditer(text(README)) if match["language"] == "sh"]
    return [line for body in blocks for line in body.splitlines() if line]


def subcommands() -> list[str]:
    from pipeline.cli import main  # noqa: PLC0415  the other tests need none of what it imports

    return sorted(main.commands)


def examples(page: str) -> list[str]:
    """The TOML examples of a how-to."""
    blocks = [match for match in FENCE.finditer(text(ROOT / "docs" / page)) if match["language"] == "toml"]
    return [textwrap.dedent(match["body"]) for match in blocks]


def anchors(page: Path) -> set[str]:
    """GitHub's names of the headings of a page."""
    headings = re.findall(r"^#+ +(.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(FENCE.sub("", text(page))):
        target, _, anchor = match["target"].partition("#")
        if target.startswith(("http://", "https://")):
            continue
        path = (page.parent / target) if target else page
        assert path.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(path), f"{page.name}: {target} has no heading #{anchor}"


def test_every_how_to_is_in_the_index() -> None:
    index = text(ROOT / "docs" / "README.md")
    assert not [page.name for page in (ROOT / "docs").glob("[!R]*.md") if f"({page.name})" not in index]


def test_every_subcommand_is_documented_and_no_other() -> None:
    pages = "\n".join(map(text, PAGES))
    assert set(re.findall(r"hotlap ([a-z]+)", "\n".join(re.findall(r"`[^`\n]+`", pages)))) == set(subcommands())


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", text(ROOT / "Makefile"), re.MULTILINE))
    code = "\n".join(re.findall(r"`[^`\n]+`", "\n".join(map(text, PAGES))) + commands())
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", code)) <= targets


@pytest.mark.parametrize("example", examples("add-a-circuit.md"))
def test_an_example_of_a_circuit_is_one(example: str) -> None:
    assert circuit.parse(example, "example").length > 100.0


@pytest.mark.parametrize("example", examples("README.md"))
def test_an_example_of_a_plan_is_one(example: str, tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(example, encoding="utf-8")
    assert plan.load(str(path)).scope.seeds == tuple(range(5))


@pytest.mark.parametrize("example", examples("add-a-model.md"))
def test_an_example_of_a_row_is_one(example: str, tmp_path: Path) -> None:
    artifact = tmp_path / "my_model.safetensors"
    artifact.write_bytes((8).to_bytes(8, "little") + b"{}      ")
    path = tmp_path / "manifest.toml"
    path.write_text(example.replace("…", hashlib.sha256(artifact.read_bytes()).hexdigest()), encoding="utf-8")
    assert [row.name for row in manifest.load(path)] == ["my_model"]


def test_every_severity_is_documented_as_it_is() -> None:
    page = text(ROOT / "docs" / "world.md")
    rows = [
        f"| `{each.factor}` | {each.measure} | "
        + " | ".join(", ".join(f"{value:g}" for value in step.values()) for step in each.steps)
        + " |"
        for each in conditions.severities()
    ]
    assert "\n".join(rows) in page
    assert f"frozen as version {conditions.version()}" in page


def test_ci_runs_the_readme_s_test_command() -> None:
    script = text(ROOT / ".ci" / "run")
    for command in RUN_ELSEWHERE:
        assert command in commands()
        assert re.search(rf"^{command} ", script, re.MULTILINE)


def test_the_readme_shows_the_table_of_the_results() -> None:
    """Both as git has them: a run of one's own changes the results page and not the README."""
    readme, results = in_git("README.md"), in_git("results/README.md")
    if not results:
        assert "No results are published yet" in block(readme)
        return
    assert first_table(results)
    assert with_table(readme, results, "results") == readme, "run `make readme`"


@pytest.mark.slow
def test_the_readme_s_commands_run(tmp_path: Path) -> None:
    """In order, as a newcomer would, on the smallest plan and into a folder of its own."""
    for command in commands():
        if command in RUN_ELSEWHERE:
            continue
        words = shlex.split(command)
        if words[0] == "make":
            words += [*SMALL, f"RESULTS={tmp_path}"]
        elif words[1] == "drive":
            words += ["--executor", "local"]
        done = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert first_table(text(tmp_path / "README.md"))
