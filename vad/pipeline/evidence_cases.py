"""Which evidence is worth keeping, and when: the scoring thread's side.

An incident's evidence is asked for once its peak is ``after_s`` old and it is over, or, where it lasts, once the clip
around its peak so far is as long as a clip may be; and again when it has peaked higher since. What is asked for holds
its packets already, so that it does not matter when it is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.config import EvidenceSettings
from vad.pipeline.witness import LATE_S, Witness, longest_clip_s
from vad.types import (
    AnomalyEvent,
    CameraEvent,
    CameraState,
    EventType,
    Finding,
    FrameScore,
    Geometry,
    Reason,
    Region,
)
from vad.video.tape import Excerpt

HEAT_FROM = 0.5
"""Share of the threshold from which a frame's heat is kept."""
FLOWING = frozenset({CameraState.UP, CameraState.CONNECTING})
AT_ONCE = frozenset({"run_ended", "shutdown", "disarmed", "camera_removed"})
"""Why an incident closes when no more of its video is to come, or nobody wants to see any."""
_STATES = frozenset(CameraState)


class Moment(NamedTuple):
    """What is kept of a frame's score: a hundredth of what the score itself holds on to."""

    pts_s: float
    wall_s: float
    score: float
    threshold: float
    reasons: tuple[Reason, ...]
    regions: tuple[Region, ...]
    heat: NDArray[np.float32] | None  # (gh, gw)
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """All that one evidence is made of. ``excerpt`` is None where there is no video of it."""

    camera: str
    incident: str
    run: int
    started_pts_s: float
    started_wall_s: float
    peak: Moment
    moments: tuple[Moment, ...]
    geometry: Geometry
    excerpt: Excerpt | None
    witness: Witness | None

    @property
    def size_bytes(self) -> int:
        return self.excerpt.size_bytes if self.excerpt else 0


@dataclass(slots=True)
class _Case:
    """One incident whose evidence is not settled yet."""

    event: AnomalyEvent  # that opened it
    geometry: Geometry
    peak: Moment
    closed_s: float | None = None
    told_score: float = -1.0  # the peak of what was asked for so far


@dataclass(slots=True)
class _Camera:
    run: int = -1
    moments: deque[Moment] = field(default_factory=deque)
    cases: list[_Case] = field(default_factory=list)


class Cases:
    """``see`` is called by the scoring thread with all that it hands over; never waits."""

    def __init__(
        self, settings: EvidenceSettings, *, witnesses: Mapping[str, Witness], ask: Callable[[Request], None]
    ) -> None:
        self._settings, self._witnesses, self._ask = settings, witnesses, ask
        self._longest_s = longest_clip_s(settings)
        self._cameras: dict[str, _Camera] = {}

    def see(self, events: Sequence[object], scores: Sequence[FrameScore]) -> None:
        """``scores`` with the events they raised; ``events`` with those and the others, in order."""
        for score in scores:
            self._step(score)
        for event in events:
            if isinstance(event, AnomalyEvent) and event.type is EventType.CLOSED:
                self._close(event)
            elif isinstance(event, CameraEvent) and event.state in _STATES and event.state not in FLOWING:
                self._leave(event)

    def finish(self) -> None:
        """No more frames will come: ask for all that is not settled."""
        for name, camera in self._cameras.items():
            for case in list(camera.cases):
                self._settle(name, camera, case, is_over=True)

    def forget(self, name: str) -> None:
        """The camera is gone for good. Called once its incidents have closed, from any thread."""
        self._cameras.pop(name, None)

    def _step(self, score: FrameScore) -> None:
        frame = score.frame
        camera = self._cameras.setdefault(frame.camera, _Camera())
        if frame.run != camera.run:
            self._begin_run(frame.camera, camera, frame.run)
        now = _moment(score)
        camera.moments.append(now)
        while camera.moments[0].pts_s < frame.pts_s - self._longest_s - LATE_S:
            camera.moments.popleft()
        for event in score.events:
            if event.type is EventType.OPENED:
                camera.cases.append(_Case(event, frame.geometry, _peak(event, camera.moments)))
            elif event.type is EventType.CLOSED:
                self._close(event)
        for case in list(camera.cases):
            if case.closed_s is None and score.is_anomalous and now.score > case.peak.score:
                case.peak = now
            if frame.pts_s >= self._due_s(case):
                self._settle(frame.camera, camera, case)

    def _due_s(self, case: _Case) -> float:
        longest_s = case.peak.pts_s - self._settings.before_s + self._longest_s
        if case.closed_s is None:
            return longest_s
        return min(longest_s, max(case.peak.pts_s + self._settings.after_s, case.closed_s))

    def _begin_run(self, name: str, camera: _Camera, run: int) -> None:
        for case in list(camera.cases):
            self._settle(name, camera, case, is_over=True)
        camera.run = run
        camera.moments.clear()
        if (witness := self._witnesses.get(name)) is not None:
            witness.forget_before(run)

    def _close(self, event: AnomalyEvent) -> None:
        for camera, case in self._open_cases(event.camera):
            if case.event.incident == event.incident:
                case.closed_s = event.pts_s
                if event.close_reason in AT_ONCE:
                    self._settle(event.camera, camera, case)

    def _leave(self, event: CameraEvent) -> None:
        """The stream is over or away. Of what has closed, there is all there will be; its last frames may yet come."""
        for camera, case in self._open_cases(event.camera):
            if case.closed_s is not None:
                self._settle(event.camera, camera, case)

    def _open_cases(self, name: str) -> list[tuple[_Camera, _Case]]:
        camera = self._cameras.get(name)
        return [(camera, case) for case in camera.cases] if camera else []

    def _settle(self, name: str, camera: _Camera, case: _Case, *, is_over: bool = False) -> None:
        """Ask for the evidence, unless just that was asked for; the case stays open while the incident does."""
        if case.peak.score > case.told_score:
            case.told_score = case.peak.score
            self._ask(self._request(name, camera, case))
        if is_over or case.closed_s is not None:
            camera.cases.remove(case)

    def _request(self, name: str, camera: _Camera, case: _Case) -> Request:
        witness = self._witnesses.get(name)
        tape = witness.tape(case.event.run) if witness else None
        from_s = case.peak.pts_s - self._settings.before_s
        until_s = self._due_s(case)
        excerpt = tape.excerpt(from_s, until_s) if tape else None
        if excerpt and max(excerpt.times_s) < from_s:  # of a group that does not fit, the beginning is all there is
            excerpt = None
        first_s = min(from_s, excerpt.times_s[0]) if excerpt else from_s
        return Request(
            camera=name,
            incident=case.event.incident,
            run=case.event.run,
            started_pts_s=case.event.started_pts_s,
            started_wall_s=case.event.started_wall_s,
            peak=case.peak,
            moments=tuple(moment for moment in camera.moments if first_s <= moment.pts_s <= until_s),
            geometry=case.geometry,
            excerpt=excerpt,
            witness=witness,
        )


def _moment(score: FrameScore) -> Moment:
    warm = score.score >= HEAT_FROM * score.threshold
    frame = score.frame
    return Moment(
        frame.pts_s,
        frame.wall_s,
        score.score,
        score.threshold,
        score.reasons,
        score.regions,
        score.heat if warm else None,
        score.findings,
    )


def _peak(event: AnomalyEvent, moments: Sequence[Moment]) -> Moment:
    """The moment of the peak that an opening event speaks of."""
    return min(moments, key=lambda moment: abs(moment.pts_s - event.peak_pts_s))
