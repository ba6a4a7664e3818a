"""``vad.model.motion`` as loops for a CPU: the same numbers, each frame in one pass, and only where they are asked for.

As tensor operations these are dozens of trips through memory and cost several times as much as the convolutions; as
loops they cost less, and where nothing moves next to nothing. ``motion`` is the definition; a test holds the two
together.

What is asked for are cells. Within a row of cells the loops run from the first to the last of them, so that many
columns are worked on at once; ``Spans`` (rows, 2) hold where they begin and end, in blocks or cells, half-open. What is
made of whole pictures on the way (halves, means, margins) is made around these spans only, and is undefined elsewhere.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vad.model.candidates import choose, reach_of
from vad.model.compiling import Planes, kernel
from vad.model.motion import RULES, Rules

Spans: TypeAlias = NDArray[np.int32]
Rows: TypeAlias = NDArray[np.int32]
"""(gh, gw) which row of a table belongs to a cell; -1: none, the cell is left out."""


@kernel
def spans_of(rows: Rows) -> Spans:
    """(2 gh, 2) the blocks of each row of blocks from the first to the last cell that has a row."""
    gh, gw = rows.shape
    out = np.zeros((2 * gh, 2), np.int32)
    for i in range(gh):
        first, last = gw, -1
        for j in range(gw):
            if rows[i, j] >= 0:
                first, last = min(first, j), j
        if last >= 0:
            out[2 * i, 0] = out[2 * i + 1, 0] = 2 * first
            out[2 * i, 1] = out[2 * i + 1, 1] = 2 * last + 2
    return out


@kernel
def widened(spans: Spans, by: int, width: int) -> Spans:
    """Spans that also hold every block within ``by`` blocks of these."""
    count = len(spans)
    out = np.zeros_like(spans)
    for i in range(count):
        first, last = width, 0
        for k in range(max(0, i - by), min(count, i + by + 1)):
            if spans[k, 0] < spans[k, 1]:
                first, last = min(first, spans[k, 0] - by), max(last, spans[k, 1] + by)
        if first < last:
            out[i, 0], out[i, 1] = max(0, first), min(width, last)
    return out


@kernel
def _halved(picture: Planes, block: int, spans: Spans) -> Planes:
    """Means of 2 x 2 pixels, where ``spans`` are; a block of the result has ``block`` pixels a side."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    out = np.empty((height, width), np.float32)
    for i in range(height):
        first, last = spans[i // block, 0] * block, spans[i // block, 1] * block
        row, upper, lower = out[i, first:], picture[2 * i, 2 * first :], picture[2 * i + 1, 2 * first :]
        for j in range(last - first):
            top = upper[2 * j] + upper[2 * j + 1]
            row[j] = (top + lower[2 * j] + lower[2 * j + 1]) * np.float32(0.25)
    return out


@kernel
def _middle(now: Planes, before: Planes, block: int, spans: Spans) -> Planes:
    """(H + 2, W + 2) the mean of both pictures where ``spans`` are, the edge repeated."""
    height, width = now.shape
    half = np.float32(0.5)
    out = np.empty((height + 2, width + 2), np.float32)
    for i in range(height):
        first, last = spans[i // block, 0] * block, spans[i // block, 1] * block
        row, new, old = out[i + 1, 1 + first :], now[i, first:], before[i, first:]
        for j in range(last - first):
            row[j] = (new[j] + old[j]) * half
        if first == 0:
            out[i + 1, 0] = out[i + 1, 1]
        if last == width:
            out[i + 1, width + 1] = out[i + 1, width]
    out[0, :], out[height + 1, :] = out[1, :], out[height, :]
    return out


@kernel
def _structure(now: Planes, before: Planes, block: int, spans: Spans, beyond: Spans, out: Planes) -> None:
    """Structure tensor xx xy yy xt yt tt as block means into ``out`` (6, h, w). ``beyond`` are spans a block wider."""
    width = now.shape[1]
    half = np.float32(0.5)
    middle = _middle(now, before, block, beyond)
    share = np.float32(1.0 / (block * block))
    sums = np.empty((6, width), np.float32)  # over the rows of a block, still one a pixel column: this loop vectorises
    for row in range(len(spans)):
        first, count = spans[row, 0] * block, (spans[row, 1] - spans[row, 0]) * block
        sums[:, :count] = np.float32(0.0)
        for i in range(row * block, row * block + block if count else row * block):
            above, below = middle[i, first + 1 : first + 1 + count], middle[i + 2, first + 1 : first + 1 + count]
            here, new, old = middle[i + 1, first:], now[i, first:], before[i, first:]
            for j in range(count):
                x = (here[j + 2] - here[j]) * half
                y = (below[j] - above[j]) * half
                t = new[j] - old[j]
                sums[0, j] += x * x
                sums[1, j] += x * y
                sums[2, j] += y * y
                sums[3, j] += x * t
                sums[4, j] += y * t
                sums[5, j] += t * t
        for c in range(6):
            for column in range(count // block):
                total = np.float32(0.0)
                for j in range(column * block, column * block + block):
                    total += sums[c, j]
                out[c, row, spans[row, 0] + column] = total * share


@kernel
def _smoothed(planes: Planes, spans: Spans, out: Planes) -> None:
    """3 x 3 means of each plane (C, h, w), the edge repeated."""
    channels, height, width = planes.shape
    share = np.float32(1.0 / 9.0)
    for c in range(channels):
        for i in range(height):
            up, down = max(i - 1, 0), min(i + 1, height - 1)
            for j in range(spans[i, 0], spans[i, 1]):
                left, right = max(j - 1, 0), min(j + 1, width - 1)
                total = planes[c, up, left] + planes[c, up, j] + planes[c, up, right]
                total += planes[c, i, left] + planes[c, i, j] + planes[c, i, right]
                total += planes[c, down, left] + planes[c, down, j] + planes[c, down, right]
                out[c, i, j] = total * share


@kernel
def _differential_flow(
    now: Planes, before: Planes, block: int, flat: float, spans: Spans, change: Planes, flows: Planes, traits: Planes
) -> None:
    """``motion.differential_flow`` of one picture (H, W): ``flows`` (scales, 2, h, w), ``traits`` (4, h, w).

    ``change`` (h, w) is each block's mean squared difference.
    """
    scales, _, height, width = flows.shape
    floor, most, unit = np.float32(flat), np.float32(2.0), np.float32(0.2)
    raw = np.empty((6, height, width), np.float32)
    smooth = np.empty((6, height, width), np.float32)
    around, beyond = widened(spans, 1, width), widened(spans, 2, width)
    for s in range(scales):
        scale = np.float32(2**s)
        if s > 0:
            now, before = _halved(now, block // 2**s, beyond), _halved(before, block // 2**s, beyond)
        _structure(now, before, block // 2**s, around, beyond, raw)
        if s == 0:
            change[:] = raw[5]
        _smoothed(raw, spans, smooth)
        for i in range(height):
            for j in range(spans[i, 0], spans[i, 1]):
                xy, xt, yt = smooth[1, i, j], smooth[3, i, j], smooth[4, i, j]
                xx, yy, tt = smooth[0, i, j] + floor, smooth[2, i, j] + floor, smooth[5, i, j] + floor
                determinant = np.float32(1.0) / (xx * yy - xy * xy)
                u = (xy * yt - yy * xt) * determinant
                v = (xy * xt - xx * yt) * determinant
                flows[s, 0, i, j] = min(max(u, -most), most) * scale
                flows[s, 1, i, j] = min(max(v, -most), most) * scale
                if s < 2:
                    traits[s, i, j] = np.log(tt / floor) * unit
                if s == 0:
                    traits[2, i, j] = np.log((xx + smooth[2, i, j]) / floor) * unit
                    traits[3, i, j] = (smooth[5, i, j] + u * xt + v * yt) / tt


@kernel
def _moments(now: Planes, before: Planes, block: int, spans: Spans, out: Planes) -> None:
    """Mean and mean square of each block over both pictures, into ``out`` (2, h, w)."""
    sums = np.empty((2, now.shape[1]), np.float32)
    share = np.float32(0.5 / (block * block))
    for row in range(len(spans)):
        first, last = spans[row, 0] * block, spans[row, 1] * block
        sums[:, first:last] = np.float32(0.0)
        for y in range(row * block, row * block + block if first < last else row * block):
            for x in range(first, last):
                p, q = now[y, x], before[y, x]
                sums[0, x] += p + q
                sums[1, x] += p * p + q * q
        for c in range(2):
            for j in range(spans[row, 0], spans[row, 1]):
                total = np.float32(0.0)
                for x in range(j * block, j * block + block):
                    total += sums[c, x]
                out[c, row, j] = total * share


@kernel
def _normalised(now: Planes, before: Planes, block: int, floor: float, spans: Spans, rows: Rows, out: Planes) -> None:
    """``motion.normalised_blocks`` of one picture into ``out`` (R, 4 * 2 block^2), cells of 2 x 2 blocks."""
    height, width = now.shape[0] // block, now.shape[1] // block
    values = block * block
    moments = np.empty((2, height, width), np.float32)
    _moments(now, before, block, widened(spans, 2, width), moments)
    around = np.empty((2, width), np.float32)  # sums over five rows of blocks
    for i in range(height):
        top, bottom = max(i - 2, 0), min(i + 3, height)
        first, last = max(spans[i, 0] - 2, 0), min(spans[i, 1] + 2, width)
        around[:, first:last] = np.float32(0.0)
        for y in range(top, bottom if spans[i, 0] < spans[i, 1] else top):
            for j in range(first, last):
                around[0, j] += moments[0, y, j]
                around[1, j] += moments[1, y, j]
        for j in range(spans[i, 0], spans[i, 1]):
            row = rows[i // 2, j // 2]
            if row < 0:
                continue
            left, right = max(j - 2, 0), min(j + 3, width)
            mean, square = np.float32(0.0), np.float32(0.0)
            for x in range(left, right):
                mean += around[0, x]
                square += around[1, x]
            count = np.float32((bottom - top) * (right - left))
            mean, square = mean / count, square / count
            scale = np.float32(1.0) / (np.sqrt(max(square - mean * mean, np.float32(0.0))) + np.float32(floor))
            cell, place = out[row], 2 * (i % 2) + j % 2
            for y in range(block):
                new, old = now[i * block + y, j * block :], before[i * block + y, j * block :]
                for x in range(block):
                    k = 4 * (y * block + x) + place
                    cell[k] = (new[x] - mean) * scale
                    cell[4 * values + k] = (old[x] - mean) * scale


@kernel
def look(now: Planes, before: Planes, rules: Rules, rows: Rows, flow: Planes, seen: Planes) -> None:
    """What ``network.look`` says of the cells of pictures (N, H, W) that have a row, in any order of the rows.

    ``rows`` is (N, gh, gw); ``flow`` (R, 2, 4) and ``seen`` (R, 4 (2 block^2 + 7)) hold the four blocks of each cell.
    """
    count, gh, gw = rows.shape
    flows = np.empty((rules.scales, 2, 2 * gh, 2 * gw), np.float32)
    best = np.empty((2, 2 * gh, 2 * gw), np.float32)
    change = np.empty((2 * gh, 2 * gw), np.float32)
    traits = np.empty((7, 2 * gh, 2 * gw), np.float32)
    values = 2 * rules.block * rules.block
    for n in range(count):
        spans = spans_of(rows[n])
        if not spans.any():
            continue
        a, b = now[n], before[n]
        _differential_flow(a, b, rules.block, rules.gradient_floor, spans, change, flows, traits[3:])
        reach = widened(spans, reach_of(rules), 2 * gw)
        choose(a, b, rules, spans, reach, rows[n], change, flows, best, traits[:3])
        _normalised(a, b, rules.block, rules.contrast_floor, spans, rows[n], seen)
        for i in range(2 * gh):
            for j in range(spans[i, 0], spans[i, 1]):
                row, place = rows[n, i // 2, j // 2], 2 * (i % 2) + j % 2
                if row >= 0:
                    flow[row, 0, place], flow[row, 1, place] = best[0, i, j], best[1, i, j]
                    for t in range(7):
                        seen[row, 4 * (values + t) + place] = traits[t, i, j]


def warm_features() -> None:
    """Compile or load every loop (20 s the first time), so that no frame waits for the compiler."""
    picture = np.zeros((1, 16, 16), np.float32)
    flow, seen = np.empty((4, 2, 4), np.float32), np.empty((4, 4 * (32 + 7)), np.float32)
    look(picture, picture, RULES, np.arange(4, dtype=np.int32).reshape(1, 2, 2), flow, seen)
