"""The variants that `hotlap optimize` makes: how each network is made, and the artifacts that it is saved as."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from envs.errors import InputError
from pipeline import settings
from pipeline.optimize import (
    aware,
    control,
    distillation,
    dynamic_range,
    global_pruning,
    half_precision,
    local_pruning,
    prune_quantise,
    slim,
    static,
    structured,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from pipeline.optimize.workshop import Workshop

TORCH, SCRIPT, ONNX, OPENVINO = "torch", "torchscript", "onnx", "openvino"
"""Ways to save and run a network; a row's name ends in the last three."""


@dataclass(frozen=True)
class Variant:
    """One network, and what it is saved as.

    Attributes:
        name: of the network, and of its row for PyTorch.
        strategy: what was done to the baseline, for people.
        make: gives the network, in evaluation mode.
        exports: ways to save it.
        precision: of what is saved: fp32, fp16, bf16 or int8.
        dynamic: whether only the dense layers are int8, their inputs rounded as they come.
    """

    name: str
    strategy: str
    make: Callable[[Workshop], nn.Module]
    exports: tuple[str, ...] = (TORCH,)
    precision: str = "fp32"
    dynamic: bool = False

    def row_name(self, export: str) -> str:
        """The name of the row that an export becomes."""
        return self.name if export == TORCH else f"{self.name}-{export}"


SLIM = (
    ("16", "16-24-24-32-32/48-24-10", (TORCH, ONNX, OPENVINO)),
    ("8", "8-16-16-24-24/32-16-10", (TORCH, ONNX, OPENVINO)),
    ("8s", "8-8-16-16-16/24-16-8", (ONNX, OPENVINO)),
    ("4", "4-8-8-8-8/16-8-8", (ONNX, OPENVINO)),
)
"""Shapes of the small networks: name, convolutions and dense layers, and exports. Int8 kernels work on groups of eight
channels, so that the widths are multiples of eight where they can be."""


def _all() -> tuple[Variant, ...]:
    int8 = "int8"
    everywhere = (TORCH, SCRIPT, ONNX, OPENVINO)
    local = [(0.3, 0.5), (0.5, 0.7), (0.7, 0.85), (0.9, 0.95)]
    found = [
        Variant("pilotnet", "", lambda workshop: workshop.baseline, (SCRIPT, ONNX, OPENVINO)),
        Variant("finetuned", "fine-tuned only (control)", control.fine_tuned),
        Variant("fp16", "float16", partial(half_precision.rounded, precision="fp16"), precision="fp16"),
        Variant("bf16", "bfloat16", partial(half_precision.rounded, precision="bf16"), precision="bf16"),
        Variant("dynamic", "dynamic range quantization", dynamic_range.untouched, precision=int8, dynamic=True),
        Variant("static", "static quantization", static.quantised, (TORCH, ONNX, OPENVINO), int8),
        Variant("qat", "quantization-aware training", aware.trained, everywhere, int8),
    ]
    found += [
        Variant(
            "local_prune" if conv == 0.3 else f"local_prune_{100 * conv:.0f}",
            f"local L1 pruning, convolutions {100 * conv:.0f} %, dense {100 * dense:.0f} %",
            partial(local_pruning.pruned, convolutions=conv, dense=dense),
        )
        for conv, dense in local
    ]
    found += [
        Variant(
            "global_prune" if share == 0.3 else f"global_prune_{100 * share:.0f}",
            f"global L1 pruning, {100 * share:.0f} %",
            partial(global_pruning.pruned, share=share),
        )
        for share in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
    ]
    found += [
        Variant(
            "prune_qat",
            "local L1 pruning (30 %, 50 %), then quantization-aware training",
            partial(prune_quantise.made, convolutions=0.3, dense=0.5),
            (TORCH, OPENVINO),
            int8,
        )
    ]
    found += [
        Variant(
            f"structured_{100 * share:.0f}",
            f"structured pruning, {100 * share:.0f} % of the channels",
            partial(structured.pruned, share=share),
            (TORCH, OPENVINO) if share == 0.5 else (TORCH,),
        )
        for share in (0.25, 0.5, 0.75)
    ]
    found += [
        Variant(f"distil_{name}", f"distilled: {text}", partial(distillation.student, shape=shape))
        for name, text, shape in (
            ("half", "half as wide", "12-18-24-32-32/50-25-5"),
            ("quarter", "a quarter as wide", "6-9-12-16-16/25-12-3"),
            ("shallow", "three convolutions, two dense layers", "24-36-48/50-10"),
        )
    ]
    found += [
        Variant(
            f"slim_{name}",
            "structured pruning, distillation and int8",
            partial(slim.made, shape=shape),
            exports,
            int8,
        )
        for name, shape, exports in SLIM
    ]
    return tuple(found)


VARIANTS: tuple[Variant, ...] = _all()
"""All of them, in the order in which they are made and listed."""


def chosen(names: Sequence[str]) -> tuple[Variant, ...]:
    """The variants called `names`, by their own name or that of one of their rows; all where there is none.

    Raises:
        InputError: there is no such variant; the nearest name is told.
    """
    if not names:
        return VARIANTS
    by_name = {variant.row_name(export): variant for variant in VARIANTS for export in variant.exports}
    by_name |= {variant.name: variant for variant in VARIANTS}
    for name in names:
        if name not in by_name:
            raise InputError(f"there is no variant {name!r}; {settings.nearest(name, sorted(by_name))}")
    wanted = {by_name[name].name for name in names}
    return tuple(variant for variant in VARIANTS if variant.name in wanted)
