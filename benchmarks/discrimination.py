"""Whether the conditions tell good models from bad: PilotNet, the same with weights zeroed, and an untrained one.

    python -m benchmarks.discrimination

On `varied`, the network with 30 % of its weights zeroed at random must complete at most half of the cases with each of
three masks, an untrained one none, and the trained one neither none nor all. Exit code 1 where that does not hold. It
needs the interpreter that trains.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import torch

from envs import circuit as circuits
from pipeline import networks
from pipeline.manifest import ROOT
from pipeline.training import validate
from pipeline.training.collect import DIRECTIONS

ARCHITECTURE = "pilotnet"
MASKS = (1, 2, 3)
MOST_OF_ZEROED = 0.5


def zeroed(network: torch.nn.Module, share: float, seed: int) -> torch.nn.Module:
    """The network with `share` of the weights of each layer set to zero, drawn evenly; biases stay."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter[torch.rand(parameter.shape, generator=generator) < share] = 0.0
    return network


def contestants(artifact: Path, share: float, folder: Path) -> dict[str, Path]:
    """The artifact and, saved below `folder`, its damaged copies and an untrained network."""
    made = {f"{share:.0%} zeroed, mask {seed}": zeroed(networks.load(artifact), share, seed) for seed in MASKS}
    torch.manual_seed(1)
    made["untrained"] = networks.build(ARCHITECTURE)
    found = {"trained": artifact}
    for number, (name, network) in enumerate(made.items()):
        found[name] = folder / f"{number}.safetensors"
        networks.save(network, found[name], {"architecture": ARCHITECTURE})
    return found


def main() -> int:
    """Drive and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, default=ROOT / "weights" / f"{ARCHITECTURE}.safetensors")
    parser.add_argument("--share", type=float, default=0.3, help="of the weights to zero")
    parser.add_argument("--conditions", nargs="+", default=["nominal", "varied"])
    parser.add_argument("--seeds", type=int, default=5, help="for each circuit and direction")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    cases = validate.trials(circuits.names("benchmark"), options.conditions, range(1, options.seeds + 1), DIRECTIONS)
    shares: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, artifact in contestants(options.artifact, options.share, Path(folder)).items():
            laps = list(validate.laps(artifact, cases, options.workers))
            for conditions in options.conditions:
                of = [lap for lap in laps if lap.conditions == conditions]
                done = sum(lap.outcome == "completed" for lap in of)
                shares[name, conditions] = done / len(of)
                low, high = validate.interval(of)
                progress = sum(lap.progress for lap in of) / len(of)
                print(
                    f"{name:20} {conditions:10} {done:4d}/{len(of):<4d} {100.0 * low:5.1f} to {100.0 * high:5.1f} %"
                    f"   mean progress {progress:.0%}",
                    flush=True,
                )
    varied = {name: share for (name, conditions), share in shares.items() if conditions == "varied"}
    damaged = [share for name, share in varied.items() if "zeroed" in name]
    holds = max(damaged) <= MOST_OF_ZEROED and varied["untrained"] == 0.0 and 0.0 < varied["trained"] < 1.0
    print("varied discriminates" if holds else "varied does NOT discriminate")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
