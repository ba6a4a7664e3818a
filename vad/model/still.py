"""Which cells of a picture have changed: what stands still need not be looked at again.

A cell has changed when, around one of its blocks, the picture is off what it was when the cell was last looked at, so
that what moves slowly is not missed. How far off counts is learnt for each camera from its quieter blocks: beyond their
noise, within limits.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vad.model.compiling import Planes, kernel
from vad.model.motion import LUMA_UNIT
from vad.types import BLOCK_PX, CELL_PX

Cells: TypeAlias = NDArray[np.bool_]


class Stillness(NamedTuple):
    """What counts as still. Changes are mean squares over 3 x 3 blocks, in grey levels squared."""

    cell: int = CELL_PX
    block: int = BLOCK_PX
    unit: float = LUMA_UNIT
    least_change: float = 2.0**2  # never counts
    most_noise: float = 3.0**2  # always counts
    noises: float = 6.0  # what counts in between, in multiples of the change of the quieter blocks
    follow: float = 1.0 / 32.0  # how fast that is learnt, a frame
    lasting: int = 3  # frames for which a cell is looked at from its last change on: its state comes to rest


STILLNESS = Stillness()
"""Passed to the loops as a value: Numba would freeze a global into the machine code that it keeps on disk."""


@kernel
def survey(
    luma: NDArray[np.uint8],
    whole: Cells,
    still: Stillness,
    known: Planes,
    noise: NDArray[np.float64],
    lately: NDArray[np.uint8],
    now: Planes,
    blocks: Planes,
    active: Cells,
) -> None:
    """Centre the pictures of one camera and find the cells to look at.

    ``luma`` (1 + T, H, W) is the picture before and T in order; ``whole`` (T,) every cell is to be looked at. Advanced:
    ``known`` (H, W) each cell as it was last looked at, ``noise`` (1,), below zero before a run's first picture,
    ``lately`` (gh, gw) for how many pictures each cell is looked at yet. Written: ``now`` (1 + T, H, W) as
    ``network.centred``, the one before only if a cell of the next is looked at, ``blocks`` (T, 2 gh, 2 gw) mean luma,
    ``active`` (T, gh, gw).
    """
    change = np.empty(blocks.shape[1:], np.float32)
    around = np.empty_like(change)
    for t in range(len(whole)):
        mean = _block_means(luma[t + 1], still.block, blocks[t])
        if noise[0] < 0.0:
            _centre(luma[t + 1], mean, still.unit, known)
        _centre_and_compare(luma[t + 1], mean, known, still.unit, still.block, now[t + 1], change)
        _around(change, around)
        quiet = _lower_quartile(around)
        noise[0] = max(noise[0], 0.0)
        noise[0] += still.follow * (quiet - noise[0])
        limit = min(max(still.noises * noise[0], still.least_change), still.most_noise)
        looked = _choose(around, limit, whole[t], still, now[t + 1], known, lately, active[t])
        if t == 0 and looked:
            _centre(luma[0], _block_means(luma[0], still.block, change), still.unit, now[0])


@kernel
def _choose(
    around: Planes,
    limit: float,
    whole: bool,
    still: Stillness,
    now: Planes,
    known: Planes,
    lately: NDArray[np.uint8],
    active: Cells,
) -> int:
    """How many cells are to be looked at, and which."""
    size, count = still.cell, 0
    for i in range(active.shape[0]):
        for j in range(active.shape[1]):
            upper, lower = around[2 * i, 2 * j :], around[2 * i + 1, 2 * j :]
            if max(upper[0], upper[1], lower[0], lower[1]) > limit:
                lately[i, j] = still.lasting
            elif lately[i, j] > 0:
                lately[i, j] -= 1
            active[i, j] = whole or lately[i, j] > 0
            if active[i, j]:
                for y in range(i * size, i * size + size):
                    to, new = known[y, j * size :], now[y, j * size :]
                    for x in range(size):
                        to[x] = new[x]
                count += 1
    return count


@kernel
def _block_means(luma: NDArray[np.uint8], block: int, out: Planes) -> Any:
    """The mean of the picture, and that of each block into ``out``."""
    height, width = luma.shape
    sums = np.empty(width, np.int32)
    total = 0
    for i in range(height // block):
        sums[:] = 0
        for y in range(i * block, i * block + block):
            for x in range(width):
                sums[x] += luma[y, x]
        for j in range(width // block):
            part = 0
            for x in range(j * block, j * block + block):
                part += sums[x]
            out[i, j] = np.float32(part) / np.float32(block * block)
            total += part
    return np.float32(total / (height * width))


@kernel
def _centre(luma: NDArray[np.uint8], mean: Any, unit: float, out: Planes) -> None:
    share = np.float32(1.0 / unit)
    for y in range(luma.shape[0]):
        for x in range(luma.shape[1]):
            out[y, x] = (np.float32(luma[y, x]) - mean) * share


@kernel
def _centre_and_compare(
    luma: NDArray[np.uint8], mean: Any, known: Planes, unit: float, block: int, now: Planes, change: Planes
) -> None:
    """``_centre``, and the mean squared difference of each block to what is known, grey levels squared."""
    share, share_of_block = np.float32(1.0 / unit), np.float32(unit * unit / (block * block))
    width = now.shape[1]
    sums = np.empty(width, np.float32)
    for i in range(change.shape[0]):
        sums[:] = np.float32(0.0)
        for y in range(i * block, i * block + block):
            for x in range(width):
                now[y, x] = (np.float32(luma[y, x]) - mean) * share
            for x in range(width):
                off = now[y, x] - known[y, x]
                sums[x] += off * off
        for j in range(change.shape[1]):
            total = np.float32(0.0)
            for x in range(j * block, j * block + block):
                total += sums[x]
            change[i, j] = total * share_of_block


@kernel
def _around(values: Planes, out: Planes) -> None:
    """3 x 3 means, the edge repeated."""
    height, width = values.shape
    down = np.empty(width, np.float32)
    for i in range(height):
        above, below = max(i - 1, 0), min(i + 1, height - 1)
        for j in range(width):
            down[j] = values[above, j] + values[i, j] + values[below, j]
        for j in range(width):
            out[i, j] = (down[max(j - 1, 0)] + down[j] + down[min(j + 1, width - 1)]) * np.float32(1.0 / 9.0)


@kernel
def _lower_quartile(values: Planes) -> float:
    """Of every seventh value: near enough, and a seventh of the work."""
    some = np.sort(values.ravel()[::7])
    return float(some[len(some) // 4])
