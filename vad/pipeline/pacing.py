"""The watchdog's look at the load: when the machine cannot keep up, cameras are analysed at a lower rate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import structlog

from vad.clock import Clock
from vad.pipeline.cameras import Cameras
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import ClipMailbox, Mailbox
from vad.pipeline.member import Member
from vad.pipeline.metrics import StageMetrics
from vad.pipeline.overload import Demand, Load, Overload, ratios
from vad.pipeline.scoring import Item
from vad.types import CameraState, DropReason, EngineEvent, EngineState

log = structlog.get_logger(__name__)

BUSY_STAGES = ("model", "score")
"""The stages that all cameras share a thread of."""

STARTING_S, STARTING_EACH_S = 5.0, 0.05
"""A start connects every camera at once: what it costs says nothing of what watching them does. What was sent meanwhile
is there to be read then; with many cameras that takes longer, up to LONGEST_START_S."""
LONGEST_START_S = 20.0


class Pacing:
    """``visit`` looks at what waits, and tells each stream which share of its own rate is analysed.

    Recordings that wait for room take no part: nothing of them is lost by being slow. ``tell`` is given an event when
    the machine begins to be overloaded and when it is no more.
    """

    def __init__(
        self,
        cameras: Cameras,
        *,
        clips: ClipMailbox,
        maps: Mailbox[Item],
        ledger: Ledger,
        metrics: StageMetrics,
        tell: Callable[[EngineEvent], None],
        clock: Clock,
    ) -> None:
        self._cameras, self._clips, self._maps = cameras, clips, maps
        self._ledger, self._metrics, self._tell, self._clock = ledger, metrics, tell, clock
        self._overload = Overload()
        self._looked_s = clock.monotonic_s()
        starting_s = STARTING_S + STARTING_EACH_S * len(cameras.members)
        self._begins_s = self._looked_s + min(LONGEST_START_S, starting_s)
        self._lag_s = 0.0
        self._lost = 0
        self._busy_s = dict.fromkeys(BUSY_STAGES, 0.0)

    @property
    def share(self) -> float:
        """Of the analysis that the cameras' settings ask for: how much is done. May be read by anyone."""
        return self._overload.share

    def visit(self) -> None:
        """A few times a second."""
        members = self._cameras.members
        paced = {name: member for name, member in members.items() if not member.stream.can_wait}
        now_s, before = self._clock.monotonic_s(), self.share
        load = self._load(paced, now_s, is_filled=len(paced) < len(members))
        if now_s < self._begins_s:
            return
        share = self._overload.step(load, now_s=now_s)
        if share < 1.0:
            self._slow_down(paced, share)
        elif before < 1.0:
            for member in members.values():
                member.stream.analysis_ratio = 1.0
        if (share < 1.0) is not (before < 1.0):
            self._announce(load, share)

    def _slow_down(self, paced: Mapping[str, Member], share: float) -> None:
        """Among those that give frames: who is away asks for nothing."""
        up = {name: member for name, member in paced.items() if member.stream.status.state is CameraState.UP}
        demands = {name: Demand(m.config.analysis_fps, m.config.priority) for name, m in up.items()}
        for name, ratio in ratios(demands, share).items():
            up[name].stream.analysis_ratio = ratio

    def _load(self, paced: Collection[str], now_s: float, *, is_filled: bool) -> Load:
        """Since the last look. Late is what was late then too: a hiccup passes by itself.

        ``is_filled``: recordings fill what is left of the machine, and how busy it is says nothing.
        """
        waiting_s = [at_s for at_s in (self._clips.oldest_s(paced), self._oldest_map_s(paced)) if at_s is not None]
        lag_s = now_s - min(waiting_s, default=now_s)
        steady_lag_s, self._lag_s = min(lag_s, self._lag_s), lag_s
        lost, self._lost = self._lost, self._ledger.lost_to(DropReason.OVERLOAD)
        busy_s, self._busy_s = self._busy_s, {stage: self._metrics.busy_s[stage] for stage in BUSY_STAGES}
        span_s, self._looked_s = max(now_s - self._looked_s, 1e-3), now_s
        busy = max(self._busy_s[stage] - busy_s[stage] for stage in BUSY_STAGES) / span_s
        return Load(lag_s=steady_lag_s, lost=max(0, self._lost - lost), busy=0.0 if is_filled else min(1.0, busy))

    def _oldest_map_s(self, paced: Collection[str]) -> float | None:
        """When what has waited longest for the scoring thread had arrived."""
        oldest = self._maps.oldest
        if not isinstance(oldest, list) or not oldest or oldest[-1].frame.camera not in paced:
            return None
        return oldest[-1].frame.arrived_s

    def _announce(self, load: Load, share: float) -> None:
        if share < 1.0:
            state, detail = EngineState.OVERLOADED, f"clips wait for {load.lag_s:.1f} s, {load.lost} frames were lost"
            log.warning("overload.entered", share=round(share, 2), detail=detail)
        else:
            state, detail = EngineState.RECOVERED, "every camera is analysed at its own rate again"
            log.info("overload.left", detail=detail)
        self._tell(EngineEvent(state, self._clock.wall_s(), share, detail))
