"""Runs every kernel of the object layer once, so that no stage ever waits for the compiler."""

from __future__ import annotations

import numpy as np

from vad.scoring.objects.layer import ObjectLayer
from vad.scoring.objects.passages import Visit
from vad.types import CELL_PX, CellMap, Frame, Geometry, WallSource

SIDE = 8
"""Cells."""


def warm_objects() -> None:
    """A scene that is learnt for eight seconds, then a thing that stands in it, a faint one, another light, a beam."""
    layer = ObjectLayer(SIDE, SIDE)
    size = SIDE * CELL_PX
    geometry = Geometry(source_width=size, source_height=size, pool=1, width=size, height=size)
    ground = np.random.default_rng(0).integers(60, 180, (SIDE, SIDE)).repeat(CELL_PX, axis=0).repeat(CELL_PX, axis=1)
    beam = 60.0 * np.clip(1.0 - np.abs(np.arange(size) - 44.0) / 18.0, 0.0, 1.0)
    for index in range(64):
        picture = ground + 1.0 * (index % 2)
        if index >= 40:
            picture[20:34, 20:28] = 250
        if index >= 52:  # after ten seconds of the run, and not so long that the background has followed it
            picture[40:52, 20:28] += 12.0
        if index >= 60:
            picture = picture + beam
        luma = (0.8 * picture + 15.0 if index >= 55 else picture).astype(np.uint8)
        frame = Frame("warm", 0, index, index / 5.0, 0.0, WallSource.FILE, 0.0, geometry, luma)
        layer.step(_cells(frame))
    layer.learn(np.zeros((1, len(Visit)), np.int64), dt_s=0.2)


def _cells(frame: Frame) -> CellMap:
    rows = SIDE
    blocks = frame.luma.reshape(2 * rows, 4, 2 * rows, 4).mean(axis=(1, 3)).astype(np.float32)
    nothing, ones = np.zeros((rows, rows), np.float32), np.ones((rows, rows), np.float32)
    flow = np.zeros((2, rows, rows), np.float32)
    return CellMap(frame, 0.2 if frame.index else 0.0, flow, nothing, ones, ones[None], blocks)
