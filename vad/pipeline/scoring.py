"""Scoring thread: cell maps to scores, scores to incidents. Waits for nobody behind it, whatever the disk does."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from vad.clock import Clock
from vad.config import CameraConfig, ScoringSettings
from vad.errors import CalibrationError
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import Mailbox
from vad.pipeline.metrics import StageMetrics
from vad.scoring.incidents import Incidents
from vad.scoring.scorer import Scorer
from vad.types import AnomalyEvent, CameraEvent, CameraState, CellMap, EventType, FrameScore, HealthIssue, Stage

log = structlog.get_logger(__name__)

GONE = frozenset({CameraState.STALLED, CameraState.BACKOFF, CameraState.ENDED})
POLL_S = 0.5
LATENCIES_KEPT = 50_000
SAVE_EVERY_S = 60.0
"""A killed engine loses at most this much of what it learnt."""


@dataclass(slots=True)
class Judge:
    """Scorer and incidents of one camera: owned by the scoring thread (or by whoever scans a file)."""

    camera: str
    scorer: Scorer
    incidents: Incidents
    health: HealthIssue | None = None

    @classmethod
    def create(cls, camera: str, *, config: CameraConfig, settings: ScoringSettings) -> Judge:
        scorer = Scorer(
            camera,
            settings=settings,
            false_alarms_per_day=config.false_alarms_per_day,
            analysis_fps=config.analysis_fps,
            zones=config.zones,
        )
        return cls(camera, scorer, Incidents(camera, settings=settings))

    def begin_with(self, path: Path, *, config: CameraConfig, settings: ScoringSettings, sha256: str) -> None:
        """Go on from a calibration. Raises CalibrationError, and keeps the scorer it has, when it cannot be used."""
        self.scorer = Scorer.load(
            path,
            self.camera,
            settings=settings,
            false_alarms_per_day=config.false_alarms_per_day,
            analysis_fps=config.analysis_fps,
            zones=config.zones,
            weights_sha256=sha256,
        )

    def misfit(self, cell_map: CellMap) -> str:
        """Why the calibration that the judge begins with is of no use for this picture; empty when it is."""
        known, here = self.scorer.geometry, cell_map.frame.geometry
        if known is None or known == here:
            return ""
        return (
            f"camera {self.camera}: the picture is {here.source_width}x{here.source_height}, its calibration is for "
            f"{known.source_width}x{known.source_height}; allowed: the same size"
        )

    def step(self, cell_map: CellMap) -> tuple[FrameScore, list[CameraEvent]]:
        """Judge one frame. The score carries its anomaly events; changes of the picture's health come beside it."""
        score = self.scorer.step(cell_map)
        events = self.incidents.step(score)
        if events:
            score = dataclasses.replace(score, events=tuple(events))
        return score, self._health_events(score)

    def _health_events(self, score: FrameScore) -> list[CameraEvent]:
        if score.health is self.health:
            return []
        before, self.health = self.health, score.health
        state = score.health.value if score.health else "recovered"
        detail = "" if score.health or before is None else f"from {before.value}"
        frame = score.frame
        return [CameraEvent(camera=self.camera, run=frame.run, state=state, wall_s=frame.wall_s, detail=detail)]


