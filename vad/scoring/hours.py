"""At what time of day something moves: somebody who comes when nobody ever comes is unusual in any place.

The day has 48 bins. Of each it is counted for how long it was watched, for how long something moved, and for how long
nothing had moved for ``QUIET_S``. The value of a frame in which something moves is ``-log10`` of the share of that time
of day in which something did: 3 means one second in a thousand; that of a quiet one likewise. A time of day counts once
it was watched on a day before, so that a camera's first day says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, Mask, State
from vad.scoring.tuning import DAY_S

BINS = 48
LEAST_WATCHED_S = 1800.0
"""On days before, in a bin and its two neighbours, before it says anything."""

PRIOR_S = 1.0
"""Of movement, and of quiet, that is taken to have been seen at any time of day."""

QUIET_S = 20.0
"""Without any movement: shorter pauses are no quiet."""

ASK_EVERY_S = 10.0
"""Between two looks at the counts, of the clock."""

MOVES = 0.25
"""Share of a cell that must move for something to move there."""

HALF_LIFE_DAYS = 14.0


class Hours:
    """Of one camera. ``step`` judges, ``learn`` is given normal frames only."""

    def __init__(self) -> None:
        self._before: State = np.zeros((3, BINS))  # seconds watched, with movement, quiet, on days before
        self._lately: State = np.zeros((3, BINS))  # ... in the last half day
        self._last_s: State = np.zeros(BINS)  # UTC at which each bin was watched last
        self.begin_run()

    def begin_run(self) -> None:
        """Nobody knows for how long nothing has moved."""
        self.is_busy = False  # did something move in the last frame?
        self._still_s = 0.0
        self._asked_s, self._values = -math.inf, (0.0, 0.0)

    @property
    def is_quiet(self) -> bool:
        """Has nothing moved for ``QUIET_S``?"""
        return self._still_s >= QUIET_S

    @staticmethod
    def bin_of(wall_s: float) -> int:
        """The bin of a time, UTC."""
        return int(wall_s % DAY_S / DAY_S * BINS) % BINS

    def step(self, activity: Map | None, wall_s: float, *, dt_s: float, out: Map) -> None:
        """Into ``out`` (gh, gw) the value where something moves, or everywhere when nothing has for long; 0 elsewhere.

        ``activity`` (gh, gw) is of objects that keep their way; None when nothing moves.
        """
        self.is_busy = activity is not None and bool((activity >= MOVES).any())
        self._still_s = 0.0 if self.is_busy else self._still_s + dt_s
        if activity is not None and self.is_busy:
            np.multiply(activity >= MOVES, np.float32(self._lately_asked(wall_s)[0]), out=out)
        else:
            out[:] = self._lately_asked(wall_s)[1] if self.is_quiet else 0.0

    def _lately_asked(self, wall_s: float) -> tuple[float, float]:
        """The values of movement and of quiet, as they were up to ``ASK_EVERY_S`` ago: they hardly change."""
        if not 0.0 <= wall_s - self._asked_s < ASK_EVERY_S:
            self._asked_s = wall_s
            self._values = self.value(wall_s, quiet=False), self.value(wall_s, quiet=True)
        return self._values

    def value(self, wall_s: float, *, quiet: bool) -> float:
        """``-log10`` of the share of this time of day that is quiet, or not; 0.0 while that is not known."""
        around = self._around(wall_s)
        watched_s, moved_s, quiet_s = self._known(around, wall_s).sum(axis=1).tolist()
        if watched_s < LEAST_WATCHED_S:
            return 0.0
        return float(-np.log10(min(1.0, ((quiet_s if quiet else moved_s) + PRIOR_S) / (watched_s + PRIOR_S))))

    def learn(self, wall_s: float, *, moves: bool, quiet: bool, dt_s: float) -> None:
        """``dt_s`` of a normal picture in which something moved, or nothing had for long."""
        around = self._around(wall_s)
        now = around[1]
        self._before[:, around] = self._known(around, wall_s)
        self._lately[:, around] *= ~self._is_past(around, wall_s)
        self._lately[:, now] += dt_s, dt_s * moves, dt_s * quiet
        self._last_s[now] = wall_s

    def _around(self, wall_s: float) -> list[int]:
        """The bin of that time between its neighbours."""
        now = self.bin_of(wall_s)
        return [(now - 1) % BINS, now, (now + 1) % BINS]

    def _known(self, bins: list[int], wall_s: float) -> State:
        """(3, n) what those bins were on days before."""
        past = self._is_past(bins, wall_s) & (self._lately[0, bins] > 0.0)
        fade = np.where(past, 0.5 ** (1.0 / HALF_LIFE_DAYS), 1.0)
        return np.asarray(self._before[:, bins] * fade + self._lately[:, bins] * past)

    def _is_past(self, bins: list[int], wall_s: float) -> Mask:
        """Whether what was counted in them lately is half a day old: then it is of a day before."""
        return np.asarray(wall_s - self._last_s[bins] > 0.5 * DAY_S)

    def state(self) -> dict[str, State]:
        return {"before": self._before, "lately": self._lately, "last_s": self._last_s}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._before, self._lately = take(arrays, "before", self._before), take(arrays, "lately", self._lately)
        self._last_s = take(arrays, "last_s", self._last_s)
