"""Runtimes that load a file: one network gives the same commands in all of them; int8 is int8; refusals by message."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from envs.errors import InputError
from pipeline import drivers, networks
from pipeline.drivers import artifact, onnxruntime
from pipeline.drivers.base import Options
from pipeline.networks import to_input
from tests.pipeline import samples

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RUNTIMES = sorted(drivers.SUFFIX)


def frames(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (count, 66, 200, 3), np.uint8)


def load(runtime: str, path: Path, precision: str = "fp32", **options: Any) -> Any:
    return drivers.runtime(runtime).load(path, Options(precision=precision, **options))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_converted_network_says_what_the_network_said(runtime: str, tmp_path: Path) -> None:
    paths = samples.write(tmp_path)
    network = networks.load(paths["torch"])
    driver = load(runtime, paths[runtime])
    with torch.inference_mode():
        wanted = network(to_input(frames(5))).clamp(-1.0, 1.0).numpy()
    np.testing.assert_allclose([driver.command(frame, None) for frame in frames(5)], wanted, atol=1e-5)
    assert driver.report().precision == "fp32"


@pytest.mark.parametrize(
    ("runtime", "kernel"), [("torch", "eager"), ("onnxruntime", "QLinearConv x5"), ("openvino", "_I8 x5")]
)
def test_int8_runs_in_integers_and_says_what_the_fake_quantised_network_said(
    runtime: str, kernel: str, tmp_path: Path
) -> None:
    network = samples.fake_quantised()
    driver = load(runtime, samples.write_integers(tmp_path, network)[runtime], "int8")
    report = driver.report()
    assert report.precision == "int8"
    assert kernel in report.provider
    with torch.inference_mode():
        wanted = network(to_input(frames(20))).clamp(-1.0, 1.0).numpy()
    np.testing.assert_allclose([driver.command(frame, None) for frame in frames(20)], wanted, atol=5e-3)


def test_a_frozen_graph_says_what_the_layers_say(tmp_path: Path) -> None:
    path = samples.write(tmp_path)["torch"]
    eager, frozen = load("torch", path), load("torch", path, mode="torchscript")
    assert (eager.report().provider, frozen.report().provider) == ("eager", "torchscript")
    for frame in frames(3):
        assert frozen.command(frame, None) == pytest.approx(eager.command(frame, None), abs=1e-6)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_runs_in_half_precision(precision: str, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    torch.manual_seed(3)
    network = networks.PilotNet().to(networks.PRECISIONS[precision])
    networks.save(network, path, {"architecture": "pilotnet", "precision": precision})
    driver = load("torch", path, precision)
    assert driver.report().precision == precision
    exact = networks.PilotNet()
    exact.load_state_dict({name: tensor.float() for name, tensor in network.state_dict().items()})
    with torch.inference_mode():
        wanted = exact(to_input(frames(1)))[0].tolist()
    assert driver.command(frames(1)[0], None) == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_same_network_gives_the_same_bytes(runtime: str, tmp_path: Path) -> None:
    sums = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sums.append(artifact.digest(samples.write_integers(tmp_path / name, samples.fake_quantised())[runtime]))
    assert sums[0] == sums[1]


def test_the_sum_of_two_files_is_that_of_what_sha256sum_prints(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"graph")
    (tmp_path / "a.bin").write_bytes(b"weights")
    lines = f"{hashlib.sha256(b'weights').hexdigest()}  a.bin\n{hashlib.sha256(b'graph').hexdigest()}  a.xml\n"
    assert artifact.digest(tmp_path / "a.xml") == hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "a.bin").unlink()
    with pytest.raises(InputError) as refused:
        artifact.check(tmp_path / "a.xml", None)
    assert str(refused.value) == (
        f"cannot read the artifact {tmp_path / 'a.bin'}: No such file or directory; check the manifest's path"
    )


def graph(shape: list[int], **node: Any) -> bytes:
    """A graph of one node that takes a frame of some shape."""
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, shape)
    command = helper.make_tensor_value_info("command", TensorProto.FLOAT, None)
    made = helper.make_node(node.pop("kind", "Cast"), ["frame"], ["command"], **node)
    model = helper.make_model(helper.make_graph([made], "g", [frame], [command]), ir_version=8)
    model.opset_import[0].version = 17
    model.opset_import.append(helper.make_opsetid("elsewhere", 1))
    return bytes(model.SerializeToString())


def test_an_onnx_file_that_takes_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([1, 3, 66, 200], to=TensorProto.FLOAT))
    with pytest.raises(InputError) as refused:
        load("onnxruntime", path)
    assert str(refused.value) == (
        f"{path}: has {{'frame': ('tensor(uint8)', [1, 3, 66, 200])}} where "
        "{'frame': ('tensor(uint8)', [1, 66, 200, 3])} is needed; convert the model with its pre-processing inside"
    )


def test_an_onnx_file_with_operators_of_its_own_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([1, 66, 200, 3], kind="Secret", domain="elsewhere"))
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: ONNX Runtime refuses it: .*Secret.*; convert"):
        load("onnxruntime", path)


def test_an_onnx_file_with_weights_elsewhere_is_refused(tmp_path: Path) -> None:
    path = samples.write(tmp_path)["onnxruntime"]
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="elsewhere.bin")
    with pytest.raises(
        InputError, match=rf"^{re.escape(str(path))}: ONNX Runtime refuses it: .*; convert the model again$"
    ):
        load("onnxruntime", path)


@pytest.mark.parametrize(("runtime", "name"), [("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")])
def test_a_damaged_file_is_refused(runtime: str, name: str, tmp_path: Path) -> None:
    path = samples.write(tmp_path)[runtime]
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: {name} refuses it: .*; convert the model again$"):
        load(runtime, path)


@pytest.mark.parametrize(
    ("runtime", "options", "message"),
    [
        (
            "onnxruntime",
            {"device": "tpu"},
            "asks for device 'tpu'; there are cpu, cuda, and cuda with mode 'tensorrt'",
        ),
        (
            "onnxruntime",
            {"mode": "tensorrt"},
            "asks for device 'cpu' and mode 'tensorrt'; there are cpu, cuda, and cuda",
        ),
        ("onnxruntime", {"device": "cuda"}, "asks for CUDAExecutionProvider, but this ONNX Runtime has "),
        ("openvino", {"device": "cuda"}, "asks for device 'cuda'; OpenVINO is run on cpu, without a mode"),
        ("openvino", {"precision": "fp64"}, "asks for precision 'fp64'; there are fp32, int8, fp16, bf16"),
        ("torch", {"mode": "fast"}, "asks for mode 'fast'; there are eager and torchscript"),
    ],
)
def test_what_a_runtime_does_not_know_is_refused(
    runtime: str, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = samples.write(tmp_path)[runtime]
    with pytest.raises(InputError) as refused:
        load(runtime, path, **options)
    assert str(refused.value).startswith(f"{path.name} {message}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("runtime", "name"), [("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")])
def test_a_runtime_that_is_not_installed_is_one_line(
    runtime: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = samples.write(tmp_path)[runtime]
    monkeypatch.setitem(sys.modules, runtime, None)
    with pytest.raises(InputError, match=rf"^{name} is not installed here \(.*\); use the runtime's own environment$"):
        load(runtime, path)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_threads_are_what_the_runtime_says(runtime: str, tmp_path: Path) -> None:
    assert load(runtime, samples.write(tmp_path)[runtime], threads=2).report().threads == 2


def test_a_graph_that_runs_elsewhere_than_asked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = samples.write(tmp_path)["onnxruntime"]
    monkeypatch.setattr(onnxruntime, "_kernel", lambda told, _: onnxruntime.Kernel(told["op_name"], "Other", "fp32"))
    with pytest.raises(InputError) as refused:
        load("onnxruntime", path)
    assert str(refused.value) == (
        "pilotnet.onnx asks for CPUExecutionProvider, but its Conv ran on Other; use device cpu"
    )


@pytest.mark.parametrize(
    ("ran", "precision"),
    [
        ((("Conv", "float"), ("QGemm", "uint8")), "fp32"),
        ((("QLinearConv", "uint8"), ("Gemm", "float")), "int8"),
        ((("QLinearConv", "uint8"), ("Conv", "float")), "fp32+int8"),
        ((("Conv", "float16"), ("Gemm", "float16")), "fp16"),
        ((("ConvInteger", "uint8"), ("Gemm", "float")), "int8"),
        ((("FusedGemm", "float"),), "fp32"),
        ((("TRTKernel_graph_1", "uint8"),), "fp16"),
        ((), "none"),
    ],
)
def test_the_precision_is_that_of_the_convolutions_that_ran(ran: tuple[tuple[str, str], ...], precision: str) -> None:
    asked = Options(precision="fp16")
    told = [{"op_name": name, "provider": "P", "input_type_shape": [{kind: [1]}]} for name, kind in ran]
    assert onnxruntime._precision(Counter(onnxruntime._kernel(one, asked) for one in told)) == precision


def test_int8_of_pytorch_on_a_cuda_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = samples.write_integers(tmp_path, samples.fake_quantised())["torch"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(InputError) as refused:
        load("torch", path, "int8", device="cuda")
    assert str(refused.value) == (
        "int8.safetensors is int8, which PyTorch runs on the CPU alone; use device cpu or another runtime"
    )