@dataclass(slots=True)
class ScoringWorker:
    """The scoring stage. ``last_scores`` may be read by anyone; everything else is this thread's alone."""

    maps: Mailbox[list[CellMap] | CameraEvent]
    deliver: Callable[[Sequence[AnomalyEvent | CameraEvent], Sequence[FrameScore]], None]
    ledger: Ledger
    metrics: StageMetrics
    clock: Clock
    judges: dict[str, Judge]
    calibration_dir: Path
    weights_sha256: str
    on_event: Callable[[AnomalyEvent | CameraEvent], None]
    last_scores: dict[str, FrameScore] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)
    closed: dict[str, int] = field(default_factory=dict)
    judged_s: dict[str, float] = field(default_factory=dict)  # media seconds in which an event could be raised
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    _to_save: list[str] = field(default_factory=list)  # what is left of this turn
    _next_save_s: float = 0.0

    def run(self) -> None:
        """Until ``maps`` is closed and empty; then closes open incidents and saves calibrations."""
        while (items := self.maps.take(timeout_s=POLL_S)) is not None:
            self._round(items)
            self._save_next()
        self._hand_over([e for judge in self.judges.values() for e in judge.incidents.close("shutdown")], [])
        for camera in self.judges:
            self._save(camera)

    def _round(self, items: list[list[CellMap] | CameraEvent]) -> None:
        events: list[AnomalyEvent | CameraEvent] = []
        scores: list[FrameScore] = []
        for item in items:
            if isinstance(item, CameraEvent):
                if item.state in GONE:  # its incidents must not stay open until it comes back
                    events += self.judges[item.camera].incidents.close("run_ended")
                events.append(item)
                continue
            for cell_map in item:
                score, health = self._score(cell_map)
                scores.append(score)
                events += [*health, *score.events]
        self._hand_over(events, scores)

    def _score(self, cell_map: CellMap) -> tuple[FrameScore, list[CameraEvent]]:
        camera = cell_map.frame.camera
        started_s = time.perf_counter()
        if misfit := self.judges[camera].misfit(cell_map):
            log.warning("calibration.forgotten", camera=camera, run=cell_map.frame.run, detail=misfit)
        score, health = self.judges[camera].step(cell_map)
        self.metrics.observe("score", time.perf_counter() - started_s)
        latency_s = self.clock.monotonic_s() - cell_map.frame.arrived_s
        self.metrics.latency.observe(latency_s)
        self.latencies_s.append(latency_s)
        self.ledger.scored(camera)
        self.last_scores[camera] = score
        if score.stage is not Stage.COLD:
            self.judged_s[camera] = self.judged_s.get(camera, 0.0) + cell_map.dt_s
        return score, health

    def _hand_over(self, events: list[AnomalyEvent | CameraEvent], scores: list[FrameScore]) -> None:
        self.deliver(events, scores)
        for event in events:
            if isinstance(event, AnomalyEvent) and event.type is not EventType.UPDATED:
                counts = self.opened if event.type is EventType.OPENED else self.closed
                counts[event.camera] = counts.get(event.camera, 0) + 1
            self.on_event(event)

    def _save_next(self) -> None:
        """Each camera in its turn, spread over SAVE_EVERY_S: all at once would hold up everybody's scores."""
        now_s = self.clock.monotonic_s()
        if now_s < self._next_save_s:
            return
        self._to_save = self._to_save or list(self.judges)
        self._save(self._to_save.pop())
        self._next_save_s = now_s + SAVE_EVERY_S / len(self.judges)

    def _save(self, camera: str) -> None:
        """A full disk costs the calibration's newest minute, never the engine."""
        if camera not in self.last_scores:
            return  # nothing learnt
        try:
            path = calibration_path(self.calibration_dir, camera)
            self.judges[camera].scorer.save(path, weights_sha256=self.weights_sha256)
        except CalibrationError as exc:
            run = self.last_scores[camera].frame.run
            log.error("calibration.not_saved", camera=camera, run=run, detail=str(exc))
            self.metrics.calibration_failures.inc()


def calibration_path(directory: Path, camera: str) -> Path:
    return directory / f"{camera}.npz"


def restore(judge: Judge, directory: Path, *, config: CameraConfig, settings: ScoringSettings, sha256: str) -> None:
    """Give the judge the newer of two: what the camera learnt before the restart, and what its settings name.

    What it learnt itself may be of no use any more: that is said, and it begins with what is named, or cold. What is
    named must be usable: CalibrationError.
    """
    own, given = calibration_path(directory, judge.camera), config.calibration
    if own.exists() and (given is None or given.stat().st_mtime <= own.stat().st_mtime):
        try:
            judge.begin_with(own, config=config, settings=settings, sha256=sha256)
            return
        except CalibrationError as exc:
            log.warning("calibration.refused", camera=judge.camera, detail=str(exc))
    if given is not None:
        judge.begin_with(given, config=config, settings=settings, sha256=sha256)
