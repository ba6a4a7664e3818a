"""Convolutions of small pictures in Numba: one core, no lock held, some microseconds each.

A picture of C channels is an array (C, (H + 2) * (W + 2)) float32: rows one behind the other with a border of zeros, so
that one simple loop does a whole channel at once. ``H`` and ``W`` are handed over beside it, since one array serves
pictures of several sizes; what lies behind the picture means nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from vad.scoring.kernels import Map

F = TypeVar("F", bound=Callable[..., Any])


def convolution(function: F) -> F:
    """Compile as ``vad.scoring.kernels.kernel`` does, with products and sums in whatever order is quickest."""
    return cast(F, numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")(function))


@convolution
def mix(x: Map, weight: Map, bias: Map, height: int, width: int, out: Map) -> None:
    """A 3x3 convolution with zeros around the picture, then what is below zero is zero.

    ``weight`` (O, C, 9), O even: two channels are made at once, since to fetch a pixel costs as much as to weigh it.
    """
    wide = width + 2
    first, count = wide + 1, height * wide - 2
    for o in range(0, len(weight), 2):
        to, too = out[o, first : first + count], out[o + 1, first : first + count]
        for j in range(count):
            to[j], too[j] = bias[o], bias[o + 1]
        for c in range(weight.shape[1]):
            w, v, row = weight[o, c], weight[o + 1, c], x[c]
            a0, a1, a2 = row[0:count], row[1 : 1 + count], row[2 : 2 + count]
            b0, b1, b2 = row[wide : wide + count], row[wide + 1 : wide + 1 + count], row[wide + 2 : wide + 2 + count]
            below = row[2 * wide :]
            c0, c1, c2 = below[0:count], below[1 : 1 + count], below[2 : 2 + count]
            w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
            v0, v1, v2, v3, v4, v5, v6, v7, v8 = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]
            for j in range(count):
                p0, p1, p2, p3, p4, p5, p6, p7, p8 = a0[j], a1[j], a2[j], b0[j], b1[j], b2[j], c0[j], c1[j], c2[j]
                to[j] += w0 * p0 + w1 * p1 + w2 * p2 + w3 * p3 + w4 * p4 + w5 * p5 + w6 * p6 + w7 * p7 + w8 * p8
                too[j] += v0 * p0 + v1 * p1 + v2 * p2 + v3 * p3 + v4 * p4 + v5 * p5 + v6 * p6 + v7 * p7 + v8 * p8
        for j in range(count):
            to[j], too[j] = max(to[j], np.float32(0.0)), max(too[j], np.float32(0.0))
        clear_border(out[o], height, width)
        clear_border(out[o + 1], height, width)


@convolution
def weigh(x: Map, weight: Map, bias: Map, height: int, width: int, rectify: bool, out: Map) -> None:
    """A 1x1 convolution; then what is below zero is zero if ``rectify``. ``weight`` (O, C), C a multiple of 4."""
    count = (height + 2) * (width + 2)
    for o in range(len(weight)):
        to = out[o, :count]
        for j in range(count):
            to[j] = bias[o]
        for c in range(0, weight.shape[1], 4):
            a, b, d, e = x[c, :count], x[c + 1, :count], x[c + 2, :count], x[c + 3, :count]
            w0, w1, w2, w3 = weight[o, c], weight[o, c + 1], weight[o, c + 2], weight[o, c + 3]
            for j in range(count):
                to[j] += w0 * a[j] + w1 * b[j] + w2 * d[j] + w3 * e[j]
        if rectify:
            for j in range(count):
                to[j] = max(to[j], np.float32(0.0))
        clear_border(out[o], height, width)


@convolution
def clear_border(plane: Map, height: int, width: int) -> None:
    """The border of one channel is zero."""
    wide = width + 2
    plane[:wide] = np.float32(0.0)
    plane[(height + 1) * wide : (height + 2) * wide] = np.float32(0.0)
    for i in range(1, height + 1):
        plane[i * wide], plane[(i + 1) * wide - 1] = np.float32(0.0), np.float32(0.0)


@convolution
def halve(x: Map, channels: int, height: int, width: int, out: Map) -> None:
    """Each 2x2 pixels become four channels of one: as ``torch.nn.functional.pixel_unshuffle`` orders them."""
    wide, narrow = width + 2, width // 2 + 2
    for c in range(channels):
        for k in range(4):
            to, row = out[4 * c + k], x[c]
            clear_border(to, height // 2, width // 2)
            for i in range(height // 2):
                start = (1 + 2 * i + k // 2) * wide + 1 + k % 2
                for j in range(width // 2):
                    to[(1 + i) * narrow + 1 + j] = row[start + 2 * j]


@convolution
def double(x: Map, channels: int, height: int, width: int, out: Map) -> None:
    """Each pixel becomes 2x2. ``height`` and ``width`` are those of ``x``."""
    narrow, wide = width + 2, 2 * width + 2
    for c in range(channels):
        to, row = out[c], x[c]
        clear_border(to, 2 * height, 2 * width)
        for i in range(2 * height):
            start, begin = (1 + i // 2) * narrow + 1, (1 + i) * wide + 1
            for j in range(width):
                to[begin + 2 * j] = row[start + j]
                to[begin + 2 * j + 1] = row[start + j]
