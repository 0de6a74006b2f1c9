from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from envs.errors import InputError
from pipeline import noise, timing
from tests.pipeline.made import HOST, SHA, calibrator, entry, row
from tests.pipeline.made import timing as made

if TYPE_CHECKING:
    from pathlib import Path


def here(**entries: Any) -> Any:
    return {**made(**entries), "host": timing.this_host()}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record = here(net=entry())
    path = timing.write(tmp_path, record)
    assert path == tmp_path / "timing" / f"{record['host']['id']}.json"
    assert timing.read(path) == record
    assert timing.of_this_host(tmp_path) == record
    timing.write(tmp_path, here(other=entry()))
    assert set(timing.read(path)["models"]) == {"other"}


def test_a_record_of_schema_1_is_read_in_today_s_words(tmp_path: Path) -> None:
    old = here(net=entry())
    path = timing.write(tmp_path, old)
    for gone in ("mode", "peak_memory_bytes"):
        del old["models"]["net"][gone]
    path.write_text(json.dumps({**old, "schema": 1}))
    found = timing.read(path)
    assert found["schema"] == 2
    assert found["models"]["net"]["peak_memory_bytes"] is None
    assert found["models"]["net"]["mode"] == ""


def test_another_mode_is_measured_again(tmp_path: Path) -> None:
    timing.write(tmp_path, here(net=entry(mode="latency")))
    assert timing.unmeasured(tmp_path, [row("net", mode="latency")]) == ()
    assert timing.unmeasured(tmp_path, [row("net", mode="compiled")]) == ("net",)


def test_a_host_without_a_record_has_an_empty_one(tmp_path: Path) -> None:
    assert timing.of_this_host(tmp_path)["models"] == {}
    assert timing.choose(tmp_path) is None


def test_a_host_that_changed_starts_anew(tmp_path: Path) -> None:
    record = here(net=entry())
    record["host"]["kernel"] = "Linux 0.01"
    timing.write(tmp_path, record)
    assert timing.of_this_host(tmp_path)["models"] == {}


def test_a_table_shows_this_host_or_the_one_measured_last(tmp_path: Path) -> None:
    old = made(net=entry(measured_at="2026-01-01T00:00:00+00:00"))
    new = made(net=entry(measured_at="2026-05-01T00:00:00+00:00"))
    timing.write(tmp_path, {**old, "host": {**HOST, "id": "z-old"}})
    timing.write(tmp_path, {**new, "host": {**HOST, "id": "a-new"}})
    chosen = timing.choose(tmp_path)
    assert chosen is not None
    assert chosen["host"]["id"] == "a-new"
    timing.write(tmp_path, here())
    chosen = timing.choose(tmp_path)
    assert chosen is not None
    assert chosen["host"] == timing.this_host()


def test_unmeasured_are_those_without_an_entry_of_this_artifact(tmp_path: Path) -> None:
    timing.write(tmp_path, here(same=entry(), other=entry(artifact_sha256="b" * 64), zero=entry(artifact_sha256=None)))
    rows = [row("same"), row("other"), row("new"), calibrator("zero")]
    rows += [calibrator("sleep"), calibrator("centreline")]
    assert timing.unmeasured(tmp_path, rows) == ("other", "new", "sleep")


def test_the_name_of_the_host_is_not_told() -> None:
    host = timing.this_host()
    assert timing.platform.node() not in json.dumps(host) or not timing.platform.node()
    assert host["cores"] >= 1
    assert host["memory_gib"] > 0.0


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda text: text[:50], "cut off or garbled"),
        (lambda text: text.replace('"schema": 2', '"schema": 9'), "has schema 9"),
        (lambda text: text.replace('"noisy"', '"nosy"'), r"models.net.noisy is missing"),
        (lambda text: text.replace(SHA, "").replace('""', "3"), "artifact_sha256"),
        (lambda _: "[]", "has schema None"),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path: Path, harm: Any, told: str) -> None:
    path = timing.write(tmp_path, here(net=entry()))
    path.write_text(harm(path.read_text()))
    with pytest.raises(InputError, match=told) as caught:
        timing.choose(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "timing").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        timing.write(tmp_path, here())


def test_blocks_that_differ_are_noise() -> None:
    assert noise.block_noise([1.0, 1.05, 1.14]) == []
    assert noise.block_noise([1.0, 1.05, 1.16]) == ["its blocks differ by 1.16x (bound 1.15x)"]
    assert noise.block_noise([1.0]) == []


def test_a_baseline_that_differs_from_itself_is_noise() -> None:
    assert noise.self_noise(1.04) == noise.self_noise(0.96) == []
    assert noise.self_noise(1.06)
    assert noise.self_noise(0.94)


def test_a_sleep_of_the_wrong_length_is_noise() -> None:
    assert noise.sleep_noise(0.005, 0.005, 0.00524) == []
    assert noise.sleep_noise(0.005, 0.0053, 0.005) == ["a sleep of 5.0 ms is timed 6.0 % off (bound 5 %)"]
    assert noise.sleep_noise(0.005, 0.005, 0.0046)


def test_a_busy_host_is_noise() -> None:
    assert noise.busy_noise(0.1) == []
    assert noise.busy_noise(0.5) == ["others used 50 % of the cores before it began"]
    assert 0.0 <= noise.busy_share(0.05) <= 1.0
