"""Which cells of a picture have changed: what stands still need not be looked at again.

A cell has changed when, around one of its blocks, the picture is off what it was when the cell was last looked at, so
that what moves slowly is not missed. How far off counts is learnt for each camera from its quieter blocks: beyond their
noise, within limits.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

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
    camera: NDArray[np.int64],
    whole: Cells,
    still: Stillness,
    known: Planes,
    noise: NDArray[np.float64],
    lately: NDArray[np.uint8],
    now: Planes,
    blocks: Planes,
    active: Cells,
) -> None:
    """Centre F pictures and find the cells to look at; frames of one camera in order.

    ``luma`` (F, H, W); ``camera`` (F,) which of C cameras took it; ``whole`` (F,) every cell is to be looked at.
    Advanced: ``known`` (C, H, W) each cell as it was last looked at, ``noise`` (C,), below zero before a camera's first
    frame, ``lately`` (C, gh, gw) for how many frames each cell is looked at yet. Written: ``now`` (F, H, W) as
    ``network.centred``, ``blocks`` (F, 2 gh, 2 gw) mean luma, ``active`` (F, gh, gw).
    """
    size = still.cell
    change = np.empty(blocks.shape[1:], np.float32)
    around = np.empty_like(change)
    for f in range(len(luma)):
        c = camera[f]
        _centre(luma[f], still.unit, still.block, now[f], blocks[f])
        if noise[c] < 0.0:
            known[c] = now[f]
        _change(now[f], known[c], still.unit, still.block, change)
        _around(change, around)
        quiet = _lower_quartile(around)
        noise[c] = max(noise[c], 0.0)
        noise[c] += still.follow * (quiet - noise[c])
        limit = min(max(still.noises * noise[c], still.least_change), still.most_noise)
        for i in range(active.shape[1]):
            for j in range(active.shape[2]):
                if around[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max() > limit:
                    lately[c, i, j] = still.lasting
                elif lately[c, i, j] > 0:
                    lately[c, i, j] -= 1
                active[f, i, j] = whole[f] or lately[c, i, j] > 0
                if active[f, i, j]:
                    y, x = i * size, j * size
                    known[c, y : y + size, x : x + size] = now[f, y : y + size, x : x + size]


@kernel
def _centre(luma: NDArray[np.uint8], unit: float, block: int, now: Planes, blocks: Planes) -> None:
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
            blocks[i, j] = np.float32(part) / np.float32(block * block)
            total += part
    mean, share = np.float32(total / (height * width)), np.float32(1.0 / unit)
    for y in range(height):
        for x in range(width):
            now[y, x] = (np.float32(luma[y, x]) - mean) * share


@kernel
def _change(now: Planes, known: Planes, unit: float, block: int, out: Planes) -> None:
    """Mean squared difference of each block, grey levels squared."""
    share = np.float32(unit * unit / (block * block))
    sums = np.empty(now.shape[1], np.float32)
    for i in range(out.shape[0]):
        sums[:] = np.float32(0.0)
        for y in range(i * block, i * block + block):
            for x in range(now.shape[1]):
                off = now[y, x] - known[y, x]
                sums[x] += off * off
        for j in range(out.shape[1]):
            total = np.float32(0.0)
            for x in range(j * block, j * block + block):
                total += sums[x]
            out[i, j] = total * share


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
