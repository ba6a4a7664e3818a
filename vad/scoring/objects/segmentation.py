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
from typing import cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from vad.errors import WeightsError
from vad.scoring.objects.segmentation_kernels import (
    CHANNELS,
    MULTIPLE,
    WIDTHS,
    Layer,
    Layers,
    Mask,
    Planes,
    Room,
    enter,
    leave,
    part_to_look_at,
    room_for,
    run,
)

WEIGHTS_FILE = Path(__file__).resolve().parents[2] / "_weights" / "objects" / "segmentation.safetensors"

HALF, QUARTER, EIGHTH, LEAST = WIDTHS

SHAPES = {
    "mix2": (HALF, CHANNELS, 3),
    "down4": (QUARTER, 4 * HALF, 1),
    "mix4": (QUARTER, QUARTER, 3),
    "down8": (EIGHTH, 4 * QUARTER, 1),
    "mix8": (EIGHTH, EIGHTH, 3),
    "down16": (LEAST, 4 * EIGHTH, 1),
    "mix16": (LEAST, LEAST, 3),
    "up8": (EIGHTH, LEAST + EIGHTH, 1),
    "up4": (QUARTER, EIGHTH + QUARTER, 1),
    "up2": (HALF, QUARTER + HALF, 1),
    "leave": (4, HALF, 1),
}
"""Channels out and in, and side of the kernel, of each convolution."""


@cache
def bundled_layers() -> Layers:
    """The network that comes with vad. Raises WeightsError where its file is missing or broken."""
    try:
        return layers_of(load_file(WEIGHTS_FILE))
    except (OSError, SafetensorError, WeightsError) as error:
        raise WeightsError(
            f"weights {WEIGHTS_FILE}: cannot be read: {error}; allowed: the file that is installed with vad"
        ) from error


def layers_of(tensors: dict[str, NDArray[np.float32]]) -> Layers:
    """The network of ``NAME.weight`` (O, C, k, k) and ``NAME.bias`` (O,), as torch names them.

    Raises WeightsError for a tensor that is missing or of another shape: the kernels rely on it.
    """
    layers = []
    for name, (out, channels, side) in SHAPES.items():
        expected = {f"{name}.weight": (out, channels, side, side), f"{name}.bias": (out,)}
        for key, shape in expected.items():
            got = tensors[key].shape if key in tensors else None
            if got != shape:
                raise WeightsError(f"tensor {key}: got {got or 'none'}; allowed: shape {shape}")
        weight = tensors[f"{name}.weight"]
        flat = weight.reshape(out, channels, side * side) if side > 1 else weight[:, :, 0, 0]
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
