"""The segmentation network in Numba: one core, no lock held, a millisecond for a whole picture of 160x96.

A picture of C channels is an array (C, (H + 2) * (W + 2)) float32: rows one behind the other with a border of zeros, so
that one simple loop does a whole channel at once. ``H`` and ``W`` are handed over beside it, since one array serves
pictures of several sizes; what lies behind the picture means nothing. All kernels are in this file: Numba compiles anew
what stands in the file that has changed, and what calls it from another one not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import Map
from vad.scoring.objects.background import BACKGROUND

Mask = NDArray[np.uint8]

CHANNELS = 16
"""Four pixels of 2x2 each of difference, picture and background; then spread, establishment, calm and activity."""

WIDTHS = (12, 20, 32, 32)
"""Channels at a half, a quarter, an eighth and a sixteenth of the picture."""

LEAST_MARKED, AROUND_PX = 4, 16
"""Pixels of a cell that must be off the background, and how much around it is looked at."""

MULTIPLE = 16
"""Pixels: what the sides of a part that is looked at are multiples of."""

LEAST_LOGIT = 0.0
"""Of "belongs to an object": more than that does."""

ESTABLISHED_S = BACKGROUND.established_s
"""Of background."""

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


class Planes(NamedTuple):
    """One frame as the object layer sees it."""

    luma: NDArray[np.uint8]  # (H, W)
    level: Map  # (H, W) background, levels
    spread: Map  # (H, W) levels
    seen_s: Map  # (H, W) how long the picture has agreed with the background
    quiet_s: Map  # (H, W) how long the picture has not changed
    activity: Map  # (H/8, W/8) 0..1, what the motion network takes for moving


class Layer(NamedTuple):
    """One convolution: ``weight`` (O, C, 9) or (O, C), ``bias`` (O,)."""

    weight: Map
    bias: Map


class Layers(NamedTuple):
    """The network."""

    mix2: Layer
    down4: Layer
    mix4: Layer
    down8: Layer
    mix8: Layer
    down16: Layer
    mix16: Layer
    up8: Layer
    up4: Layer
    up2: Layer
    leave: Layer


class Room(NamedTuple):
    """What is computed, an array (C, pixels with their border) for each size; used again for each frame."""

    entered: Map  # CHANNELS at a half
    half: Map  # up4's outcome doubled, then mix2's
    halved: Map  # mix2's, four to one
    quarter: Map
    joined4: Map  # up8's doubled, then mix4's
    quartered: Map
    eighth: Map
    joined8: Map  # mix16's doubled, then mix8's
    eighthed: Map
    least: Map
    last: Map
    said: Map  # the logits, four to a pixel


def room_for(height: int, width: int) -> Room:
    """Room for pictures of up to that size, pixels."""
    half, quarter, eighth, least = WIDTHS

    def planes(channels: int, shrink: int) -> Map:
        return np.zeros((channels, (height // shrink + 2) * (width // shrink + 2)), np.float32)

    return Room(
        entered=planes(max(CHANNELS, half), 2),
        half=planes(quarter + half, 2),
        halved=planes(4 * half, 4),
        quarter=planes(quarter, 4),
        joined4=planes(eighth + quarter, 4),
        quartered=planes(4 * quarter, 8),
        eighth=planes(eighth, 8),
        joined8=planes(least + eighth, 8),
        eighthed=planes(4 * eighth, 16),
        least=planes(least, 16),
        last=planes(least, 16),
        said=planes(4, 2),
    )


@convolution
def enter(planes: Planes, part: tuple[int, int, int, int], cell: int, out: Map) -> None:
    """The network's input, of the part (top, left, height, width) of the picture, into ``out`` (CHANNELS, pixels)."""
    top, left, height, width = part
    last_row, last_column = planes.luma.shape[0] - 1, planes.luma.shape[1] - 1
    wide = width // 2 + 2
    for c in range(CHANNELS):
        out[c, : (height // 2 + 2) * wide] = np.float32(0.0)
    for i in range(height // 2):
        for j in range(width // 2):
            to = (1 + i) * wide + 1 + j
            spread, sure, calm = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for k in range(4):
                y, x = min(last_row, top + 2 * i + k // 2), min(last_column, left + 2 * j + k % 2)
                now, usual = np.float32(planes.luma[y, x]), planes.level[y, x]
                out[k, to] = min(np.float32(4.0), max(np.float32(-4.0), (now - usual) * np.float32(0.05)))
                out[4 + k, to] = (now - np.float32(128.0)) * np.float32(1.0 / 64.0)
                out[8 + k, to] = (usual - np.float32(128.0)) * np.float32(1.0 / 64.0)
                spread += planes.spread[y, x]
                sure += min(np.float32(1.0), planes.seen_s[y, x] * np.float32(1.0 / ESTABLISHED_S))
                calm += min(np.float32(1.0), planes.quiet_s[y, x])
            out[12, to] = spread * np.float32(0.25 * 0.125)
            out[13, to] = sure * np.float32(0.25)
            out[14, to] = calm * np.float32(0.25)
            out[15, to] = planes.activity[min(last_row, top + 2 * i) // cell, min(last_column, left + 2 * j) // cell]


@convolution
def run(layers: Layers, room: Room, height: int, width: int) -> None:
    """``room.entered`` of a part of ``height`` x ``width`` pixels -> ``room.said``."""
    half, quarter, eighth, least = WIDTHS
    h2, w2, h4, w4, h8, w8, h16, w16 = (
        height // 2,
        width // 2,
        height // 4,
        width // 4,
        height // 8,
        width // 8,
        height // 16,
        width // 16,
    )
    a, b, c = room.half[quarter:], room.joined4[eighth:], room.joined8[least:]
    mix(room.entered, layers.mix2.weight, layers.mix2.bias, h2, w2, a)
    halve(a, half, h2, w2, room.halved)
    weigh(room.halved, layers.down4.weight, layers.down4.bias, h4, w4, True, room.quarter)
    mix(room.quarter, layers.mix4.weight, layers.mix4.bias, h4, w4, b)
    halve(b, quarter, h4, w4, room.quartered)
    weigh(room.quartered, layers.down8.weight, layers.down8.bias, h8, w8, True, room.eighth)
    mix(room.eighth, layers.mix8.weight, layers.mix8.bias, h8, w8, c)
    halve(c, eighth, h8, w8, room.eighthed)
    weigh(room.eighthed, layers.down16.weight, layers.down16.bias, h16, w16, True, room.least)
    mix(room.least, layers.mix16.weight, layers.mix16.bias, h16, w16, room.last)
    double(room.last, least, h16, w16, room.joined8)
    weigh(room.joined8, layers.up8.weight, layers.up8.bias, h8, w8, True, room.eighth)
    double(room.eighth, eighth, h8, w8, room.joined4)
    weigh(room.joined4, layers.up4.weight, layers.up4.bias, h4, w4, True, room.quarter)
    double(room.quarter, quarter, h4, w4, room.half)
    weigh(room.half, layers.up2.weight, layers.up2.bias, h2, w2, True, room.entered)
    weigh(room.entered, layers.leave.weight, layers.leave.bias, h2, w2, False, room.said)


@convolution
def leave(said: Map, part: tuple[int, int, int, int], out: Mask) -> None:
    """Set ``out`` (H, W) to 1 where the network says so, within the part; the rest is left as it is."""
    top, left, height, width = part
    wide = width // 2 + 2
    for i in range(height // 2):
        for j in range(width // 2):
            at = (1 + i) * wide + 1 + j
            for k in range(4):
                y, x = top + 2 * i + k // 2, left + 2 * j + k % 2
                if y < out.shape[0] and x < out.shape[1]:
                    out[y, x] = said[k, at] > np.float32(LEAST_LOGIT)


@convolution
def part_to_look_at(marked: Mask, cell: int) -> tuple[int, int, int, int]:
    """The part (top, left, height, width) around what is marked, sides multiples of ``MULTIPLE``.

    A cell counts of which ``LEAST_MARKED`` pixels or more are marked, and ``AROUND_PX`` more are looked at around it.
    The part may reach beyond the picture by less than ``MULTIPLE``: there its
    last row and column are repeated. (0, 0, 0, 0) for none.
    """
    height, width = marked.shape
    top, bottom, left, right = height, 0, width, 0
    for i in range(0, height, cell):
        for j in range(0, width, cell):
            count = 0
            for y in range(i, i + cell):
                for x in range(j, j + cell):
                    count += marked[y, x] != 0
            if count >= LEAST_MARKED:
                top, bottom = min(top, i), max(bottom, i + cell)
                left, right = min(left, j), max(right, j + cell)
    if bottom == 0:
        return 0, 0, 0, 0
    top, tall = _grown(top, bottom, height)
    left, wide = _grown(left, right, width)
    return top, left, tall, wide


@convolution
def _grown(first: int, last: int, size: int) -> tuple[int, int]:
    """Begin, a multiple of 8, and length."""
    begin = max(0, first - AROUND_PX) // 8 * 8
    return begin, (min(size, last + AROUND_PX) - begin + MULTIPLE - 1) // MULTIPLE * MULTIPLE
