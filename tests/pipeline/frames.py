"""Frames and clips made by hand."""

from __future__ import annotations

import numpy as np

from vad.types import Clip, Frame, Geometry, WallSource

GRID = Geometry(source_width=64, source_height=48, pool=1, width=64, height=48)


def make_frame(camera: str = "cam", index: int = 0, *, run: int = 0, fps: float = 8.0) -> Frame:
    return Frame(
        camera=camera,
        run=run,
        index=index,
        pts_s=index / fps,
        wall_s=1.7e9 + index / fps,
        wall_source=WallSource.ARRIVAL,
        arrived_s=index / fps,
        geometry=GRID,
        luma=np.zeros((GRID.height, GRID.width), dtype=np.uint8),
    )


def make_clip(camera: str, *indices: int) -> Clip:
    return Clip(tuple(make_frame(camera, index) for index in indices))
