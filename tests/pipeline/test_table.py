from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from envs.errors import InputError
from pipeline import behaviour, published, table
from pipeline.markdown import escape
from pipeline.metrics import METRICS, Value
from pipeline.readme import first_table
from pipeline.standing import FORMATS, figure
from tests.pipeline.made import artifact, calibrator, case, entry, record, row, summary, timing

if TYPE_CHECKING:
    from pathlib import Path

CIRCUITS = ("simple", "montreal")


def run(*, timed: bool = False) -> table.Run:
    """Three models: one that completes all well, one that completes all less well, one that fails a third."""
    rows = [row("good"), row("fair"), row("poor"), calibrator("centreline"), calibrator("zero")]
    cases = [case(one.name, seed, circuit) for one in rows for circuit in CIRCUITS for seed in range(3)]
    offsets = {"good": 0.1, "fair": 0.2, "poor": 0.05, "centreline": 0.01, "zero": 0.5}
    records = []
    for one in cases:
        fails = one.model == "zero" or (one.model == "poor" and one.seed == 2)
        records.append(record(one, "left_lane" if fails else "completed", offset=offsets[one.model]))
    entries = timing(good=entry(0.001), fair=entry(0.0004)) if timed else None
    return table.Run("quick", tuple(rows), tuple(cases), tuple(records), entries)


def cells(page: str, model: str, number: int = 0) -> dict[str, str]:
    """The row of `model` in the table number `number` of the page, by its headings."""
    tables: list[list[list[str]]] = []
    inside = False
    for line in page.splitlines():
        if line.startswith("|"):
            if not inside:
                tables.append([])
            tables[-1].append([part.strip() for part in line.strip("|").split(" |")])
        inside = line.startswith("|")
    headings, *rows = tables[number]
    return dict(zip(headings, next(found for found in rows if found[0] == model), strict=True))


def test_the_first_table_has_the_columns_of_the_study(tmp_path: Path) -> None:
    page = table.write(tmp_path, run(timed=True)).read_text()
    assert [part.strip() for part in first_table(page).splitlines()[0].strip("|").split("|")] == [
        "model",
        "strategy",
        "runtime",
        "completed",
        "95 % interval",
        "average speed (m/s)",
        "position deviation MAE (m)",
        "brain iteration frequency RT (Hz)",
        "mean inference time (s)",
        "real time factor",
        "inference time / FP32 eager",
        "size (MB)",
        "offline MSE",
    ]
    good = cells(page, "good")
    assert good["completed"] == "6/6"
    assert good["95 % interval"] == "61.0 to 100.0 %"
    assert good["average speed (m/s)"] == "**10.00**"
    assert good["position deviation MAE (m)"] == "**0.100**"
    assert good["brain iteration frequency RT (Hz)"] == "800.0"
    assert good["mean inference time (s)"] == "0.001000"
    assert good["real time factor"] == "**20.0**"


def test_rows_are_sorted_by_completions_then_deviation_and_a_failure_keeps_its_row() -> None:
    page = table.page(run())
    first = [line.split("|")[1].strip() for line in first_table(page).splitlines()[2:]]
    assert first == ["good", "fair", "poor"]
    assert cells(page, "poor")["completed"] == "4/6"
    assert "| poor" in page
    assert "2 left_lane" in page


def test_best_values_are_bold_only_among_models_that_completed_all() -> None:
    section = table.behaviour_section(run())
    assert cells(section, "poor")["position deviation MAE (m)"] == "0.050"
    assert cells(section, "good")["position deviation MAE (m)"] == "**0.100**"
    assert cells(section, "fair")["position deviation MAE (m)"] == "0.200"
    assert cells(section, "poor")["average speed (m/s)"] == "8.00"


def test_one_model_alone_is_not_the_best_of_anything() -> None:
    whole = run()
    alone = dataclasses.replace(whole, rows=(whole.rows[0],), cases=whole.cases[:6], records=whole.records[:6])
    assert not [line for line in table.behaviour_section(alone).splitlines() if line.startswith("|") and "**" in line]


