"""One camera's judge: ``CellMap -> FrameScore``. Scores first, learns later, and once it is no longer young only from
what was not flagged.

Each cue gives a map, its robust maximum over places, a causal smoothing, and, by the tail of the camera's own normal
values, an expected number of incidents at that level; so does what several cues say within seconds. The frame's score
is the strongest of them, by its share of the budget and by a tail of the strongest (``scale.py``), so that the
false-alarm budget holds for all of them together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from vad.config import Polygon, ScoringSettings
from vad.errors import CalibrationError
from vad.scoring import kernels_frame, storage
from vad.scoring.calibration import take
from vad.scoring.cues import Cues, Seen
from vad.scoring.evidence import Stateful
from vad.scoring.gate import Gate, Sample
from vad.scoring.health import Health
from vad.scoring.judgement import Standing, judgement
from vad.scoring.kernels import State
from vad.scoring.objects.layer import NOTHING_COUNTED, ObjectLayer
from vad.scoring.person_height import PersonHeights
from vad.scoring.places import judged_cells
from vad.scoring.raise_control import RaiseControl
from vad.scoring.scale import Judged, Scale
from vad.scoring.smoothing import Smoothing
from vad.scoring.tuning import CUES, DAY_S, LONGEST_STEP_S, MOVING, TUNING
from vad.types import CellMap, FrameScore, Geometry, HealthIssue, Reason, Stage

TOPS = tuple(TUNING.top_windows if k < MOVING else 1 for k in range(len(CUES)))
"""Of how many highest places a cue is the mean. The windows of motion overlap; the others are pooled already."""

NOTHING_JUDGED = Judged(np.zeros(len(CUES) + 1), np.zeros(len(CUES) + 1), 0.0)
NO_PICTURE, NO_LATENT = np.zeros((0, 0), np.uint8), np.zeros((0, 0, 0), np.float32)

ANY_CAMERA = "*"
"""The camera of a calibration that was made from footage and may be given to any camera."""


def _is_another_grid(before: Geometry | None, now: Geometry) -> bool:
    """Is it the same source, pooled otherwise?"""
    return before is not None and before.pool != now.pool and before.has_source_of(now)


def told(geometry: Geometry) -> dict[str, Any]:
    """The geometry in a calibration's file. Of an ordinary picture it is what it was before pictures were turned."""
    usual = {field.name: field.default for field in fields(geometry)}
    return {name: value for name, value in asdict(geometry).items() if value != usual[name]}


def without_picture(cells: CellMap) -> CellMap:
    """The cell map as it is learnt: what waits for seconds must not hold pictures."""
    return replace(cells, frame=replace(cells.frame, luma=NO_PICTURE), latent=NO_LATENT)


LEAST_BUDGET_PER_S = 1e-30


