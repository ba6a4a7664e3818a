"""The runner for a CPU: the network over the cells that have changed, each of them a row of a matrix.

The same numbers as ``Runner`` where every cell is looked at. A cell that stands still keeps what was said of it, its
state included; its flow is zero, its surprise as expected. It is looked at again at the latest after ``REFRESH_S``. As
rows of matrices the layers also cost less than convolutions over whole pictures do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vad.model import features, motion
from vad.model.cell_kernels import tell, warm_cells
from vad.model.cell_network import CellNetwork, Held, Said, keep
from vad.model.compiling import Planes
from vad.model.layout import Layout, Rows, cell_maps, layouts
from vad.model.network import CELL_BLOCKS, SEEN
from vad.model.still import STILLNESS, Stillness, survey
from vad.model.tables import Places, find_places
from vad.model.weights import Weights
from vad.types import BLOCK_PX, CELL_PX, CellMap, Clip, Geometry

REFRESH_S = 3.0
"""Media time after which every cell is looked at, changed or not."""

SETTLING = 8
"""Frames at a run's beginning in which every cell is looked at."""


@dataclass(slots=True)
class _Camera:
    """What the next frame of a run needs. Belongs to the call that advances it, and to nobody if that call fails."""

    run: int
    geometry: Geometry
    pts_s: float
    whole_s: float  # media time when every cell was last looked at
    luma: NDArray[np.uint8]  # (H, W) the last picture; at a run's beginning its first
    known: Planes  # (H, W) each cell as it was last looked at
    noise: NDArray[np.float64]  # (1,)
    lately: NDArray[np.uint8]  # (gh, gw)
    held: Held


