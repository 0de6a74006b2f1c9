from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from pipeline import fingerprint

ROOT = Path(__file__).parents[2]

RECORD = """numpy/__init__.py,sha256=abc,10
numpy/core.so,sha256=def,20
numpy-2.0.dist-info/METADATA,sha256=ghi,30
numpy-2.0.dist-info/RECORD,,
"""


def test_the_same_files_give_the_same_sum_whatever_the_installing_adds() -> None:
    installed = (
        RECORD
        + "../../../bin/f2py,sha256=path-of-this-venv,1\n"
        + "numpy/__pycache__/__init__.cpython-311.pyc,,\n"
        + "numpy-2.0.dist-info/INSTALLER,sha256=pip,4\n"
        + "numpy-2.0.dist-info/REQUESTED,sha256=x,0\n"
    )
    assert fingerprint.record_sum(installed) == fingerprint.record_sum(RECORD)
    reordered = "\n".join(reversed(RECORD.splitlines()))
    assert fingerprint.record_sum(reordered) == fingerprint.record_sum(RECORD)


def test_another_file_gives_another_sum() -> None:
    assert fingerprint.record_sum(RECORD.replace("def", "xyz")) != fingerprint.record_sum(RECORD)
    assert fingerprint.record_sum("") != fingerprint.record_sum(RECORD)


def test_processor_features_are_read_from_the_first_core() -> None:
    text = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 avx512f sse4_2\n\nprocessor\t: 1\nflags: x\n"
    assert fingerprint.cpu_features(text) == {"vendor": "AuthenticAMD", "vector": ["avx2", "avx512f", "sse4_2"]}
    assert fingerprint.cpu_features("CPU implementer : 0x41\nFeatures : fp asimd sve\n") == {
        "vendor": "0x41",
        "vector": ["asimd", "sve"],
    }
    assert fingerprint.cpu_features("") == {"vendor": "unknown", "vector": []}


def test_a_fingerprint_is_stable_and_its_sum_covers_all_the_rest() -> None:
    facts = fingerprint.fingerprint(threads=1)
    assert facts == fingerprint.fingerprint(threads=1)
    assert facts["sha256"] != fingerprint.fingerprint(threads=2)["sha256"]
    total = facts.pop("sha256")
    assert fingerprint.digest(facts) == total
    assert facts["packages"]["numpy"]["version"]
    assert "pip" not in facts["packages"]


def test_an_interpreter_says_its_own_fingerprint() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.fingerprint"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == fingerprint.fingerprint()
