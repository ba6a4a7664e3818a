"""A conveyor belt, its parts and the machines beside it, as functions of how far the belt has run.

Normal life is a steady speed with breaks. Anomalies change the speed, or single parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vad.video.synthetic.bodies import Body
from vad.video.synthetic.boxes import crate_look
from vad.video.synthetic.posing import HIDDEN, POSTURE, Array, Look
from vad.video.synthetic.robots import robot_look
from vad.video.synthetic.traffic import Track
from vad.video.worlds.acting import HEADING, LIFT, PHASE, SWING, X, Y
from vad.video.worlds.cast import WINDOW_S, Appearance
from vad.video.worlds.chance import generator, uniform
from vad.video.worlds.kinds import DAY_S, PlantedKind
from vad.video.worlds.passers import ORDINARY_IDS
from vad.video.worlds.place import Setting
from vad.video.worlds.planting import Stage

BELT, TALL = 5.0, 0.85  # where the belt is and how high, metres
REACH_M = 5.6  # the belt runs from -REACH_M to REACH_M
SPACING_M = 1.25
SHIFTS_H = ((6.1, 9.5), (9.75, 12.5), (13.0, 17.75), (18.0, 22.0))
"""When the line runs."""

_PRESS_X, _ROBOT_X, _ROBOT_Y = -1.6, 1.4, 6.1
_JAM_X, _JAM_SPACING_M = 1.8, 0.42
_JAM_PARTS = 14  # at most so many are held up
_SIZE_M = 0.36
_SPEED_KINDS = (PlantedKind.LINE_STOP, PlantedKind.HALF_SPEED, PlantedKind.REVERSE)
_PART_KINDS = (PlantedKind.WRONG_PART, PlantedKind.MISSING_PART)


@dataclass(frozen=True, slots=True)
class _Fault:
    """One planted anomaly of the line, as it was drawn."""

    stage: Stage
    lasts_s: float
    part: int = 0  # the part concerned: the one that is wrong, missing or stuck

    @property
    def end_s(self) -> float:
        return self.stage.at_s + self.lasts_s


class Belt:
    """The belt of one world. ``direction`` is 1 when parts go to the right."""

    def __init__(self, setting: Setting, direction: float, stages: Sequence[Stage]) -> None:
        self.setting, self.direction, self.fps = setting, direction, setting.fps
        rng = generator(setting.seed, 151)
        self.speed = float(rng.uniform(0.24, 0.36))
        self._luma, self._label = int(rng.integers(120, 225)), int(rng.integers(30, 90))
        self._arm = robot_look(int(rng.integers(120, 210)), shoulder_m=1.1, upper=0.85, lower=0.95)
        self._press = crate_look(int(rng.integers(60, 120)), HIDDEN, length_m=0.6, width_m=0.7, height_m=0.55)
        faults = [_Fault(stage, _lasts_s(stage)) for stage in stages if stage.kind is not PlantedKind.PERSON_IN_CELL]
        self._times, self._run, self._worked = self._integrate(faults)
        self._faults = [self._with_part(fault) for fault in faults]
        self._jams = [fault for fault in self._faults if fault.stage.kind is PlantedKind.JAM]
        self._odd = {fault.part: fault for fault in self._faults if fault.stage.kind in _PART_KINDS}

    # -- how far it has run ------------------------------------------------------------------------------------------

    def _integrate(self, faults: Sequence[_Fault]) -> tuple[Array, Array, Array]:
        """Times, the belt's way by then, and the machines' work by then (which does not run backwards)."""
        changes: dict[float, float] = {}
        for day in range(-1, int(np.ceil(self.setting.days)) + 2):
            for begin_h, end_h in SHIFTS_H:
                midnight = day * DAY_S - self.setting.begins_s
                changes[midnight + begin_h * 3600], changes[midnight + end_h * 3600] = 1.0, 0.0
        for fault in faults:
            factors = {PlantedKind.LINE_STOP: 0.0, PlantedKind.HALF_SPEED: 0.5, PlantedKind.REVERSE: -1.0}
            if fault.stage.kind in factors:
                changes[fault.stage.at_s], changes[fault.end_s] = factors[fault.stage.kind], 1.0
        times = np.array(sorted(changes))
        speeds = self.speed * np.array([changes[at] for at in times])
        steps = np.diff(times, append=times[-1] + DAY_S)
        run = np.concatenate([[0.0], np.cumsum(speeds * steps)])
        worked = np.concatenate([[0.0], np.cumsum(np.abs(speeds) * steps)])
        return np.append(times, times[-1] + DAY_S), run, worked

    def run_m(self, at_s: Array) -> Array:
        """How far the belt has run."""
        run: Array = np.interp(at_s, self._times, self._run)
        return run

    def is_running(self, at_s: float) -> bool:
        """Whether the line works at a moment and for two minutes around it, by its shifts."""
        of_day = (self.setting.clock_s(at_s) % DAY_S) / 3600
        return any(begin + 0.05 < of_day < end - 0.05 for begin, end in SHIFTS_H)

    def _with_part(self, fault: _Fault) -> _Fault:
        """Which part is concerned: the one that has just come into the picture, or that is where it will be stuck."""
        from_m = _JAM_X if fault.stage.kind is PlantedKind.JAM else -REACH_M + 0.8
        part = int(np.floor((float(self.run_m(np.array(fault.stage.at_s))) - from_m) / SPACING_M))
        return _Fault(fault.stage, fault.lasts_s, part)

    def _way(self, part: int, at_s: Array) -> Array:
        """Where a part is along the belt at moments, -REACH_M to REACH_M while it is on it."""
        way = self.run_m(at_s) - part * SPACING_M
        for jam in self._jams:
            behind = part - jam.part
            if 0 <= behind < _JAM_PARTS:
                stuck = _JAM_X - behind * _JAM_SPACING_M
                freed = float(self.run_m(np.array(jam.end_s))) - part * SPACING_M
                if freed > stuck:
                    begins = jam.stage.at_s + 0.0 * at_s
                    held = np.where(at_s < jam.end_s, np.minimum(way, stuck), way - (freed - stuck))
                    way = np.where(at_s >= begins, held, way)
        return way

    # -- bodies --------------------------------------------------------------------------------------------------------

    def begin(self, window: int) -> Iterator[Appearance]:
        """Everything that is not an anomaly: the parts and the machines, a window at a time."""
        start_s = window * WINDOW_S
        yield Appearance(start_s, start_s + WINDOW_S, partial(self._window, window))

    def _frames(self, window: int) -> tuple[int, Array]:
        """The first frame of a window's tracks, which is one before the window, and the frames' times."""
        first, end = round(window * WINDOW_S * self.fps) - 1, round((window + 1) * WINDOW_S * self.fps)
        return first, np.arange(first, end) / self.fps

    def _window(self, window: int) -> list[Track]:
        first, at_s = self._frames(window)
        run = self.run_m(at_s)
        newest = int(np.floor((run.max() + REACH_M) / SPACING_M))
        oldest = int(np.floor((run.min() - REACH_M) / SPACING_M)) - 14  # those held up are behind
        tracks = [self._machine(first, at_s), self._stamp(first, at_s)]
        for part in range(oldest, newest + 1):
            way = self._way(part, at_s)
            on = np.flatnonzero(np.abs(way) < REACH_M)
            if len(on) and part not in self._odd and not any(0 <= part - jam.part < _JAM_PARTS for jam in self._jams):
                rows = slice(max(on[0] - 1, 0), on[-1] + 1)
                states = self._on_belt(way[rows])
                id = part % ORDINARY_IDS + 1
                tracks.append(Track(Body.CRATE, id, self._part_look(part), first + rows.start, states, lead=1))
        return tracks

    def _on_belt(self, way: Array) -> Array:
        states = np.zeros((len(way), POSTURE))
        states[:, X], states[:, Y], states[:, LIFT] = way * self.direction, BELT, TALL
        return states

    def _part_look(self, part: int) -> Look:
        luma = self._luma + int(14 * (uniform(self.setting.seed, 152, part) - 0.5))
        return crate_look(luma, self._label, length_m=_SIZE_M, width_m=_SIZE_M, height_m=0.3)

    def _machine(self, first: int, at_s: Array) -> Track:
        """The robot's arm: once for every part from the belt to the side and back."""
        turn = 2 * np.pi * np.interp(at_s, self._times, self._worked) / SPACING_M
        states = np.zeros((len(at_s), POSTURE))
        states[:, X], states[:, Y] = _ROBOT_X * self.direction, _ROBOT_Y
        states[:, HEADING] = -np.pi / 2 + 0.75 * (1 - np.cos(turn))
        states[:, PHASE] = 0.35 + 0.22 * np.cos(2 * turn)
        states[:, SWING] = 1.75 + 0.25 * np.cos(2 * turn)
        return Track(Body.ROBOT_ARM, 3, self._arm, first, states, lead=1)

    def _stamp(self, first: int, at_s: Array) -> Track:
        """The press: comes down on every part."""
        turn = 2 * np.pi * (np.interp(at_s, self._times, self._worked) - _PRESS_X) / SPACING_M
        states = np.zeros((len(at_s), POSTURE))
        states[:, X], states[:, Y] = _PRESS_X * self.direction, BELT - 0.02
        states[:, LIFT] = TALL + 0.38 + 0.55 * (1 - np.maximum(np.cos(turn), 0) ** 3)
        return Track(Body.CRATE, 5, self._press, first, states, lead=1)

    # -- anomalies -----------------------------------------------------------------------------------------------------

    def played(self) -> list[list[Appearance]]:
        """The anomalies, each as its one appearance."""
        played = []
        for fault in self._faults:
            tracks = self._play(fault)
            start, end = min(t.first for t in tracks), max(t.end for t in tracks)
            made: list[Track] = tracks
            played.append([Appearance(start / self.fps, end / self.fps, partial(list, made))])
        return played

    def _play(self, fault: _Fault) -> list[Track]:
        stage, kind = fault.stage, fault.stage.kind
        if kind in _SPEED_KINDS:
            first, end = stage.frame, int(fault.end_s * self.fps)
            state = np.zeros((end - first, POSTURE))
            state[:, Y], state[:, LIFT] = BELT, TALL
            everywhere = _unseen(2 * REACH_M - 3.0)
            return [Track(Body.CRATE, stage.id, everywhere, first, state, kind, range(first, end))]
        parts = range(fault.part, fault.part + (_JAM_PARTS if kind is PlantedKind.JAM else 1))
        tracks = []
        for number, part in enumerate(parts):
            first = round((stage.at_s - 50) * self.fps)
            at_s = np.arange(first, round((stage.at_s + 130) * self.fps)) / self.fps
            way = self._way(part, at_s)
            on = np.flatnonzero(np.abs(way) < REACH_M)
            if not len(on):
                continue
            rows = slice(max(on[0] - 1, 0), on[-1] + 1)
            held = np.abs(way - (self.run_m(at_s) - part * SPACING_M)) > 0.02
            held[at_s < stage.at_s] = False
            odd = kind in _PART_KINDS or bool(held.any())
            labelled = range(0)
            if odd:
                marked = np.flatnonzero((held if kind is PlantedKind.JAM else np.ones_like(held))[rows])
                labelled = range(first + rows.start + int(marked[0]), first + rows.start + int(marked[-1]) + 1)
            id = stage.id + number % 4 if odd else part % ORDINARY_IDS + 1
            track = Track(
                Body.CRATE,
                id,
                self._odd_look(kind, part),
                first + rows.start,
                self._on_belt(way[rows]),
                kind if odd else None,
                labelled,
                lead=1,
            )
            tracks.append(track)
        return tracks

    def _odd_look(self, kind: PlantedKind, part: int) -> Look:
        if kind is PlantedKind.MISSING_PART:
            return _unseen(_SIZE_M)
        if kind is PlantedKind.WRONG_PART:
            luma = 45 if self._luma > 150 else 235
            return crate_look(luma, HIDDEN, length_m=0.5, width_m=0.3, height_m=0.5)
        return self._part_look(part)


def _unseen(length_m: float) -> Look:
    """A box that marks a place and is not painted."""
    look = crate_look(0, HIDDEN, length_m=length_m, width_m=0.5, height_m=0.3)
    return Look(look.size, np.full_like(look.lumas, HIDDEN))


def _lasts_s(stage: Stage) -> float:
    low, high = {
        PlantedKind.LINE_STOP: (15, 50),
        PlantedKind.HALF_SPEED: (30, 55),
        PlantedKind.REVERSE: (8, 20),
        PlantedKind.JAM: (12, 20),
    }.get(stage.kind, (10, 10))
    return float(stage.rng.uniform(low, high))
