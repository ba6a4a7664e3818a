"""How clips become rows of a batch, and rows become cell maps: what every runner shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.types import CellMap, Clip


class Layout(NamedTuple):
    """Frames of several clips as one time-major batch: clips longest first, so that each step is a prefix of them."""

    clips: list[Clip]
    widths: list[int]  # clips still running at each step
    starts: list[int]  # row of each step's first frame

    @staticmethod
    def of(clips: list[Clip]) -> Layout:
        ordered = sorted(clips, key=lambda clip: -len(clip.frames))
        widths = [sum(len(clip.frames) > t for clip in ordered) for t in range(len(ordered[0].frames))]
        return Layout(ordered, widths, [sum(widths[:t]) for t in range(len(widths))])

    def step(self, t: int) -> slice:
        return slice(self.starts[t], self.starts[t] + self.widths[t])


def refuse_doubled(clips: Sequence[Clip]) -> None:
    """Raises ValueError when two are of one camera."""
    doubled = [camera for camera, count in Counter(clip.camera for clip in clips).items() if count > 1]
    if doubled:
        raise ValueError(f"two clips of {', '.join(doubled)} in one call; allowed: one clip per camera")


def layouts(clips: Sequence[Clip]) -> dict[tuple[int, int], Layout]:
    """The clips by picture size (height, width). Raises ValueError when two are of one camera."""
    refuse_doubled(clips)
    groups: dict[tuple[int, int], list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.geometry.height, clip.geometry.width].append(clip)
    return {size: Layout.of(group) for size, group in groups.items()}


class Rows(NamedTuple):
    """A batch's results on the host, one row per frame, float32; the shapes are those of ``CellMap``'s fields."""

    flow: NDArray[np.float32]  # px a frame
    activity: NDArray[np.float32]
    surprise: NDArray[np.float32]
    latent: NDArray[np.float32]
    luma: NDArray[np.float32]


def cell_maps(layout: Layout, rows: Rows, before_pts_s: list[float]) -> dict[str, list[CellMap]]:
    """By camera. ``before_pts_s`` is the time of the frame before each clip, the clip's own first at a run's start."""
    maps: dict[str, list[CellMap]] = {}
    for column, (clip, before_s) in enumerate(zip(layout.clips, before_pts_s, strict=True)):
        maps[clip.camera] = []
        for t, frame in enumerate(clip.frames):
            row = layout.starts[t] + column
            dt_s = frame.pts_s - before_s
            # Without elapsed time there is no velocity; on the first frame of a run there is no error to speak of.
            flow = rows.flow[row] / dt_s if dt_s > 0.0 else np.zeros_like(rows.flow[row])
            activity = rows.activity[row] if dt_s > 0.0 else np.zeros_like(rows.activity[row])
            surprise = rows.surprise[row] if dt_s > 0.0 else np.ones_like(rows.surprise[row])
            flow = flow.astype(np.float32, copy=False)
            maps[clip.camera].append(
                CellMap(frame, max(dt_s, 0.0), flow, activity, surprise, rows.latent[row], rows.luma[row])
            )
            before_s = frame.pts_s
    return maps
