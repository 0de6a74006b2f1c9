"""The strategies: each does what its name says, from the untouched baseline, with the zeros held; and refusals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from envs.errors import InputError
from pipeline.networks import PILOTNET, PilotNet, Shape, to_input
from pipeline.optimize import (
    aware,
    catalogue,
    control,
    distillation,
    global_pruning,
    local_pruning,
    product,
    prune_quantise,
    structured,
    workshop,
)
from pipeline.optimize.pruning import layers_of
from pipeline.training.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = Shape((4, 6, 8, 8, 8), (12, 6))


def shop(calibration: np.ndarray | None = None) -> workshop.Workshop:
    torch.manual_seed(1)
    random = np.random.default_rng(2)
    frames = random.integers(0, 256, (64, 66, 200, 3), np.uint8)
    labels = random.uniform(-1.0, 1.0, (64, 2)).astype(np.float32)
    return workshop.Workshop(
        PilotNet(SMALL).eval(),
        Dataset(frames, labels),
        Dataset(frames[:16] if calibration is None else calibration, labels[:16]),
        seed=1,
        share=0.01,
    )


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def zero_share(layer: Any) -> float:
    return float((layer.weight == 0).float().mean())


@pytest.mark.parametrize(
    "make",
    [
        control.fine_tuned,
        aware.trained,
        lambda here: local_pruning.pruned(here, 0.3, 0.5),
        lambda here: global_pruning.pruned(here, 0.3),
        lambda here: prune_quantise.made(here, 0.3, 0.5),
        lambda here: structured.pruned(here, 0.5),
        lambda here: distillation.student(here, "4-4-4-4-4/8-4"),
    ],
)
def test_a_strategy_leaves_the_baseline_alone_and_repeats_itself(make: Callable[[Any], nn.Module]) -> None:
    here = shop()
    before = weights(here.original)
    one = make(here)
    assert torch.equal(weights(here.original), before)
    assert torch.equal(weights(make(here)), weights(one))
    assert not one.training


def test_local_pruning_takes_its_share_of_every_layer_and_holds_it_through_the_tuning() -> None:
    here = shop()
    network = local_pruning.pruned(here, 0.3, 0.5)
    for layer, before in zip(layers_of(network), layers_of(here.original), strict=True):
        share = 0.3 if isinstance(layer, nn.Conv2d) else 0.5
        assert zero_share(layer) == pytest.approx(share, abs=0.5 / layer.weight.numel())
        size = before.weight.detach().abs()
        gone, kept = size[layer.weight == 0], size[layer.weight != 0]
        assert float(gone.max()) <= float(kept.min())
        assert not torch.equal(layer.weight[layer.weight != 0], before.weight[layer.weight != 0])


def test_global_pruning_takes_its_share_of_all_weights_together() -> None:
    here = shop()
    network = global_pruning.pruned(here, 0.9)
    pruned = [weight for layer in layers_of(network) for weight in layer.weight.detach().flatten().tolist()]
    assert sum(weight == 0.0 for weight in pruned) == round(0.9 * len(pruned))
    assert len({round(zero_share(layer), 3) for layer in layers_of(network)}) > 3


def test_pruned_weights_are_zero_integers_too() -> None:
    found = prune_quantise.made(shop(), 0.3, 0.5)
    for layer, whole in zip(found.layers, found.integers().layers, strict=True):
        assert bool((whole.weight[layer.weight == 0] == 0).all())  # type: ignore[index]
        assert zero_share(layer) >= 0.29


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_share_that_prunes_nothing_or_everything_is_refused(share: float) -> None:
    what = {
        "all weights": lambda: global_pruning.masked(PilotNet(SMALL), share),
        "a convolution": lambda: local_pruning.masked(PilotNet(SMALL), share, 0.5),
        "a dense layer": lambda: local_pruning.masked(PilotNet(SMALL), 0.5, share),
        "each layer's channels": lambda: structured.narrowed(SMALL, share),
    }
    for of, call in what.items():
        with pytest.raises(InputError) as refused:
            call()
        assert str(refused.value) == (
            f"the share pruned of {of} is {share}; give a share above 0 and below 1: 0 prunes nothing, 1 leaves nothing"
        )


def test_channels_that_do_nothing_are_the_ones_that_go() -> None:
    torch.manual_seed(4)
    network = PilotNet(SMALL).eval()
    smaller = Shape((3, 5, 7, 7, 7), (10, 5))
    with torch.no_grad():
        for layer, wide in zip(layers_of(network)[:-1], (*smaller.convolutions, *smaller.dense), strict=True):
            idle = torch.randperm(len(layer.bias))[wide:]
            layer.weight[idle] = 0.0
            layer.bias[idle] = -1.0  # a ReLU lets nothing of it through
        images = to_input(np.random.default_rng(1).integers(0, 256, (4, 66, 200, 3), np.uint8))
        assert torch.allclose(structured.cut(network, smaller)(images), network(images), atol=1e-6)


def test_half_of_the_channels_is_half_of_every_width() -> None:
    assert structured.narrowed(PILOTNET, 0.5) == Shape((12, 18, 24, 32, 32), (50, 25, 5))


@pytest.mark.parametrize(
    ("shape", "count"),
    [(PILOTNET, 26_876_352), (Shape((1, 1, 1), (1,)), 31 * 98 * 75 + 14 * 47 * 25 + 5 * 22 * 26 + 2)],
)
def test_operations_are_counted(shape: Shape, count: int) -> None:
    assert product.operations(shape) == count


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            np.empty((0, 66, 200, 3), np.uint8),
            "the calibration set is empty; give it frames: ranges cannot be taken from nothing",
        ),
        (
            np.full((16, 66, 200, 3), 7, np.uint8),
            (
                "all 16 frames of the calibration set are the same; ranges taken from one picture would cut off all "
                "others; collect frames from a drive"
            ),
        ),
    ],
)
def test_a_calibration_set_that_tells_nothing_is_refused(frames: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as refused:
        aware.trained(shop(frames))
    assert str(refused.value) == message


def test_a_shape_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"^'24-36/100' is no shape of a PilotNet; one is 24-36-48-64-64/100-50-10$"):
        Shape.parse("24-36/100")


def test_names_of_rows_are_unique_and_found() -> None:
    names = [variant.row_name(export) for variant in catalogue.VARIANTS for export in variant.exports]
    assert len(names) == len(set(names)) >= 30
    assert [variant.name for variant in catalogue.chosen(["qat-openvino", "static"])] == ["static", "qat"]
    with pytest.raises(InputError, match=r"^there is no variant 'qta'; did you mean 'qat'\?$"):
        catalogue.chosen(["qta"])


@pytest.mark.parametrize("variant", catalogue.VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_says_what_it_is(variant: catalogue.Variant) -> None:
    assert variant.exports
    assert variant.precision in ("fp32", "fp16", "bf16", "int8")
    assert variant.strategy or variant.name == "pilotnet"
