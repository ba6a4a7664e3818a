"""Masks of pixels: cleaned, in blocks, and their connected components. Shapes: H, W model pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import Map, State, kernel

Flags = NDArray[np.uint8]
Labels = NDArray[np.int32]


@kernel
def mean_of_blocks(values: Any, side: int) -> Map:
    """(H // side, W // side) mean of each block of (H, W) ``values``."""
    height, width = values.shape[0] // side, values.shape[1] // side
    out = np.empty((height, width), np.float32)
    sums = np.empty(values.shape[1], np.float32)
    for i in range(height):
        sums[:] = np.float32(0.0)
        for y in range(i * side, i * side + side):
            line = values[y]
            for j in range(sums.size):
                sums[j] += line[j]
        for j in range(width):
            total = np.float32(0.0)
            for x in range(j * side, j * side + side):
                total += sums[x]
            out[i, j] = total / np.float32(side * side)
    return out


@kernel
def clean(mask: Flags, least: int, out: Flags) -> None:
    """Pixels with at least ``least`` of the nine around set, themselves included. The border is left empty."""
    height, width = mask.shape
    down = np.zeros(width, np.uint8)
    out[0], out[height - 1] = 0, 0
    for i in range(1, height - 1):
        for j in range(width):
            down[j] = mask[i - 1, j] + mask[i, j] + mask[i + 1, j]
        out[i, 0], out[i, width - 1] = 0, 0
        for j in range(1, width - 1):
            out[i, j] = down[j - 1] + down[j] + down[j + 1] >= least


@kernel
def find(parent: Labels, k: int) -> int:
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@kernel
def extents(mask: Flags) -> Labels:
    """(H, 2) from which to before which column each row is set; (0, 0) where it is not."""
    out = np.zeros((mask.shape[0], 2), np.int32)
    for i in range(mask.shape[0]):
        row, count = mask[i], 0
        for j in range(row.size):
            count += row[j]
        if count:
            first, last = 0, row.size
            while not row[first]:
                first += 1
            while not row[last - 1]:
                last -= 1
            out[i, 0], out[i, 1] = first, last
    return out


@kernel
def components(mask: Flags, least_area: int, labels: Labels) -> int:
    """Label the 8-connected components of ``mask`` that have ``least_area`` pixels: 1, 2, ... in reading order.

    Returns one more than the highest label.
    """
    spans = extents(mask)
    labels[:] = 0
    parent = np.zeros(mask.size // 2 + 2, np.int32)
    count = 1
    for i in range(mask.shape[0]):
        for j in range(spans[i, 0], spans[i, 1]):
            if mask[i, j]:
                k = neighbour(labels, parent, i, j)
                if k == 0:
                    k = count
                    parent[k] = k
                    count += 1
                labels[i, j] = k
    area = np.zeros(count, np.int32)
    for i in range(mask.shape[0]):
        for j in range(spans[i, 0], spans[i, 1]):
            if labels[i, j]:
                k = find(parent, labels[i, j])
                labels[i, j] = k
                area[k] += 1
    number, kept = np.zeros(count, np.int32), 1
    for k in range(1, count):
        if area[k] >= least_area:
            number[k] = kept
            kept += 1
    for i in range(mask.shape[0]):
        for j in range(spans[i, 0], spans[i, 1]):
            labels[i, j] = number[labels[i, j]]
    return kept


@kernel
def neighbour(labels: Labels, parent: Labels, i: int, j: int) -> int:
    """The label of what lies before (i, j) and touches it, 0 for nothing; what it connects becomes one."""
    k = labels[i, j - 1] if j > 0 else 0
    if i == 0:
        return k
    for x in range(max(0, j - 1), min(labels.shape[1], j + 2)):
        above = labels[i - 1, x]
        if above and k and above != k:
            a, b = find(parent, above), find(parent, k)
            parent[max(a, b)] = min(a, b)
            k = min(a, b)
        elif above:
            k = above
    return k


@kernel
def boxes_of(labels: Labels, count: int) -> State:
    """(count, 5) top, bottom, left, right (half-open) and area of each label."""
    out = np.zeros((count, 5))
    out[:, 0], out[:, 2] = labels.shape[0], labels.shape[1]
    if count <= 1:
        return out
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            k = labels[i, j]
            if k:
                box = out[k]
                box[0], box[1] = min(box[0], i), max(box[1], i + 1)
                box[2], box[3] = min(box[2], j), max(box[3], j + 1)
                box[4] += 1.0
    return out
