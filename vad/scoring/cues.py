"""One camera's cues: ``CellMap -> maps``. Each cue maps a frame to how unusual every place of it is, and learns."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vad.scoring.cell_highs import CellHighs
from vad.scoring.evidence import Evidence, Motion, Stateful
from vad.scoring.evidence_static import StaticChange
from vad.scoring.gate import Sample
from vad.scoring.hours import Hours
from vad.scoring.kernels import Map, Mask
from vad.scoring.objects.layer import ObjectFrame, ObjectLayer, TrackedObject
from vad.scoring.objects.passages import NO_VISITS, Visits
from vad.scoring.rhythm import Rhythm
from vad.scoring.tuning import CUES, HABITUAL, MOVING, TUNING
from vad.types import CellMap, Nuisance, Reason

OF_OBJECTS = {
    CUES.index(reason): str(reason)
    for reason in (
        Reason.DIRECTION,
        Reason.SIZE,
        Reason.PACE,
        Reason.MOVEMENT,
        Reason.FALL,
        Reason.AGITATION,
    )
}
"""Places in CUES of the cues that the object layer gives as they are, with the names of ``ObjectFrame``'s maps."""

STATIC, HOUR, ABSENCE = (CUES.index(r) for r in (Reason.STATIC_CHANGE, Reason.HOUR, Reason.ABSENCE))

UNSTEADY_MOST = np.float32(1.2)
"""What is fast or odd and belongs to nothing that keeps its way counts up to that: insects keep none, crowds have no
tracks."""


AROUND = np.ones((3, 3), np.uint8)
"""What is at the edge of light, within a cell, belongs to it."""


LEFT_OUT_LEAST = np.float32(1.6)
"""Speed or oddness from which what is left out would have been unusual on most cameras."""


class Seen(NamedTuple):
    """What a frame came to besides the maps."""

    cells: CellMap  # with the activity of what really moves
    ratios: Map  # (HABITUAL, gh, gw) as they were before they were made relative to what each cell is used to
    visits: Visits  # passages that have ended
    tracks: tuple[TrackedObject, ...]
    nuisance: Nuisance | None


