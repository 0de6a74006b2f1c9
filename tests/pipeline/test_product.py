"""Saving variants: whole artifacts with rows that the manifest accepts, or nothing."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from envs.errors import HotlapError, InputError
from pipeline import manifest, networks
from pipeline.networks import PILOTNET, PilotNet
from pipeline.optimize import openvino_ir, product
from pipeline.optimize.catalogue import ONNX, OPENVINO, SCRIPT, TORCH, Variant
from pipeline.optimize.product import Exam
from pipeline.training import row
from tests.pipeline import samples

if TYPE_CHECKING:
    from pathlib import Path

EVERYWHERE = (TORCH, SCRIPT, ONNX, OPENVINO)


def exam() -> Exam:
    random = np.random.default_rng(1)
    frames = random.integers(0, 256, (3, 66, 200, 3), np.uint8)
    return Exam(frames, random.uniform(-1.0, 1.0, (3, 2)).astype(np.float32), "f" * 64)


def variant(precision: str, exports: tuple[str, ...] = EVERYWHERE, **options: bool) -> Variant:
    return Variant("v", "a strategy", lambda workshop: workshop.baseline, exports, precision, **options)


def test_an_int8_variant_becomes_a_row_for_each_runtime(tmp_path: Path) -> None:
    network = samples.fake_quantised()
    rows = product.make(variant("int8"), network, exam(), tmp_path, seed=4)
    for found in rows:
        row.write(tmp_path / "manifest.toml", found)
    loaded = manifest.load(tmp_path / "manifest.toml")
    assert [(one.name, one.runtime, one.mode) for one in loaded] == [
        ("v", "torch", ""),
        ("v-torchscript", "torch", "torchscript"),
        ("v-onnx", "onnxruntime", ""),
        ("v-openvino", "openvino", ""),
    ]
    whole = network.integers()
    zeros = sum(int((layer.weight == 0).sum()) for layer in whole.layers)
    for one in loaded:
        assert (one.precision, one.seed, one.how) == ("int8", 4, "hotlap optimize v --seed 4")
        assert (one.zeros, one.rounded_zeros) == (0, zeros)
        assert one.parameters == networks.count_parameters(PilotNet(samples.SMALL))
        assert one.operations == product.operations(samples.SMALL)
        assert one.offline_frames_sha256 == "f" * 64
    reference = np.load(tmp_path / "v.reference.npy", allow_pickle=False)
    assert reference.dtype == np.float32
    np.testing.assert_array_equal(reference, product.commands_of(network, exam().frames))
    # OpenVINO's artifact is two files, and its size that of both.
    files = (tmp_path / "v.xml", tmp_path / "v.bin")
    assert loaded[3].size_bytes == sum(path.stat().st_size for path in files)


def test_the_offline_error_is_that_of_the_saved_file(tmp_path: Path) -> None:
    network = PilotNet(samples.SMALL).eval()
    (found,) = product.make(variant("fp32", (TORCH,)), network, exam(), tmp_path, seed=1)
    said = np.clip(product.commands_of(network, exam().frames), -1.0, 1.0)
    assert found["offline_mse"] == pytest.approx(float(np.mean(np.square(said - exam().labels))), abs=1e-7)


def test_rounding_to_half_precision_and_in_the_dense_layers_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    (half,) = product.make(variant("bf16", (TORCH,)), PilotNet().bfloat16().eval(), exam(), tmp_path, seed=1)
    assert half["precision"] == "bf16"
    assert (tmp_path / "v.safetensors").stat().st_size < 520_000
    (dynamic,) = product.make(variant("int8", (TORCH,), dynamic=True), PilotNet().eval(), exam(), tmp_path, seed=1)
    assert dynamic["rounded_zeros"] > 0
    assert networks.read_metadata(tmp_path / "v.safetensors")["precision"] == "int8 dynamic"


def test_a_converter_that_fails_leaves_no_file_and_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: bytes, path: Path) -> None:
        path.write_bytes(graph[:100])
        raise RuntimeError("first line\nno such operator")

    monkeypatch.setattr(openvino_ir, "write", broken)
    with pytest.raises(HotlapError) as refused:
        product.make(variant("int8"), samples.fake_quantised(), exam(), tmp_path, seed=1)
    assert str(refused.value) == "v-openvino: the converter failed, nothing was written: no such operator"
    assert list(tmp_path.iterdir()) == []


def test_commands_that_are_no_numbers_leave_no_file_and_no_row(tmp_path: Path) -> None:
    network = PilotNet(samples.SMALL).eval()
    with torch.no_grad():
        network.head[-1].bias.fill_(3e38)  # type: ignore[union-attr]
        network.head[-1].weight.fill_(1e38)  # type: ignore[union-attr]
    half = network.half()
    with pytest.raises(InputError, match=r"tensor 'head\.\d+\.(weight|bias)' has values that are not finite"):
        product.make(variant("fp16", (TORCH,)), half, exam(), tmp_path, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_the_repositorys_rows_are_those_of_the_catalogue() -> None:
    from pipeline.optimize import catalogue  # noqa: PLC0415

    text = manifest.MANIFEST.read_text(encoding="utf-8")
    made = {
        one["name"]: one for one in tomllib.loads(text)["model"] if one.get("how", "").startswith("hotlap optimize")
    }
    wanted = {one.row_name(export): one for one in catalogue.VARIANTS for export in one.exports}
    assert set(made) == set(wanted)
    for name, one in wanted.items():
        assert made[name]["precision"] == one.precision
        assert made[name]["how"] == f"hotlap optimize {one.name} --seed 1"
    assert str(PILOTNET) == "24-36-48-64-64/100-50-10"