def test_shared_cases_leave_out_what_one_model_did_not_complete() -> None:
    whole = run()
    records = [
        record(case("good", one["case"]["seed"], one["case"]["circuit"]), offset=0.1 * (1 + one["case"]["seed"]))
        if one["case"]["model"] == "good"
        else one
        for one in whole.records
    ]
    section = table.behaviour_section(dataclasses.replace(whole, records=tuple(records)))
    assert cells(section, "good")["position deviation MAE (m)"] == "**0.200**"
    assert cells(section, "good")["position deviation MAE, shared cases (m)"] == "**0.150**"


def test_calibrators_stand_apart_with_their_verdict() -> None:
    section = table.behaviour_section(run())
    assert cells(section, "centreline", -1)["verdict"] == "as expected"
    assert cells(section, "zero", -1)["verdict"] == "as expected"
    assert table.invalid(run()) == ()
    assert "zero" not in first_table(section)


def test_a_wrong_calibrator_makes_the_run_invalid() -> None:
    whole = run()
    records = tuple(record(case("zero")) if one["case"]["model"] == "zero" else one for one in whole.records)
    wrong = dataclasses.replace(whole, records=records)
    assert table.invalid(wrong) == ("calibrator zero: wrong: must complete no case, but 6 completed",)
    assert "**This run is invalid:** calibrator zero" in table.page(wrong)
    assert "**wrong: must complete no case, but 6 completed**" in table.behaviour_section(wrong)


def test_a_run_without_calibrators_is_not_believed() -> None:
    whole = run()
    alone = dataclasses.replace(whole, rows=whole.rows[:3], cases=whole.cases[:18], records=whole.records[:18])
    assert table.invalid(alone) == (
        "no calibrator centreline among the models: nothing tells whether the world can be trusted; add its row",
        "no calibrator zero among the models: nothing tells whether the world can be trusted; add its row",
    )


def test_harness_errors_leave_the_count_and_mark_the_row() -> None:
    whole = run()
    records = [record(case("good", 0), "harness_error", facts={"reason": "Docker went away"}), *whole.records[1:]]
    broken = dataclasses.replace(whole, records=tuple(records))
    good = cells(table.page(broken), "good")
    assert good["completed"] == "5/5 (incomplete: 1 harness error)"
    assert "**" not in good["average speed (m/s)"]
    assert table.invalid(broken) == ("model good: 1 of 6 cases ended in a harness error",)
    assert "Docker went away" not in table.behaviour_section(broken)


def test_cases_not_driven_mark_the_row_and_are_no_failures() -> None:
    whole = run()
    part = dataclasses.replace(whole, records=whole.records[2:])
    assert cells(table.page(part), "good")["completed"] == "4/4 (incomplete: 2 not driven)"
    assert table.invalid(part) == ()
    none = dataclasses.replace(whole, records=())
    assert cells(table.page(none), "good")["completed"] == "none driven (incomplete: 6 not driven)"
    assert cells(table.page(none), "good")["average speed (m/s)"] == "- (no case driven)"


def test_the_behaviour_section_is_the_same_bytes_from_the_same_driving() -> None:
    whole = run()
    records = list(whole.records)
    records = records[7:] + records[:7][::-1]
    moved = [
        {
            **one,
            "attempt": 3,
            "facts": {**one["facts"], "wall_s": 77.0, "latency": {"round_trip_us": {"n": 1}}},
            "provenance": {**one["provenance"], "cpu": "Other", "executor": "docker", "started_at": "2030-01-01"},
        }
        for one in records
    ]
    other = dataclasses.replace(whole, records=tuple(moved), timing=timing(good=entry(9.0)))  # type: ignore[arg-type]
    assert table.behaviour_section(other) == table.behaviour_section(whole)
    page = table.page(other)
    assert table.behaviour_section(whole) in page
    assert page.count(behaviour.BEGIN) == page.count(behaviour.END) == 1


def test_timing_names_its_host_and_says_what_is_not_measured(tmp_path: Path) -> None:
    page = table.write(tmp_path, run(timed=True)).read_text()
    assert "`chip-2-abc123`" in page
    timed = page[page.index("## Timing") :]
    assert cells(timed, "fair")["inference time / FP32 eager"] == "**0.40**"
    assert cells(timed, "fair")["runtime"] == "torch 2.13.0 fp32 cpu"
    assert cells(timed, "poor")["mean inference time (s)"] == "- (not measured)"
    assert cells(timed, "good")["noise"] == "quiet"
    assert cells(timed, "good")["that MSE"] == "the manifest has none"
    assert cells(timed, "poor")["that MSE"] == "-"