class Cues:
    """The cues of one camera and grid. ``step`` judges and learns nothing; ``learn`` is given normal frames only."""

    def __init__(self, rows: int, columns: int, *, left_behind_s: float, objects: ObjectLayer) -> None:
        self.maps: Map = np.zeros((len(CUES), rows, columns), np.float32)  # of the frame at hand, in CUES' order
        self.motion, self.objects = Motion(rows, columns), objects
        self.rhythm, self.highs = Rhythm(rows, columns), CellHighs(HABITUAL, rows, columns)
        self.hours, self.shifts = Hours(), Hours()  # when objects move; when what always moves does
        self._left_behind_s = left_behind_s
        self._nothing: Map = np.zeros((HABITUAL, rows, columns), np.float32)
        self._moved = False  # are the maps of motion anything but zeros?
        self._steady = self._nothing[0]  # where objects are that keep their way
        self._nuisance: Nuisance | None = None
        self._unlearnt_s = 0.0  # normal footage that the evidences have not been given yet
        self.begin_view()

    @property
    def evidences(self) -> list[Evidence]:
        """Those that learn from cell maps, the first of CUES."""
        return [*self.motion.evidences, self.static]

    def begin_view(self) -> None:
        """Other parts of the scene show: its background is learnt anew."""
        rows, columns = self.maps.shape[1:]
        self.static = StaticChange(rows, columns, speed=self.motion.speed, left_behind_s=self._left_behind_s)
        self.objects.begin_look()

    def begin_run(self) -> None:
        """Forget what is transient. The object layer sees for itself that a run begins."""
        self._unlearnt_s = 0.0
        self.static.begin_run()
        self.highs.begin_run()
        self.hours.begin_run()
        self.shifts.begin_run()
        self.rhythm.begin_run()

    def recover(self, cells: CellMap, *, new_look_s: float) -> None:
        """The picture is well again, and for ``new_look_s`` has been of another light or view (0.0: it has not)."""
        if new_look_s > 0.0:
            self.static.begin_look(cells, since_s=new_look_s)
            self.objects.begin_look()
        else:
            self.static.begin_run()  # the background was hidden, and holds: what is new stands from now on
            self.objects.begin_run()
        for clock in (self.hours, self.shifts, self.rhythm):  # nobody knows what moved meanwhile
            clock.begin_run()

    def step(self, cells: CellMap, *, judged: Mask, moves: bool, is_healthy: bool, dt_s: float) -> Seen:
        """The maps of this frame. ``moves``: is there any flow at all? ``dt_s`` after the frame before.

        Of what is left out only that counts which is ``judged`` (gh, gw).
        """
        self.rhythm.step(cells.flow, cells.activity, dt_s=dt_s, out=self.maps[ABSENCE])
        if moves:
            cells = self.motion.score(cells, surface=self.static.surface(cells), out=self.maps)
        elif self._moved:
            self.maps[:MOVING] = 0.0
        self._moved = moves
        self.static.score(cells, out=self.maps[STATIC])  # for what it learns; the object layer judges what was left
        self._nuisance = None
        visits, tracks = self._see_objects(cells, judged) if is_healthy else self._see_no_objects()
        if is_healthy:
            self._ask_the_hour(cells.activity * self._steady if moves else None, cells.frame.wall_s, dt_s)
        ratios = self._nothing
        if self.maps[:HABITUAL].any():
            ratios = self.maps[:HABITUAL].copy()
            self.highs.apply(self.maps[:HABITUAL])
        return Seen(cells, ratios, visits, tracks, self._nuisance)

    def _ask_the_hour(self, acting: Map | None, wall_s: float, dt_s: float) -> None:
        """How unusual it is at this time of day that objects move, or none do; and that a belt runs, or rests."""
        self.hours.step(acting, wall_s, dt_s=dt_s, out=self.maps[HOUR])
        belt = self.rhythm.cells
        if belt is not None:
            unusual = np.zeros_like(belt)
            self.shifts.step(None if self.rhythm.rests else belt, wall_s, dt_s=dt_s, out=unusual)
            np.maximum(self.maps[HOUR], unusual * belt, out=self.maps[HOUR])

    def _see_objects(self, cells: CellMap, judged: Mask) -> tuple[Visits, tuple[TrackedObject, ...]]:
        seen = self.objects.step(cells)
        self._steady = np.maximum(seen.steady, np.float32(0.0))
        for k, name in OF_OBJECTS.items():
            self.maps[k] = getattr(seen, name)
        self._leave_out_nuisances(seen, judged)
        np.minimum(seen.left / np.float32(self._left_behind_s), TUNING.static_most, out=self.maps[STATIC])
        return seen.visits, seen.tracks

    def _leave_out_nuisances(self, seen: ObjectFrame, judged: Mask) -> None:
        """What goes to and fro counts for little, what is light for nothing; what would have counted is named."""
        moving = self.maps[:MOVING]
        notable = (moving >= LEFT_OUT_LEAST).any(axis=0) & judged
        if seen.light.any():
            light = cv2.dilate(seen.light, AROUND) > 0.0
            if (notable & light).any():
                self._nuisance = Nuisance.LIGHT
            moving[:, light] = 0.0
        strays = seen.steady < 0.0
        if self._nuisance is None and (notable & strays).any():
            self._nuisance = Nuisance.UNSTEADY
        np.minimum(moving, UNSTEADY_MOST, out=moving, where=seen.steady <= 0.0)

    def _see_no_objects(self) -> tuple[Visits, tuple[TrackedObject, ...]]:
        """An unhealthy picture shows none, and is no background."""
        self._steady = self._nothing[0]
        self.maps[[STATIC, HOUR, *OF_OBJECTS]] = 0.0
        return NO_VISITS, ()

    def learn(self, sample: Sample) -> None:
        """Learn what is usual from a normal frame."""
        self._unlearnt_s += sample.dt_s
        self.objects.learn(sample.visits, dt_s=sample.dt_s)
        self.hours.learn(sample.cells.frame.wall_s, moves=sample.busy, quiet=sample.quiet, dt_s=sample.dt_s)
        if sample.shift is not None:
            runs, rests = sample.shift
            self.shifts.learn(sample.cells.frame.wall_s, moves=runs, quiet=rests, dt_s=sample.dt_s)
        if self._unlearnt_s < TUNING.learn_every_s - 1e-6:
            return
        if sample.moves:
            self.motion.learn(sample.cells, dt_s=self._unlearnt_s, crawls=self.rhythm.crawls)
        else:
            self.motion.rest(dt_s=self._unlearnt_s)
        self.static.learn(sample.cells, dt_s=self._unlearnt_s)
        self.highs.learn(sample.ratios, dt_s=self._unlearnt_s)
        self.rhythm.learn(dt_s=self._unlearnt_s)
        self._unlearnt_s = 0.0

    @property
    def shift(self) -> tuple[bool, bool] | None:
        """Does what always moves run, and has it rested for long? None where nothing always moves."""
        return None if self.rhythm.cells is None else (self.shifts.is_busy, self.shifts.is_quiet)

    def parts(self) -> list[tuple[str, Stateful]]:
        """Everything that holds calibration, with its name in the file."""
        parts: list[tuple[str, Stateful]] = [("highs", self.highs), ("rhythm", self.rhythm)]
        parts += [("hours", self.hours), ("shifts", self.shifts)]
        parts += [(str(reason), evidence) for reason, evidence in zip(CUES, self.evidences, strict=False)]
        return [*parts, ("objects", self.objects)]
