"""What always moves in a place and does not move now as it does: a line that has slowed or turned round.

A cell has a rhythm where its motion, averaged over ``tau_s``, hardly changes as long as there is any: a belt, a pump,
an escalator; not a street. Of such cells the *rate* is known: 1 as always, 0.5 half as fast, 0 at rest, -1 backwards.
The median of all is the scene's rate. A line that runs and a line that rests are both normal; in between and below are
states that it only passes through. The value is for how long it has been in one, over ``odd_s``. Whether it rests at a
time of day at which it runs is for ``hours.Hours`` to say, which is told where it runs.

Shapes: gh, gw cells; velocities px/s in the picture that is analysed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, State, kernel


class RhythmTuning(NamedTuple):
    """Media seconds, shares. Set by hand while looking at the line of training seed 31; none was searched or varied."""

    tau_s: float = 8.0  # longer than parts are apart
    moves: float = 0.02  # mean activity of a cell below which it rests, and nothing is learnt of it
    memory_s: float = 14400.0  # of motion that is remembered
    known_s: float = 300.0  # of motion before a cell's rhythm is known
    steady: float = 2.5  # mean motion over its spread
    least_px_s: float = 0.3
    least_cells: int = 6  # with a rhythm
    crawls_px_s: float = 5.0  # activity times flow: slower than people walk
    rests: tuple[float, float] = (-0.1, 0.12)  # rates at which it rests ...
    runs: tuple[float, float] = (0.72, 1.5)  # ... and at which it runs; all others are odd
    odd_s: float = 20.0  # slowing down to a rest takes 12 s with that ``tau_s``
    backwards: float = 3.0  # so many times as odd: nothing that slows down goes there
    most: float = 4.0  # times ``odd_s``: it counts no further
    settled_s: float = 16.0  # of a run, before averages mean anything


RHYTHM = RhythmTuning()


@kernel
def follow(flow: Map, activity: Map, mean: State, busy: State, near: float) -> None:
    """Bring the running means of activity times flow (2, gh, gw), and of activity, to this frame."""
    for i in range(busy.shape[0]):
        for j in range(busy.shape[1]):
            share = float(activity[i, j])
            busy[i, j] += near * (share - busy[i, j])
            for axis in range(2):
                mean[axis, i, j] += near * (share * float(flow[axis, i, j]) - mean[axis, i, j])


@kernel
def learn(mean: State, busy: State, usual: State, spread: State, known_s: State, dt_s: float, t: RhythmTuning) -> None:
    """Take the running means into what is usual, where something moves. ``spread`` (gh, gw) is a variance."""
    for i in range(busy.shape[0]):
        for j in range(busy.shape[1]):
            if busy[i, j] < t.moves:
                continue
            known_s[i, j] = min(known_s[i, j] + dt_s, t.memory_s)
            near = dt_s / known_s[i, j]
            x = mean[0, i, j] - usual[0, i, j]
            y = mean[1, i, j] - usual[1, i, j]
            usual[0, i, j] += near * x
            usual[1, i, j] += near * y
            spread[i, j] += near * ((1.0 - near) * (x * x + y * y) - spread[i, j])


@kernel
def rates(mean: State, usual: State, spread: State, known_s: State, t: RhythmTuning) -> tuple[State, int]:
    """(gh, gw) each cell's rate, nan where it has no rhythm; and how many have one."""
    out = np.full(spread.shape, np.nan)
    count = 0
    for i in range(spread.shape[0]):
        for j in range(spread.shape[1]):
            size = usual[0, i, j] ** 2 + usual[1, i, j] ** 2
            if known_s[i, j] < t.known_s or size < t.least_px_s**2 or size < t.steady**2 * spread[i, j]:
                continue
            out[i, j] = (mean[0, i, j] * usual[0, i, j] + mean[1, i, j] * usual[1, i, j]) / size
            count += 1
    return out, count


class Rhythm:
    """Of one camera. ``step`` judges, ``learn`` is given normal frames only."""

    def __init__(self, rows: int, columns: int) -> None:
        self._usual: State = np.zeros((2, rows, columns))
        self._spread: State = np.zeros((rows, columns))
        self._known_s: State = np.zeros((rows, columns))
        self.rate = 1.0  # of the scene
        self.begin_run()

    def begin_run(self) -> None:
        """Forget the running means; what is usual is kept."""
        self._mean: State = np.zeros(self._usual.shape)
        self._busy: State = np.zeros(self._spread.shape)
        self._run_s, self._odd_s = 0.0, 0.0
        self.cells: Map | None = None  # (gh, gw) 1 on those that have a rhythm; None while the run is young
        self.crawls: Map | None = None  # ... 1 on those of them that are slow, from the first frame on
        self.rests = False  # does the scene rest?

    def step(self, flow: Map, activity: Map, *, dt_s: float, out: Map) -> None:
        """Into ``out`` (gh, gw), where cells have a rhythm, for how many ``odd_s`` the scene's rate has been odd."""
        self._run_s += dt_s
        follow(flow, activity, self._mean, self._busy, min(1.0, dt_s / min(RHYTHM.tau_s, self._run_s or 1.0)))
        rate, count = rates(self._mean, self._usual, self._spread, self._known_s, RHYTHM)
        known = count >= RHYTHM.least_cells and self._run_s >= RHYTHM.settled_s
        self.rate = float(np.nanmedian(rate)) if known else 1.0
        (still_from, still_to), (runs_from, runs_to) = RHYTHM.rests, RHYTHM.runs
        self.rests = still_from <= self.rate <= still_to
        is_odd = not (self.rests or runs_from <= self.rate <= runs_to)
        pace = RHYTHM.backwards if self.rate < still_from else 1.0
        self._odd_s = self._odd_s + pace * dt_s if is_odd else 0.0
        has_rhythm = ~np.isnan(rate)
        np.multiply(has_rhythm, np.float32(min(RHYTHM.most, self._odd_s / RHYTHM.odd_s)), out=out)
        self.cells = has_rhythm.astype(np.float32) if known else None
        size = self._usual[0] ** 2 + self._usual[1] ** 2
        is_slow = has_rhythm & (size < RHYTHM.crawls_px_s**2)
        self.crawls = is_slow.astype(np.float32) if np.count_nonzero(is_slow) >= RHYTHM.least_cells else None

    def learn(self, *, dt_s: float) -> None:
        """The running means of a frame that was normal; ``dt_s`` went by since the last call."""
        if self._run_s >= RHYTHM.settled_s:
            learn(self._mean, self._busy, self._usual, self._spread, self._known_s, dt_s, RHYTHM)

    def state(self) -> dict[str, State]:
        return {"usual": self._usual, "spread": self._spread, "known_s": self._known_s}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._usual, self._spread = take(arrays, "usual", self._usual), take(arrays, "spread", self._spread)
        self._known_s = take(arrays, "known_s", self._known_s)
        self.begin_run()
