"""``vad.model.motion`` as loops for a CPU: the same numbers, each frame in one pass.

As tensor operations these are dozens of trips through memory and cost several times as much as the convolutions; as
loops they cost less, and where nothing moves next to nothing. ``motion`` is the definition; a test holds the two
together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Planes = NDArray[np.float32]


def kernel(function: Any) -> Any:
    """Compile with the GIL released and the machine code cached on disk. Sums may be reordered: 1e-5 is good enough."""
    return njit(nogil=True, cache=True, fastmath=True, error_model="numpy")(function)


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
def _block_means(picture: Planes, block: int) -> Planes:
    height, width = picture.shape[0] // block, picture.shape[1] // block
    share = np.float32(1.0 / (block * block))
    out = np.zeros((height, width), np.float32)
    for i in range(height * block):
        for j in range(width * block):
            out[i // block, j // block] += picture[i, j] * share
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
def _choose(
    now: Planes,
    before: Planes,
    block: int,
    size: int,
    up: int,
    left: int,
    gradient_floor: float,
    contrast_floor: float,
    still_change: float,
    good_fit: float,
    reach: float,
    clearly_better: float,
    refinements: int,
    flows: Planes,
    flow: Planes,
    traits: Planes,
) -> None:
    """The choice among ``flows`` (scales, 2, h, w) and a match, into ``flow`` (2, h, w) and ``traits`` (3, h, w)."""
    scales, _, height, width = flows.shape
    one, zero = np.float32(1.0), np.float32(0.0)
    margin = (size - block) // 2
    now_means, before_means = _block_means(now, block), _block_means(before, block)
    for i in range(height):
        for j in range(width):
            u, v, fit = flows[0, 0, i, j], flows[0, 1, i, j], one
            change = zero
            for y in range(i * block, i * block + block):
                for x in range(j * block, j * block + block):
                    change += (now[y, x] - before[y, x]) ** 2
            if change > np.float32(still_change * block * block):
                y, x = i * block - margin, j * block - margin
                best = _error_of(now, before, y, x, size, u, v)
                within = max(abs(u), abs(v)) <= reach
                weighed, finest = best * clearly_better if within else best, True
                for s in range(1, scales + 1 if best > good_fit or not within else 1):
                    if s < scales:
                        other_u, other_v = flows[s, 0, i, j], flows[s, 1, i, j]
                    else:
                        shift_y, shift_x = _best_match(now_means, before_means, i, j, up, left)
                        other_u, other_v = np.float32(-block * shift_x), np.float32(-block * shift_y)
                    error = _error_of(now, before, y, x, size, other_u, other_v)
                    if error < weighed:
                        best, weighed, finest, u, v = error, error, False, other_u, other_v
                if not finest:
                    for _ in range(refinements):
                        other_u, other_v = _refined(now, before, y, x, size, gradient_floor, u, v)
                        error = _error_of(now, before, y, x, size, other_u, other_v)
                        if error < best:
                            best, u, v = error, other_u, other_v
                fit = best / (_error_of(now, before, y, x, size, zero, zero) + contrast_floor)
            flow[0, i, j], flow[1, i, j] = u, v
            traits[0, i, j], traits[1, i, j] = u / (one + abs(u)), v / (one + abs(v))
            traits[2, i, j] = fit


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
def look(
    now: Planes,
    before: Planes,
    block: int,
    size: int,
    up: int,
    left: int,
    scales: int,
    gradient_floor: float,
    contrast_floor: float,
    still_change: float,
    good_fit: float,
    reach: float,
    clearly_better: float,
    refinements: int,
    flow: Planes,
    seen: Planes,
) -> None:
    """``network.look`` of pictures (N, H, W): ``flow`` (N, 2, h, w), ``seen`` (N, h / 2, w / 2, 4 (2 block^2 + 7))."""
    count, _, height, width = flow.shape
    flows = np.empty((scales, 2, height, width), np.float32)
    traits = np.empty((7, height, width), np.float32)
    values = 2 * block * block
    for n in range(count):
        a, b = now[n], before[n]
        _differential_flow(a, b, block, gradient_floor, flows, traits[3:])
        _choose(
            a,
            b,
            block,
            size,
            up,
            left,
            gradient_floor,
            contrast_floor,
            still_change,
            good_fit,
            reach,
            clearly_better,
            refinements,
            flows,
            flow[n],
            traits[:3],
        )
        _normalised(a, b, block, contrast_floor, seen[n])
        for t in range(7):
            for i in range(height):
                for j in range(width):
                    seen[n, i // 2, j // 2, 4 * (values + t) + 2 * (i % 2) + j % 2] = traits[t, i, j]


def warm_features() -> None:
    """Compile or load every loop (20 s the first time), so that no frame waits for the compiler."""
    picture = np.zeros((1, 16, 16), np.float32)
    flow, seen = np.empty((1, 2, 4, 4), np.float32), np.empty((1, 2, 2, 4 * (32 + 7)), np.float32)
    look(picture, picture, 4, 8, 1, 1, 3, 1.0, 1.0, 1.0, 1.0, 1.2, 0.7, 1, flow, seen)
