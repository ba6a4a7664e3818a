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
from vad.model.cell_kernels import warm_cells
from vad.model.cell_network import CellNetwork, Held
from vad.model.compiling import Planes
from vad.model.layout import Layout, Rows, cell_maps, layouts
from vad.model.network import CELL_BLOCKS, SEEN
from vad.model.still import STILLNESS, Stillness, survey
from vad.model.tables import find_places
from vad.model.weights import Weights
from vad.types import CELL_PX, CellMap, Clip, Geometry

REFRESH_S = 3.0
"""Media time after which every cell is looked at, changed or not."""

SETTLING = 8
"""Frames at a run's beginning in which every cell is looked at."""


@dataclass(frozen=True, slots=True)
class _Camera:
    """What the next frame of a run needs."""

    run: int
    geometry: Geometry
    pts_s: float
    whole_s: float  # media time when every cell was last looked at
    before: Planes | None  # (H, W) the last picture; None at a run's beginning
    known: Planes  # (H, W) each cell as it was last looked at
    noise: float
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
        cameras = [self._continue(clip) for clip in layout.clips]
        batch = _Batch(layout, cameras, still=self._still, skip_still=self._skip_still)
        self.cells_seen += batch.active.size
        self.cells_looked_at += int(batch.active.sum())
        held = [camera.held for camera in cameras]
        rows = self._look(batch, held)
        for column, clip in enumerate(layout.clips):
            self._cameras[clip.camera] = batch.camera_after(column, held[column])
        return cell_maps(layout, rows, [camera.pts_s for camera in cameras])

    def _continue(self, clip: Clip) -> _Camera:
        """The camera's state, or that of a run's beginning."""
        camera = self._cameras.get(clip.camera)
        if camera is not None and camera.run == clip.run and camera.geometry == clip.geometry:
            return camera
        rows, columns = clip.geometry.cells
        return _Camera(
            run=clip.run,
            geometry=clip.geometry,
            pts_s=clip.frames[0].pts_s,
            whole_s=clip.frames[0].pts_s,
            before=None,
            known=np.zeros((clip.geometry.height, clip.geometry.width), np.float32),
            noise=-1.0,
            lately=np.full((rows, columns), SETTLING, np.uint8),
            held=self._network.nothing_held(rows * columns, -(-rows // 2) * -(-columns // 2)),
        )

    def _look(self, batch: _Batch, held: list[Held]) -> Rows:
        """Have the network look at the active cells and change ``held``; the other cells' values are those held."""
        count, rows, columns = batch.active.shape
        flow = np.zeros((count, 2, rows, columns), np.float32)
        surprise = np.ones((count, rows, columns), np.float32)
        activity = np.empty((count, rows * columns, 1), np.float32)
        hidden = np.empty((count, rows * columns, self._network.hidden), np.float32)
        is_busy = np.zeros(len(held), np.bool_)
        is_busy[batch.camera[batch.active.any(axis=(1, 2))]] = True
        busy, frames = np.flatnonzero(is_busy), np.flatnonzero(is_busy[batch.camera])
        if len(busy):
            active = batch.active[frames]
            places = find_places(active, np.searchsorted(busy, batch.camera[frames]), len(busy))
            which, i, j = np.nonzero(active)  # (R,) in the order of the rows
            blocks_flow = np.empty((len(which), 2, CELL_BLOCKS), np.float32)
            seen = np.empty((len(which), SEEN), np.float32)
            before = batch.before[frames]
            features.look(batch.now[frames], batch.all, before, motion.RULES, places.rows, blocks_flow, seen)
            said = self._network(
                places,
                [held[column] for column in busy],
                torch.from_numpy(seen),
                batch.pictures(frames[which], i, j),
                blocks_flow,
                steps=np.searchsorted(which, np.searchsorted(frames, batch.starts)).tolist(),
            )
            flow[frames[which], :, i, j] = said.flow
            surprise[frames[which], i, j] = said.surprise
            activity[frames], hidden[frames] = said.activity.numpy(), said.hidden.numpy()
            for column, kept in zip(busy, said.held, strict=True):
                held[column] = kept
        for f in np.flatnonzero(~is_busy[batch.camera]):
            activity[f], hidden[f] = (part.numpy() for part in self._network.said_before(held[batch.camera[f]]))
        latent = np.moveaxis(hidden, 2, 1).reshape(count, -1, rows, columns)
        return Rows(flow, activity.reshape(surprise.shape), surprise, latent, batch.blocks)


class _Batch:
    """The pictures of a layout, row by row, and which of their cells are to be looked at."""

    def __init__(self, layout: Layout, cameras: list[_Camera], *, still: Stillness, skip_still: bool) -> None:
        self._layout = layout
        self._cameras = cameras
        frames = [clip.frames[t] for t, width in enumerate(layout.widths) for clip in layout.clips[:width]]
        luma = np.stack([frame.luma for frame in frames])  # (F, H, W) uint8
        count, height, width = luma.shape
        rows, columns = height // CELL_PX, width // CELL_PX
        self.starts = [*layout.starts, count]  # row of each time step's first frame, and their count
        self.camera = np.concatenate([np.arange(width) for width in layout.widths])  # (F,)
        self.whole = self._when_whole([frame.pts_s for frame in frames], skip_still=skip_still)
        self._known = np.stack([camera.known for camera in cameras])
        self._noise = np.array([camera.noise for camera in cameras])
        self._lately = np.stack([camera.lately for camera in cameras])
        self.all = np.empty((len(cameras) + count, height, width), np.float32)  # those before come first
        self.now = self.all[len(cameras) :]
        self.blocks = np.empty((count, 2 * rows, 2 * columns), np.float32)
        self.active = np.empty((count, rows, columns), np.bool_)
        survey(
            luma,
            self.camera,
            self.whole,
            still,
            self._known,
            self._noise,
            self._lately,
            self.now,
            self.blocks,
            self.active,
        )
        for column, camera in enumerate(cameras):
            self.all[column] = self.now[column] if camera.before is None else camera.before

    @property
    def before(self) -> NDArray[np.int64]:
        """(F,) which of ``all`` is the picture before each; a run's first follows itself."""
        earlier = [len(self._cameras) + start for start in self.starts[:-2]]
        before: NDArray[np.int64] = np.repeat([0, *earlier], self._layout.widths) + self.camera
        return before

    def pictures(self, frame: NDArray[np.int64], i: NDArray[np.int64], j: NDArray[np.int64]) -> Planes:
        """(R, 64) the pixels of cells, row by row."""
        count, height, width = self.now.shape
        cells = self.now.reshape(count, height // CELL_PX, CELL_PX, width // CELL_PX, CELL_PX)
        return np.ascontiguousarray(cells[frame, i, :, j]).reshape(-1, CELL_PX**2)

    def camera_after(self, column: int, held: Held) -> _Camera:
        """The state of a camera after its clip."""
        clip = self._layout.clips[column]
        row = self._layout.starts[len(clip.frames) - 1] + column
        return _Camera(
            run=clip.run,
            geometry=clip.geometry,
            pts_s=clip.frames[-1].pts_s,
            whole_s=self._whole_s[column],
            before=self.now[row].copy(),
            known=self._known[column].copy(),
            noise=float(self._noise[column]),
            lately=self._lately[column].copy(),
            held=held,
        )

    def _when_whole(self, pts_s: list[float], *, skip_still: bool) -> NDArray[np.bool_]:
        """(F,) where every cell is looked at."""
        self._whole_s = [camera.whole_s for camera in self._cameras]
        whole = np.full(len(pts_s), not skip_still)
        for f, (column, at_s) in enumerate(zip(self.camera, pts_s, strict=True)):
            if at_s - self._whole_s[column] >= REFRESH_S:
                whole[f], self._whole_s[column] = True, at_s
        return whole


def _warm(still: Stillness) -> None:
    """Compile or load the loops."""
    luma, one = np.zeros((1, 16, 16), np.uint8), np.zeros(1, np.int64)
    known, now, blocks = (np.zeros((1, side, side), np.float32) for side in (16, 16, 4))
    lately, active = np.zeros((1, 2, 2), np.uint8), np.ones((1, 2, 2), np.bool_)
    survey(luma, one, np.zeros(1, np.bool_), still, known, np.zeros(1), lately, now, blocks, active)
    find_places(active, one, 1)
