"""Scoring thread: cell maps to scores, scores to incidents. Waits for nobody behind it, whatever the disk does."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import structlog

from vad.clock import Clock
from vad.errors import CalibrationError, CommandRefused
from vad.pipeline.history import ScoreHistory
from vad.pipeline.judge import Judge, calibration_path
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import Mailbox
from vad.pipeline.metrics import StageMetrics
from vad.types import AnomalyEvent, CameraEvent, CameraState, CellMap, DropReason, EventType, FrameScore, Stage

log = structlog.get_logger(__name__)

GONE = frozenset({CameraState.STALLED, CameraState.BACKOFF, CameraState.ENDED, CameraState.PAUSED})
POLL_S = 0.5
LATENCIES_KEPT = 4_096
"""Few enough to be sorted while others wait: a call that is not Python lets nobody in."""

SAVE_EVERY_S = 60.0
SAVE_SHARE, SAVE_AFTER_S = 0.02, 900.0
"""A killed engine loses at most a minute of what a camera has learnt, or a fiftieth of it where that is more, up to a
quarter of an hour."""


@dataclass(slots=True)
class Watch:
    """What the scoring thread keeps of one camera. Only that thread changes it; anyone may read a field."""

    judge: Judge
    history: ScoreHistory
    last_score: FrameScore | None = None
    opened: int = 0
    closed: int = 0
    judged_s: float = 0.0  # media seconds in which an event could be raised
    saved_s: float = 0.0  # media seconds that it had learnt when that was saved last
    ended_run: int = -1  # the last run whose end was announced

    @property
    def is_worth_saving(self) -> bool:
        """Has it learnt enough since, or begun anew?"""
        learnt_s = self.judge.scorer.learnt_s
        return learnt_s < self.saved_s or learnt_s - self.saved_s >= min(SAVE_SHARE * learnt_s, SAVE_AFTER_S)


@dataclass(slots=True)
class Errand:
    """What another thread wants done by the owner of the judges: ``act`` in its turn, giving events to raise."""

    act: Callable[[], Sequence[AnomalyEvent]]
    done: threading.Event = field(default_factory=threading.Event)


Item: TypeAlias = list[CellMap] | CameraEvent | Errand
"""What comes to the scoring thread, in order."""


@dataclass(slots=True)
class ScoringWorker:
    """The scoring stage. Judges and ``watches`` are this thread's alone to change: others ``ask``."""

    maps: Mailbox[Item]
    deliver: Callable[[Sequence[AnomalyEvent | CameraEvent], Sequence[FrameScore]], None]
    ledger: Ledger
    metrics: StageMetrics
    clock: Clock
    calibration_dir: Path
    weights_sha256: str
    on_event: Callable[[AnomalyEvent | CameraEvent], None]
    see: Callable[[Sequence[AnomalyEvent | CameraEvent], Sequence[FrameScore]], None] | None = None
    watches: dict[str, Watch] = field(default_factory=dict)
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    _to_save: list[str] = field(default_factory=list)  # what is left of this turn
    _next_save_s: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)

    def ask(self, act: Callable[[], Sequence[AnomalyEvent]]) -> None:
        """Have ``act`` done by this stage's thread, after all that came before; returns once its events are raised.

        Called by other threads. Raises CommandRefused when the engine stops instead.
        """
        errand = Errand(act)
        if self.maps.put(errand):
            while not errand.done.wait(POLL_S):
                if self._ended.is_set() and not errand.done.is_set():
                    break
            else:
                return
        raise CommandRefused("the engine is stopping: nothing can be changed any more")

    def run(self) -> None:
        """Until ``maps`` is closed and empty; then closes open incidents and saves calibrations."""
        try:
            while (items := self.maps.take(timeout_s=POLL_S)) is not None:
                self._round(items)
                self._save_next()
            watches = self.watches.values()
            self._hand_over([e for watch in watches for e in watch.judge.incidents.close("shutdown")], [])
            for camera, watch in self.watches.items():
                self.save(camera, watch)
        finally:
            self._ended.set()

    def _round(self, items: list[Item]) -> None:
        events: list[AnomalyEvent | CameraEvent] = []
        scores: list[FrameScore] = []
        errands: list[Errand] = []
        for item in items:
            if isinstance(item, Errand):
                events += item.act()
                errands.append(item)
            elif isinstance(item, CameraEvent):
                watch = self.watches.get(item.camera)  # None: the camera was removed meanwhile
                if watch is not None and item.state in GONE:  # its incidents must not stay open until it comes back
                    watch.ended_run = item.run
                    events += watch.judge.incidents.close("run_ended")
                events.append(item)
            else:
                for cell_map in item:
                    self._score(cell_map, scores, events)
        self._hand_over(events, scores)
        for errand in errands:
            errand.done.set()

    def _score(self, cell_map: CellMap, scores: list[FrameScore], events: list[AnomalyEvent | CameraEvent]) -> None:
        camera = cell_map.frame.camera
        watch = self.watches.get(camera)
        if watch is None:  # removed, and did not wait for its frames
            self.ledger.dropped(camera, DropReason.RUN_ENDED)
            return
        started_s = time.perf_counter()
        if misfit := watch.judge.misfit(cell_map):
            log.warning("calibration.forgotten", camera=camera, run=cell_map.frame.run, detail=misfit)
        score, health = watch.judge.step(cell_map)
        self.metrics.observe("score", time.perf_counter() - started_s)
        latency_s = self.clock.monotonic_s() - cell_map.frame.arrived_s
        self.metrics.latency.observe(latency_s)
        self.latencies_s.append(latency_s)
        watch.last_score = score
        watch.history.add(score, dt_s=cell_map.dt_s)
        if score.stage is not Stage.COLD and watch.judge.is_armed:
            watch.judged_s += cell_map.dt_s
        self.ledger.scored(camera)
        scores.append(score)
        events += [*health, *score.events]
        if cell_map.frame.run <= watch.ended_run and self.ledger.account(camera).in_flight == 0:
            events += watch.judge.incidents.close("run_ended")  # the machine is slow: scored after the news

    def _hand_over(self, events: list[AnomalyEvent | CameraEvent], scores: list[FrameScore]) -> None:
        self.deliver(events, scores)
        if self.see is not None:
            self.see(events, scores)
        for event in events:
            watch = self.watches.get(event.camera)
            if watch is not None and isinstance(event, AnomalyEvent):
                watch.opened += event.type is EventType.OPENED
                watch.closed += event.type is EventType.CLOSED
            self.on_event(event)

    def _save_next(self) -> None:
        """Each camera in its turn, spread over SAVE_EVERY_S: all at once would hold up everybody's scores."""
        now_s = self.clock.monotonic_s()
        if now_s < self._next_save_s or not self.watches:
            return
        self._to_save = self._to_save or list(self.watches)
        camera = self._to_save.pop()
        watch = self.watches.get(camera)
        if watch is not None and watch.is_worth_saving:
            self.save(camera, watch)
        self._next_save_s = now_s + SAVE_EVERY_S / len(self.watches)

    def save(self, camera: str, watch: Watch) -> None:
        """Keep what the camera has learnt. A full disk costs its newest minute, never the engine."""
        if watch.last_score is None or watch.judge.scorer.geometry is None:
            return  # nothing learnt
        try:
            path = calibration_path(self.calibration_dir, camera)
            watch.judge.scorer.save(path, weights_sha256=self.weights_sha256)
            watch.saved_s = watch.judge.scorer.learnt_s
        except CalibrationError as exc:
            run = watch.last_score.frame.run
            log.error("calibration.not_saved", camera=camera, run=run, detail=str(exc))
            self.metrics.calibration_failures.inc()
