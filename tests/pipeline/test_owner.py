from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from pipeline.executors import owner


def test_this_process_is_not_gone() -> None:
    assert not owner.this_process().gone()


def test_an_owner_is_read_as_it_was_written() -> None:
    assert owner.parse(str(owner.this_process())) == owner.this_process()


@pytest.mark.parametrize("text", ["", "host|boot|pid|1", "host|boot|1"])
def test_no_owner_is_never_gone(text: str) -> None:
    assert owner.parse(text) is None
    assert not owner._left(text)


def test_a_process_that_ended_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = replace(owner.this_process(), pid=process.pid, started=owner._started(process.pid))
        assert not other.gone()
        process.kill()
        process.wait()
        assert other.gone()


def test_a_number_used_again_is_another_process() -> None:
    assert replace(owner.this_process(), started="1").gone()


def test_a_process_of_before_the_hosts_start_is_gone() -> None:
    assert replace(owner.this_process(), boot="another").gone()


def test_a_process_of_another_host_is_left_alone() -> None:
    assert not replace(owner.this_process(), host="elsewhere", pid=2**22).gone()
