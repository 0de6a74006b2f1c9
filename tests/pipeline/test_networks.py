from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from envs.errors import InputError
from pipeline import networks

if TYPE_CHECKING:
    from pathlib import Path

METADATA = {"architecture": "pilotnet"}


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(7)
    return networks.build("pilotnet").eval()


@pytest.fixture
def artifact(network: torch.nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "pilotnet.safetensors"
    networks.save(network, path, METADATA)
    return path


def test_pilotnet_is_the_published_one(network: torch.nn.Module) -> None:
    assert networks.count_parameters(network) == 252_230
    shapes = [tuple(tensor.shape) for name, tensor in network.state_dict().items() if name.endswith("weight")]
    assert shapes == [
        (24, 3, 5, 5),
        (36, 24, 5, 5),
        (48, 36, 5, 5),
        (64, 48, 3, 3),
        (64, 64, 3, 3),
        (100, 1152),
        (50, 100),
        (10, 50),
        (2, 10),
    ]


def test_pilotnet_has_26_9_million_multiply_adds(network: torch.nn.Module) -> None:
    total = 0

    def count(layer: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        total += layer.weight[0].numel() * output[0].numel()  # type: ignore[index, union-attr, operator]

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    network(torch.zeros(1, 3, 66, 200))
    assert round(total / 1e6, 1) == 26.9


@pytest.mark.parametrize("architecture", networks.ARCHITECTURES)
def test_every_architecture_answers_a_batch(architecture: str) -> None:
    built = networks.build(architecture).eval()
    with torch.inference_mode():
        assert built(torch.zeros(3, 3, 66, 200)).shape == (3, 2)


def test_a_frame_becomes_the_input_that_the_contract_says() -> None:
    frame = np.zeros((66, 200, 3), np.uint8)
    frame[5, 7] = (255, 0, 51)
    images = networks.to_input(frame)
    assert images.shape == (1, 3, 66, 200)
    assert images.dtype == torch.float32
    assert images[0, :, 5, 7].tolist() == pytest.approx([1.0, -1.0, -0.6], abs=1e-6)
    assert frame[5, 7].tolist() == [255, 0, 51]
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_a_frame_in_read_only_memory_is_taken_too() -> None:
    frame = np.frombuffer(bytes(66 * 200 * 3), np.uint8).reshape(66, 200, 3)
    assert networks.to_input(frame).unique().tolist() == [-1.0]


def test_one_frame_and_a_batch_get_the_same_answer(network: torch.nn.Module) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, 66, 200, 3), np.uint8)
    with torch.inference_mode():
        together = network(networks.to_input(frames))
        alone = torch.cat([network(networks.to_input(frame)) for frame in frames])
    assert torch.allclose(together, alone, atol=1e-5)


def test_what_is_saved_is_what_is_loaded(network: torch.nn.Module, artifact: Path) -> None:
    loaded = networks.load(artifact)
    assert not loaded.training
    assert networks.read_metadata(artifact) == {"architecture": "pilotnet", "format": "hotlap-1"}
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_the_same_network_is_always_saved_in_the_same_bytes(network: torch.nn.Module, tmp_path: Path) -> None:
    metadata = {"seed": "1", "a": "1", **METADATA, "z": "1", "m": "1"}
    files = set()
    for turn in range(10):
        path = tmp_path / f"{turn}"
        networks.save(network, path, metadata)
        files.add(path.read_bytes())
    assert len(files) == 1
    assert networks.read_metadata(path) == {**metadata, "format": "hotlap-1"}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(map(str, range(10)))


@pytest.mark.parametrize("metadata", [{}, {"architecture": "alexnet"}])
def test_an_unknown_architecture_is_not_saved(
    network: torch.nn.Module, tmp_path: Path, metadata: dict[str, str]
) -> None:
    with pytest.raises(InputError, match="ARCHITECTURES"):
        networks.save(network, tmp_path / "x", metadata)


