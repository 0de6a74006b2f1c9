"""The lane along a centreline: how far its edges lie to either side, and how it is fitted to bends and neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from envs.curve import Array, Curve

Index = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FOLD = 0.5
"""A bend's radius exceeds the width of its inner side by this much at least, or the inner edge would fold [m]."""

NARROWEST = 2.5
"""A lane may be [m]: the car is 1.6 m wide, and conditions may start it 0.8 m off the centreline."""

NEAREST = 1.0
"""A lane edge may be to the centreline [m]."""

WIDEST = 100.0
"""A lane may be on each side [m]; more is a file in other units."""

BETWEEN = 1.0
"""Ground left between two lanes that had to be narrowed [m]."""

_TAPER = 0.1  # a fitted lane grows narrower by so much per metre of arc


class Lane(NamedTuple):
    """A centreline with an edge to either side.

    Attributes:
        curve: the centreline.
        left: (n,) from the centreline to the left edge, positive [m].
        right: (n,) from the centreline to the right edge, positive [m].
    """

    curve: Curve
    left: Array
    right: Array

    @property
    def step(self) -> float:
        """Of arc between two points [m]."""
        return self.curve.length / len(self.curve.points)

    @property
    def inner(self) -> Array:
        """(n,) width of the side that the centreline bends towards [m]."""
        return np.where(self.curve.curvature > 0.0, self.left, self.right)

    def side(self, i: Index, j: Index) -> tuple[Flags, Array]:
        """Of points `i`, (k,) indices: whether points `j` lie to their left, and how wide the lane is on that side."""
        across = self.curve.points[j] - self.curve.points[i]
        heading = self.curve.heading[i]
        is_left = np.cos(heading) * across[:, 1] - np.sin(heading) * across[:, 0] > 0.0
        return is_left, np.where(is_left, self.left[i], self.right[i])

    def scaled(self, factor: float) -> Lane:
        """The same, `factor` times as wide."""
        return self._replace(left=self.left * factor, right=self.right * factor)

    def below(self, left: Array, right: Array) -> Lane:
        """The same, nowhere wider than the limits (n,) [m] allow, which it approaches smoothly."""
        return self._replace(
            left=np.minimum(self.left, _tapered(left, self.step)),
            right=np.minimum(self.right, _tapered(right, self.step)),
        )

    def unfolded(self) -> Lane:
        """The same, narrowed on the inside of bends where that side would fold."""
        radius = 1.0 / np.maximum(np.abs(self.curve.curvature), 1e-9) - FOLD
        to_left = self.curve.curvature > 0.0
        return self.below(np.where(to_left, radius, np.inf), np.where(to_left, np.inf, radius))

    def note(self, before: Lane) -> str:
        """What was narrowed, in words; empty if nothing was."""
        lost = np.maximum(before.left - self.left, before.right - self.right)
        where = lost > 0.01
        if not where.any():
            return ""
        i = int(np.argmax(lost))
        return (
            f"narrowed along {np.count_nonzero(where) * self.step:.0f} m, most at s={i * self.step:.0f} m (by"
            f" {lost[i]:.1f} m), where a bend or a lane beside it leaves no more room"
        )


def _tapered(limit: Array, step: float) -> Array:
    """The largest (n,) values round a closed curve that are nowhere above `limit` nor change faster than `_TAPER`."""
    rise = _TAPER * step * np.arange(2 * len(limit))
    ahead = np.minimum.accumulate(np.tile(limit, 2) - rise) + rise
    back = (np.minimum.accumulate(np.tile(limit[::-1], 2) - rise) + rise)[::-1]
    return np.asarray(np.minimum(ahead[len(limit) :], back[: len(limit)]))
