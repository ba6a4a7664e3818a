"""Blobs: which foreground pixels belong together, and what each blob is made of.

Shapes: H, W model pixels; gh, gw cells. A table of blobs is (N, len(Blob)) float64.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from vad.scoring.kernels import Map, State, kernel
from vad.scoring.objects.components import Flags, Labels


class Blob(IntEnum):
    """Columns of a table of blobs: pixels and px/s. Top and bottom leave out the outermost 3 % of the pixels."""

    TOP = 0
    BOTTOM = 1
    LEFT = 2
    RIGHT = 3
    AREA = 4
    X = 5  # mean column
    Y = 6  # mean row
    VX = 7  # mean flow
    VY = 8
    SPREAD = 9  # root mean square of the flow around its mean
    VY_UPPER = 10  # mean downward flow above the mean row
    MOVING = 11  # share of its pixels that changed since the frame before
    CELLS = 12  # how many cells' worth of it have flow
    VY_LOWER = 13  # ... and below it
    BORDER = 14  # bits: it reaches the picture's 1 top, 2 bottom, 4 left, 8 right


COLUMNS = len(Blob)


class JoinTuning(NamedTuple):
    """Ratios of widths, heights and areas."""

    gap: float = 0.6  # of the wider one's width between parts above one another
    slimmest: float = 4.0  # height over width of what is joined
    person: float = 1.8  # height over width of what looks like a whole person
    small: float = 0.25  # area over that of the other: so small a part is nobody
    most: int = 64  # parts: of more, nothing is joined


JOIN = JoinTuning()

BRIDGE = JoinTuning(gap=10.0)
"""Of parts with something between them that belongs to an object: how far they are apart says nothing."""


@kernel
def belong(a: State, b: State, t: JoinTuning) -> bool:
    """Are two parts, boxes and areas as ``boxes_of`` gives them, of one object?

    A person is taller than wide: parts above one another are when they overlap across by half of the narrower and the
    gap is small for their width; parts side by side when they nearly touch and overlap downwards by half. Two parts
    each of which looks like a whole person, and neither of which is small beside the other, are two people.
    """
    across, down = min(a[3], b[3]) - max(a[2], b[2]), min(a[1], b[1]) - max(a[0], b[0])
    narrow, low = min(a[3] - a[2], b[3] - b[2]), min(a[1] - a[0], b[1] - b[0])
    wide = max(a[3] - a[2], b[3] - b[2])
    tall = max(a[1], b[1]) - min(a[0], b[0])
    above = across >= 0.5 * narrow and -down <= max(2.0, t.gap * wide) and tall <= t.slimmest * wide
    beside = down >= 0.5 * low and across >= -2.0
    slim_a, slim_b = a[1] - a[0] >= t.person * (a[3] - a[2]), b[1] - b[0] >= t.person * (b[3] - b[2])
    small = min(a[4], b[4]) < t.small * max(a[4], b[4])
    return (above or beside) and not (slim_a and slim_b and not small)


@kernel
def extend(parts: Labels, boxes: State, added: Flags, t: JoinTuning, mask: Flags) -> None:
    """Set ``mask`` (H, W) to 1 where something is ``added``, but between parts that do not belong together.

    ``parts`` (H, W) numbers what is in the mask already, ``boxes`` as ``boxes_of``. Each part grows into what is added,
    a pixel a pass, and has its number there afterwards; where two meet that are two objects, a gap stays.
    """
    height, width = parts.shape
    grows = True
    while grows:
        grows = False
        for i in range(1, height - 1):
            for j in range(1, width - 1):
                if added[i, j] and parts[i, j] == 0:
                    near = max(parts[i - 1, j], parts[i + 1, j], parts[i, j - 1], parts[i, j + 1])
                    if near > 0:
                        parts[i, j] = -near
                        grows = True
        for i in range(1, height - 1):
            for j in range(1, width - 1):
                parts[i, j] = abs(parts[i, j])
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            if not added[i, j]:
                continue
            mask[i, j], own = 1, parts[i, j]
            for k in range(9):
                near = parts[i + k // 3 - 1, j + k % 3 - 1]
                if own > 0 and near > 0 and near != own and not belong(boxes[own], boxes[near], t):
                    mask[i, j] = 0


@kernel
def join(boxes: State, t: JoinTuning, group: Labels) -> int:
    """Parts that belong to one object get one number: ``group`` (count,), 1, 2, ...; returns one more than the highest.

    ``boxes`` are those of ``boxes_of``; a part that others were joined to grows to the box of all.
    """
    count = len(boxes)
    for k in range(count):
        group[k] = k
    again = count <= t.most
    while again:
        again = False
        for a in range(1, count):
            for b in range(a + 1, count):
                if group[a] == a and group[b] == b and belong(boxes[a], boxes[b], t):
                    box, other = boxes[a], boxes[b]
                    box[0], box[1] = min(box[0], other[0]), max(box[1], other[1])
                    box[2], box[3] = min(box[2], other[2]), max(box[3], other[3])
                    box[4] += other[4]
                    group[b] = a
                    again = True
    kept = 1
    for k in range(1, count):  # a part is joined to one before it
        if group[k] == k:
            group[k] = -kept
            kept += 1
        else:
            group[k] = group[group[k]]
    for k in range(1, count):
        group[k] = -group[k]
    return kept


@kernel
def measure(
    labels: Labels,
    group: Labels,
    count: int,
    flow: Map,
    flags: Flags,
    changed: int,
    cell: int,
    skip: float,
    size: tuple[int, int],
    table: State,
    cover: Map,
) -> None:
    """Fill ``table`` (count - 1, columns) and ``cover`` (count - 1, gh, gw), how many pixels of a cell belong to each.

    ``labels`` become those of the ``group``s. ``changed`` is the bit of ``flags`` that says so, ``size`` what
    of the rows and columns shows the picture.
    """
    height, width = labels.shape
    rows, columns = np.zeros((count, height), np.int32), np.zeros((count, width), np.int32)
    moving = np.zeros(count)
    table[:], cover[:] = 0.0, 0.0
    for i in range(height):
        for j in range(width):
            if labels[i, j]:
                k = group[labels[i, j]]
                labels[i, j] = k
                rows[k, i] += 1
                columns[k, j] += 1
                cover[k - 1, i // cell, j // cell] += np.float32(1.0)
                moving[k] += (flags[i, j] & changed) != 0
    for k in range(1, count):
        row = table[k - 1]
        area, y = 0, 0.0
        for i in range(height):
            area += rows[k, i]
            y += (i + 0.5) * rows[k, i]
        x = 0.0
        for j in range(width):
            x += (j + 0.5) * columns[k, j]
        if area == 0:
            continue
        row[Blob.TOP], row[Blob.BOTTOM] = trimmed(rows[k], area, skip)
        row[Blob.LEFT], row[Blob.RIGHT] = trimmed(columns[k], area, skip)
        row[Blob.AREA], row[Blob.X], row[Blob.Y], row[Blob.MOVING] = area, x / area, y / area, moving[k] / area
        row[Blob.BORDER] = borders(rows[k], columns[k], size)
        flow_of(flow, cover[k - 1], row, cell)


@kernel
def borders(rows: Labels, columns: Labels, size: tuple[int, int]) -> float:
    """``Blob.BORDER`` from a blob's pixels of each row and column."""
    top, bottom = rows[0] + rows[1] > 0, rows[size[0] - 2] + rows[size[0] - 1] > 0
    left, right = columns[0] + columns[1] > 0, columns[size[1] - 2] + columns[size[1] - 1] > 0
    return float(1.0 * top + 2.0 * bottom + 4.0 * left + 8.0 * right)


