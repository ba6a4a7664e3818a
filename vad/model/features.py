"""The network's hand-made features on a CPU: the same numbers as ``network``'s tensor code, each frame in one pass.

As tensor operations these are a dozen trips through memory each and cost more than the convolutions; as loops they cost
a tenth. ``network`` is the definition (it trains, and runs on a GPU); a test holds the two together.
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
    out[:] = np.float32(0.0)
    for i in range(height):
        row = i // block
        for j in range(width):
            column = j // block
            x = (middle[i + 1, j + 2] - middle[i + 1, j]) * half
            y = (middle[i + 2, j + 1] - middle[i, j + 1]) * half
            t = now[i, j] - before[i, j]
            out[0, row, column] += x * x * share
            out[1, row, column] += x * y * share
            out[2, row, column] += y * y * share
            out[3, row, column] += x * t * share
            out[4, row, column] += y * t * share
            out[5, row, column] += t * t * share


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
def differential_flow(
    now: Planes, before: Planes, block: int, scales: int, flat: float, flow: Planes, traits: Planes
) -> None:
    """``network.differential_flow`` of pictures (N, H, W): flow (N, scales, 2, h, w), traits (N, 3 scales, h, w)."""
    height, width = flow.shape[3:]
    floor, most, unit = np.float32(flat), np.float32(2.0), np.float32(0.2)
    raw = np.empty((6, height, width), np.float32)
    smooth = np.empty((6, height, width), np.float32)
    for n in range(now.shape[0]):
        a, b = now[n], before[n]
        for s in range(scales):
            scale = np.float32(2**s)
            if s > 0:
                a, b = _halved(a), _halved(b)
            _structure(a, b, block // 2**s, raw)
            _smoothed(raw, smooth)
            for i in range(height):
                for j in range(width):
                    xy, xt, yt = smooth[1, i, j], smooth[3, i, j], smooth[4, i, j]
                    xx, yy, tt = smooth[0, i, j] + floor, smooth[2, i, j] + floor, smooth[5, i, j] + floor
                    determinant = xx * yy - xy * xy
                    u = (xy * yt - yy * xt) / determinant
                    v = (xy * xt - xx * yt) / determinant
                    flow[n, s, 0, i, j] = min(max(u, -most), most) * scale
                    flow[n, s, 1, i, j] = min(max(v, -most), most) * scale
                    traits[n, 3 * s, i, j] = (smooth[5, i, j] + u * xt + v * yt) / tt
                    traits[n, 3 * s + 1, i, j] = np.log(tt / floor) * unit
                    traits[n, 3 * s + 2, i, j] = np.log((xx + smooth[2, i, j]) / floor) * unit


@kernel
def _block_means(picture: Planes, block: int, out: Planes) -> None:
    share = np.float32(1.0 / (block * block))
    out[:] = np.float32(0.0)
    for i in range(picture.shape[0]):
        for j in range(picture.shape[1]):
            out[i // block, j // block] += picture[i, j] * share


@kernel
def match_blocks(now: Planes, before: Planes, block: int, up: int, left: int, floor: float, out: Planes) -> None:
    """``network.match_blocks`` of pictures (N, H, W) into misfit (N, h, w, shifts), shifts row by row."""
    _, height, width, shifts = out.shape
    a = np.empty((height, width), np.float32)
    b = np.empty((height, width), np.float32)
    raw = np.empty((1, height, width), np.float32)
    smooth = np.empty((1, height, width), np.float32)
    for n in range(now.shape[0]):
        _block_means(now[n], block, a)
        _block_means(before[n], block, b)
        for shift in range(shifts):
            y, x = shift // (2 * left + 1) - up, shift % (2 * left + 1) - left
            for i in range(height):
                source = min(max(i + y, 0), height - 1)
                for j in range(width):
                    raw[0, i, j] = abs(b[source, min(max(j + x, 0), width - 1)] - a[i, j])
            _smoothed(raw, smooth)
            for i in range(height):
                for j in range(width):
                    out[n, i, j, shift] = smooth[0, i, j]
        for i in range(height):
            for j in range(width):
                total = np.float32(0.0)
                for shift in range(shifts):
                    total += out[n, i, j, shift]
                scale = np.float32(1.0) / (total / np.float32(shifts) + np.float32(floor))
                for shift in range(shifts):
                    out[n, i, j, shift] *= scale


@kernel
def normalised_blocks(now: Planes, before: Planes, block: int, floor: float, out: Planes) -> None:
    """``network.normalised_blocks`` of pictures (N, H, W) into (N, h, w, 2 block^2)."""
    _, height, width, values = out.shape
    moments = np.empty((2, height, width), np.float32)
    share = np.float32(1.0 / values)
    for n in range(now.shape[0]):
        for i in range(height):
            for j in range(width):
                first, second = np.float32(0.0), np.float32(0.0)
                for k in range(block):
                    for m in range(block):
                        p, q = now[n, i * block + k, j * block + m], before[n, i * block + k, j * block + m]
                        out[n, i, j, k * block + m] = p
                        out[n, i, j, block * block + k * block + m] = q
                        first += p + q
                        second += p * p + q * q
                moments[0, i, j], moments[1, i, j] = first * share, second * share
        for i in range(height):
            for j in range(width):
                mean, square, count = np.float32(0.0), np.float32(0.0), 0
                for y in range(max(i - 2, 0), min(i + 3, height)):
                    for x in range(max(j - 2, 0), min(j + 3, width)):
                        mean += moments[0, y, x]
                        square += moments[1, y, x]
                        count += 1
                mean, square = mean / np.float32(count), square / np.float32(count)
                scale = np.float32(1.0) / (np.sqrt(max(square - mean * mean, np.float32(0.0))) + np.float32(floor))
                for k in range(values):
                    out[n, i, j, k] = (out[n, i, j, k] - mean) * scale


def warm_features() -> None:
    """Compile or load every loop (10 s the first time), so that no frame waits for the compiler."""
    picture = np.zeros((1, 8, 8), np.float32)
    flow, traits = np.empty((1, 1, 2, 2, 2), np.float32), np.empty((1, 3, 2, 2), np.float32)
    differential_flow(picture, picture, 4, 1, 1.0, flow, traits)
    match_blocks(picture, picture, 4, 0, 0, 1.0, np.empty((1, 2, 2, 1), np.float32))
    normalised_blocks(picture, picture, 4, 1.0, np.empty((1, 2, 2, 32), np.float32))
