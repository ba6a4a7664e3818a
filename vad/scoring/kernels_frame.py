"""The loops over a whole frame: is it sound, and what do its maps come to?"""

from __future__ import annotations

import numpy as np

from vad.scoring.kernels import Map, Mask, State, kernel

LARGEST = np.finfo(np.float32).max


@kernel
def finite_and_moving(flow: Map, activity: Map, surprise: Map, luma: Map) -> tuple[bool, bool]:
    """Is every number of them finite? Is there any flow at all?"""
    finite = all_finite(flow.ravel()) & all_finite(activity.ravel())
    return finite & all_finite(surprise.ravel()) & all_finite(luma.ravel()), bool(flow.any())


@kernel
def all_finite(values: Map) -> bool:
    """Is every number of a line finite?"""
    odd = 0
    for value in values:
        odd += not abs(value) <= LARGEST  # nor is what compares with nothing
    return odd == 0


@kernel
def heat(maps: Map, k: int, judged: Mask, score: float) -> Map:
    """The ``k``-th of the maps where it is judged, 0 elsewhere, scaled so that the highest is ``score``."""
    values = maps[k]
    out = np.zeros(values.shape, np.float32)
    highest = 1e-9
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if judged[i, j]:
                out[i, j] = values[i, j]
                highest = max(highest, float(values[i, j]))
    out *= np.float32(score / highest)
    return out


@kernel
def top_mean(values: Map, judged: Mask, count: int) -> float:
    """Mean of the ``count`` highest judged values: a maximum over places that one bad cell cannot make."""
    best = np.zeros(count)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if judged[i, j] and values[i, j] > best[0]:
                best[0] = values[i, j]
                k = 0
                while k + 1 < count and best[k] > best[k + 1]:
                    best[k], best[k + 1] = best[k + 1], best[k]
                    k += 1
    return float(best.mean())


@kernel
def highest(maps: Map, judged: Mask, counts: tuple[int, ...], first: int) -> State:
    """(K,) ``top_mean`` of each of the maps (K, gh, gw) from the ``first`` on; those before it are zeros."""
    out = np.zeros(len(counts))
    for k in range(first, len(counts)):
        out[k] = top_mean(maps[k], judged, counts[k])
    return out
