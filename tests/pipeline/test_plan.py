from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from envs import conditions, variants
from envs.errors import InputError
from envs.progress import Limits
from pipeline import plan

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
models = ["*"]
circuits = ["simple"]
directions = ["forward", "reverse"]
conditions = ["nominal"]
seeds = 3
"""


def write(folder: Path, text: str = GOOD) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def refused(path: str) -> str:
    with pytest.raises(InputError) as error:
        plan.load(path)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_plan_says_what_to_drive(tmp_path: Path) -> None:
    found = plan.load(write(tmp_path))
    assert (found.name, found.models, found.clock) == ("mine", ("*",), "lockstep")
    assert found.scope == plan.Scope(("simple",), ("forward", "reverse"), ("nominal",), (0, 1, 2))
    assert found.limits == Limits()


def test_a_calibrator_drives_what_models_do_but_for_what_its_table_says(tmp_path: Path) -> None:
    found = plan.load(write(tmp_path, GOOD + '[calibrators.sleep]\nseeds = [7]\ndirections = ["forward"]\n'))
    assert found.calibrators["centreline"] == found.scope
    assert found.calibrators["sleep"] == plan.Scope(("simple",), ("forward",), ("nominal",), (7,))


def test_limits_are_the_judge_s(tmp_path: Path) -> None:
    found = plan.load(write(tmp_path, GOOD + "[limits]\nstall_s = 3\n"))
    assert found.limits == Limits(stall_s=3.0)


def test_a_circuit_file_lies_beside_the_plan(tmp_path: Path) -> None:
    found = plan.load(write(tmp_path, GOOD.replace('"simple"', '"track.toml"')))
    assert found.scope.circuits == (str(tmp_path / "track.toml"),)


@pytest.mark.parametrize("name", plan.names())
def test_the_plans_of_the_package_are_good_and_drive_every_calibrator(name: str) -> None:
    found = plan.load(name)
    assert found.name == name
    assert set(found.calibrators) == set(plan.CALIBRATORS)
    assert found.calibrators["sleep"].circuits == ("simple",)


def test_the_plans_of_the_package_are_these() -> None:
    assert plan.names() == ("ci", "compare", "full", "quick", "severities", "variants")


def test_the_plans_of_severities_and_variants_leave_none_out() -> None:
    known = set(conditions.names()) - {"varied", "training"}
    assert set(plan.load("severities").scope.conditions) == known
    assert set(plan.load("variants").scope.circuits) == {"montreal", *(f"montreal+{name}" for name in variants.names())}


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (('"simple"', '"simpel"'), 2, "name one of simple"),
        (('"reverse"', '"backward"'), 3, "backward"),
        (('"nominal"', '"nominall"'), 4, "did you mean 'nominal'?"),
        (("seeds = 3", "seeds = 0"), 5, "seeds is 0"),
        (("seeds = 3", "seeds = [1, 1]"), 5, "different seeds"),
        (("seeds = 3", "seeds = [-1]"), 5, "different seeds"),
        (("seeds = 3", "seeds = true"), 5, "seeds is True"),
        (("seeds = 3", "sedes = 3"), 5, "did you mean 'seeds'?"),
        (('circuits = ["simple"]', "circuits = []"), 2, "name at least one"),
        (('"reverse"', '"forward"'), 3, "twice"),
        (('["simple"]', '"simple"'), 2, "must be a list"),
        (("seeds = 3", 'seeds = 3\nclock = "replayy"'), 6, "replayy"),
        (("seeds = 3", "seeds = 3\n[limits]\nstall = 3"), 7, "did you mean 'stall_"),
        (("seeds = 3", "seeds = 3\n[limits]\nstall_s = 0"), 7, "more than 0"),
        (("seeds = 3", "seeds = 3\n[limits]\nstall_s = nan"), 7, "more than 0"),
        (("seeds = 3", "seeds = 3\n[calibrators.slep]"), 6, "did you mean 'sleep'?"),
        (("seeds = 3", 'seeds = 3\n[calibrators.zero]\nmodels = ["x"]'), 7, "unknown key 'models'"),
        (("seeds = 3", "seeds = 3\n[calibrators.zero]\nseeds = 0"), 7, "seeds is 0"),
    ],
)
def test_an_unknown_word_is_refused_by_its_line(tmp_path: Path, change: tuple[str, str], line: int, says: str) -> None:
    path = write(tmp_path, GOOD.replace(*change))
    text = refused(path)
    assert says in text
    assert text.startswith(f"{path}:{line}: ")


@pytest.mark.parametrize("key", ["models", "circuits", "directions", "conditions", "seeds"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(key))
    assert f"lacks the key {key!r}" in refused(write(tmp_path, text))


def test_a_plan_that_is_not_there_is_answered_with_the_nearest() -> None:
    assert "did you mean 'quick'?" in refused("quik")
    assert "cannot be read" in refused("./quik.toml")
