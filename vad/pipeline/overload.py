"""What happens when the machine cannot keep up: cameras are analysed at a lower rate, fairly, until it can.

The policy, in the order of what it protects:

1. Latency. While clips wait too long or are lost, the share of the work that is done falls by a fifth at a time.
2. Every camera. None goes below ``LEAST_RATIO`` of its own rate.
3. Priority. What is left goes to the highest ``priority`` first; cameras of equal priority are slowed by one ratio.

Recovery is slower than retreat (additive increase, multiplicative decrease: Chiu and Jain 1989), and asks first whether
there is room for it, so that the rate does not swing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

LATE_S = 0.7
"""A clip that has waited that long is late: it leaves the network time to answer within a second."""

EASY_S = 0.35
"""While no clip waits longer than this, the machine may be able to do more."""

FULL = 0.9
"""A stage that works this share of the time has no room left."""

LEAST_RATIO = 0.125
"""No camera is analysed at less than this share of its own rate: 1 frame a second of 8."""

RETREAT, ADVANCE = 0.8, 0.05
SETTLE_S = 1.0
"""After a change of the share: how long it takes to see what it did."""

EASY_FOR_S = 5.0
"""How long the machine must have been at ease before the share rises."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the engine sees of itself at one instant.

    ``lag_s``: how long the oldest waiting clip has waited; ``lost``: frames dropped for overload since the last look;
    ``busy``: the share of the time, 0..1, in which the busiest stage worked since then.
    """

    lag_s: float
    lost: int
    busy: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What one camera asks for: frames a second, and how much it matters (higher is kept longer)."""

    analysis_fps: float
    priority: int


class Overload:
    """Which share of the analysis that is asked for is done: 1.0, or less while the machine cannot keep up."""

    def __init__(self) -> None:
        self.share = 1.0
        self._settled_s = self._easy_since_s = -float("inf")

    @property
    def is_overloaded(self) -> bool:
        return self.share < 1.0

    def step(self, load: Load, *, now_s: float) -> float:
        """Look at the load, at a monotonic time; the share from now on. A few times a second is often enough."""
        late = load.lost > 0 or load.lag_s > LATE_S
        next_share = min(1.0, self.share + ADVANCE)
        if late or load.lag_s > EASY_S or load.busy * next_share / self.share > FULL:
            self._easy_since_s = now_s
        if now_s < self._settled_s:
            return self.share
        if late:
            self._change(max(LEAST_RATIO, self.share * RETREAT), now_s)
        elif self.is_overloaded and now_s - self._easy_since_s >= EASY_FOR_S:
            self._change(next_share, now_s)
        return self.share

    def _change(self, share: float, now_s: float) -> None:
        self.share, self._settled_s = share, now_s + SETTLE_S


def ratios(demands: Mapping[str, Demand], share: float) -> dict[str, float]:
    """Per camera the ratio of its own analysis rate, LEAST_RATIO..1, that shares out ``share`` of all that is asked."""
    left = max(0.0, share - LEAST_RATIO) * _total(demands.values())
    shared: dict[str, float] = {}
    for _, names in groupby(sorted(demands, key=lambda name: -demands[name].priority), lambda n: demands[n].priority):
        peers = list(names)
        wanted = (1.0 - LEAST_RATIO) * _total(demands[name] for name in peers)
        given = min(wanted, left)
        left -= given
        shared |= dict.fromkeys(peers, LEAST_RATIO + (1.0 - LEAST_RATIO) * given / wanted)
    return shared


def _total(demands: Iterable[Demand]) -> float:
    return sum(demand.analysis_fps for demand in demands)
