"""One camera's judge: scorer and incidents together, and what they go on from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from vad.config import CameraConfig, ScoringSettings
from vad.errors import CalibrationError
from vad.pipeline.nuisances import Nuisances
from vad.scoring.incidents import Incidents
from vad.scoring.scorer import Scorer
from vad.types import AnomalyEvent, CameraEvent, CellMap, EventType, FrameScore, HealthIssue

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Judge:
    """Scorer and incidents of one camera: owned by the scoring thread (or by whoever scans a file)."""

    camera: str
    scorer: Scorer
    incidents: Incidents
    health: HealthIssue | None = None
    is_armed: bool = True
    nuisances: Nuisances = field(init=False)

    def __post_init__(self) -> None:
        self.nuisances = Nuisances(self.camera)

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

    def adjust(self, config: CameraConfig, *, given: Scorer | None, masks_changed: bool) -> list[AnomalyEvent]:
        """Judge by other settings from the next frame on; causes no events.

        What was learnt is kept, unless another calibration is ``given`` to begin from, and but for the background of
        a view whose masks changed.
        """
        if given is not None:
            given.count_on(self.scorer)
            self.scorer = given
        self.scorer.adjust(false_alarms_per_day=config.false_alarms_per_day, zones=config.zones)
        if masks_changed:
            self.scorer.begin_view()
        return []

    def set_armed(self, armed: bool) -> list[AnomalyEvent]:
        """Disarming ends the open incident, if there is one: the events that this causes."""
        self.is_armed = armed
        return [] if armed else self.incidents.close("disarmed")

    def misfit(self, cell_map: CellMap) -> str:
        """Why the calibration that the judge begins with is of no use for this picture; empty when it is."""
        known, here = self.scorer.geometry, cell_map.frame.geometry
        if known is None or known == here:
            return ""
        size, known_size = (f"{grid.source_width}x{grid.source_height}" for grid in (here, known))
        if here.has_source_of(known):
            return (
                f"camera {self.camera}: the picture of {size} is analysed {here.valid_width} px wide, its calibration "
                f"is for {known.valid_width} px; allowed: the same width"
            )
        if size == known_size:
            return (
                f"camera {self.camera}: the picture of {size} is turned or stretched in another way than that of its "
                "calibration; allowed: the same way"
            )
        return (
            f"camera {self.camera}: the picture is {size}, its calibration is for {known_size}; allowed: the same size"
        )

    def step(self, cell_map: CellMap) -> tuple[FrameScore, list[CameraEvent]]:
        """Judge one frame. The score carries its anomaly events; beside it come changes of the picture's health, and
        what was left out of the score.

        Disarmed it scores and learns the same, and raises no incident.
        """
        score = self.scorer.step(cell_map)
        events = self.incidents.step(score) if self.is_armed else []
        if any(event.type is EventType.OPENED for event in events):
            self.scorer.incident_raised()
        if events:
            score = dataclasses.replace(score, events=tuple(events))
        return score, [*self._health_events(score), *self.nuisances.step(score)]

    def _health_events(self, score: FrameScore) -> list[CameraEvent]:
        if score.health is self.health:
            return []
        before, self.health = self.health, score.health
        state = score.health.value if score.health else "recovered"
        detail = "" if score.health or before is None else f"from {before.value}"
        frame = score.frame
        return [CameraEvent(camera=self.camera, run=frame.run, state=state, wall_s=frame.wall_s, detail=detail)]


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
