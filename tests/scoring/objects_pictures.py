"""Hand-made pictures for the object layer: a textured ground, boxes and figures on it, and cell maps of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from tests.scoring.walkers import make_frame
from vad.types import BLOCK_PX, CELL_PX, CellMap, Geometry

GEOMETRY = Geometry(source_width=160, source_height=96, pool=1, width=160, height=96)
Shape = tuple[float, float, float, float]
"""top, bottom, left, right of a dark textured box, model pixels."""


def ground(seed: int = 0) -> np.ndarray:
    """(96, 160) a smooth bright ground."""
    coarse = np.random.default_rng(seed).uniform(120.0, 200.0, (12, 20))
    return cv2.resize(coarse, (160, 96), interpolation=cv2.INTER_LINEAR)


def film(
    shapes: Sequence[Sequence[Shape]],
    *,
    run: int = 1,
    fps: float = 10.0,
    noise: float = 1.5,
    light: Sequence[float] | None = None,
    seed: int = 0,
) -> Iterator[CellMap]:
    """One cell map a frame. ``shapes[t]`` are the boxes of frame t, each box's number being its identity.

    The flow of a cell is that of the box which covers it: how its top and its bottom moved, in between along a line.
    """
    random = np.random.default_rng(seed)
    back, texture = ground(seed), random.uniform(20.0, 70.0, (192, 320))
    for t, boxes in enumerate(shapes):
        picture = back.copy()
        activity = np.zeros((12, 20), np.float32)
        flow = np.zeros((2, 12, 20), np.float32)
        for number, box in enumerate(boxes):
            top, bottom, left, right = (round(side) for side in box)
            rows = slice(min(96, max(0, top)), max(0, min(96, bottom)))
            columns = slice(min(160, max(0, left)), max(0, min(160, right)))
            inside = texture[rows.start - top :, columns.start - left :]  # it moves along
            picture[rows, columns] = inside[: rows.stop - rows.start, : columns.stop - columns.start]
            before = shapes[t - 1][number] if t and number < len(shapes[t - 1]) else box
            _move(activity, flow, np.array(box), np.array(before), fps)
        picture = picture * (1.0 if light is None else light[t]) + random.normal(0.0, noise, picture.shape)
        luma = np.clip(picture, 0, 255).astype(np.uint8)
        frame = make_frame(GEOMETRY, run=run, index=t, pts_s=t / fps)
        yield CellMap(
            frame=frame.__class__(**{**{f: getattr(frame, f) for f in frame.__slots__}, "luma": luma}),
            dt_s=1.0 / fps if t else 0.0,
            flow=flow,
            activity=activity,
            surprise=np.ones((12, 20), np.float32),
            latent=np.zeros((1, 12, 20), np.float32),
            luma=luma.reshape(24, BLOCK_PX, 40, BLOCK_PX).mean(axis=(1, 3)).astype(np.float32),
        )


def _move(activity: np.ndarray, flow: np.ndarray, box: np.ndarray, before: np.ndarray, fps: float) -> None:
    speed = (box - before) * fps
    if not speed.any():
        return
    for i in range(12):
        for j in range(20):
            y, x = (i + 0.5) * CELL_PX, (j + 0.5) * CELL_PX
            if box[0] - 4 < y < box[1] + 4 and box[2] - 4 < x < box[3] + 4:
                share = min(1.0, max(0.0, (y - box[0]) / max(1.0, box[1] - box[0])))
                activity[i, j] = 1.0
                flow[0, i, j] = 0.5 * (speed[2] + speed[3])
                flow[1, i, j] = (1.0 - share) * speed[0] + share * speed[1]


def standing(
    frames: int, *, x: float = 70.0, top: float = 20.0, foot: float = 80.0, width: float = 18.0
) -> list[Shape]:
    return [(top, foot, x, x + width)] * frames


def walking(frames: int, *, x: float = 10.0, speed: float = 2.0, top: float = 20.0, foot: float = 80.0) -> list[Shape]:
    return [(top, foot, x + speed * t, x + speed * t + 18.0) for t in range(frames)]


def lowering(
    frames: int, *, x: float, to: float, wide: float = 18.0, top: float = 20.0, foot: float = 80.0
) -> list[Shape]:
    """From standing down to a top at ``to`` and ``wide`` across; the foot stays."""
    out = []
    for t in range(1, frames + 1):
        share = t / frames
        out.append((top + share * (to - top), foot, x, x + 18.0 + share * (wide - 18.0)))
    return out
