from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipeline.executors import memory
from pipeline.executors.base import DriverEnd, Session
from tests.pipeline import sessions

if TYPE_CHECKING:
    from pathlib import Path


def process(proc: Path, cgroup: str = "0::/docker/abc\n", status: str = "Name:\tpython\nVmHWM:\t    2048 kB\n") -> Path:
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "status").write_text(status)
    (proc / "7" / "cgroup").write_text(cgroup)
    return proc


def test_the_high_water_mark_of_a_process(tmp_path: Path) -> None:
    proc = process(tmp_path)
    assert memory.of_process(7, proc) == 2048 * 1024
    assert memory.of_process(8, proc) is None
    assert (memory.of_process(os.getpid()) or 0) > 1_000_000


def test_a_process_that_has_ended_has_no_mark(tmp_path: Path) -> None:
    assert memory.of_process(7, process(tmp_path, status="Name:\tpython\nState:\tZ (zombie)\n")) is None


def test_the_peak_of_a_control_group_of_either_version(tmp_path: Path) -> None:
    second = tmp_path / "groups" / "docker" / "abc"
    second.mkdir(parents=True)
    (second / "memory.peak").write_text("3000000\n")
    assert memory.of_group(7, process(tmp_path / "v2"), tmp_path / "groups") == 3_000_000
    first = tmp_path / "groups" / "memory" / "docker" / "abc"
    first.mkdir(parents=True)
    (first / "memory.max_usage_in_bytes").write_text("4000000\n")
    proc = process(tmp_path / "v1", "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n")
    assert memory.of_group(7, proc, tmp_path / "groups") == 4_000_000


def test_a_control_group_that_cannot_be_seen_is_no_value(tmp_path: Path) -> None:
    (tmp_path / "groups").mkdir()
    (tmp_path / "groups" / "memory.peak").write_text("9000000\n")
    assert memory.of_group(7, process(tmp_path / "a"), tmp_path / "groups") is None
    root = process(tmp_path / "b", "0::/\n")
    assert memory.of_group(7, root, tmp_path / "groups") is None, "the root's peak is the whole host's"
    assert memory.of_group(9, root, tmp_path / "groups") is None


def test_the_daemon_s_statistics() -> None:
    assert memory.of_stats({"memory_stats": {"usage": 5, "max_usage": 9}}) == 9
    assert memory.of_stats({"memory_stats": {"usage": 5}}) == 5
    assert memory.of_stats({"memory_stats": {}}) is None
    assert memory.of_stats({}) is None


def test_the_larger_of_what_is_known() -> None:
    assert memory.larger(3, 5) == 5
    assert memory.larger(None, 5) == 5
    assert memory.larger(None, None) is None


def test_ends_that_differ_in_memory_alone_are_equal() -> None:
    assert DriverEnd(0, oom=False, log_tail="") == DriverEnd(0, oom=False, log_tail="", peak_memory_bytes=5)


def test_a_driver_s_peak_is_seen_from_outside() -> None:
    session = Session((sessions.spec("zero"),), sessions.job("zero", [sessions.case()]), 120.0)
    _, end = sessions.run(session)
    peak = end.drivers[0].peak_memory_bytes
    assert peak is not None
    assert 5_000_000 < peak < 500_000_000