class Scorer:
    """Judges the frames of one camera, in order. Not thread-safe: one owner.

    ``step`` never raises for what a picture shows; it raises ValueError for maps that are not finite. A change of
    ``frame.run`` clears what is transient (smoothing, integrals, frames that wait to be learnt) and keeps the
    calibration; another grid starts cold.
    """

    def __init__(
        self,
        camera: str,
        *,
        settings: ScoringSettings,
        false_alarms_per_day: float,
        analysis_fps: float,
        zones: Sequence[Polygon] = (),
    ) -> None:
        self.camera = camera
        self.learning = True  # False: frames are judged and nothing is learnt from them
        self._settings, self._zones = settings, tuple(zones)
        self._budget_per_s = _a_second(false_alarms_per_day)
        self._frame_s = 1.0 / analysis_fps  # measured interval between frames
        self._geometry: Geometry | None = None
        self._normal_s = 0.0  # normal footage seen, media seconds
        self._busy_s = 0.0  # ... in which objects moved
        self._run: int | None = None
        self._ailing, self._flagged = False, False
        self._on_scale = NOTHING_JUDGED  # the last frame
        self._control = RaiseControl()
        self._settled = False  # calibrated_after_s were seen, and enough peaks; or finish_calibration said so

    def adjust(self, *, false_alarms_per_day: float, zones: Sequence[Polygon]) -> None:
        """Judge by another budget and in other zones from the next frame on; what was learnt is kept.

        What was raised under another budget is not held against this one.
        The tail was learnt in the zones before: with wider ones it takes some footage to promise the budget again.
        """
        if self._budget_per_s != _a_second(false_alarms_per_day):
            self._budget_per_s, self._control = _a_second(false_alarms_per_day), RaiseControl()
        self._zones = tuple(zones)
        if self._geometry is not None:
            self._judged = judged_cells(self._geometry, self._zones)

    def begin_view(self) -> None:
        """Other parts of the scene show (the masks changed): the background is learnt anew, all else is kept."""
        if self._geometry is None:
            return
        self._cues.begin_view()
        self._health = Health(*self._geometry.cells)
        self._begin_run()

    def finish_calibration(self) -> None:
        """There is no more normal footage to come: what was learnt (or else the priors) is judged by from now on.

        The width was chosen for that footage, and is kept.
        """
        self._end_run()
        self._settled = True
        if self._geometry is not None:
            self._people.settle()

    @property
    def geometry(self) -> Geometry | None:
        """What it has learnt about, or is about to judge; None before the first frame."""
        return self._geometry

    @property
    def wanted_width(self) -> int | None:
        """The width at which the people of this camera are large enough; None: not known yet. May be read by anyone."""
        return None if self._geometry is None else self._people.wanted_width(self._geometry)

    @property
    def person_px(self) -> float | None:
        """A quarter of the people are lower than that, model pixels; None: not known yet. May be read by anyone."""
        return None if self._geometry is None else self._people.height_px(self._geometry)

    @property
    def learnt_s(self) -> float:
        """Normal footage that it has learnt, media seconds. May be read by anyone."""
        return self._normal_s

    @property
    def cue_values(self) -> State:
        """(K + 1,) the last frame's cues, smoothed, each in its own unit, and all together, in the order of REASONS."""
        return self._on_scale.values

    @property
    def stage(self) -> Stage:
        if self._settled:
            return Stage.CALIBRATED
        if self._geometry is None or self._normal_s < self._settings.warming_after_s:
            return Stage.COLD
        return Stage.WARMING

    @property
    def threshold(self) -> float:
        """Score above which an incident is raised: that whose incidents are allowed, and the lift by those raised.

        ``inf`` while cold.
        """
        return self._unusual_above(self.stage) + self._control.lift

    @property
    def allowed_per_day(self) -> float:
        """Incidents a day that may be raised at present: the budget, and more while little was learnt.

        May be read by anyone.
        """
        return self._allowed_per_s * DAY_S

    @property
    def promised_after_s(self) -> float:
        """Normal footage still to be learnt until that is near the budget; 0.0 once it is. May be read by anyone."""
        return RaiseControl.promised_after_s(self._budget_per_s, learnt_s=self.learnt_s)

    @property
    def _allowed_per_s(self) -> float:
        return RaiseControl.allowed_per_s(self._budget_per_s, learnt_s=self.learnt_s)

    def _unusual_above(self, stage: Stage) -> float:
        """The threshold without any lift: what is above it is not learnt, raised or not."""
        if stage is Stage.COLD:
            return math.inf
        return -math.log10(min(1.0, self._allowed_per_s * self._frame_s))

    def incident_raised(self) -> None:
        """An incident was opened for what this scorer judged: the threshold rises for the next ones."""
        self._control.raised()

    def step(self, cells: CellMap) -> FrameScore:
        """Judge one frame, then learn what has waited long enough."""
        moves = self._enter(cells)
        dt_s = min(cells.dt_s, LONGEST_STEP_S)
        if cells.dt_s > 0.0:
            self._frame_s += 0.02 * (dt_s - self._frame_s)
        issue = self._health.step(cells)
        if self._ailing and issue is None:
            self._cues.recover(cells, new_look_s=self._health.new_look_s)
            self._smoothing = Smoothing(tau_s=self._settings.smoothing_s)  # what the issue stirred up is over
        if self._ailing or issue is not None:
            self._scale.combination.forget()
        self._ailing = issue is not None
        seen = self._cues.step(cells, judged=self._judged, moves=moves, is_healthy=issue is None, dt_s=dt_s)
        self._people.step(seen.tracks, cells.frame.geometry, dt_s=dt_s)
        peaks = kernels_frame.highest(self._cues.maps, self._judged, TOPS, 0 if moves else MOVING)
        self._smoothing.step(peaks, dt_s=dt_s, frame_s=self._frame_s)
        self._on_scale = self._scale.judge(
            self._smoothing.values, dt_s=dt_s, frame_s=self._frame_s, learnt_s=self._normal_s
        )
        score = self._judge(seen.cells, issue)
        if score.stage is not Stage.COLD and issue is None:
            score = replace(score, nuisance=seen.nuisance) if seen.nuisance is not None else score
            self._control.step(budget_per_s=self._budget_per_s, learnt_s=self._normal_s, dt_s=dt_s)
        self._flag(score)
        if self.learning:
            self._learn(self._sample(seen, dt_s, moves=moves), seen.cells, score)
        return score

    def _flag(self, score: FrameScore) -> None:
        """Is this frame unusual enough not to be learnt, raised or not?"""
        before, self._flagged = self._flagged, not self._is_young and score.score > self._unusual_above(score.stage)
        if before and not self._flagged:  # its echo is not normal
            self._scale.combination.forget()

    def _sample(self, seen: Seen, dt_s: float, *, moves: bool) -> Sample:
        return Sample(
            without_picture(seen.cells),
            self._on_scale.values,
            seen.ratios,
            seen.visits,
            dt_s,
            nominal=self._on_scale.nominal,
            moves=moves,
            busy=self._cues.hours.is_busy,
            quiet=self._cues.hours.is_quiet,
            shift=self._cues.shift,
        )

    def _enter(self, cells: CellMap) -> bool:
        """Begin cold on another grid, begin fresh on another run; refuse maps that are not finite. Does any move?"""
        finite, moves = kernels_frame.finite_and_moving(cells.flow, cells.activity, cells.surprise, cells.luma)
        if not finite:
            raise ValueError(f"camera {self.camera}: frame {cells.frame.index}'s cell map is not finite")
        geometry = cells.frame.geometry
        if geometry is not self._geometry and geometry != self._geometry:
            self._begin_cold(geometry)
        if cells.frame.run != self._run:
            self._end_run()
            self._run = cells.frame.run
            self._begin_run()
        return moves

    def count_on(self, before: Scorer) -> None:
        """Take over from another scorer of this camera in mid-run: no object gets a number that it has given."""
        if self._geometry is not None and before._geometry is not None:
            self._cues.objects.counted = before._cues.objects.counted

    def begin_at(self, geometry: Geometry) -> None:
        """The same view will come on another grid: nothing but how tall people are is kept."""
        self._begin_cold(geometry)

    def _begin_cold(self, geometry: Geometry) -> None:
        rows, columns = geometry.cells
        if not _is_another_grid(self._geometry, geometry):
            self._people = PersonHeights()
        counted = NOTHING_COUNTED if self._geometry is None else self._cues.objects.counted
        self._settled = self._settled and self._geometry is None  # said before the first frame
        self._geometry = geometry
        self._judged = judged_cells(geometry, self._zones)  # (gh, gw) bool
        objects = ObjectLayer(rows, columns, counted=counted)
        self._cues: Cues = Cues(rows, columns, left_behind_s=self._settings.left_behind_s, objects=objects)
        gap_s = max(TUNING.decluster_gap_s, self._settings.close_after_s)
        self._on_scale = NOTHING_JUDGED
        self._scale: Scale = Scale(gap_s=gap_s, sustain_s=self._settings.open_after_s)
        self._health = Health(rows, columns)
        self._normal_s, self._busy_s = 0.0, 0.0
        self._begin_run()

    def _end_run(self) -> None:
        """Learn what still waits to be learnt of the run."""
        if self._geometry is not None and self.learning:
            for sample in self._gate.end():
                self._learn_normal(sample)

    def _begin_run(self) -> None:
        self._smoothing = Smoothing(tau_s=self._settings.smoothing_s)
        self._gate = Gate(longest_s=self._settings.longest_incident_s)
        self._ailing = False
        self._cues.begin_run()
        self._scale.combination.forget()
        self._flagged = False
        self._health.begin_run()
        self._people.end_run()

    def _judge(self, cells: CellMap, issue: HealthIssue | None) -> FrameScore:
        stage = self.stage
        if stage is Stage.COLD:
            return FrameScore(frame=cells.frame, score=0.0, threshold=math.inf, p_value=1.0, stage=stage, health=issue)
        threshold = self._unusual_above(stage) + self._control.lift
        standing = Standing(stage, threshold, issue, self._judged)
        return judgement(cells, self._on_scale, standing, cues=self._cues, scale=self._scale)

    def _learn(self, sample: Sample, cells: CellMap, score: FrameScore) -> None:
        """Pass the frame to the gate and learn what the gate lets through."""
        ailing = score.health is not None
        due = self._gate.step(sample, flagged=self._flagged, ailing=ailing)
        if self._gate.accepting and Reason.STATIC_CHANGE in score.reasons:
            self._cues.static.accept(cells)
        elif self._gate.closed and not ailing:
            self._cues.static.learn_rest(cells, dt_s=sample.dt_s)
        for sample in due:
            self._learn_normal(sample)
        if self._health.camera_moved_for_good:
            self._begin_cold(cells.frame.geometry)

    @property
    def _is_young(self) -> bool:
        """Has it seen too little to know what is usual? A night in which nothing moves tells nothing of the day.

        A camera before which nothing moves for a day is one on which whatever moves is unusual.
        """
        has_seen_little = self._busy_s < TUNING.young_busy_s and self._normal_s < DAY_S
        return self._normal_s < TUNING.young_s or has_seen_little

    def _learn_normal(self, sample: Sample) -> None:
        self._normal_s += sample.dt_s
        self._busy_s += sample.dt_s * sample.busy
        self._cues.learn(sample)
        if self._normal_s < TUNING.tail_after * self._settings.warming_after_s:
            return
        self._scale.learn(sample.values, sample.nominal, dt_s=sample.dt_s, starts=sample.starts)
        self._settled = self._settled or self._has_seen_enough()

    def _has_seen_enough(self) -> bool:
        after_s = self._settings.calibrated_after_s
        return self._normal_s >= after_s and (self._scale.settled or self._normal_s >= TUNING.patience * after_s)

    def save(self, path: str | Path, *, weights_sha256: str) -> None:
        """Write the calibration, atomically. Raises CalibrationError when that fails or no frame was seen yet."""
        path = Path(path)
        if self._geometry is None:
            raise CalibrationError(f"{path}: camera {self.camera} has seen no frame yet; nothing to save")
        meta = {"camera": self.camera, "weights_sha256": weights_sha256, "geometry": told(self._geometry)}
        arrays = {f"{part}/{name}": value for part, owner in self._parts() for name, value in owner.state().items()}
        arrays["scorer/clock"] = np.array([self._normal_s, self._frame_s, self._settled, self._busy_s])
        storage.save(path, meta, arrays)

    @classmethod
    def load(
        cls,
        path: str | Path,
        camera: str,
        *,
        settings: ScoringSettings,
        false_alarms_per_day: float,
        analysis_fps: float,
        weights_sha256: str,
        zones: Sequence[Polygon] = (),
        geometry: Geometry | None = None,
    ) -> Scorer:
        """A scorer that goes on where ``save`` left off, at the start of a run.

        Raises CalibrationError when the file is missing, truncated or foreign, or was made with other weights, for
        another camera (unless for ANY_CAMERA), or (where ``geometry`` is given) for another picture size.
        """
        path = Path(path)
        meta, arrays = storage.load(path)
        if meta.get("camera") != ANY_CAMERA:
            storage.require(path, "camera", meta.get("camera"), camera)
        storage.require(path, "weights sha256", meta.get("weights_sha256"), weights_sha256)
        if geometry is not None:
            storage.require(path, "geometry", meta.get("geometry"), told(geometry))
        scorer = cls(
            camera,
            settings=settings,
            false_alarms_per_day=false_alarms_per_day,
            analysis_fps=analysis_fps,
            zones=zones,
        )
        try:
            scorer._begin_cold(Geometry(**meta["geometry"]))
        except (KeyError, TypeError) as exc:
            raise CalibrationError(f"{path}: describes no geometry: {exc}") from exc
        for part, owner in scorer._parts():
            owner.restore(storage.below(part, arrays))
        clock = take(storage.below("scorer", arrays), "clock", np.zeros(4))
        scorer._normal_s, scorer._frame_s, settled, scorer._busy_s = clock.tolist()
        scorer._settled = bool(settled)
        return scorer

    def _parts(self) -> list[tuple[str, Stateful]]:
        """Everything that holds calibration, with its name in the file."""
        parts = [("health", self._health), *self._cues.parts(), ("people", self._people), ("control", self._control)]
        return [*parts, ("scale", self._scale)]


def _a_second(false_alarms_per_day: float) -> float:
    """The budget a second; one so small that it would vanish is still one."""
    return max(LEAST_BUDGET_PER_S, false_alarms_per_day / DAY_S)
