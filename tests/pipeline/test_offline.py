from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from pipeline import offline

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "cpu.lock"
    sums = [hashlib.sha256(text).hexdigest() for text in (b"right", b"numpy")]
    path.write_text(
        f"torch==2.13.0+cpu \\\n    --hash=sha256:{sums[0]}\nnumpy==2.4.6 \\\n    --hash=sha256:{sums[1]}\n"
    )
    return path


def test_later_sections_of_pips_settings_win() -> None:
    text = "global.cert='/a'\n:env:.cert='/b'\nglobal.index-url='https://mirror/simple'\nlist.format='json'\n"
    assert offline.parse_settings(text) == {"cert": "/b", "index-url": "https://mirror/simple"}


@pytest.mark.parametrize("text", ["", "WARNING: something\n"])
def test_no_settings_are_none(text: str) -> None:
    assert offline.parse_settings(text) == {}


def test_only_the_wheels_that_a_lock_names_by_sum_are_taken(tmp_path: Path, lock: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, content in {
        "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl": b"right",
        "torch-2.13.0+cpu-cp312-cp312-linux_x86_64.whl": b"wrong",
        "other-1.0-py3-none-any.whl": b"numpy",
        "numpy-2.4.6-cp311-cp311-linux_x86_64.whl": b"numpy",
    }.items():
        (folder / name).write_bytes(content)
    found = offline.wheels([str(folder), "https://wheels/page", str(tmp_path / "gone")], [lock])
    assert [wheel.name for wheel in found] == [
        "numpy-2.4.6-cp311-cp311-linux_x86_64.whl",
        "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl",
    ]


def test_build_arguments_and_files_come_from_pips_settings(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, folder = tmp_path / "mirror.pem", tmp_path / "offline"
    certificate.write_text("certificate")
    folder.mkdir()
    settings = {
        "index-url": "https://mirror/simple",
        "extra-index-url": "file:///srv/simple https://other/simple",
        "cert": str(certificate),
    }
    monkeypatch.setattr(offline, "pip_settings", lambda: settings)
    assert offline.build_arguments(folder, [lock]) == {
        "PIP_INDEX_URL": "https://mirror/simple",
        "PIP_EXTRA_INDEX_URL": "https://other/simple",
        "PIP_CERT": "/offline/ca.crt",
    }
    assert (folder / "ca.crt").read_text() == "certificate"


def test_a_host_without_settings_needs_none(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "pip_settings", dict)
    assert offline.build_arguments(tmp_path, [lock]) == {}


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("same")
    target.write_text("same")
    before = target.stat().st_ino
    offline._place(source, target)
    assert target.stat().st_ino == before
    source.write_text("else")
    offline._place(source, target)
    assert target.read_text() == "else"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
