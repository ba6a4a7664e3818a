"""The object layer of one camera: ``CellMap -> ObjectFrame``, background, blobs, tracks and cues behind one face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, State
from vad.scoring.objects import background as bg
from vad.scoring.objects import blobs as bl
from vad.scoring.objects import components as cc
from vad.scoring.objects import cues as cu
from vad.scoring.objects import light as li
from vad.scoring.objects import stays as sy
from vad.scoring.objects import still as st
from vad.scoring.objects import tracks as tr
from vad.scoring.objects.passages import NO_VISITS, RARITIES, Passages, Visits
from vad.scoring.objects.segmentation import Segmentation
from vad.scoring.objects.segmentation_kernels import Planes
from vad.types import BLOCK_PX, CELL_PX, CellMap

LEAST_ACTIVITY = 0.4
"""Of a cell: above it the network is sure that something moves there."""

CLEAN_LEAST = 5
"""Of nine pixels: more than half."""

SUPPORTED_SHARE = 0.15
"""So much of an object must be off the background, or move: the network says how far it reaches, not that one is."""

LIGHT_BLOCK_SHARE = 0.2
"""Blocks with more of an object in them say nothing of the light."""

SLEW_PER_S = 40.0
"""Levels a second by which the light changes quickly; automatic exposure changes by 10 to 36 in 0.5 to 1 s."""

STEADY_S = 1.0
"""No cue is given for that long after it did."""

PROVES_S = 0.3
"""Agreement after which a background from the run before counts as established again."""

WEAK_AFTER_S = 10.0
"""Of a run: before that, what is off the background by little may be another light or another day."""

PASS_OVER_S, SAME_LEVELS = 0.5, 2.0
"""For how long frames may be passed over, and how far their blocks may be off the one last looked at, levels."""

NOTHING_COUNTED = (-1, 1)
"""No run, and the number of the first object of any."""


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """What is known of one tracked object. The box in model pixels, half-open; the flow in px/s.

    ``id`` counts the objects of a run from 1; none is given twice in it, whatever is begun anew meanwhile.
    """

    id: int
    top: float
    bottom: float
    left: float
    right: float
    age_s: float
    gap_s: float  # since it was last seen
    vx: float  # of its box's middle, px/s
    vy: float
    area: float  # px
    fall: float  # share of its own height by which it has come down
    agitation: float  # heights a second


@dataclass(frozen=True, slots=True)
class ObjectFrame:
    """The objects of one frame and each cue's map (gh, gw) and maximum."""

    tracks: tuple[TrackedObject, ...]
    fall: Map
    agitation: Map
    left: Map
    direction: Map
    size: Map
    pace: Map
    movement: Map
    steady: Map  # 1 at objects that keep their way, and around them: nothing else is fast for a reason;
    # -1 at what goes to and fro, or faster than things of its size do
    light: Map  # 1 where something is brighter or darker that has no outline: a beam, a shadow, fog
    visits: Visits  # (n, 5) passages that have ended, to be learnt; see ``passages.Visit``


MAPS = 5 + RARITIES


def _frame_of(tracks: tuple[TrackedObject, ...], maps: Map, visits: Visits) -> ObjectFrame:
    """``maps`` (MAPS, gh, gw) in the order of its fields."""
    fall, agitation, left, direction, size, pace, movement, steady, light = maps
    return ObjectFrame(tracks, fall, agitation, left, direction, size, pace, movement, steady, light, visits)


@cache
def bundled() -> Segmentation:
    """The network that comes with vad."""
    return Segmentation(cell_px=CELL_PX)


