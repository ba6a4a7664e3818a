"""Which of its candidates a block's flow is: each is checked by warping the picture before (``motion.measure``).

Loops for a CPU. The limits come as ``motion.Rules`` and not as globals, which Numba would freeze into the machine code
that it keeps on disk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vad.model.compiling import Planes, kernel
from vad.model.motion import Rules


@kernel
def _block_means(picture: Planes, block: int) -> Planes:
    height, width = picture.shape[0] // block, picture.shape[1] // block
    share = np.float32(1.0 / (block * block))
    out = np.empty((height, width), np.float32)
    sums = np.empty(width * block, np.float32)
    for i in range(height):
        sums[:] = np.float32(0.0)
        for y in range(i * block, i * block + block):
            for x in range(width * block):
                sums[x] += picture[y, x]
        for j in range(width):
            total = np.float32(0.0)
            for x in range(j * block, j * block + block):
                total += sums[x]
            out[i, j] = total * share
    return out


@kernel
def _best_match(now: Planes, before: Planes, i: int, j: int, up: int, left: int) -> tuple[int, int]:
    """The shift (y, x) in blocks at which block (i, j) of the block means and its neighbours fit ``before`` best."""
    height, width = now.shape
    best, best_y, best_x = np.float32(np.inf), 0, 0
    for y in range(-up, up + 1):
        for x in range(-left, left + 1):
            misfit = np.float32(0.0)
            for di in range(-1, 2):
                row = min(max(i + di, 0), height - 1)
                source = min(max(row + y, 0), height - 1)
                for dj in range(-1, 2):
                    column = min(max(j + dj, 0), width - 1)
                    misfit += abs(before[source, min(max(column + x, 0), width - 1)] - now[row, column])
            if misfit < best:
                best, best_y, best_x = misfit, y, x
    return best_y, best_x


@kernel
def _bilinear(picture: Planes, y: Any, x: Any) -> Any:
    """The picture between its pixels, the edge repeated beyond them."""
    height, width = picture.shape
    y = min(max(y, np.float32(0.0)), np.float32(height - 1))
    x = min(max(x, np.float32(0.0)), np.float32(width - 1))
    top, left = int(y), int(x)
    below, beside = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = picture[top, left] + (x - left) * (picture[top, beside] - picture[top, left])
    lower = picture[below, left] + (x - left) * (picture[below, beside] - picture[below, left])
    return upper + (y - top) * (lower - upper)


@kernel
def _error_of(now: Planes, before: Planes, top: int, left: int, size: int, u: Any, v: Any) -> Any:
    """``motion.check`` of one flow (u, v) for one window whose first pixel is (top, left)."""
    height, width = now.shape
    down, right = int(np.floor(-v)), int(np.floor(-u))
    fy, fx = np.float32(-v - down), np.float32(-u - right)
    a, b = (np.float32(1.0) - fy) * (np.float32(1.0) - fx), (np.float32(1.0) - fy) * fx
    c, d = fy * (np.float32(1.0) - fx), fy * fx
    total = np.float32(0.0)
    y0, x0 = top + down, left + right
    inside = top >= 0 and left >= 0 and top + size <= height and left + size <= width
    if inside and y0 >= 0 and x0 >= 0 and y0 + size < height and x0 + size < width:
        for i in range(size):
            for j in range(size):
                y, x = y0 + i, x0 + j
                was = a * before[y, x] + b * before[y, x + 1] + c * before[y + 1, x] + d * before[y + 1, x + 1]
                total += abs(now[top + i, left + j] - was)
        return total / (size * size)
    for i in range(size):
        y = min(max(top + i, 0), height - 1)
        for j in range(size):
            x = min(max(left + j, 0), width - 1)
            total += abs(now[y, x] - _bilinear(before, np.float32(top + i - v), np.float32(left + j - u)))
    return total / (size * size)


@kernel
def _refined(
    now: Planes, before: Planes, top: int, left: int, size: int, floor: float, u: Any, v: Any
) -> tuple[Any, Any]:
    """``motion._refined`` of one flow (u, v) for one window whose first pixel is (top, left)."""
    height, width = now.shape
    half = np.float32(0.5)
    xx = xy = yy = xo = yo = np.float32(0.0)
    for i in range(top, top + size):
        y = min(max(i, 0), height - 1)
        for j in range(left, left + size):
            x = min(max(j, 0), width - 1)
            across = (now[y, min(x + 1, width - 1)] - now[y, max(x - 1, 0)]) * half
            down = (now[min(y + 1, height - 1), x] - now[max(y - 1, 0), x]) * half
            off = now[y, x] - _bilinear(before, np.float32(i - v), np.float32(j - u))
            xx += across * across
            xy += across * down
            yy += down * down
            xo += across * off
            yo += down * off
    share = np.float32(1.0 / (size * size))
    xx, xy, yy, xo, yo = xx * share + floor, xy * share, yy * share + floor, xo * share, yo * share
    determinant = xx * yy - xy * xy
    step_u, step_v = (xy * yo - yy * xo) / determinant, (xy * xo - xx * yo) / determinant
    length = max(np.sqrt(step_u * step_u + step_v * step_v), np.float32(1.0))
    return u + step_u / length, v + step_v / length


@kernel
def choose(
    now: Planes, before: Planes, rules: Rules, spans: Any, rows: Any, flows: Planes, flow: Planes, traits: Planes
) -> None:
    """The choice among ``flows`` (scales, 2, h, w) and a match, into ``flow`` (2, h, w) and ``traits`` (3, h, w).

    Only for the cells that have a row (``features.Rows``), all of them within ``spans``.
    """
    block, one = rules.block, np.float32(1.0)
    means, means_before = _block_means(now, block), _block_means(before, block)
    for i in range(len(spans)):
        for j in range(spans[i, 0], spans[i, 1]):
            if rows[i // 2, j // 2] < 0:
                continue
            u, v, fit = flows[0, 0, i, j], flows[0, 1, i, j], one
            change = np.float32(0.0)
            for y in range(i * block, i * block + block):
                for x in range(j * block, j * block + block):
                    change += (now[y, x] - before[y, x]) ** 2
            if change > np.float32(rules.still_change * block * block):
                u, v, fit = _best_of(now, before, means, means_before, rules, flows, i, j)
            flow[0, i, j], flow[1, i, j] = u, v
            traits[0, i, j], traits[1, i, j] = u / (one + abs(u)), v / (one + abs(v))
            traits[2, i, j] = fit


@kernel
def _best_of(
    now: Planes, before: Planes, means: Planes, means_before: Planes, rules: Rules, flows: Planes, i: int, j: int
) -> tuple[Any, Any, Any]:
    """Flow (u, v) and fit of block (i, j): the finest while it fits, else what fits best, refined where it points."""
    block, size = rules.block, rules.window
    y, x = i * block - (size - block) // 2, j * block - (size - block) // 2
    u, v = flows[0, 0, i, j], flows[0, 1, i, j]
    best, finest = _error_of(now, before, y, x, size, u, v), True
    within = max(abs(u), abs(v)) <= rules.within_reach_px
    weighed = best * rules.clearly_better if within else best
    for s in range(1, rules.scales + 1 if best > rules.good_fit or not within else 1):
        if s < rules.scales:
            other_u, other_v = flows[s, 0, i, j], flows[s, 1, i, j]
        else:
            shift_y, shift_x = _best_match(means, means_before, i, j, rules.up, rules.left)
            other_u, other_v = np.float32(-block * shift_x), np.float32(-block * shift_y)
        error = _error_of(now, before, y, x, size, other_u, other_v)
        if error < weighed:
            best, weighed, finest, u, v = error, error, False, other_u, other_v
    if not finest:
        for _ in range(rules.refinements):
            other_u, other_v = _refined(now, before, y, x, size, rules.gradient_floor, u, v)
            error = _error_of(now, before, y, x, size, other_u, other_v)
            if error < best:
                best, u, v = error, other_u, other_v
    still = _error_of(now, before, y, x, size, np.float32(0.0), np.float32(0.0))
    return u, v, best / (still + rules.contrast_floor)
