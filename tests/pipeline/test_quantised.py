"""Networks of integers: the same commands as their fake-quantised network, the file, and its refusals."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.ao.quantization import FakeQuantize

from envs.errors import InputError
from pipeline import networks, quantised
from pipeline.networks import PilotNet, Shape, to_input
from pipeline.optimize.fake_quantisation import FakeQuantised
from pipeline.training.dataset import Dataset

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Shape((4, 6, 8, 8, 8), (12, 6))
METADATA = {"architecture": "pilotnet", "shape": str(SMALL)}


def frames(count: int = 8) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, 66, 200, 3), np.uint8)


def network() -> PilotNet:
    torch.manual_seed(3)
    return PilotNet(SMALL).eval()


def calibrated() -> FakeQuantised:
    found = FakeQuantised(network(), moving=False)
    found.calibrate(Dataset(frames(), np.zeros((8, 2), np.float32)))
    return found


def as_bytes(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def test_fake_quantisation_takes_place_in_the_graph() -> None:
    found = calibrated()
    assert all(isinstance(module, FakeQuantize) for module in (*found.weights, *found.activations))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.jit, which has no successor that shows a graph, and of its tracing
        graph = str(torch.jit.trace(found, to_input(frames(1))).inlined_graph)  # type: ignore[no-untyped-call]
    assert graph.count("fake_quantize_per_channel_affine") == 7
    assert graph.count("fake_quantize_per_tensor_affine") == 7
    with torch.no_grad():
        rounded, plain = found(to_input(frames(1))), network()(to_input(frames(1)))
    assert not torch.equal(rounded, plain)
    assert torch.allclose(rounded, plain, atol=0.02)


def test_rounding_lets_gradients_through() -> None:
    found = calibrated().train()
    found.learn_ranges(activations=True)
    found(to_input(frames(2))).sum().backward()
    assert all(float(layer.weight.grad.abs().sum()) > 0.0 for layer in found.layers)  # type: ignore[union-attr, arg-type]


def test_pytorchs_integer_kernels_say_what_the_fake_quantised_network_says() -> None:
    found = calibrated()
    kernels = quantised.Kernels(found.integers()).eval()
    with torch.inference_mode():
        wanted, given = found(to_input(frames())), kernels(as_bytes(frames()))
    assert torch.allclose(given, wanted, atol=2e-3)


def test_weights_keep_within_seven_bits_and_use_them() -> None:
    weights = [layer.weight for layer in calibrated().integers().layers]
    assert all(weight.dtype == torch.int8 for weight in weights)
    assert min(int(weight.min()) for weight in weights) >= quantised.SMALLEST
    assert max(int(weight.abs().max()) for weight in weights) >= quantised.LARGEST


def test_one_layer_by_hand() -> None:
    # One weight of 1 on the red channel's corner, scale 1/63: red's byte / 127.5 - 1, rounded to steps of 1/255.
    weight = torch.zeros(1, 3, 5, 5, dtype=torch.int8)
    weight[0, 0, 0, 0] = 63
    layer = quantised.Layer(weight, torch.tensor([1.0 / 63.0]), torch.tensor([-1.0]), 2, 1.0 / 127.5, 1.0 / 255.0)
    dense = torch.zeros(1, 31 * 98, dtype=torch.int8)
    dense[0, 0] = 63
    head = quantised.Layer(dense, torch.tensor([1.0 / 63.0]), torch.zeros(1), 1, 1.0 / 255.0, 1.0 / 255.0)
    last = (torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 0.5]))
    kernels = quantised.Kernels(quantised.Integers((layer, head), *last))
    picture = np.zeros((1, 66, 200, 3), np.uint8)
    picture[0, 0, 0, 0] = 204  # 204 / 127.5 - 1 = 0.6 = 153 / 255
    with torch.inference_mode():
        assert kernels(as_bytes(picture))[0].tolist() == pytest.approx([0.6, 1.7], abs=1e-6)


def test_saving_and_loading_gives_the_same_network_and_the_same_bytes(tmp_path: Path) -> None:
    whole = calibrated().integers()
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    quantised.save(whole, one, METADATA)
    quantised.save(quantised.load(one), two, METADATA)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda tensors: tensors.pop("1.scale"), "its layers make no sense (KeyError('1.scale'))"),
        (lambda tensors: tensors.update({"9.weight": torch.ones(1)}), "tensor '9.weight' is left over"),
        (
            lambda tensors: tensors.update({"2.weight": torch.ones(8, 6, 5, 5)}),
            "layer 2 has no int8 weights of a convolution or dense layer",
        ),
        (lambda tensors: tensors.update({"0.scale": torch.ones(3)}), "layer 0 has (3,) scales for (4,) channels"),
        (
            lambda tensors: tensors.update({"0.scale": torch.zeros(4)}),
            "layer 0 has a scale that is not positive, or a number that is not finite",
        ),
        (
            lambda tensors: tensors.update({"last.weight": torch.ones(3, 6)}),
            "its last layer has shape (3, 6), not (2, inputs)",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, spoil: object, message: str) -> None:
    path = tmp_path / "q.safetensors"
    quantised.save(calibrated().integers(), path, METADATA)
    from safetensors.torch import load_file  # noqa: PLC0415

    tensors, metadata = load_file(path), networks.read_metadata(path)
    spoil(tensors)  # type: ignore[operator]
    networks.write(tensors, path, metadata)
    with pytest.raises(InputError) as refused:
        quantised.load(path)
    assert str(refused.value) == f"{path}: {message}; make it again with hotlap optimize"


def test_dense_layers_in_int8_that_are_rounded_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    rounded = quantised.save_dynamic(network(), path, METADATA)
    loaded = quantised.load_dynamic(path)
    kinds = [type(layer).__module__ for layer in loaded.head]  # type: ignore[union-attr]
    assert sum("dynamic" in kind for kind in kinds) == 3
    with torch.inference_mode():
        assert torch.allclose(loaded(to_input(frames())), rounded(to_input(frames())), atol=5e-3)


def test_a_dynamic_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    quantised.save_dynamic(network(), path, {**METADATA, "shape": str(networks.PILOTNET)})
    with pytest.raises(InputError, match=r"size mismatch for features\.0\.weight.*make it again with hotlap optimize$"):
        quantised.load_dynamic(path)