class ObjectLayer:
    """One camera, frames in order, one owner. ``rows`` and ``columns`` are cells.

    ``counted`` is what the layer that it takes over from had counted: in which run, and the next object's number.
    Without ``extents`` objects are what is off the background, as the segmentation network's training needs it.
    """

    def __init__(
        self, rows: int, columns: int, *, counted: tuple[int, int] = NOTHING_COUNTED, extents: bool = True
    ) -> None:
        self.counted = counted
        self._extents = extents  # the network itself belongs to the process: a layer can be copied and kept
        self._shape = rows * CELL_PX, columns * CELL_PX
        self._cells = rows, columns
        self._level: Map = np.zeros(self._shape, np.float32)  # (H, W) background, levels in the light of its own time
        self._spread: Map = np.full(self._shape, 3.0, np.float32)
        self._seen_s: Map = np.zeros(self._shape, np.float32)  # how long the picture has agreed with it
        self._known = False
        self._passages = Passages(rows, columns, cell_px=CELL_PX)
        self.begin_run()

    def begin_look(self) -> None:
        """The picture shows another light or other parts: the background begins anew; what passes where is kept."""
        self._level[:], self._spread[:], self._seen_s[:] = 0.0, 3.0, 0.0
        self._known = False
        self.begin_run()

    def begin_run(self) -> None:
        """Forget what is transient. The background has to prove itself again before it counts as established."""
        self._lately: Map = np.zeros(self._shape, np.float32)
        self._under: Map = np.full(self._shape, -1.0, np.float32)
        self._quiet_s: Map = np.full(self._shape, 9.0, np.float32)
        self._flags = np.zeros(self._shape, np.uint8)
        self._marked = np.zeros(self._shape, np.uint8)
        self._still = np.zeros(self._shape, np.uint8)
        self._mask = np.zeros(self._shape, np.uint8)
        self._stood_s: Map = np.zeros(self._shape, np.float32)
        self._stays = np.zeros(self._shape, np.uint8)  # 1 on who came by himself and stands still
        self._soft: Map = np.zeros(self._shape, np.float32)
        self._stands = False  # does anything stand?
        self._has_light = False  # is there anything that is light and no thing?
        self._light: Map = np.zeros(self._cells, np.float32)
        self._steady_s, self._passed_s, self._run_s = STEADY_S, 0.0, 0.0
        self._blocks: Map = np.zeros(
            (2 * self._cells[0], 2 * self._cells[1]), np.float32
        )  # of the frame last looked at
        nothing = np.zeros(self._cells, np.float32)
        self._last = _frame_of((), nothing[None].repeat(MAPS, axis=0), NO_VISITS)
        self._passages.begin_run()
        self._labels = np.zeros(self._shape, np.int32)
        self._tracks: State = np.zeros((tr.MOST_TRACKS, len(tr.Column)))
        self._history: State = np.full((tr.MOST_TRACKS, tr.SPAN, len(tr.Past)), -1.0)
        self._raw: State = np.zeros((tr.MOST_TRACKS, 3, 4))
        self._held: State = np.zeros((tr.MOST_TRACKS, 6))
        self._run: int | None = None
        np.minimum(self._seen_s, np.float32(bg.BACKGROUND.established_s - PROVES_S), out=self._seen_s)

    def step(self, cells: CellMap) -> ObjectFrame:
        """Advance by one frame. Where nothing is and nothing changes, most frames are passed over."""
        luma, dt_s = cells.frame.luma, min(cells.dt_s + self._passed_s, 1.0)
        if cells.frame.run != self._run:
            self.begin_run()
            self._run, dt_s = cells.frame.run, min(cells.dt_s, 1.0)
            if self.counted[0] != self._run:
                self.counted = self._run, NOTHING_COUNTED[1]
            self._lately[:] = luma
        elif self._nothing_new(cells, dt_s):
            self._passed_s = dt_s
            if len(self._last.visits):
                self._last = replace(self._last, visits=NO_VISITS)
            return self._last
        self._passed_s, self._blocks = 0.0, cells.luma
        if not self._known:
            self._level[:] = luma
            self._known = True
        steady = self._follow_light(cells, dt_s)
        self._segment(cells, dt_s, dt_s if steady else 0.0)
        blobs, _ = self._blobs(cells)
        run, number = self.counted
        self.counted = run, tr.advance(self._tracks, self._history, self._raw, blobs, dt_s, number, tr.TRACKS)
        falls = cu.falls(self._tracks, self._history, self._held, self._flags, dt_s, cu.FALL)
        agitation = cu.agitations(self._tracks, cu.AGITATION)
        visits = self._passages.step(self._tracks, self._history)
        if not steady:
            falls[:], agitation[:], self._passages.values[:] = 0.0, 0.0, 0.0
        self._last = self._frame(falls, agitation, visits)
        return self._last

    def _nothing_new(self, cells: CellMap, dt_s: float) -> bool:
        """May this frame be passed over: no object, nothing that stands, and the picture is still the one looked at?"""
        if self._last.tracks or self._stands or dt_s > PASS_OVER_S or cells.activity.any():
            return False
        return bool(np.abs(cells.luma - self._blocks).max() < SAME_LEVELS)

    def _follow_light(self, cells: CellMap, dt_s: float) -> bool:
        """Bring the background into the light of now. False while that changes quickly and for a while after."""
        usable = cc.mean_of_blocks(self._mask, BLOCK_PX) < LIGHT_BLOCK_SHARE
        levels = cc.mean_of_blocks(self._level, BLOCK_PX)
        gain, offset, shift = bg.light_of(levels, cells.luma, usable, bg.BACKGROUND)
        if (gain, offset) != (1.0, 0.0):
            bg.relight(self._level, gain, offset)
            bg.relight(self._under, gain, offset)
        self._steady_s = 0.0 if abs(shift) > SLEW_PER_S * max(dt_s, 0.1) else self._steady_s + dt_s
        return self._steady_s >= STEADY_S

    def _segment(self, cells: CellMap, dt_s: float, stands_s: float) -> None:
        """Foreground of this frame, into the mask. ``stands_s``: by how much what stands has stood longer."""
        luma, t = cells.frame.luma, bg.BACKGROUND
        background = self._level, self._spread, self._seen_s
        np.subtract(luma, self._level, out=self._soft)
        cv2.blur(self._soft, (3, 3), dst=self._soft)
        bg.look(luma, *background, self._soft, self._lately, self._quiet_s, self._flags, dt_s, t)
        self._run_s += dt_s
        if self._run_s >= WEAK_AFTER_S and bg.mark_weak(self._flags, self._marked):
            cc.clean(self._marked, CLEAN_LEAST, self._mask)
            count = cc.components(self._mask, 4, self._labels)
            bg.grow(self._flags, cells.activity, CELL_PX, LEAST_ACTIVITY, self._labels, count, t)
        bg.uncover(luma, self._level, self._spread, self._under, self._quiet_s, self._flags, t)
        bg.mark_shadows(luma, self._level, self._flags, t)
        self._resolve_still(luma, stands_s)
        brighter = bg.follow(luma, *background, self._quiet_s, self._flags, dt_s, t)
        bg.relight(self._under, brighter, 0.0)
        self._find_objects(cells)
        geometry = cells.frame.geometry
        self._mask[geometry.valid_height :] = 0
        self._mask[:, geometry.valid_width :] = 0

    def _find_objects(self, cells: CellMap) -> None:
        """What belongs to objects, into the mask: what is off the background or moves, and what the network adds."""
        if self._extents:
            bg.mark(self._flags, self._marked)
            bundled()(self.planes(cells), self._marked, self._still)
        bg.foreground(self._flags, cells.activity, CELL_PX, LEAST_ACTIVITY, self._marked)
        cc.clean(self._marked, CLEAN_LEAST, self._mask)
        if not self._extents:
            return
        bg.keep_added(self._flags, cells.activity, CELL_PX, LEAST_ACTIVITY, self._mask, self._still)
        if self._still.any():
            boxes = cc.boxes_of(self._labels, cc.components(self._mask, 1, self._labels))
            bl.extend(self._labels, boxes, self._still, bl.BRIDGE, self._mask)

    def _resolve_still(self, luma: bg.Luma, stands_s: float) -> None:
        """Tell what stands still; take ghosts into the background and count for how long the rest has stood."""
        t, count = st.STILL, 0
        if st.still_parts(self._flags, self._marked) >= t.least_area:
            cc.clean(self._marked, CLEAN_LEAST, self._still)
            count = cc.components(self._still, t.least_area, self._labels)
        if count <= 1 and not self._stands:
            return
        if count <= 1:
            self._labels[:] = 0
        edges, boxes = np.zeros((max(1, count), 6)), cc.boxes_of(self._labels, max(1, count))
        st.outline_edges(luma, self._level, self._flags, self._labels, edges)
        verdict, pace = st.verdicts(boxes, edges, self._seen_s, self._labels, self._flags, t)
        sy.mark_who_stays(self._tracks, boxes, self._labels, self._flags, self._stays, verdict, pace, sy.STAYS)
        background = self._level, self._spread, self._seen_s
        st.settle(luma, *background, self._flags, self._labels, verdict, bg.BACKGROUND.spread_floor)
        st.dwell(self._stood_s, self._flags, self._labels, verdict, pace, stands_s, t)
        self._stands = bool(self._stood_s.any())

    def _blobs(self, cells: CellMap) -> tuple[State, Map]:
        geometry, luma = cells.frame.geometry, cells.frame.luma
        size = geometry.valid_height, geometry.valid_width
        count = cc.components(self._mask, 8, self._labels)
        unsupported = bg.unsupported(
            self._labels, count, self._marked, cells.activity, CELL_PX, LEAST_ACTIVITY, SUPPORTED_SHARE
        )
        if unsupported.any():
            self._mask[unsupported[self._labels]] = 0
            count = cc.components(self._mask, 8, self._labels)
        parts = cc.boxes_of(self._labels, count)
        is_light = li.without_outline(luma, self._level, self._labels, parts, size, li.LIGHT)
        self._has_light = bool(is_light.any())
        if self._has_light:
            li.take_away(self._labels, is_light, CELL_PX, self._light)
            count = cc.components((self._labels > 0).astype(np.uint8), 8, self._labels)
            parts = cc.boxes_of(self._labels, count)
        group = np.zeros(count, np.int32)
        count = bl.join(parts, bl.JOIN, group)
        table = np.zeros((count - 1, bl.COLUMNS))
        cover = np.zeros((count - 1, *self._cells), np.float32)
        bl.measure(self._labels, group, count, cells.flow, self._flags, bg.CHANGED, CELL_PX, 0.03, size, table, cover)
        return table, cover

    def _frame(self, falls: State, agitation: State, visits: Visits) -> ObjectFrame:
        maps: Map = np.zeros((MAPS, *self._cells), np.float32)
        cu.paint(self._tracks, falls, CELL_PX, maps[0])
        cu.paint(self._tracks, agitation, CELL_PX, maps[1])
        if self._stands:
            st.stood_cells(self._stood_s, CELL_PX, 8, maps[2])
        for rarity in range(RARITIES):
            cu.paint(self._tracks, self._passages.values[:, rarity], CELL_PX, maps[3 + rarity])
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
                    vx=track[column.VX],
                    vy=track[column.VY],
                    area=self._passages.area_px(int(k)) or track[column.AREA],
                    fall=float(falls[k]),
                    agitation=float(agitation[k]),
                )
            )
        cu.paint_steady(self._tracks, self._history, CELL_PX, maps[7], cu.STEADY)
        if self._has_light:
            maps[8] = self._light
        return _frame_of(tuple(objects), maps, visits)

    def learn(self, visits: Visits, *, dt_s: float) -> None:
        """Learn the passages of a normal frame that stood for ``dt_s``."""
        self._passages.learn(visits, dt_s=dt_s)

    @property
    def tracks(self) -> tuple[TrackedObject, ...]:
        """The objects of the last frame."""
        return self._last.tracks

    def planes(self, cells: CellMap) -> Planes:
        """What the segmentation network looks at, of the frame that was stepped last."""
        return Planes(cells.frame.luma, self._level, self._spread, self._seen_s, self._quiet_s, cells.activity)

    @property
    def mask(self) -> bg.Flags:
        """(H, W) 1 where the last frame shows an object, or light that was taken for one at first."""
        return self._mask

    @property
    def passages(self) -> Passages:
        """What passes where."""
        return self._passages

    def state(self) -> dict[str, State]:
        """What is learnt: the background."""
        known = np.array([float(self._known)])
        maps = {"level": self._level, "spread": self._spread, "seen_s": self._seen_s}
        background = {name: value.astype(np.float64) for name, value in maps.items()}
        return {**background, "known": known, **self._passages.state()}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._level = take(arrays, "level", self._level)
        self._spread = take(arrays, "spread", self._spread)
        self._seen_s = take(arrays, "seen_s", self._seen_s)
        self._known = bool(take(arrays, "known", np.zeros(1))[0])
        self._passages.restore(arrays)
        self.begin_run()
