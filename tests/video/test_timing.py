from __future__ import annotations

import numpy as np
import pytest

from vad.video.timing import MediaClock, RateMeter, Selector, is_jump


def chosen(stamps_s: list[float], analysis_fps: float) -> list[float]:
    selector, previous_s, out = Selector(analysis_fps), 0.0, []
    for pts_s in stamps_s:
        if selector.wants(pts_s, step_s=pts_s - previous_s):
            out.append(pts_s)
        previous_s = pts_s
    return out


@pytest.mark.parametrize(("source_fps", "analysis_fps"), [(25, 8), (30, 8), (29.97, 12.5), (50, 7), (25, 24), (25, 25)])
def test_selection_keeps_the_mean_rate_whatever_the_ratio(source_fps, analysis_fps):
    stamps_s = [i / source_fps for i in range(int(60 * source_fps))]
    picked = chosen(stamps_s, analysis_fps)
    assert len(picked) / 60 == pytest.approx(analysis_fps, rel=0.003)
    gaps = np.diff(picked)
    assert gaps.max() <= 1 / analysis_fps + 1 / source_fps
    assert gaps.min() >= 1 / analysis_fps - 1 / source_fps - 1e-9


def test_selection_survives_stamps_in_whole_milliseconds():
    stamps_s = [round(i / 30, 3) for i in range(600)]
    assert len(chosen(stamps_s, 30)) == 600
    assert len(chosen(stamps_s, 15)) == 300


def test_selection_takes_all_frames_of_a_slower_source():
    jitter = np.random.default_rng(0).uniform(-0.02, 0.02, 200)
    stamps_s = [i / 5 + float(j) for i, j in enumerate(jitter)]
    assert chosen(stamps_s, 8) == stamps_s


def test_selection_owes_one_frame_at_most_after_a_gap():
    stamps_s = [i / 25 for i in range(100)] + [14 + i / 25 for i in range(250)]
    after = [s for s in chosen(stamps_s, 8) if s >= 14]
    assert len(after) <= 10 * 8 + 1


def test_selection_keeps_the_mean_rate_with_jitter():
    rng = np.random.default_rng(1)
    stamps_s = sorted(i / 25 + float(rng.uniform(-0.015, 0.015)) for i in range(2500))
    assert len(chosen(stamps_s, 8)) == pytest.approx(800, abs=3)


def test_rate_is_measured_from_stamps():
    meter = RateMeter()
    for index in range(4):
        meter.push(index / 12.5)
    assert meter.fps is None
    for index in range(4, 300):
        meter.push(index / 12.5)
    assert meter.fps == pytest.approx(12.5)


def test_first_frame_is_at_zero_and_later_ones_follow_their_stamps():
    clock = MediaClock(live=True, announced_fps=25)
    stamps_s = (1000.0, 1000.04, 1000.13)
    times = [clock.accept(clock.step_s(s, arrived_s=7.0), s, arrived_s=7.0) for s in stamps_s]
    assert times == pytest.approx([0.0, 0.04, 0.13])


def test_missing_stamps_follow_arrival_when_live_and_the_announced_rate_in_a_recording():
    for live, expected in ((True, 0.3), (False, 0.1)):
        clock = MediaClock(live=live, announced_fps=10)
        for arrived_s in (5.0, 5.3):
            pts_s = clock.accept(clock.step_s(None, arrived_s=arrived_s), None, arrived_s=arrived_s)
        assert pts_s == pytest.approx(expected)


def test_a_first_frame_without_stamp_lies_one_interval_before_the_second():
    clock = MediaClock(live=True, announced_fps=25)
    clock.accept(clock.step_s(None, arrived_s=1.0), None, arrived_s=1.0)
    assert clock.step_s(90.0, arrived_s=1.001) == pytest.approx(0.04)
    clock.accept(0.04, 90.0, arrived_s=1.001)
    assert clock.accept(clock.step_s(90.08, arrived_s=1.1), 90.08, arrived_s=1.1) == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("step_s", "fps", "jump"),
    [(0.04, 25, False), (-0.1, 25, False), (-0.6, 25, True), (4.9, 25, False), (5.1, 25, True), (10.0, 0.1, False)],
)
def test_jump_is_told_from_reordering_gaps_and_slow_sources(step_s, fps, jump):
    assert is_jump(step_s, fps) is jump
