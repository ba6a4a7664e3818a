"""Learning apart from scoring: which judged frames may be learnt, and when."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from vad.scoring.kernels import Map, State
from vad.scoring.objects.passages import Visits
from vad.scoring.tuning import TUNING
from vad.types import CellMap


class Sample(NamedTuple):
    """A judged frame that waits to be learnt."""

    cells: CellMap
    values: State  # (K + 1,) smoothed cues and their combination, as judged
    ratios: Map  # (R, gh, gw) the cues that are made relative to what each cell has seen, before they were
    visits: Visits  # passages that ended in this frame
    dt_s: float
    nominal: float = 0.0  # the largest exponent of a second, as judged
    seen_s: float = 0.0  # footage seen when it was judged
    starts: bool = False  # the frame before it was not learnt
    moves: bool = True  # False: nothing in it moves at all
    busy: bool = False  # an object that keeps its way moves
    quiet: bool = False  # none has for long
    shift: tuple[bool, bool] | None = None  # does what always moves run, has it rested for long?


class Gate:
    """Frames are learnt ``learn_delay_s`` after they were judged; a flag throws away what waits and closes the gate.

    The gate opens again ``unlearn_margin_s`` after the last flag. What recurs and is flagged each time is never learnt.
    When flags have stood for longer than ``longest_s`` (calm makes up for a quarter of its own time), the world has
    changed: from then on ``flagged_share`` of what is flagged is learnt all the same, until no flag has been up for
    ``accepted_after_s``. Unhealthy pictures are never learnt.
    """

    def __init__(self, *, longest_s: float) -> None:
        self._longest_s = longest_s
        self._waiting: deque[Sample] = deque()
        self._seen_s = 0.0
        self._closed_until_s = -math.inf
        self._flagged_s, self._calm_s = 0.0, 0.0
        self._broken = True
        self._owed_s = 0.0  # of flagged footage that may be learnt
        self.accepting = False
        self.closed = False

    def step(
        self,
        sample: Sample,
        *,
        flagged: bool,
        ailing: bool,
    ) -> list[Sample]:
        """Take the frame just judged. The frames to learn now, oldest first."""
        dt_s = sample.dt_s
        self._seen_s += dt_s
        self._flagged_s = max(0.0, self._flagged_s + (dt_s if flagged and not ailing else -0.25 * dt_s))
        self._calm_s = 0.0 if flagged else self._calm_s + dt_s
        if self._flagged_s > self._longest_s:
            self.accepting = True
        if self.accepting and self._calm_s >= TUNING.accepted_after_s:
            self.accepting, self._flagged_s = False, 0.5 * self._longest_s
        self._owed_s = min(1.0, self._owed_s + TUNING.flagged_share * dt_s) if self.accepting else 0.0
        if ailing or flagged:
            self._closed_until_s = self._seen_s + TUNING.unlearn_margin_s
            self._waiting.clear()
            self._broken = True
        self.closed = self._seen_s < self._closed_until_s
        if flagged and not ailing and self._owed_s >= dt_s:
            self._owed_s -= dt_s
            return [sample._replace(starts=True)]
        if self.closed:
            return []
        self._waiting.append(sample._replace(seen_s=self._seen_s, starts=self._broken))
        self._broken = False
        due = []
        while self._waiting and self._waiting[0].seen_s <= self._seen_s - TUNING.learn_delay_s:
            due.append(self._waiting.popleft())
        return due

    def end(self) -> list[Sample]:
        """The footage ends here: what waits may be learnt, since no flag can come any more."""
        due = list(self._waiting)
        self._waiting.clear()
        return due
