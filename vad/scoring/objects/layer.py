"""The object layer of one camera: ``CellMap -> ObjectFrame``, background, blobs, tracks and cues behind one face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, State
from vad.scoring.objects import background as bg
from vad.scoring.objects import blobs as bl
from vad.scoring.objects import cues as cu
from vad.scoring.objects import tracks as tr
from vad.types import BLOCK_PX, CELL_PX, CellMap

LEAST_ACTIVITY = 0.4


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """What is known of one tracked object. The box in model pixels, half-open; the flow in px/s."""

    id: int
    top: float
    bottom: float
    left: float
    right: float
    age_s: float
    gap_s: float  # since it was last seen
    fall: float  # share of its own height by which it has come down
    agitation: float  # heights a second


@dataclass(frozen=True, slots=True)
class ObjectFrame:
    """The objects of one frame and each cue's map (gh, gw) and maximum."""

    tracks: tuple[TrackedObject, ...]
    fall: Map
    agitation: Map
    left: Map
    peaks: tuple[float, float, float]  # of fall, agitation, left


class ObjectLayer:
    """One camera, frames in order, one owner. ``rows`` and ``columns`` are cells."""

    def __init__(self, rows: int, columns: int) -> None:
        self._shape = rows * CELL_PX, columns * CELL_PX
        self._cells = rows, columns
        self._level: Map = np.zeros(self._shape, np.float32)  # (H, W) background, levels in the light of its own time
        self._spread: Map = np.full(self._shape, 3.0, np.float32)
        self._seen_s: Map = np.zeros(self._shape, np.float32)  # how long the picture has agreed with it
        self._known = False
        self.begin_run()

    def begin_run(self) -> None:
        """Forget what is transient. The background has to prove itself again before it counts as established."""
        self._lately: Map = np.zeros(self._shape, np.float32)
        self._quiet_s: Map = np.full(self._shape, 9.0, np.float32)
        self._flags = np.zeros(self._shape, np.uint8)
        self._marked = np.zeros(self._shape, np.uint8)
        self._mask = np.zeros(self._shape, np.uint8)
        self._labels = np.zeros(self._shape, np.int32)
        self._tracks: State = np.zeros((tr.MOST_TRACKS, len(tr.Column)))
        self._history: State = np.full((tr.MOST_TRACKS, tr.SPAN, len(tr.Past)), -1.0)
        self._raw: State = np.zeros((tr.MOST_TRACKS, 3, 4))
        self._held: State = np.zeros((tr.MOST_TRACKS, 6))
        self._next_id = 1
        self._begun = False
        np.minimum(self._seen_s, np.float32(bg.BACKGROUND.established_s - 1.0), out=self._seen_s)

    def step(self, cells: CellMap) -> ObjectFrame:
        """Advance by one frame."""
        luma, dt_s = cells.frame.luma, min(cells.dt_s, 1.0)
        if not self._begun:
            self._lately[:] = luma
            self._begun = True
        if not self._known:
            self._level[:] = luma
            self._known = True
        self._segment(cells, dt_s)
        blobs, _ = self._blobs(cells)
        self._next_id = tr.advance(self._tracks, self._history, self._raw, blobs, dt_s, self._next_id, tr.TRACKS)
        falls = cu.falls(self._tracks, self._history, self._held, dt_s, cu.FALL)
        return self._frame(falls)

    def _segment(self, cells: CellMap, dt_s: float) -> None:
        luma, t = cells.frame.luma, bg.BACKGROUND
        usable = bl.share_of_blocks(self._mask, BLOCK_PX) < 0.2
        levels = bl.mean_of_blocks(self._level, BLOCK_PX)
        gain, offset, _ = bg.light_of(levels, cells.luma, usable)
        bg.look(
            luma,
            self._level,
            self._spread,
            self._seen_s,
            self._lately,
            self._quiet_s,
            self._flags,
            gain,
            offset,
            dt_s,
            t,
        )
        if bg.still_parts(self._flags, self._marked) >= 12:
            self._resolve_ghosts(luma, gain, offset)
        bg.follow(luma, self._level, self._spread, self._seen_s, self._quiet_s, self._flags, gain, offset, dt_s, t)
        bg.foreground(self._flags, cells.activity, CELL_PX, LEAST_ACTIVITY, self._marked)
        bl.clean(self._marked, 5, self._mask)
        geometry = cells.frame.geometry
        self._mask[geometry.valid_height :] = 0
        self._mask[:, geometry.valid_width :] = 0

    def _resolve_ghosts(self, luma: bg.Luma, gain: float, offset: float) -> None:
        t = bg.BACKGROUND
        bl.clean(self._marked, 5, self._mask)
        count = bl.components(self._mask, 12, self._labels)
        edges = np.zeros((count, 3))
        bg.outline_edges(luma, self._level, self._flags, self._labels, gain, edges)
        ghosts = (edges[:, 2] >= t.ghost_pairs) & (edges[:, 0] < t.ghost_ratio * edges[:, 1])
        if ghosts.any():
            light = np.array([gain, offset])
            bg.accept(luma, self._level, self._spread, self._flags, self._labels, ghosts, light, t.spread_floor)

    def _blobs(self, cells: CellMap) -> tuple[State, Map]:
        count = bl.components(self._mask, 8, self._labels)
        parts = bl.boxes_of(self._labels, count)
        group = np.zeros(count, np.int32)
        count = bl.join(parts, 0.6, group)
        geometry = cells.frame.geometry
        size = geometry.valid_height, geometry.valid_width
        table = np.zeros((count - 1, bl.COLUMNS))
        cover = np.zeros((count - 1, *self._cells), np.float32)
        bl.measure(self._labels, group, count, cells.flow, self._flags, bg.CHANGED, CELL_PX, 0.03, size, table, cover)
        return table, cover

    def _frame(self, falls: State) -> ObjectFrame:
        nothing, fall = np.zeros(self._cells, np.float32), np.zeros(self._cells, np.float32)
        peak = cu.paint(self._tracks, falls, CELL_PX, fall)
        objects = []
        for k in np.flatnonzero(self._tracks[:, tr.Column.ID]):
            track, column = self._tracks[k].tolist(), tr.Column
            objects.append(
                TrackedObject(
                    id=int(track[column.ID]),
                    top=track[column.TOP],
                    bottom=track[column.BOTTOM],
                    left=track[column.LEFT],
                    right=track[column.RIGHT],
                    age_s=track[column.AGE_S],
                    gap_s=track[column.GAP_S],
                    fall=float(falls[k]),
                    agitation=0.0,
                )
            )
        return ObjectFrame(tuple(objects), fall, nothing, nothing, (peak, 0.0, 0.0))

    def state(self) -> dict[str, State]:
        """What is learnt: the background."""
        known = np.array([float(self._known)])
        maps = {"level": self._level, "spread": self._spread, "seen_s": self._seen_s}
        return {**{name: value.astype(np.float64) for name, value in maps.items()}, "known": known}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._level = take(arrays, "level", self._level)
        self._spread = take(arrays, "spread", self._spread)
        self._seen_s = take(arrays, "seen_s", self._seen_s)
        self._known = bool(take(arrays, "known", np.zeros(1))[0])
        self.begin_run()