def test_timing_of_another_artifact_is_not_shown() -> None:
    whole = dataclasses.replace(run(), timing=timing(good=entry(artifact_sha256="b" * 64)))
    assert cells(table.page(whole), "good")["mean inference time (s)"] == "- (not measured since the artifact changed)"


def test_noise_is_flagged_where_it_is_read() -> None:
    whole = dataclasses.replace(run(), timing=timing(good=entry(noisy=["its blocks differ by 1.50x"])))
    page = table.page(whole)
    assert cells(page, "good")["mean inference time (s)"] == "0.001000 (noisy)"
    assert "its blocks differ by 1.50x" in page[page.index("## Timing") :]


def test_a_model_that_could_not_be_timed_says_why() -> None:
    whole = dataclasses.replace(run(), timing=timing(good=entry(failed="model good: driver_error: boom")))
    assert cells(table.page(whole), "good")["mean inference time (s)"] == "- (model good: driver_error: boom)"


def test_the_page_reproduces_itself() -> None:
    page = table.page(run())
    assert f"git checkout {'c' * 40}" in page
    assert "hotlap evaluate --plan quick --executor local" in page
    assert "numpy 2.4.6" in page


def test_the_circuits_stand_side_by_side() -> None:
    section = table.behaviour_section(run())
    assert cells(section, "poor", 1) == {"model": "poor", "montreal": "2/3, 0.050", "simple": "2/3, 0.050"}


def test_the_size_is_that_of_the_saved_file(tmp_path: Path) -> None:
    one = row("net", artifact=artifact(tmp_path), folder=tmp_path, parameters=252_230, offline_mse=0.0123456)
    whole = table.Run("quick", (one,), (case("net"),), (record(case("net")),))
    found = cells(table.behaviour_section(whole), "net")
    assert (found["size (MB)"], found["parameters"], found["offline MSE"]) == ("1.015", "252,230", "0.01235")


def test_reasons_cannot_break_out_of_their_cell_or_carry_local_paths() -> None:
    told = "said | <b>this</b> [link](x)\nat /tmp/hotlap-x1/0.sock"
    bad = record(case("net"), "driver_error", facts={"reason": told})
    section = table.behaviour_section(table.Run("quick", (row("net"),), (case("net"),), (bad,)))
    assert r"said \| \<b\>this\</b\> \[link\](x) at ..." in section
    assert escape("a|b\\c") == r"a\|b\\c"


def test_a_plan_of_nothing_makes_a_page() -> None:
    assert "No model of the plan" in table.page(table.Run("quick", (), (), ()))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        table.write(tmp_path / "file" / "results", run())


def test_every_metric_can_be_printed() -> None:
    assert set(FORMATS) == set(METRICS) - {"completions"}
    assert figure("deviation_score", Value(1.5e9)) == "1.500e+09"
    assert figure("parameters", Value(25_000_000.0)) == "25,000,000"


def test_the_page_rebuilds_from_what_is_published(tmp_path: Path) -> None:
    whole = run(timed=True)
    files = published.write(tmp_path / "published", whole.records, whole.timing)  # type: ignore[arg-type]
    bytes_before = files[0].read_bytes()
    found = published.read(tmp_path / "published")
    chosen = published.select(found.records, whole.cases, whole.rows)
    again = dataclasses.replace(whole, records=chosen, timing=found.timing)
    assert table.page(again) == table.page(whole)
    published.write(tmp_path / "published", reversed(whole.records), None)
    assert files[0].read_bytes() == bytes_before
    assert files[1].is_file()


def test_published_records_of_other_plans_are_left_out() -> None:
    whole = run()
    assert published.select(whole.records, whole.cases[:2], whole.rows) == whole.records[:2]


def test_published_records_of_another_artifact_are_left_out() -> None:
    whole = run()
    changed = [dataclasses.replace(row, sha256="0" * 64) for row in whole.rows]
    assert published.select(whole.records, whole.cases, changed) == ()