@kernel
def trimmed(counts: Labels, area: int, skip: float) -> tuple[float, float]:
    """From where to where the counts lie, without the outermost ``skip`` of their sum on either side; half-open."""
    first, last, seen = 0, counts.size, 0.0
    for i in range(counts.size):
        seen += counts[i]
        if seen > skip * area:
            first = i
            break
    seen = 0.0
    for i in range(counts.size - 1, -1, -1):
        seen += counts[i]
        if seen > skip * area:
            last = i + 1
            break
    return float(first), float(last)


@kernel
def flow_of(flow: Map, cover: Map, row: State, cell: int) -> None:
    """Mean flow of a blob's cells, its spread, and the downward flow of the upper half, into its ``row``."""
    weight, vx, vy, squares, total = 0.0, 0.0, 0.0, 0.0, 0.0
    halves, halves_vy = np.zeros(2), np.zeros(2)  # above and below the mean row
    for i in range(cover.shape[0]):
        below = 1 if (i + 0.5) * cell >= row[Blob.Y] else 0
        for j in range(cover.shape[1]):
            part = float(cover[i, j])
            if part <= 0.0:
                continue
            total += part
            x, y = float(flow[0, i, j]), float(flow[1, i, j])
            halves[below] += part
            halves_vy[below] += part * y
            if x == 0.0 and y == 0.0:
                continue
            weight += part
            vx += part * x
            vy += part * y
            squares += part * (x * x + y * y)
    if weight > 0.0:
        row[Blob.VX], row[Blob.VY] = vx / total, vy / total
        mean_x, mean_y = vx / weight, vy / weight
        row[Blob.SPREAD] = np.sqrt(max(0.0, squares / weight - mean_x * mean_x - mean_y * mean_y))
        row[Blob.CELLS] = weight / (cell * cell)
    if total > 0.0:
        row[Blob.VY_UPPER] = halves_vy[0] / halves[0] if halves[0] > 0.0 else vy / total
        row[Blob.VY_LOWER] = halves_vy[1] / halves[1] if halves[1] > 0.0 else vy / total
