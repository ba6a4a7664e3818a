"""Which pixels belong to objects, said by a small network from the picture and the background behind it.

The network is ``vad.training.segmentation_network``'s; here it runs on one core, over the part of the picture in which
anything is off the background. Sources: Ronneberger et al., "U-Net" (2015); Tezcan, Ishwar and Konrad, "BSUV-Net: A
Fully-Convolutional Neural Network for Background Subtraction of Unseen Videos" (2020), whose network sees the
background beside the picture and so works in places that it never saw.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from vad.errors import WeightsError
from vad.scoring.kernels import Map
from vad.scoring.objects.convolution import convolution, double, halve, mix, weigh

Mask = NDArray[np.uint8]

CHANNELS = 16
"""Four pixels of 2x2 each of difference, picture and background; then spread, establishment, calm and activity."""

WIDTHS = (12, 20, 32, 32)
"""Channels at a half, a quarter, an eighth and a sixteenth of the picture."""

LEAST_MARKED, AROUND_PX = 4, 16
"""Pixels of a cell that are off the background, and how far the network sees around them."""

MULTIPLE = 16
"""Pixels: what the sides of a part that is looked at are multiples of."""

LEAST_LOGIT = 0.0
"""Of "belongs to an object": more than that does."""

ESTABLISHED_S = 6.0
"""Of background, as ``BackgroundTuning.established_s``."""

WEIGHTS_FILE = Path(__file__).resolve().parents[2] / "_weights" / "objects" / "segmentation.safetensors"


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


LAYERS = ("mix2", "down4", "mix4", "down8", "mix8", "down16", "mix16", "up8", "up4", "up2", "leave")


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
    The part may reach beyond the picture by less than ``MULTIPLE``: there the border goes on. (0, 0, 0, 0) for none.
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


@cache
def bundled_layers() -> Layers:
    """The network that comes with vad. Raises WeightsError where its file is missing or broken."""
    try:
        return layers_of(load_file(WEIGHTS_FILE))
    except (OSError, SafetensorError, KeyError) as error:
        raise WeightsError(
            f"weights {WEIGHTS_FILE}: cannot be read: {error}; allowed: the file that is installed with vad"
        ) from error


def layers_of(tensors: dict[str, NDArray[np.float32]]) -> Layers:
    """The network of ``NAME.weight`` (O, C, k, k) and ``NAME.bias`` (O,), as torch names them."""
    layers = []
    for name in LAYERS:
        weight = tensors[f"{name}.weight"]
        kernel = weight.shape[2] * weight.shape[3]
        flat = weight.reshape(weight.shape[0], weight.shape[1], kernel) if kernel > 1 else weight[:, :, 0, 0]
        layers.append(Layer(np.ascontiguousarray(flat), np.ascontiguousarray(tensors[f"{name}.bias"])))
    return Layers(*layers)


class Segmentation:
    """The network. Cameras and threads share one; ``layers`` are those that come with vad unless others are given."""

    def __init__(self, *, cell_px: int, layers: Layers | None = None) -> None:
        self._layers = bundled_layers() if layers is None else layers
        self._cell_px = cell_px
        self._rooms = threading.local()  # of each thread, by size

    def __call__(self, planes: Planes, marked: Mask, out: Mask) -> None:
        """Set ``out`` (H, W) to 1 where an object is. Only what is ``marked`` (H, W), and around it, is looked at."""
        out[:] = 0
        part = part_to_look_at(marked, self._cell_px)
        if part[2] == 0:
            return
        room = self._room(out.shape)
        enter(planes, part, self._cell_px, room.entered)
        run(self._layers, room, part[2], part[3])
        leave(room.said, part, out)

    def _room(self, shape: tuple[int, ...]) -> Room:
        rooms = cast(dict[tuple[int, ...], Room], self._rooms.__dict__)
        if shape not in rooms:
            rooms[shape] = room_for(*(-(-side // MULTIPLE) * MULTIPLE for side in shape))
        return rooms[shape]
