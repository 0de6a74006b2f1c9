"""Static post-training quantization: ranges from a calibration set of its own, nothing tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.optimize.fake_quantisation import FakeQuantised

if TYPE_CHECKING:
    from pipeline.networks import PilotNet
    from pipeline.optimize.workshop import Workshop


def quantised(workshop: Workshop, network: PilotNet | None = None) -> FakeQuantised:
    """A network, the baseline unless another is given, with the largest and smallest values seen as ranges.

    The extremes, not a percentile: what is cut off at the edge of a range is the strongest steering.
    """
    found = FakeQuantised(network or workshop.baseline, moving=False)
    found.calibrate(workshop.calibration)
    return found
