"""Random numbers that are functions of their keys, so that any moment of a world can be asked for without the rest."""

from __future__ import annotations

import numpy as np

_MASK = (1 << 64) - 1


def bits(*keys: int) -> int:
    """64 well-mixed bits of integer keys (SplitMix64, Steele et al., OOPSLA 2014)."""
    mixed = 0x9E3779B97F4A7C15
    for key in keys:
        mixed = (mixed ^ (key & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
        mixed ^= mixed >> 31
    return mixed


def uniform(*keys: int) -> float:
    """A number in [0, 1); some microseconds cheaper than a generator of its own."""
    return bits(*keys) / 2.0**64


def generator(*keys: int) -> np.random.Generator:
    """A generator for everything that the keys stand for."""
    return np.random.default_rng([key & _MASK for key in keys])


def smooth(at: float, *keys: int) -> float:
    """Value noise in [0, 1): a smooth function of ``at`` with one random value at each whole number."""
    whole = int(at // 1)
    share = at - whole
    share = share * share * (3 - 2 * share)
    return uniform(*keys, whole) * (1 - share) + uniform(*keys, whole + 1) * share
