"""What the cues of one camera make of what was hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.scoring.objects_pictures import film
from vad.scoring.cues import HOUR, Cues
from vad.scoring.hours import QUIET_S
from vad.scoring.objects.layer import ObjectLayer
from vad.scoring.tuning import DAY_S

EVERYWHERE = np.ones((12, 20), np.bool_)
NOON_S = 20_000 * DAY_S + 43_200.0


def busy_at_noon() -> Cues:
    """A camera before which something has moved at noon for an hour of the day before."""
    cues = Cues(12, 20, left_behind_s=15.0, objects=ObjectLayer(12, 20))
    for second in range(3600):
        cues.hours.learn(NOON_S - DAY_S - 1800.0 + second, moves=True, quiet=False, dt_s=1.0)
    return cues


def highest(cues: Cues, seconds: float, *, is_healthy: bool) -> float:
    """Of the hour, while nothing moves for so long from noon on."""
    (cells,) = film([[]])
    value = 0.0
    for k in range(round(seconds)):
        frame = replace(cells.frame, index=k, pts_s=float(k), wall_s=NOON_S + k)
        now = replace(cells, frame=frame, dt_s=1.0 if k else 0.0)
        cues.step(now, judged=EVERYWHERE, moves=False, is_healthy=is_healthy, dt_s=1.0)
        value = max(value, float(cues.maps[HOUR].max()))
    return value


def test_nothing_that_moves_at_a_busy_hour_is_unusual_once_it_lasts():
    assert highest(busy_at_noon(), QUIET_S + 5.0, is_healthy=True) > 3.0


def test_what_a_covered_lens_hides_is_not_quiet():
    cues = busy_at_noon()
    assert highest(cues, QUIET_S + 60.0, is_healthy=False) == 0.0
    (cells,) = film([[]])
    cues.recover(cells, new_look_s=0.0)
    assert highest(cues, QUIET_S - 5.0, is_healthy=True) == 0.0
