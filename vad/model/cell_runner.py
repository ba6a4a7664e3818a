"""The runner for a CPU: the network over the cells that have changed, each of them a row of a matrix.

The same numbers as ``Runner`` where every cell is looked at. A cell that stands still keeps what was said of it, its
state included; its flow is zero, its surprise as expected. It is looked at again at the latest after ``REFRESH_S``. As
rows of matrices the layers also cost less than convolutions over whole pictures do.

Clips are run one after the other: rows of several cameras in one matrix would cost no less, and leave the cache sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vad.model import features, motion
from vad.model.cell_kernels import tell
from vad.model.cell_network import CellNetwork, Held, Said
from vad.model.compiling import Planes
from vad.model.layout import Layout, Rows, cell_maps, refuse_doubled
from vad.model.network import CELL_BLOCKS, SEEN
from vad.model.room import Room
from vad.model.still import STILLNESS, Cells, Stillness, survey
from vad.model.tables import Places, find_places
from vad.model.weights import Weights
from vad.types import CellMap, Clip, Geometry

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

    ``threads`` sets how many CPU threads torch uses in this process; the loops of this runner take one. Without
    ``skip_still`` every cell of every frame is looked at. ``cells_seen`` and ``cells_looked_at`` count.
    """

    def __init__(
        self, weights: Weights, *, threads: int = 1, skip_still: bool = True, still: Stillness = STILLNESS
    ) -> None:
        torch.set_num_threads(threads)
        self.device = torch.device("cpu")
        self.card = weights.card
        self.cells_seen = self.cells_looked_at = 0
        self._room = Room()
        self._network = CellNetwork(weights.network().eval(), self._room)
        self._skip_still = skip_still
        self._still = still
        self._cameras: dict[str, _Camera] = {}
        features.warm_features()
        _warm(still)

    def __call__(self, clips: Sequence[Clip]) -> list[list[CellMap]]:
        """At most one clip per camera; clips may differ in length and geometry."""
        refuse_doubled(clips)
        return [self._run(clip) for clip in clips]

    def forget(self, camera: str) -> None:
        """Drop a camera's state. A camera without state is fine."""
        self._cameras.pop(camera, None)

    def _run(self, clip: Clip) -> list[CellMap]:
        camera = self._take(clip)
        pictures = self._survey(clip, camera)
        places = find_places(pictures.active)
        self.cells_seen += pictures.active.size
        self.cells_looked_at += len(places.where)
        maps = cell_maps(Layout.of([clip]), self._look(camera.held, pictures, places), [camera.pts_s])[clip.camera]
        camera.pts_s, camera.luma = clip.frames[-1].pts_s, clip.frames[-1].luma.copy()
        self._cameras[clip.camera] = camera
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

    def _survey(self, clip: Clip, camera: _Camera) -> _Pictures:
        """The clip's pictures, and which of their cells are to be looked at."""
        luma = np.stack([camera.luma, *(frame.luma for frame in clip.frames)])
        (gh, gw), count = clip.geometry.cells, len(clip.frames)
        centred = self._room("pictures", *luma.shape)
        blocks, active = np.empty((count, 2 * gh, 2 * gw), np.float32), np.empty((count, gh, gw), np.bool_)
        whole = _when_whole(clip, camera, skip_still=self._skip_still)
        survey(luma, whole, self._still, camera.known, camera.noise, camera.lately, centred, blocks, active)
        return _Pictures(centred[1:], centred[:-1], blocks, active)

    def _look(self, held: Held, pictures: _Pictures, places: Places) -> Rows:
        """Have the network look at the active cells and keep what it says; the other cells' values are those held."""
        count, gh, gw = pictures.active.shape
        said = self._say(held, pictures, places) if len(places.where) else self._network.nothing_said
        flow, surprise = np.empty((count, 2, gh, gw), np.float32), np.empty((count, gh, gw), np.float32)
        latent, activity = np.empty((count, self._network.hidden, gh, gw), np.float32), np.empty_like(surprise)
        hidden = self._network.columns.hidden
        told = said.flow, said.surprise, said.cells
        tell(held.cells, hidden, places.rows, *told, flow, surprise, latent, activity)
        if len(places.where):
            self._network.keep(said, places, held)
        return Rows(flow, activity, surprise, latent, pictures.blocks)

    def _say(self, held: Held, pictures: _Pictures, places: Places) -> Said:
        flow = self._room("flow", len(places.where), 2, CELL_BLOCKS)
        seen = self._room("seen", len(places.where), SEEN)
        features.look(pictures.now, pictures.before, motion.RULES, places.rows, flow, seen)
        return self._network(places, held, seen, pictures.now, flow)


class _Pictures(NamedTuple):
    """Of one clip."""

    now: Planes  # (T, H, W) in the units of ``network.centred``
    before: Planes  # (T, H, W) likewise; a run's first follows itself
    blocks: Planes  # (T, 2 gh, 2 gw) mean luma
    active: Cells  # (T, gh, gw) to be looked at


def _when_whole(clip: Clip, camera: _Camera, *, skip_still: bool) -> NDArray[np.bool_]:
    """(T,) where every cell is looked at; changes ``whole_s``."""
    whole = np.full(len(clip.frames), not skip_still)
    for t, frame in enumerate(clip.frames):
        if frame.pts_s - camera.whole_s >= REFRESH_S:
            whole[t], camera.whole_s = True, frame.pts_s
    return whole


def _warm(still: Stillness) -> None:
    """Compile or load the loops."""
    luma, whole, lately = np.zeros((2, 16, 16), np.uint8), np.ones(1, np.bool_), np.zeros((2, 2), np.uint8)
    now, blocks = np.zeros((2, 16, 16), np.float32), np.zeros((1, 4, 4), np.float32)
    active = np.empty((1, 2, 2), np.bool_)
    survey(luma, whole, still, now[0].copy(), np.zeros(1), lately, now, blocks, active)
    find_places(active)
