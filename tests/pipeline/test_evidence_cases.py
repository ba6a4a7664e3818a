"""Which evidence is asked for, and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from tests.pipeline.frames import make_frame
from vad.clock import ManualClock
from vad.config import EvidenceSettings, ScoringSettings
from vad.pipeline.evidence import MOST_WAITING, Evidence
from vad.pipeline.evidence_cases import Cases, Request
from vad.pipeline.witness import Witness
from vad.scoring.incidents import Incidents
from vad.types import AnomalyEvent, CameraEvent, FrameScore, Reason, Region, Stage
from vad.video.tape import Format, TapedPacket

FPS = 8.0
SETTINGS = EvidenceSettings(before_s=3.0, after_s=2.0)
LONGEST_S = 15.0


class Camera:
    """Scores by hand through real incidents into real cases; its tape holds a packet a frame, a key frame a second."""

    def __init__(self, name: str = "cam", **settings: float) -> None:
        self.name, self.run, self.index = name, 0, 0
        self.asked: list[Request] = []
        self.witness = Witness(SETTINGS)
        self.cases = Cases(SETTINGS, witnesses={name: self.witness}, ask=self.asked.append)
        self.incidents = Incidents(name, settings=ScoringSettings(open_after_s=0.0, **settings))
        self.events: list[AnomalyEvent] = []
        self.begin()

    def begin(self) -> None:
        self.index = 0
        self.tape = self.witness.begin(self.run, masks=())
        self.tape.format = Format("h264", b"", "mp4", "yuv420p", FPS, True, make_frame().geometry, ())

    def new_run(self) -> None:
        self.run += 1
        self.begin()

    def play(self, scores: Sequence[float]) -> None:
        for value in scores:
            frame = make_frame(self.name, self.index, run=self.run, fps=FPS)
            self.tape._add(TapedPacket(b"x" * 100, frame.pts_s, self.index % 8 == 0))
            hot = value > 4.0
            score = FrameScore(
                frame=frame,
                score=value,
                threshold=4.0,
                p_value=10.0**-value,
                stage=Stage.CALIBRATED,
                reasons=(Reason.SPEED,) if hot else (),
                evidence={Reason.SPEED: value},
                regions=(Region(0.1, 0.1, 0.3, 0.3, value),) if hot else (),
                heat=np.full((6, 8), value, np.float32),
            )
            events = self.incidents.step(score)
            score = dataclasses.replace(score, events=tuple(events))
            self.events += events
            self.cases.see(events, [score])
            self.index += 1

    def close(self, reason: str) -> None:
        events = self.incidents.close(reason)
        self.events += events
        self.cases.see(events, [])


def seconds(value: float, length_s: float) -> list[float]:
    return [value] * round(length_s * FPS)


def test_a_short_incident_is_asked_for_once_when_it_is_over_and_its_peak_old_enough() -> None:
    camera = Camera()
    camera.play([*seconds(0.0, 10), 5.0, 9.0, 5.0])
    camera.play(seconds(0.0, 1.5))
    assert camera.asked == []
    camera.play(seconds(0.0, 10))
    (request,) = camera.asked
    assert request.incident == camera.events[0].incident
    assert request.peak.score == 9.0
    assert request.peak.pts_s == pytest.approx(10.125)
    assert request.excerpt is not None
    assert request.excerpt.wanted_s[0] == pytest.approx(7.125)
    closed_s = camera.events[-1].pts_s
    assert request.excerpt.wanted_s[1] == pytest.approx(max(12.125, closed_s))
    assert request.excerpt.times_s[0] == pytest.approx(7.0)  # the key frame before
    assert request.excerpt.times_s[-1] == pytest.approx(max(12.125, closed_s))
    times_s = [moment.pts_s for moment in request.moments]
    assert times_s == pytest.approx([t for t in np.arange(0, 30, 1 / FPS) if 7.0 <= t <= max(12.125, closed_s)])


def test_heat_is_kept_of_warm_frames_alone() -> None:
    camera = Camera()
    camera.play([*seconds(0.5, 10), 5.0, 9.0, 3.0, *seconds(0.5, 10)])
    (request,) = camera.asked
    warm = [moment.score for moment in request.moments if moment.heat is not None]
    assert warm == [5.0, 9.0, 3.0]


def test_a_long_incident_is_kept_as_far_as_it_is_and_again_when_it_peaks_higher() -> None:
    camera = Camera()
    camera.play([*seconds(0.0, 5), 8.0, *seconds(5.0, 11)])
    assert camera.asked == []
    camera.play(seconds(5.0, 2))
    (first,) = camera.asked
    assert first.peak.score == 8.0
    assert first.excerpt is not None
    assert first.excerpt.wanted_s == pytest.approx((2.0, 2.0 + LONGEST_S))
    camera.play(seconds(5.0, 20))
    assert len(camera.asked) == 1
    camera.play([12.0, *seconds(5.0, 3), *seconds(0.0, 10)])
    assert [request.peak.score for request in camera.asked] == [8.0, 12.0]
    assert camera.asked[0].incident == camera.asked[1].incident


def test_an_incident_that_closed_early_is_waited_for() -> None:
    camera = Camera(close_after_s=0.1)
    camera.play([*seconds(0.0, 5), 9.0, *seconds(0.0, 1.0)])
    assert camera.events[-1].close_reason == "calm"
    assert camera.asked == []
    camera.play(seconds(0.0, 1.5))
    assert len(camera.asked) == 1


@pytest.mark.parametrize("reason", ["run_ended", "shutdown", "disarmed", "camera_removed"])
def test_when_no_more_is_to_come_what_there_is_is_asked_for_at_once(reason: str) -> None:
    camera = Camera()
    camera.play([*seconds(0.0, 5), 9.0, 9.5])
    camera.close(reason)
    (request,) = camera.asked
    assert request.peak.score == 9.5
    assert request.excerpt is not None
    assert request.excerpt.times_s[-1] == pytest.approx(5.125)


@pytest.mark.parametrize("how", ["next run", "camera event", "finish"])
def test_a_closed_incident_does_not_wait_for_frames_that_never_come(how: str) -> None:
    camera = Camera(close_after_s=0.1)
    camera.play([*seconds(0.0, 5), 9.0, *seconds(0.0, 0.5)])
    assert camera.asked == []
    if how == "next run":
        camera.new_run()
        camera.play([0.0])
    elif how == "camera event":
        camera.cases.see([CameraEvent("cam", 0, "stalled", 0.0)], [])
    else:
        camera.cases.finish()
    (request,) = camera.asked
    assert request.excerpt is not None
    assert request.excerpt.times_s[-1] == pytest.approx(5.5, abs=0.126)


def test_a_picture_that_ails_or_recovers_ends_nothing() -> None:
    camera = Camera()
    camera.play([*seconds(0.0, 5), 9.0])
    for state in ("frozen", "recovered", "up"):
        camera.cases.see([CameraEvent("cam", 0, state, 0.0)], [])
    assert camera.asked == []


def test_no_tape_no_excerpt_and_still_evidence() -> None:
    camera = Camera()
    camera.cases = Cases(SETTINGS, witnesses={}, ask=camera.asked.append)
    camera.play([*seconds(0.0, 5), 9.0, *seconds(0.0, 5)])
    (request,) = camera.asked
    assert request.excerpt is None
    assert request.peak.score == 9.0


def test_what_is_kept_in_memory_does_not_grow() -> None:
    camera = Camera()
    camera.play(seconds(0.0, 300))
    kept = camera.cases._cameras["cam"].moments
    assert len(kept) <= (LONGEST_S + 4.0) * FPS
    assert all(moment.heat is None for moment in kept)
    for _ in range(10):
        camera.new_run()
        camera.play([0.0])
    assert len(camera.witness._tapes) == 1


def test_a_storm_drops_the_oldest_and_counts_them(tmp_path: object) -> None:
    evidence = Evidence(SETTINGS, directory=tmp_path, clock=ManualClock())  # type: ignore[arg-type]
    camera = Camera()
    camera.play([*seconds(0.0, 5), 9.0, *seconds(0.0, 5)])
    (request,) = camera.asked
    for number in range(MOST_WAITING + 30):
        evidence._put(dataclasses.replace(request, incident=f"i{number}"))
    status = evidence.status
    assert status.waiting == MOST_WAITING
    assert status.dropped["overload"] == 30
    assert evidence._waiting[0].incident == "i30"
    assert evidence._waiting_bytes == MOST_WAITING * request.size_bytes
