"""Tracks as polygons, a block of frames at a time: numpy earns its keep on many frames, not on one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vad.video.synthetic.bodies import polygons
from vad.video.synthetic.camera import Camera
from vad.video.synthetic.posing import HIDDEN, SUBPIXEL, Array
from vad.video.synthetic.traffic import Track

BLOCK_FRAMES = 32
_STIFFNESS = 0.05  # px^2 by which a part's spread is raised, so that a hair-thin part does not spin


@dataclass(frozen=True, slots=True)
class Drawn:
    """One body in one frame: its visible parts in painting order."""

    track: Track
    state: Array  # (STATE or POSTURE,)
    corners: Array  # (parts, CORNERS, 2) int32, pixels with SUBPIXEL fractional bits
    lumas: Array  # (parts,)
    motion: Array | None  # (parts, 6) float32: dx = x m0 + y m2 + m4, dy = x m1 + y m3 + m5
    low: Array  # (2,) its bounding box in pixels, (x, y)
    high: Array
    box: tuple[float, float, float, float]  # the same, (x0, y0, x1, y1)
    y_m: float  # how far away it stands


@dataclass(frozen=True, slots=True)
class _Block:
    """Parts are in painting order in each frame, the hidden ones first."""

    corners: Array  # (frames, parts, CORNERS, 2) int32
    lumas: Array  # (frames, parts)
    hidden: list[int]  # how many are hidden, by frame
    low: Array  # (frames, 2)
    high: Array  # (frames, 2)
    motion: Array | None  # (frames, parts, 6)
    seen: list[bool]  # whether it touches the picture, by frame
    boxes: list[tuple[float, float, float, float]]
    y_m: list[float]


@dataclass(slots=True)
class Shaper:
    """Shapes tracks for one camera; keeps the blocks of those now in the scene."""

    camera: Camera
    block_frames: int = BLOCK_FRAMES  # shaped at a time: more is cheaper a frame, and dearer after a jump
    _blocks: dict[tuple[int, int, bool], _Block] = field(default_factory=dict)

    def draw(self, tracks: Sequence[Track], index: int, *, truth: bool) -> list[Drawn]:
        """Everybody of ``tracks`` who touches the picture at frame ``index``, the far ones first."""
        drawn, used = [], {}
        for track in tracks:
            number, row = divmod(index - track.first, self.block_frames)
            key = (track.serial, number, truth)
            block = self._blocks.get(key) or self._shape(track, number, truth)
            used[key] = block
            if block.seen[row]:
                parts = slice(block.hidden[row], None)
                motion = None if block.motion is None else block.motion[row, parts]
                state, lumas = track.states[index - track.first], block.lumas[row, parts]
                corners = block.corners[row, parts]
                low, high, box = block.low[row], block.high[row], block.boxes[row]
                drawn.append(Drawn(track, state, corners, lumas, motion, low, high, box, block.y_m[row]))
        self._blocks = used
        return sorted(drawn, key=lambda d: -d.y_m)

    def _shape(self, track: Track, number: int, truth: bool) -> _Block:
        """Frames ``number * block_frames`` and on of a track, and for their motion the frame before them."""
        start = number * self.block_frames
        rows = np.arange(start - 1, min(start + self.block_frames, len(track.states)))
        states = track.states[np.maximum(rows, 0)]
        corners, rank = self._polygons(track, states)
        motion = affine_motion(corners[1:], corners[:-1]) if truth else None
        corners, rank = corners[1:], np.where(track.look.lumas == HIDDEN, HIDDEN, rank[1:])
        corners = np.clip(corners, -4000, 8000)
        flat = corners.reshape(len(corners), -1, 2).transpose(2, 0, 1).copy()  # (2, frames, corners): quick to reduce
        low, high = flat.min(axis=2).T, flat.max(axis=2).T
        size = np.array([self.camera.width, self.camera.height])
        order = np.argsort(rank, axis=1, kind="stable")
        fixed = np.round(corners * (1 << SUBPIXEL)).astype(np.int32)
        return _Block(
            corners=np.take_along_axis(fixed, order[..., None, None], axis=1),
            lumas=track.look.lumas[order],
            hidden=(rank == HIDDEN).sum(axis=1).tolist(),
            low=low,
            high=high,
            motion=None if motion is None else np.take_along_axis(motion, order[..., None], axis=1),
            seen=((low < size + 2) & (high > -2)).all(axis=1).tolist(),
            boxes=[(x0, y0, x1, y1) for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True)],
            y_m=states[1:, 1].tolist(),
        )

    def _polygons(self, track: Track, states: Array) -> tuple[Array, Array]:
        """``bodies.polygons`` of one body; of one that stands still, once for all frames."""
        count = len(states)
        if (states == states[0]).all():
            states = states[:1]
        size = np.tile(track.look.size.astype(np.float64), (len(states), 1))
        corners, rank = polygons(track.body, self.camera, size, states)
        if len(corners) < count:
            corners, rank = np.repeat(corners, count, axis=0), np.repeat(rank, count, axis=0)
        return corners, rank


def affine_motion(now: Array, past: Array) -> Array:
    """The affine displacement that fits polygons best, (..., CORNERS, 2) each -> (..., 6), see ``Drawn.motion``."""
    centre, moved = now.mean(axis=-2, keepdims=True), (now - past).mean(axis=-2, keepdims=True)
    around, change = now - centre, now - past - moved
    spread = np.swapaxes(around, -1, -2) @ around + _STIFFNESS * np.eye(2)
    gradient = np.linalg.solve(spread, np.swapaxes(around, -1, -2) @ change)  # (..., 2, 2)
    constant = moved - centre @ gradient
    return np.concatenate([gradient.reshape(*gradient.shape[:-2], 4), constant[..., 0, :]], -1).astype(np.float32)
