"""``vad.model.motion`` as loops for a CPU: the same numbers, each frame in one pass.

As tensor operations these are dozens of trips through memory and cost several times as much as the convolutions; as
loops they cost less, and where nothing moves next to nothing. ``motion`` is the definition; a test holds the two
together.
"""

from __future__ import annotations

import numpy as np

from vad.model.candidates import choose
from vad.model.compiling import Planes, kernel
from vad.model.motion import RULES, Rules


@kernel
def _halved(picture: Planes) -> Planes:
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    out = np.empty((height, width), np.float32)
    for i in range(height):
        for j in range(width):
            top = picture[2 * i, 2 * j] + picture[2 * i, 2 * j + 1]
            out[i, j] = (top + picture[2 * i + 1, 2 * j] + picture[2 * i + 1, 2 * j + 1]) * np.float32(0.25)
    return out


@kernel
def _structure(now: Planes, before: Planes, block: int, out: Planes) -> None:
    """Structure tensor xx xy yy xt yt tt as block means into ``out`` (6, h, w)."""
    height, width = now.shape
    half = np.float32(0.5)
    middle = np.empty((height + 2, width + 2), np.float32)  # edge repeated
    for i in range(height):
        for j in range(width):
            middle[i + 1, j + 1] = (now[i, j] + before[i, j]) * half
        middle[i + 1, 0], middle[i + 1, width + 1] = middle[i + 1, 1], middle[i + 1, width]
    middle[0, :], middle[height + 1, :] = middle[1, :], middle[height, :]
    share = np.float32(1.0 / (block * block))
    sums = np.zeros((6, width), np.float32)  # over the rows of a block, still one a pixel column: this loop vectorises
    for i in range(height):
        above, here, below = middle[i], middle[i + 1], middle[i + 2]
        for j in range(width):
            x = (here[j + 2] - here[j]) * half
            y = (below[j + 1] - above[j + 1]) * half
            t = now[i, j] - before[i, j]
            sums[0, j] += x * x
            sums[1, j] += x * y
            sums[2, j] += y * y
            sums[3, j] += x * t
            sums[4, j] += y * t
            sums[5, j] += t * t
        if (i + 1) % block == 0:
            for c in range(6):
                for column in range(width // block):
                    total = np.float32(0.0)
                    for j in range(column * block, column * block + block):
                        total += sums[c, j]
                    out[c, i // block, column] = total * share
            sums[:] = np.float32(0.0)


@kernel
def _smoothed(planes: Planes, out: Planes) -> None:
    """3 x 3 means of each plane (C, h, w), the edge repeated."""
    channels, height, width = planes.shape
    share = np.float32(1.0 / 9.0)
    for c in range(channels):
        for i in range(height):
            up, down = max(i - 1, 0), min(i + 1, height - 1)
            for j in range(width):
                left, right = max(j - 1, 0), min(j + 1, width - 1)
                total = planes[c, up, left] + planes[c, up, j] + planes[c, up, right]
                total += planes[c, i, left] + planes[c, i, j] + planes[c, i, right]
                total += planes[c, down, left] + planes[c, down, j] + planes[c, down, right]
                out[c, i, j] = total * share


@kernel
def _differential_flow(now: Planes, before: Planes, block: int, flat: float, flows: Planes, traits: Planes) -> None:
    """``motion.differential_flow`` of one picture (H, W): ``flows`` (scales, 2, h, w), ``traits`` (4, h, w)."""
    scales, _, height, width = flows.shape
    floor, most, unit = np.float32(flat), np.float32(2.0), np.float32(0.2)
    raw = np.empty((6, height, width), np.float32)
    smooth = np.empty((6, height, width), np.float32)
    for s in range(scales):
        scale = np.float32(2**s)
        if s > 0:
            now, before = _halved(now), _halved(before)
        _structure(now, before, block // 2**s, raw)
        _smoothed(raw, smooth)
        for i in range(height):
            for j in range(width):
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
def _normalised(now: Planes, before: Planes, block: int, floor: float, out: Planes) -> None:
    """``motion.normalised_blocks`` of one picture into ``out`` (h / 2, w / 2, 4 * 2 block^2), cells of 2 x 2 blocks."""
    height, width = now.shape[0] // block, now.shape[1] // block
    values = block * block
    moments = np.zeros((2, height, width), np.float32)
    around = np.zeros((2, height, width), np.float32)  # sums over five rows of blocks
    sums = np.zeros((2, width * block), np.float32)
    share = np.float32(0.5 / values)
    for y in range(height * block):
        for x in range(width * block):
            p, q = now[y, x], before[y, x]
            sums[0, x] += p + q
            sums[1, x] += p * p + q * q
        if (y + 1) % block == 0:
            for c in range(2):
                for j in range(width):
                    total = np.float32(0.0)
                    for x in range(j * block, j * block + block):
                        total += sums[c, x]
                    moments[c, y // block, j] = total * share
            sums[:] = np.float32(0.0)
    for i in range(height):
        for y in range(max(i - 2, 0), min(i + 3, height)):
            for j in range(width):
                around[0, i, j] += moments[0, y, j]
                around[1, i, j] += moments[1, y, j]
    for i in range(height):
        rows = min(i + 3, height) - max(i - 2, 0)
        for j in range(width):
            left, right = max(j - 2, 0), min(j + 3, width)
            mean, square = np.float32(0.0), np.float32(0.0)
            for x in range(left, right):
                mean += around[0, i, x]
                square += around[1, i, x]
            count = np.float32(rows * (right - left))
            mean, square = mean / count, square / count
            scale = np.float32(1.0) / (np.sqrt(max(square - mean * mean, np.float32(0.0))) + np.float32(floor))
            cell, place = out[i // 2, j // 2], 2 * (i % 2) + j % 2
            for k in range(values):
                y, x = i * block + k // block, j * block + k % block
                cell[4 * k + place] = (now[y, x] - mean) * scale
                cell[4 * (values + k) + place] = (before[y, x] - mean) * scale


@kernel
def look(now: Planes, before: Planes, rules: Rules, flow: Planes, seen: Planes) -> None:
    """``network.look`` of pictures (N, H, W): ``flow`` (N, 2, h, w), ``seen`` (N, h / 2, w / 2, 4 (2 block^2 + 7))."""
    count, _, height, width = flow.shape
    flows = np.empty((rules.scales, 2, height, width), np.float32)
    traits = np.empty((7, height, width), np.float32)
    values = 2 * rules.block * rules.block
    for n in range(count):
        a, b = now[n], before[n]
        _differential_flow(a, b, rules.block, rules.gradient_floor, flows, traits[3:])
        choose(a, b, rules, flows, flow[n], traits[:3])
        _normalised(a, b, rules.block, rules.contrast_floor, seen[n])
        for t in range(7):
            for i in range(height):
                for j in range(width):
                    seen[n, i // 2, j // 2, 4 * (values + t) + 2 * (i % 2) + j % 2] = traits[t, i, j]


def warm_features() -> None:
    """Compile or load every loop (20 s the first time), so that no frame waits for the compiler."""
    picture = np.zeros((1, 16, 16), np.float32)
    flow, seen = np.empty((1, 2, 4, 4), np.float32), np.empty((1, 2, 2, 4 * (32 + 7)), np.float32)
    look(picture, picture, RULES, flow, seen)
