"""Hysteresis over frames: ``FrameScore -> AnomalyEvent``; an incident opens, is updated, and closes."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vad.config import ScoringSettings
from vad.scoring.tuning import LONGEST_STEP_S
from vad.types import AnomalyEvent, EventType, Frame, FrameScore, Reason, Region

CLOSE_REASONS = ("calm", "run_ended", "shutdown", "too_long", "camera_health", "disarmed", "camera_removed")
NOTABLE_GROWTH = 1.0  # powers of ten of the peak that are news at once, once they held for a second
SHORTEST_UPDATE_S = 1.0
MERGE_IOU = 0.2
MOST_REGIONS = 8


@dataclass(slots=True)
class _Open:
    """The incident that is open now."""

    incident: str
    started: Frame
    peak: FrameScore
    reasons: dict[Reason, float]  # each with its highest score
    regions: tuple[Region, ...]  # since the last event
    frames: int
    last_hot_s: float
    told_at_s: float
    told_peak: float
    told_reasons: frozenset[Reason] = field(default_factory=frozenset)
    where: tuple[Region, ...] = ()  # of its last anomalous frame


class Incidents:
    """``step(score)`` gives the events that this frame causes: none, or opened, updated or closed, in order.

    Opens when frames anomalous together for ``open_after_s`` fell within a short window. Closes (``calm``) when the
    evidences it was raised for stayed below ``hysteresis`` of the threshold for ``close_after_s``, or when another
    evidence speaks at another place while they are silent (that opens the next incident); at
    ``longest_incident_s`` (``too_long``; then it must be calm before another opens), when the picture ails
    (``camera_health``) or the run ends. ``regions`` of opened and updated are united over the frames since the event
    before; those of closed are the peak's.
    """

    def __init__(
        self,
        camera: str,
        *,
        settings: ScoringSettings,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.camera = camera
        self._settings, self._new_id = settings, new_id
        self._open: _Open | None = None
        self._last: FrameScore | None = None
        self._recent: deque[tuple[float, float, FrameScore]] = deque()  # (pts_s, step_s, anomalous frame)
        self._exhausted = False  # closed as too long and not calm since
        self._calm_s = 0.0

    @property
    def is_open(self) -> bool:
        return self._open is not None

    def step(self, score: FrameScore) -> list[AnomalyEvent]:
        """Take the next frame's score; frames come in order."""
        events = []
        if self._last is not None and self._last.frame.run != score.frame.run:
            events += self.close("run_ended")
        step_s = 0.0 if self._last is None else score.frame.pts_s - self._last.frame.pts_s
        step_s = min(max(0.0, step_s), LONGEST_STEP_S)
        self._last = score
        if score.health is not None:
            return events + self.close("camera_health")
        hot = self._is_hot(score)
        self._calm_s = 0.0 if hot else self._calm_s + step_s
        if self._calm_s >= self._settings.close_after_s:
            self._exhausted = False
        if self._open is None or self._is_another(self._open, score):
            return events + self._consider(score, step_s)
        return events + self._continue(self._open, score, hot)

    def _is_hot(self, score: FrameScore) -> bool:
        """Is any evidence still up, of those that the open incident was raised for (of all, when none is open)?"""
        level = self._settings.hysteresis * score.threshold
        if self._open is None:
            return score.score >= level
        return any(score.evidence.get(reason, 0.0) >= level for reason in self._open.reasons)

    def close(self, reason: str) -> list[AnomalyEvent]:
        """End the open incident, if any, at the last frame seen; forget what was leading up to one."""
        if reason not in CLOSE_REASONS:
            raise ValueError(f"close reason {reason!r}; allowed: {', '.join(CLOSE_REASONS)}")
        self._recent.clear()
        if reason == "run_ended":
            self._last, last, self._exhausted, self._calm_s = None, self._last, False, 0.0
        else:
            last = self._last
        if self._open is None or last is None:
            return []
        incident, self._open = self._open, None
        return [self._event(EventType.CLOSED, incident, last, close_reason=reason)]

    def _consider(self, score: FrameScore, step_s: float) -> list[AnomalyEvent]:
        """Open an incident if enough of the last moments was anomalous."""
        now_s, need_s = score.frame.pts_s, self._settings.open_after_s
        if score.is_anomalous and not self._exhausted:
            self._recent.append((now_s, step_s, score))
        while self._recent and now_s - self._recent[0][0] > 2.0 * need_s + 1e-9:
            self._recent.popleft()
        if not score.is_anomalous or self._exhausted or sum(step for _, step, _ in self._recent) < need_s - 1e-9:
            return []
        scores = [entry for _, _, entry in self._recent]
        closed = self.close("calm")  # what this one succeeds, if anything
        first = scores[0]
        incident = _Open(self._new_id(), first.frame, first, {}, (), 0, now_s, told_at_s=now_s, told_peak=first.score)
        for entry in scores:
            self._absorb(incident, entry)
        self._recent.clear()
        self._open = incident
        return [*closed, self._event(EventType.OPENED, incident, score)]

    def _is_another(self, incident: _Open, score: FrameScore) -> bool:
        """Is this anomalous frame about something else: other evidence, at another place, the first one gone?"""
        mine = any(score.evidence.get(reason, 0.0) > score.threshold for reason in incident.reasons)
        apart = all(overlap(a, b) == 0.0 for a in score.regions for b in incident.where)
        return score.is_anomalous and not mine and bool(score.regions) and apart

    def _continue(self, incident: _Open, score: FrameScore, hot: bool) -> list[AnomalyEvent]:
        now_s = score.frame.pts_s
        if hot or score.is_anomalous:
            incident.last_hot_s = now_s
        if score.is_anomalous:
            self._absorb(incident, score)
        if now_s - incident.started.pts_s >= self._settings.longest_incident_s:
            self._exhausted = True
            return self.close("too_long")
        if now_s - incident.last_hot_s >= self._settings.close_after_s:
            return self.close("calm")
        silent_s = now_s - incident.told_at_s
        grown = incident.peak.score - incident.told_peak >= NOTABLE_GROWTH
        news = grown or not incident.told_reasons.issuperset(incident.reasons)
        if score.is_anomalous and (
            silent_s >= self._settings.update_every_s or (news and silent_s >= SHORTEST_UPDATE_S)
        ):
            return [self._event(EventType.UPDATED, incident, score)]
        return []

    def _absorb(self, incident: _Open, score: FrameScore) -> None:
        """Add one anomalous frame."""
        incident.frames += 1
        incident.where = score.regions or incident.where
        if score.score > incident.peak.score:
            incident.peak = score
        for reason in score.reasons:
            incident.reasons[reason] = max(incident.reasons.get(reason, 0.0), score.evidence.get(reason, score.score))
        incident.regions = merge_regions((*incident.regions, *score.regions))

    def _event(
        self, kind: EventType, incident: _Open, score: FrameScore, *, close_reason: str | None = None
    ) -> AnomalyEvent:
        incident.told_at_s, incident.told_peak = score.frame.pts_s, incident.peak.score
        incident.told_reasons = frozenset(incident.reasons)
        regions, incident.regions = incident.regions, ()
        frame = score.frame
        return AnomalyEvent(
            type=kind,
            camera=self.camera,
            incident=incident.incident,
            run=frame.run,
            pts_s=frame.pts_s,
            wall_s=frame.wall_s,
            wall_source=frame.wall_source,
            started_pts_s=incident.started.pts_s,
            started_wall_s=incident.started.wall_s,
            score=score.score,
            threshold=score.threshold,
            p_value=score.p_value,
            peak_score=incident.peak.score,
            peak_pts_s=incident.peak.frame.pts_s,
            stage=score.stage,
            reasons=tuple(sorted(incident.reasons, key=lambda reason: -incident.reasons[reason])),
            regions=regions if kind is not EventType.CLOSED else incident.peak.regions,
            frames=incident.frames,
            close_reason=close_reason,
        )


def overlap(a: Region, b: Region) -> float:
    """Intersection over union, 0..1."""
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    down = min(a.y1, b.y1) - max(a.y0, b.y0)
    if across <= 0.0 or down <= 0.0:
        return 0.0
    both = across * down
    return both / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - both)


def merge_regions(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Unite regions that overlap by MERGE_IOU or more until none do; the strongest few, strongest first."""
    merged: list[Region] = []
    for region in regions:
        while True:
            near = next((other for other in merged if overlap(region, other) >= MERGE_IOU), None)
            if near is None:
                break
            merged.remove(near)
            region = Region(
                x0=min(region.x0, near.x0),
                y0=min(region.y0, near.y0),
                x1=max(region.x1, near.x1),
                y1=max(region.y1, near.y1),
                score=max(region.score, near.score),
                track=_track(region, near),
            )
        merged.append(region)
    return tuple(sorted(merged, key=lambda region: -region.score)[:MOST_REGIONS])


def _track(a: Region, b: Region) -> int | None:
    """The object of the stronger region, or of the other where it has none."""
    first, second = (a, b) if a.score >= b.score else (b, a)
    return second.track if first.track is None else first.track
