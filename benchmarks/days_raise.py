"""Which incidents a false-alarm budget raises: the one place that knows how a budget becomes a decision.

The detector itself runs, and learns, under ``LEARNED_UNDER`` a day: its own events are that budget's incidents. Every
other budget is a shadow: the same scores over another threshold, with the incidents' own hysteresis, and nothing
learnt from it. Should the scorer come to decide by more than a threshold, ``Shadow`` is what must follow.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

from benchmarks.days_count import Incident
from vad.config import ScoringSettings
from vad.scoring.incidents import Incidents
from vad.scoring.places import regions_of
from vad.types import AnomalyEvent, EventType, FrameScore

LEARNED_UNDER = 2.0
"""False alarms a day that the detector is told."""


class SequentialIds:
    """Names for incidents, 0, 1, ...: unlike random ones the same in each run, and a checkpoint can hold it."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def __call__(self) -> str:
        return str(next(self._numbers))


class IncidentCollector:
    """Gathers one budget's incidents from the events that frames cause."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []
        self._open: dict[str, AnomalyEvent] = {}

    def take(self, events: Iterable[AnomalyEvent]) -> None:
        """The next frame's events, in order."""
        for event in events:
            if event.type is EventType.OPENED:
                self._open[event.incident] = event
            elif event.type is EventType.CLOSED:
                self.incidents.append(incident_of(self._open.pop(event.incident), event))


def incident_of(opened: AnomalyEvent, closed: AnomalyEvent) -> Incident:
    """An incident from its first and its last event."""
    return Incident(
        started_s=opened.started_pts_s,
        opened_s=opened.pts_s,
        closed_s=closed.pts_s,
        peak_s=closed.peak_pts_s,
        peak=closed.peak_score,
        threshold=opened.threshold,
        stage=str(opened.stage),
        reasons=tuple(str(reason) for reason in opened.reasons),
        close_reason=closed.close_reason or "",
        regions=tuple((box.x0, box.y0, box.x1, box.y1, box.score) for box in closed.regions),
    )


class Shadow:
    """The events that another budget than LEARNED_UNDER would have caused: ``step(score)``, ``close()`` at the end."""

    def __init__(self, camera: str, *, settings: ScoringSettings, budget: float) -> None:
        self._lower_by = math.log10(budget / LEARNED_UNDER)  # a threshold is -log10 of the budget a frame
        self._incidents = Incidents(camera, settings=settings, new_id=SequentialIds())

    def step(self, score: FrameScore) -> Sequence[AnomalyEvent]:
        return self._incidents.step(rejudged(score, score.threshold - self._lower_by))

    def close(self) -> Sequence[AnomalyEvent]:
        return self._incidents.close("shutdown")


def rejudged(score: FrameScore, threshold: float) -> FrameScore:
    """The same frame judged by another threshold: its reasons and its places follow."""
    if score.score <= threshold:
        return dataclasses.replace(score, threshold=threshold, reasons=(), regions=(), events=())
    above = [(value, reason) for reason, value in score.evidence.items() if value > threshold]
    reasons = tuple(reason for _, reason in sorted(above, key=lambda pair: -pair[0]))
    regions = score.regions
    if score.heat is not None:
        regions = regions_of(score.frame.geometry, score.heat, score.score, threshold)
    return dataclasses.replace(score, threshold=threshold, reasons=reasons, regions=regions, events=())
