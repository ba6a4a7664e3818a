"""Scores of the last day, for the curve and for what another sensitivity would have raised."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vad.config import ScoringSettings
from vad.types import FrameScore

FINE_STEP_S, FINE_SPAN_S = 1.0, 600.0
COARSE_STEP_S, COARSE_SPAN_S = 10.0, 86_400.0

Row: TypeAlias = NDArray[np.float16]
"""Half precision: a score of 8 is kept to 0.008."""


@dataclass(frozen=True, slots=True)
class History:
    """``points`` of (wall_s where the step begins, highest score in it, threshold then), newest last.

    A step without a frame has no point. The threshold is ``inf`` while the camera is cold.
    """

    step_s: float
    points: list[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a budget would have raised in the ``covered_s`` seconds looked at: wall_s of each incident's start."""

    covered_s: float
    threshold: float
    incidents: list[float]


class Sustained:
    """The highest threshold at which an incident would have opened with the frame given last; 0.0 for none.

    The rule of ``Incidents``: of the frames of twice ``open_after_s``, those above the threshold lasted for
    ``open_after_s`` together.
    """

    def __init__(self, settings: ScoringSettings) -> None:
        self._need_s = settings.open_after_s
        self._recent: deque[tuple[float, float, float]] = deque()  # (score, pts_s, step_s)
        self._run: int | None = None

    def push(self, score: FrameScore, *, dt_s: float) -> float:
        if score.frame.run != self._run or score.health is not None:
            self._run = score.frame.run
            self._recent.clear()
        if score.health is not None:
            return 0.0
        now_s = score.frame.pts_s
        self._recent.append((score.score, now_s, dt_s))
        while now_s - self._recent[0][1] > 2.0 * self._need_s + 1e-9:
            self._recent.popleft()
        lasted_s = 0.0
        for level, _, step_s in sorted(self._recent, reverse=True):
            lasted_s += step_s
            if lasted_s >= self._need_s - 1e-9:
                return min(level, score.score)
        return 0.0


class _Ring:
    """(steps, 3) maxima of equal steps: score, threshold, sustained score; nan where nothing was seen."""

    def __init__(self, *, step_s: float, span_s: float) -> None:
        self.step_s = step_s
        self.rows: Row = np.full((round(span_s / step_s), 3), np.nan, np.float16)
        self._newest: int | None = None  # number of the step, counted from the epoch
        self._highest = math.nan, math.nan  # its score and sustained score, as kept: plain numbers compare far sooner

    def add(self, wall_s: float, values: tuple[float, float, float]) -> None:
        step = math.floor(wall_s / self.step_s)
        if step != self._newest:
            self._turn_to(step)
        score, sustained = self._highest
        if values[0] <= score and values[2] <= sustained:
            return
        row = self.rows[step % len(self.rows)]
        if not values[0] <= row[0]:  # higher, or the first
            row[:2] = values[:2]
        if not values[2] <= row[2]:
            row[2] = values[2]
        self._highest = float(row[0]), float(row[2])

    def _turn_to(self, step: int) -> None:
        """Go on with another step than the newest; what was never seen is nan."""
        if self._newest is None or abs(step - self._newest) >= len(self.rows):
            self.rows[:] = np.nan
        elif step > self._newest:
            self.rows[self._slots(self._newest + 1, step + 1)] = np.nan
        else:  # the clock was put back: what lay ahead of it has not happened
            self.rows[self._slots(step + 1, self._newest + 1)] = np.nan
        self._newest = step
        row = self.rows[step % len(self.rows)]
        self._highest = float(row[0]), float(row[2])

    def last(self, seconds: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n,) wall_s and (n, 3) values of the steps seen, oldest first."""
        if self._newest is None:
            return np.zeros(0), np.zeros((0, 3))
        count = max(1, min(len(self.rows), math.ceil(seconds / self.step_s)))
        steps = np.arange(self._newest - count + 1, self._newest + 1)
        rows = self.rows[steps % len(self.rows)].astype(np.float64)
        seen = ~np.isnan(rows[:, 0])
        return steps[seen] * np.float64(self.step_s), rows[seen]

    def _slots(self, first: int, end: int) -> NDArray[np.int64]:
        return np.arange(first, end) % len(self.rows)


class ScoreHistory:
    """One camera's scores: maxima of a second for ten minutes, of ten seconds for a day; 55 kB.

    Written by the scoring thread, read by anyone. Times are those of the frames; the last ``seconds`` end with the
    newest of them.
    """

    def __init__(self, settings: ScoringSettings) -> None:
        self._settings = settings
        self._sustained = Sustained(settings)
        self._fine = _Ring(step_s=FINE_STEP_S, span_s=FINE_SPAN_S)
        self._coarse = _Ring(step_s=COARSE_STEP_S, span_s=COARSE_SPAN_S)
        self._lock = threading.Lock()

    def add(self, score: FrameScore, *, dt_s: float) -> None:
        values = (score.score, score.threshold, self._sustained.push(score, dt_s=dt_s))
        with self._lock:
            self._fine.add(score.frame.wall_s, values)
            self._coarse.add(score.frame.wall_s, values)

    def read(self, seconds: float) -> History:
        """In steps of a second up to ten minutes, of ten seconds beyond."""
        ring = self._fine if seconds <= FINE_SPAN_S else self._coarse
        with self._lock:
            wall_s, rows = ring.last(seconds)
        points = zip(wall_s.tolist(), rows[:, 0].tolist(), rows[:, 1].tolist(), strict=True)
        return History(ring.step_s, list(points))

    def preview(self, threshold: float, *, seconds: float) -> Preview:
        """What ``threshold`` would have raised, whatever the threshold was: two incidents in one step are one."""
        with self._lock:
            coarse, fine = self._coarse.last(seconds), self._fine.last(min(seconds, FINE_SPAN_S))
        steps = [(at_s, COARSE_STEP_S, row) for at_s, row in zip(*coarse, strict=True)]
        if len(fine[0]):  # the newest minutes are known better
            steps = [step for step in steps if step[0] + COARSE_STEP_S <= fine[0][0]]
            steps += [(at_s, FINE_STEP_S, row) for at_s, row in zip(*fine, strict=True)]
        keeps = self._settings.hysteresis * threshold
        incidents: list[float] = []
        held_s = -math.inf  # until when the open one was last up
        for at_s, step_s, (score, _, sustained) in steps:
            is_over = at_s - held_s > self._settings.close_after_s
            if is_over and sustained > threshold:
                incidents.append(float(at_s))
            elif is_over or score < keeps:
                continue
            held_s = at_s + step_s
        return Preview(sum(step_s for _, step_s, _ in steps), threshold, incidents)