def test_a_folder_that_is_not_there_is_told_in_one_line(network: torch.nn.Module, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write the artifact: No such file or directory") as told:
        networks.save(network, tmp_path / "none" / "x.safetensors", METADATA)
    assert "\n" not in str(told.value)


def test_an_artifact_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the artifact"):
        networks.load(tmp_path / "none.safetensors")


@settings(max_examples=30, deadline=None)
@given(keep=st.floats(0.0, 1.0, exclude_max=True))
def test_an_artifact_cut_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, keep: float) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "whole"
    networks.save(networks.build("pilotnet"), path, METADATA)
    blob = path.read_bytes()
    cut = folder / "cut"
    cut.write_bytes(blob[: int(keep * len(blob))])
    with pytest.raises(InputError, match="not a complete safetensors file") as told:
        networks.load(cut)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "pickle.safetensors"
    path.write_bytes(pickle.dumps({"weight": list(range(100))}, protocol=protocol))
    with pytest.raises(InputError, match="pickles are refused"):
        networks.load(path)


def test_a_file_of_torch_save_is_refused(network: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    torch.save(network.state_dict(), path)
    with pytest.raises(InputError, match="pickles are refused"):
        networks.load(path)


def _write(path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> None:
    save_file(tensors, path, metadata={"architecture": "pilotnet", "format": "hotlap-1", **metadata})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"head.6.weight": None}, "'head.6.weight' is missing"),
        ({"tail.weight": torch.zeros(2)}, "'tail.weight' is left over"),
        ({"head.6.weight": torch.zeros(3, 10)}, r"has shape \(3, 10\) where \(2, 10\) is needed"),
        ({"head.6.bias": torch.zeros(2, dtype=torch.float16)}, "has type torch.float16 where torch.float32"),
        ({"head.6.bias": torch.tensor([0.0, float("nan")])}, "not finite"),
    ],
)
def test_an_artifact_that_does_not_fit_is_refused_by_its_tensor(
    network: torch.nn.Module, tmp_path: Path, change: dict[str, torch.Tensor | None], text: str
) -> None:
    tensors = {**network.state_dict(), **change}
    path = tmp_path / "odd.safetensors"
    _write(path, {name: tensor for name, tensor in tensors.items() if tensor is not None})
    with pytest.raises(InputError, match=text) as told:
        networks.load(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"format": "other"}, "format 'other'"),
        ({"architecture": "alexnet"}, "'alexnet' is not known; known are pilotn"),
    ],
)
def test_metadata_of_others_is_refused(
    network: torch.nn.Module, tmp_path: Path, metadata: dict[str, str], text: str
) -> None:
    path = tmp_path / "other.safetensors"
    _write(path, network.state_dict(), **metadata)
    with pytest.raises(InputError, match=text):
        networks.load(path)


def test_the_header_is_plain_safetensors(artifact: Path) -> None:
    blob = artifact.read_bytes()
    (size,) = struct.unpack_from("<Q", blob)
    assert size % 8 == 0
    header = json.loads(blob[8 : 8 + size])
    assert max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__") == 4 * 252_230


def test_the_module_needs_no_simulator_and_no_image_library() -> None:
    code = "import sys, pipeline.networks; print(sorted({'cv2', 'pybullet', 'gymnasium'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_network_of_another_shape_comes_back_as_it_was(tmp_path: Path) -> None:
    shape = networks.Shape((4, 6, 8), (12,))
    path = tmp_path / "narrow.safetensors"
    network = networks.PilotNet(shape).eval()
    networks.save(network, path, {"architecture": "pilotnet", "shape": str(shape)})
    images = torch.rand(2, 3, 66, 200)
    with torch.inference_mode():
        assert torch.equal(networks.load(path)(images), network(images))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"shape": "24-36-48/0"}, "'24-36-48/0' is no shape of a PilotNet; one is 24-36-48-64-64/100-50-10"),
        ({"shape": "1-2-3-4-5-6/7"}, "'1-2-3-4-5-6/7' is no shape of a PilotNet; one is 24-36-48-64-64/100-50-10"),
        ({"precision": "int3"}, "precision 'int3' is not one of fp32, fp16, bf16; save it with hotlap"),
        ({"precision": "fp16"}, "tensor 'features.0.bias' has type torch.float32 where torch.float16 is needed"),
    ],
)
def test_a_file_that_claims_what_it_is_not_is_refused(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    path = tmp_path / "claims.safetensors"
    networks.save(networks.PilotNet(), path, {"architecture": "pilotnet", **metadata})
    with pytest.raises(InputError) as refused:
        networks.load(path)
    assert str(refused.value).startswith(f"{path}: {message}")
