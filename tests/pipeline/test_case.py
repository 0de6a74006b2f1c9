from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from envs import circuit, conditions
from envs.errors import InputError
from envs.progress import Limits
from pipeline import case, plan
from pipeline.case import Case
from pipeline.manifest import ModelRow

NET = ModelRow("net", "torch", "a network", artifact="net.safetensors", sha256="0" * 64)
OTHER = replace(NET, name="other")
ZERO = ModelRow("zero", "zero", "never steers", calibrator=True)
SCOPE = plan.Scope(("simple",), ("forward", "reverse"), ("nominal",), (0, 1))
PLAN = plan.Plan("mine", Path("mine.toml"), ("*",), SCOPE, {"zero": replace(SCOPE, seeds=(0,))})


def test_ranked_models_come_first_each_over_its_whole_scope() -> None:
    cases = case.expand(PLAN, [ZERO, NET, OTHER])
    assert [found.model for found in cases] == ["net"] * 4 + ["other"] * 4 + ["zero"] * 2
    assert len(set(cases)) == len(cases)
    assert cases[0] == Case("net", "simple", "forward", "nominal", 0, "lockstep")


def test_only_narrows_the_ranked_models_and_keeps_the_calibrators() -> None:
    cases = case.expand(PLAN, [NET, OTHER, ZERO], ["other"])
    assert {found.model for found in cases} == {"other", "zero"}
    assert {found.model for found in case.expand(PLAN, [NET, ZERO], ["zero"])} == {"zero"}


def test_a_plan_leaves_models_out_unless_the_user_names_them() -> None:
    without = replace(PLAN, without=("o*", "nothing-like-it"))
    assert {found.model for found in case.expand(without, [NET, OTHER, ZERO])} == {"net", "zero"}
    assert {found.model for found in case.expand(without, [NET, OTHER, ZERO], ["other"])} == {"other", "zero"}


def test_a_model_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'net'"):
        case.expand(replace(PLAN, models=("nett",)), [NET, ZERO])
    with pytest.raises(InputError, match="did you mean 'net'"):
        case.expand(PLAN, [NET, ZERO], ["nett"])
    with pytest.raises(InputError, match="not in the plan"):
        case.expand(replace(PLAN, models=("net",)), [NET, OTHER], ["other"])


def test_a_resolved_case_holds_all_that_a_job_and_a_record_need() -> None:
    resolver = case.Resolver([NET], Limits(stall_s=4.0))
    found = resolver.resolve(Case("net", "simple", "reverse", "varied", 3))
    road = circuit.load("simple")
    assert found.conditions == conditions.draw("varied", 3, "simple", "reverse")
    assert found.facts["circuit_digest"] == road.digest
    assert found.facts["lap_m"] == road.length
    job = found.job_case("k")
    assert job["limits"]["stall_s"] == 4.0
    assert circuit.read(circuit.Source(**job["circuit"])).digest == road.digest
    assert json.loads(json.dumps(job)) == job
    assert json.loads(json.dumps(found.facts)) == found.facts


@pytest.mark.parametrize("name", ["simple+narrow", "generated:3:1000", "generated:3:1000+wall+worn"])
def test_a_job_carries_any_circuit_whole(name: str) -> None:
    found = case.Resolver([NET], Limits()).resolve(Case("net", name, "reverse"))
    job = json.loads(json.dumps(found.job_case("k")))
    again = circuit.read(circuit.Source(**job["circuit"])).facing(job["direction"])
    assert again.digest == circuit.load(name).reversed().digest
    assert (again.name, again.markings) == (name, found.circuit.markings)
    assert found.facts["circuit"] == name
    assert found.facts["width_m"] == again.width
    assert name in str(found.case)


def test_two_circuits_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "simple.toml"
    path.write_text(circuit.load("simple").source.text)
    resolver = case.Resolver([NET], Limits())
    resolver.resolve(Case("net", "simple"))
    with pytest.raises(InputError, match="rename the file"):
        resolver.resolve(Case("net", str(path)))
