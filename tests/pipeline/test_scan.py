from __future__ import annotations

from pathlib import Path

import pytest

import vad
from vad.config import CameraConfig, ScoringSettings
from vad.errors import StreamCode


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vad.video.synthetic import Scene, encode

    path = tmp_path_factory.mktemp("footage") / "scene.mp4"
    encode(Scene(seed=3, fps=10.0), path, seconds=6.0)
    return path


def test_scan_gives_a_typed_score_for_each_analysed_frame(footage: Path) -> None:
    scan = vad.scan(footage, camera=CameraConfig(url="x", analysis_fps=5.0))
    scores = list(scan)
    assert all(isinstance(score, vad.FrameScore) for score in scores)
    assert [score.frame.index for score in scores] == list(range(30))
    assert [score.pts_s for score in scores] == pytest.approx([index / 5.0 for index in range(30)], abs=0.051)
    assert (scan.frames.received, scan.frames.scored, scan.frames.in_flight) == (60, 30, 0)
    assert scan.duration_s == pytest.approx(5.8, abs=0.11)


def test_scan_of_a_file_twice_gives_the_same_scores(footage: Path) -> None:
    scoring = ScoringSettings(warming_after_s=1.0, calibrated_after_s=2.0)
    runs = [[score.score for score in vad.scan(footage, scoring=scoring)] for _ in range(2)]
    assert runs[0] == runs[1]
    assert max(runs[0]) > 0.0


def test_incident_open_at_the_end_is_closed(footage: Path) -> None:
    scoring = ScoringSettings(warming_after_s=1.0, calibrated_after_s=2.0, open_after_s=0.0, close_after_s=300.0)
    camera = CameraConfig(url="x", false_alarms_per_day=1440.0)
    events = [event for score in vad.scan(footage, camera=camera, scoring=scoring) for event in score.events]
    opened = [event.incident for event in events if event.type is vad.EventType.OPENED]
    closed = [event.incident for event in events if event.type is vad.EventType.CLOSED]
    assert opened == closed


def test_scan_can_be_left_early(footage: Path) -> None:
    for score in vad.scan(footage):
        assert score.frame.index == 0
        break


def test_a_second_iteration_is_refused_instead_of_giving_nothing(footage: Path) -> None:
    scan = vad.scan(footage)
    list(scan)
    with pytest.raises(vad.VadError, match="is over"):
        list(scan)


def test_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(vad.StreamError) as caught:
        list(vad.scan(tmp_path / "none.mp4"))
    assert caught.value.code is StreamCode.NOT_FOUND
