from __future__ import annotations

import hashlib
import json
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from envs.errors import InputError
from pipeline import manifest

if TYPE_CHECKING:
    from pathlib import Path


def safetensors(values: int = 4) -> bytes:
    head = {"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4 * values)


GOOD = {
    "name": '"net"',
    "runtime": '"torch"',
    "artifact": '"net.safetensors"',
    "sha256": f'"{hashlib.sha256(safetensors()).hexdigest()}"',
    "precision": '"fp32"',
    "how": '"hotlap train"',
    "description": '"a network"',
}


def write(folder: Path, *rows: dict[str, str], body: bytes | None = safetensors()) -> Path:
    if body is not None:
        (folder / "net.safetensors").write_bytes(body)
    path = folder / "manifest.toml"
    path.write_text("\n".join("[[model]]\n" + "\n".join(f"{k} = {v}" for k, v in row.items()) for row in rows))
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        manifest.load(path)
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_the_repository_s_manifest_is_good_and_has_the_calibrators() -> None:
    rows = manifest.load()
    assert {row.name for row in rows if row.calibrator} == {"centreline", "zero", "sleep"}


def test_a_row_says_where_its_artifact_is_and_what_runs_it(tmp_path: Path) -> None:
    (row,) = manifest.load(write(tmp_path, GOOD))
    assert row.path == tmp_path / "net.safetensors"
    assert (row.role, row.device, row.threads, row.calibrator) == ("torch-cpu", "cpu", 1, False)
    assert row.size_bytes == len(safetensors())
    facts = row.to_dict()
    assert json.loads(json.dumps(facts)) == facts
    assert str(tmp_path) not in json.dumps(facts)


def test_on_a_gpu_torch_has_a_role_of_its_own(tmp_path: Path) -> None:
    (row,) = manifest.load(write(tmp_path, {**GOOD, "device": '"cuda"'}))
    assert row.role == "torch-cuda"


@pytest.mark.parametrize(("runtime", "role"), [("onnxruntime", "onnxruntime-cuda"), ("openvino", "openvino")])
def test_a_runtime_on_a_gpu_has_its_role_there(tmp_path: Path, runtime: str, role: str) -> None:
    (row,) = manifest.parse(write(tmp_path, {**GOOD, "runtime": f'"{runtime}"', "device": '"cuda"'}))
    assert row.role == role


def test_an_artifact_of_two_files_is_both_of_them(tmp_path: Path) -> None:
    files = {"net.bin": b"weights", "net.xml": b"<net/>"}
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    lines = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in files.items())
    row = {**with_sum(lines.encode()), "runtime": '"openvino"', "artifact": '"net.xml"'}
    assert manifest.load(write(tmp_path, row))[0].size_bytes == 13
    (tmp_path / "net.bin").write_bytes(b"other")
    assert "but" in refused(write(tmp_path, row))
    (tmp_path / "net.bin").unlink()
    assert refused(write(tmp_path, row)).endswith(
        f"the artifact {tmp_path}/net.bin is not there; make it with: hotlap train"
    )


def test_a_whole_number_stands_for_a_float(tmp_path: Path) -> None:
    (row,) = manifest.load(write(tmp_path, {**GOOD, "offline_mse": "0"}))
    assert row.offline_mse == 0.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"runtime": '"torhc"'}, "did you mean 'torch'?"),
        ({"precision": '"fp31"'}, "fp31"),
        ({"device": '"gpu"'}, "gpu"),
        ({"sha": '"x"'}, "did you mean 'sha256'?"),
        ({"seed": '"one"'}, "must be a whole number"),
        ({"calibrator": "1"}, "must be true or false"),
        ({"threads": "0"}, "1 or more"),
        ({"offline_mse": "nan"}, ":9: model 'net': offline_mse is nan, but must be finite and not negative"),
        ({"parameters": "-1"}, ":9: model 'net': parameters is -1, but must be finite and not negative"),
        ({"calibrator": "true"}, ":3: model 'net': the runtime 'torch' is no calibrator; those are centreline, zero"),
        ({"name": '"../net"'}, "lower case"),
        ({"sha256": '"abc"'}, "64 hex digits"),
        ({"sha256": f'"{"0" * 64}"'}, "sha256"),
        ({"artifact": '"nowhere.safetensors"'}, "hotlap train"),
        ({"artifact": '"/etc/passwd"'}, "folder"),
        ({"artifact": '"../net.safetensors"'}, "folder"),
        ({"artifact": '"net.pt"'}, "pickle"),
        (
            {"runtime": '"onnxruntime"'},
            "net.safetensors is no file for the runtime onnxruntime, which takes .onnx; correct",
        ),
    ],
)
def test_a_wrong_row_is_refused_by_its_name(tmp_path: Path, change: dict[str, str], says: str) -> None:
    assert says in refused(write(tmp_path, {**GOOD, **change}))


def test_the_line_named_is_that_of_the_wrong_row(tmp_path: Path) -> None:
    second = {**GOOD, "name": '"other"', "threads": '"2"'}
    assert f"{tmp_path}/manifest.toml:18: model 'other': threads is '2'" in refused(
        write(tmp_path, {**GOOD, "threads": "1"}, second)
    )


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    assert repr(key) in refused(write(tmp_path, {k: v for k, v in GOOD.items() if k != key}))


def test_a_name_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, GOOD)
    text = refused(path)
    assert "2 models are called 'net'" in text
    assert f"{path}:2" in text


def with_sum(body: bytes) -> dict[str, str]:
    return {**GOOD, "sha256": f'"{hashlib.sha256(body).hexdigest()}"'}


def test_a_pickle_is_refused_whatever_its_name(tmp_path: Path) -> None:
    body = pickle.dumps({"weights": [1.0] * 100})
    assert "pickle" in refused(write(tmp_path, with_sum(body), body=body))


def test_an_archive_of_pytorch_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    body = (tmp_path / "a.zip").read_bytes()
    assert "pickle" in refused(write(tmp_path, with_sum(body), body=body))


def test_a_truncated_artifact_is_refused_even_with_its_own_sum(tmp_path: Path) -> None:
    body = safetensors()[:-5]
    assert "cut short" in refused(write(tmp_path, with_sum(body), body=body))


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.toml")


def test_what_is_no_toml_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text("[[model]]\nname = = 1")
    assert "line 2" in refused(path)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    rows = manifest.load(write(tmp_path, GOOD))
    with pytest.raises(InputError, match="did you mean 'net'"):
        manifest.find(rows, "nett")