class CellRunner:
    """``runner(clips)`` -> the cell maps of each clip's frames, in the order given; on the CPU, see ``Runner``.

    ``threads`` sets how many CPU threads torch uses in this process. Without ``skip_still`` every cell of every frame
    is looked at. ``cells_seen`` and ``cells_looked_at`` count.
    """

    def __init__(
        self, weights: Weights, *, threads: int = 1, skip_still: bool = True, still: Stillness = STILLNESS
    ) -> None:
        torch.set_num_threads(threads)
        self.device = torch.device("cpu")
        self.card = weights.card
        self.cells_seen = self.cells_looked_at = 0
        self._network = CellNetwork(weights.network().eval())
        self._skip_still = skip_still
        self._still = still
        self._cameras: dict[str, _Camera] = {}
        features.warm_features()
        warm_cells()
        _warm(still)

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]:
        """At most one clip per camera; clips may differ in length and geometry."""
        maps: dict[str, list[CellMap]] = {}
        with torch.inference_mode():
            for layout in layouts(clips).values():
                maps.update(self._run_group(layout))
        return [maps[clip.camera] for clip in clips]

    def forget(self, camera: str) -> None:
        """Drop a camera's state. A camera without state is fine."""
        self._cameras.pop(camera, None)

    def _run_group(self, layout: Layout) -> dict[str, list[CellMap]]:
        cameras = [self._take(clip) for clip in layout.clips]
        batch = _Batch(layout, cameras, still=self._still, skip_still=self._skip_still)
        places = find_places(batch.active, batch.camera, len(cameras))
        self.cells_seen += batch.active.size
        self.cells_looked_at += len(places.where)
        maps = cell_maps(layout, self._look(batch, places), [camera.pts_s for camera in cameras])
        batch.advance()
        self._cameras.update({clip.camera: camera for clip, camera in zip(layout.clips, cameras, strict=True)})
        return maps

    def _take(self, clip: Clip) -> _Camera:
        """The camera's state, or that of a run's beginning. It is put back once all of it has been advanced."""
        camera = self._cameras.pop(clip.camera, None)
        if camera is not None and camera.run == clip.run and camera.geometry == clip.geometry:
            return camera
        rows, columns = clip.geometry.cells
        first = clip.frames[0]
        return _Camera(
            run=clip.run,
            geometry=clip.geometry,
            pts_s=first.pts_s,
            whole_s=first.pts_s,
            luma=first.luma,
            known=np.empty((clip.geometry.height, clip.geometry.width), np.float32),
            noise=np.full(1, -1.0),
            lately=np.full((rows, columns), SETTLING, np.uint8),
            held=self._network.nothing_held(rows * columns, -(-rows // 2) * -(-columns // 2)),
        )

    def _look(self, batch: _Batch, places: Places) -> Rows:
        """Have the network look at the active cells and keep what it says; the other cells' values are those held."""
        count, gh, gw = batch.active.shape
        held = [camera.held for camera in batch.cameras]
        said = self._say(batch, places, held) if len(places.where) else self._network.nothing_said
        rows = Rows(
            np.empty((count, 2, gh, gw), np.float32),
            np.empty((count, gh, gw), np.float32),
            np.empty((count, gh, gw), np.float32),
            np.empty((count, self._network.hidden, gh, gw), np.float32),
            batch.blocks,
        )
        for one, frames in zip(held, batch.frames, strict=True):
            tell(
                one.cells,
                self._network.hidden_at,
                frames,
                places.rows,
                said.flow,
                said.surprise,
                said.hidden,
                said.activity,
                rows.flow,
                rows.surprise,
                rows.latent,
                rows.activity,
            )
        if len(places.where):
            keep(said, places, held)
        return rows

    def _say(self, batch: _Batch, places: Places, held: list[Held]) -> Said:
        flow = np.empty((len(places.where), 2, CELL_BLOCKS), np.float32)
        seen = np.empty((len(places.where), SEEN), np.float32)
        features.look(batch.now, batch.pictures, batch.before, motion.RULES, places.rows, flow, seen)
        steps = places.begins[batch.starts].tolist()
        return self._network(places, held, torch.from_numpy(seen), batch.now, flow, steps)


class _Batch:
    """The pictures of a layout, row by row, and which of their cells are to be looked at."""

    def __init__(self, layout: Layout, cameras: list[_Camera], *, still: Stillness, skip_still: bool) -> None:
        self._layout = layout
        self.cameras = cameras
        first, count = len(cameras), layout.starts[-1] + layout.widths[-1]
        self.starts = [*layout.starts, count]  # row of each time step's first frame, and their count
        self.frames = [
            np.array([start + column for start in layout.starts[: len(clip.frames)]])
            for column, clip in enumerate(layout.clips)
        ]  # (T,) the rows of each clip's frames
        self.camera, self.before = np.empty(count, np.int64), np.empty(count, np.int64)  # (F,)
        height, width = layout.clips[0].geometry.height, layout.clips[0].geometry.width
        self._luma = np.empty((first + count, height, width), np.uint8)  # the pictures before come first
        self.pictures = np.empty(self._luma.shape, np.float32)
        blocks = np.empty((first + count, height // BLOCK_PX, width // BLOCK_PX), np.float32)
        active = np.empty((first + count, height // CELL_PX, width // CELL_PX), np.bool_)
        self.now, self.blocks, self.active = self.pictures[first:], blocks[first:], active[first:]
        for column, (clip, camera, frames) in enumerate(zip(layout.clips, cameras, self.frames, strict=True)):
            self._luma[column] = camera.luma
            for frame, row in zip(clip.frames, frames.tolist(), strict=True):
                self._luma[first + row] = frame.luma
            self.camera[frames] = column
            self.before[frames] = [column, *(first + frames[:-1])]
            whole = _when_whole(camera, clip, skip_still=skip_still)
            survey(
                self._luma,
                column,
                first + frames,
                whole,
                still,
                camera.known,
                camera.noise,
                camera.lately,
                self.pictures,
                blocks,
                active,
            )

    def advance(self) -> None:
        """What is left to be changed in the cameras' states."""
        first = len(self.cameras)
        for camera, clip, frames in zip(self.cameras, self._layout.clips, self.frames, strict=True):
            camera.pts_s = clip.frames[-1].pts_s
            camera.luma = self._luma[first + frames[-1]].copy()


def _when_whole(camera: _Camera, clip: Clip, *, skip_still: bool) -> NDArray[np.bool_]:
    """(T,) where every cell is looked at; changes ``whole_s``."""
    whole = np.full(len(clip.frames), not skip_still)
    for t, frame in enumerate(clip.frames):
        if frame.pts_s - camera.whole_s >= REFRESH_S:
            whole[t], camera.whole_s = True, frame.pts_s
    return whole


def _warm(still: Stillness) -> None:
    """Compile or load the loops."""
    luma, one = np.zeros((1, 16, 16), np.uint8), np.zeros(1, np.int64)
    now, blocks = np.zeros((1, 16, 16), np.float32), np.zeros((1, 4, 4), np.float32)
    lately, active = np.zeros((2, 2), np.uint8), np.ones((1, 2, 2), np.bool_)
    survey(luma, 0, one, np.zeros(1, np.bool_), still, now[0].copy(), np.zeros(1), lately, now, blocks, active)
    find_places(active, one, 1)
