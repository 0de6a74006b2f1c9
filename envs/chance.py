"""Random numbers that are a pure function of (seed, step): no stream, so that no step depends on those before it."""

from __future__ import annotations

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def bits(seed: int, step: int) -> int:
    """64 random bits of a step.

    G. Steele, D. Lea, C. Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64).
    """
    z = (seed * _GOLDEN + step + 1) * _GOLDEN & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return z ^ z >> 31


def share(seed: int, step: int) -> float:
    """An even draw from [0, 1) for a step."""
    return (bits(seed, step) >> 11) / (1 << 53)