@pytest.mark.parametrize("harm", [lambda text: text[:-20], lambda text: text.replace('"outcome"', '"outcame"')])
def test_a_garbled_line_is_named(tmp_path: Path, harm: Any) -> None:
    whole = run()
    path = published.write(tmp_path, whole.records[:2], None)[0]
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{harm(second)}\n")
    with pytest.raises(InputError, match=r"records.jsonl:2: "):
        published.read(tmp_path)


def test_nothing_published_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        published.read(tmp_path)


def test_a_refused_model_keeps_its_row_with_the_reason() -> None:
    made_run = dataclasses.replace(run(), checks={"good": {"refused": ["parity: 0.3 | too far"], "claims": {}}})  # type: ignore[dict-item]
    page = table.page(made_run)
    good = cells(page, "good")
    assert good["completed"] == "refused (parity: 0.3 \\| too far)"
    assert (good["95 % interval"], good["average speed (m/s)"]) == ("-", "- (no case driven)")
    assert [line.split("|")[1].strip() for line in first_table(page).splitlines()[2:]] == ["fair", "poor", "good"]


def test_the_plot_lies_beside_the_page_where_something_was_timed(tmp_path: Path) -> None:
    assert f"]({table.PLOT})" in table.write(tmp_path, run(timed=True)).read_text()
    assert (tmp_path / table.PLOT).read_bytes().startswith(b"<?xml")
    assert table.PLOT not in table.write(tmp_path, run()).read_text()
    assert not (tmp_path / table.PLOT).exists(), "a plot of what is no longer timed"


def test_models_stand_beside_the_baseline_case_by_case() -> None:
    page = table.page(dataclasses.replace(run(), baseline="good"))
    paired = page[page.index("### Against the baseline, case by case") :]
    assert "Baseline: good." in paired
    poor = cells(paired, "poor")
    assert [poor[name] for name in ("cases", "lost", "gained", "p", "deviation / baseline's")] == [
        *("6", "2", "0", "0.500", "0.50")
    ]
    assert "good" not in [line.split("|")[1].strip() for line in first_table(paired).splitlines()]
    assert "case by case" not in table.page(run()), "there is no baseline"
    assert cells(page, "good")["strategy"] == "none: the baseline"
    assert cells(page, "fair")["strategy"] == "-"


def test_the_section_on_artifacts_has_what_is_known_and_says_why_the_rest_is_not(tmp_path: Path) -> None:
    facts = {"parameters": 1000, "zeros": 300, "rounded_zeros": 20, "operations": 2_500_000, "mode": "torchscript"}
    one = row("net", artifact=artifact(tmp_path), folder=tmp_path, precision="int8", **facts)
    claims = {"runtime": "torch", "runtime_version": "2.13.0+cpu", "precision": "int8", "device": "cpu"}
    check: Any = {"refused": [], "claims": {**claims, "provider": "onednn"}, "parity": 0.0051}
    check |= {"baseline_distance": None, "baseline_distance_reason": "the manifest has no baseline"}
    times = timing(net=entry(0.0005, mode="torchscript", inference={**summary(0.0005), "n": 500}))
    page = table.page(table.Run("quick", (one,), (case("net"),), (record(case("net")),), times, checks={"net": check}))
    found = cells(page[page.index("## Artifacts") :], "net")
    assert found == {
        "model": "net",
        "runtime": "torch 2.13.0+cpu int8 cpu torchscript",
        "kernels": "onednn",
        "size (MB)": "1.015",
        "parameters": "1,000",
        "zeros (%)": "30.0",
        "zeros by rounding (%)": "2.0",
        "multiply-adds (M)": "2.50",
        "offline MSE": "- (not in the manifest)",
        "parity, max": "5.1e-03",
        "distance to the baseline, RMS": "- (the manifest has no baseline)",
        "peak memory (MB)": "200.0",
        "inference p50 (s)": "0.000500",
        "inference p95 (s)": "0.000550",
        "inference p99 (s)": "- (500 samples are too few for p99)",
        "inference time / FP32 eager": "0.50",
    }


def test_a_model_that_was_not_checked_says_what_was_asked_for() -> None:
    found = cells(table.page(run()), "good")
    assert found["runtime"] == "torch fp32 cpu (asked for)"
