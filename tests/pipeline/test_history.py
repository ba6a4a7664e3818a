"""The scores of the last day: what the curve shows, and what another sensitivity would have raised."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.frames import make_frame
from tests.pipeline.sites import make_site, wait_for, wait_for_frames
from vad.config import CameraConfig, ScoringSettings
from vad.pipeline.engine import Engine
from vad.pipeline.history import COARSE_STEP_S, FINE_STEP_S, ScoreHistory
from vad.scoring.incidents import Incidents
from vad.types import EventType, FrameScore, HealthIssue, Reason, Stage

WALL_S = 1.7e9
FPS = 8.0


def score(index: int, value: float, *, threshold: float = 4.0, wall_s: float | None = None, run: int = 0) -> FrameScore:
    frame = make_frame(index=index, fps=FPS, run=run)
    if wall_s is not None:
        frame = dataclasses.replace(frame, wall_s=wall_s)
    spoke = (Reason.SPEED,) if value > threshold else ()
    return FrameScore(frame, value, threshold, 10.0**-value, Stage.CALIBRATED, spoke, {Reason.SPEED: value})


def history_of(values: list[float]) -> ScoreHistory:
    history = ScoreHistory(ScoringSettings())
    for index, value in enumerate(values):
        history.add(score(index, value), dt_s=1.0 / FPS)
    return history


def test_each_second_shows_its_highest_score() -> None:
    history = history_of([0.5, 1.0, 0.25] + [0.125] * 5 + [2.0] + [0.0] * 7).read(60.0)
    assert history.step_s == FINE_STEP_S
    assert history.points == [(WALL_S, 1.0, 4.0), (WALL_S + 1.0, 2.0, 4.0)]
    assert history_of([]).read(60.0).points == []


def test_what_is_asked_for_ends_with_the_newest_score() -> None:
    points = history_of([float(i // 8 % 10) for i in range(8 * 1000)]).read(5.0).points
    assert [wall_s - WALL_S for wall_s, _, _ in points] == [995.0, 996.0, 997.0, 998.0, 999.0]
    assert [value for _, value, _ in points] == [5.0, 6.0, 7.0, 8.0, 9.0]


def test_ten_minutes_are_kept_by_the_second_and_a_day_by_ten() -> None:
    history = ScoreHistory(ScoringSettings())
    for hour in range(30):
        for second in range(0, 3600, 10):
            history.add(score(0, float(hour), wall_s=WALL_S + 3600.0 * hour + second), dt_s=0.125)
    day = history.read(1e9)
    assert day.step_s == COARSE_STEP_S
    assert len(day.points) == 8640
    assert {value for _, value, _ in day.points} == {float(hour) for hour in range(6, 30)}
    assert len(history.read(600.0).points) == 60  # frames came every ten seconds


def test_seconds_without_frames_are_left_out() -> None:
    history = ScoreHistory(ScoringSettings())
    for at_s in (0.0, 1.0, 7.0):
        history.add(score(0, 1.0, wall_s=WALL_S + at_s), dt_s=0.125)
    assert [wall_s - WALL_S for wall_s, _, _ in history.read(60.0).points] == [0.0, 1.0, 7.0]


def test_a_clock_put_back_takes_back_what_lay_ahead_of_it() -> None:
    history = ScoreHistory(ScoringSettings())
    for at_s, value in ((0.0, 1.0), (100.0, 2.0), (50.0, 3.0), (51.0, 4.0)):
        history.add(score(0, value, wall_s=WALL_S + at_s), dt_s=0.125)
    assert [(t - WALL_S, value) for t, value, _ in history.read(600.0).points] == [(0.0, 1.0), (50.0, 3.0), (51.0, 4.0)]
    history.add(score(0, 5.0, wall_s=1000.0), dt_s=0.125)  # a camera that has lost its date
    assert history.read(600.0).points == [(1000.0, 5.0, 4.0)]


def test_a_camera_costs_less_than_100_kib() -> None:
    history = history_of([1.0])
    assert history._fine.rows.nbytes + history._coarse.rows.nbytes < 100 * 1024


def test_a_cold_camera_has_no_threshold_and_would_have_raised_nothing() -> None:
    history = ScoreHistory(ScoringSettings())
    history.add(score(0, 0.0, threshold=math.inf), dt_s=0.125)
    assert history.read(60.0).points == [(WALL_S, 0.0, math.inf)]
    assert history.preview(math.inf, seconds=3600.0).incidents == []


def excursions(random: np.random.Generator, hours: float) -> Iterator[float]:
    """Calm scores with bursts of many heights and lengths."""
    left = 0
    height = 0.0
    for _ in range(int(hours * 3600 * FPS)):
        if left == 0 and random.random() < 1.0 / (150.0 * FPS):
            left, height = int(random.integers(1, 40)), float(random.uniform(2.0, 9.0))
        left = max(0, left - 1)
        yield height + float(random.normal(0.0, 0.2)) if left else float(abs(random.normal(0.3, 0.2)))


@pytest.mark.parametrize("threshold", [3.0, 4.5, 6.0])
def test_the_preview_is_what_incidents_would_have_been_opened(threshold: float) -> None:
    settings = ScoringSettings()
    history, incidents, opened = ScoreHistory(settings), Incidents("cam", settings=settings), []
    for index, value in enumerate(excursions(np.random.default_rng(5), 3.0)):
        history.add(score(index, value), dt_s=1.0 / FPS)  # judged at 4.0 at the time
        events = incidents.step(score(index, value, threshold=threshold))
        opened += [event.started_wall_s for event in events if event.type is EventType.OPENED]
    preview = history.preview(threshold, seconds=3 * 3600.0)
    assert preview.covered_s == 3 * 3600.0
    assert len(opened) > 10
    # steps of ten seconds: two incidents in one are one
    assert 0.85 * len(opened) <= len(preview.incidents) <= len(opened)
    for at_s in preview.incidents:
        assert min(abs(at_s - started_s) for started_s in opened) <= COARSE_STEP_S


def test_incidents_of_the_last_minutes_are_told_apart_by_the_second() -> None:
    calm, alarm = [0.1] * int(3 * FPS), [9.0] * int(2 * FPS)
    history = history_of([0.1] * int(900 * FPS) + (alarm + calm) * 4)
    assert [at_s - WALL_S for at_s in history.preview(4.0, seconds=3600.0).incidents] == [900.0, 905.0, 910.0, 915.0]


def test_a_spike_shorter_than_an_incident_and_an_ailing_picture_raise_nothing() -> None:
    history = ScoreHistory(ScoringSettings(open_after_s=0.5))
    for index in range(200):
        ailing = 100 <= index < 140
        entry = score(index, 9.0 if index in (50, 51) or ailing else 0.1)
        entry = dataclasses.replace(entry, health=HealthIssue.COVERED if ailing else None)
        history.add(entry, dt_s=1.0 / FPS)
    assert history.preview(4.0, seconds=60.0).incidents == []
    assert max(value for _, value, _ in history.read(60.0).points) == 9.0


def test_an_engine_tells_the_history_of_its_cameras_and_what_a_budget_would_have_raised(
    tmp_path: Path, footage: Path
) -> None:
    fast = CameraConfig(url=str(footage), loop=True, realtime=False, false_alarms_per_day=1440)
    with Engine(make_site(tmp_path, {"cam": fast.model_dump()})) as engine:
        assert engine.preview("cam", false_alarms_per_day=2.0, hours=1.0).incidents == []
        wait_for(lambda: engine.status().cameras["cam"].incidents_opened > 0)
        status = wait_for_frames(engine, "cam", 1)
        history = engine.history("cam", seconds=600.0)
        assert history.points
        assert status.last_score_wall_s is not None
        assert history.points[-1][0] <= engine.status().cameras["cam"].last_score_wall_s  # type: ignore[operator]
        # the history is a second behind the incident, in which a file goes on for several
        wait_for(lambda: bool(engine.preview("cam", false_alarms_per_day=1440.0, hours=24.0).incidents))
        now = engine.preview("cam", false_alarms_per_day=1440.0, hours=24.0)
        rarely = engine.preview("cam", false_alarms_per_day=1.44, hours=24.0)
        assert now.threshold == pytest.approx(engine.status().cameras["cam"].threshold, abs=0.2)
        assert rarely.threshold == pytest.approx(now.threshold + 3.0, abs=0.2)
        assert len(rarely.incidents) <= len(now.incidents)
