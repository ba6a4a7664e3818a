"""The counting of ``benchmarks.scenes``, on clips made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scenes_figures import at_equal_false_alarms, harm, opened_frames, scene_figures
from tests.evaluation.judging import judged
from vad.scoring.tuning import REASONS
from vad.types import HealthIssue

STILL = [0.0] * 10


def with_cues(clip, **scores):
    """The clip with cue scores of its own; cues that are not named say nothing."""
    table = np.zeros((len(clip.labels), len(REASONS)))
    for name, values in scores.items():
        table[:, [reason.value for reason in REASONS].index(name)] = values
    return replace(clip, cue_scores=table)


def test_an_incident_opens_once_and_again_after_calm():
    scores = [*STILL, *[9.0] * 6, *[0.0] * 30, *[9.0] * 6, *STILL]
    clip = judged([0] * len(scores), scores)
    opened = opened_frames(clip, clip.scores, 5.0)
    assert len(opened) == 2
    assert 10 <= opened[0] <= 15
    assert 46 <= opened[1] <= 51


def test_a_single_frame_or_an_unhealthy_picture_opens_nothing():
    one_frame = judged([0] * 21, [*STILL, 9.0, *STILL])
    assert opened_frames(one_frame, one_frame.scores, 5.0) == []
    high = judged([0] * 10, [9.0] * 10)
    blind = replace(high, health=(HealthIssue.LIGHT_JUMP,) * 10)
    assert opened_frames(blind, blind.scores, 5.0) == []
    assert opened_frames(high, high.scores, 5.0) != []


def test_cold_frames_count_nowhere():
    clip = judged([0] * 10 + [1] * 10, [9.0] * 10 + [1.0] * 10)
    cold = np.array([False] * 5 + [True] * 15)
    figures = scene_figures("a", "", [replace(with_cues(clip), judged=cold)])
    assert figures.normal_s == pytest.approx(0.5)
    assert figures.abnormal_s == pytest.approx(1.0)


def test_equal_false_alarms_takes_the_threshold_that_catches_most():
    # two false alarms of 4, an event of 6; below 2 the normal footage before the event never comes to rest
    normal = [*[4.0] * 6, *[0.0] * 30, *[4.0] * 6, *[2.0] * 30]
    event = [6.0] * 10
    clip = judged([0] * len(normal) + [1] * 10, [*normal, *event])
    points = {point.allowed: point for point in at_equal_false_alarms([clip], lambda clip: clip.scores)}
    assert points[2].caught == 1
    assert points[2].false_alarms == 0


def test_harm_is_measured_against_the_best_single_cue():
    labels = [0] * 700 + [1] * 10
    good, bad = [0.0] * 700 + [3.0] * 10, [5.0] * 700 + [0.0] * 10
    clip = with_cues(judged(labels, np.maximum(good, bad)), speed=good, direction=bad)
    later = replace(
        clip,
        labels=np.roll(clip.labels, -300),
        scores=np.roll(clip.scores, -300),
        cue_scores=np.roll(clip.cue_scores, -300, axis=0),
    )
    together = harm([scene_figures("a", "", [later])])
    assert together.best == "speed"
    assert together.best_mean == pytest.approx(1.0)
    assert not together.is_none
    assert together.worse_here[0][:2] == ("a", "speed")


def test_a_cue_that_grows_with_time_is_no_rival_where_the_clock_ranks_as_well():
    labels = [0] * 700 + [1] * 100
    clip = with_cues(judged(labels, np.zeros(800)), static_change=np.arange(800.0), speed=[0.0] * 700 + [1.0] * 100)
    together = harm([scene_figures("a", "", [clip])])
    assert together.best == "speed"
