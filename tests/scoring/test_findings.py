"""Expected against seen, in units people know."""

from __future__ import annotations

import pytest

from tests.scoring.walkers import GEOMETRY, Body, World
from vad.config import ScoringSettings
from vad.scoring.scorer import Scorer
from vad.types import Finding, FrameScore, Reason


def watched(world: World, *, seconds: float, budget: float = 5.0) -> Scorer:
    settings = ScoringSettings(warming_after_s=20.0, calibrated_after_s=60.0, left_behind_s=4.0)
    scorer = Scorer("cam", settings=settings, false_alarms_per_day=budget, analysis_fps=world.fps)
    for cells in world.frames(seconds):
        scorer.step(cells)
    return scorer


def spoken(scorer: Scorer, world: World, reason: Reason, *, seconds: float) -> list[tuple[FrameScore, Finding]]:
    scores = [scorer.step(cells) for cells in world.frames(seconds)]
    for score in scores:
        assert tuple(finding.reason for finding in score.findings) == score.reasons
    found = [(score, f) for score in scores for f in score.findings if f.reason is reason]
    assert found, f"no frame spoke of {reason}"
    return found


def test_speed_is_told_in_picture_widths_a_second() -> None:
    world = World(seed=3)
    scorer = watched(world, seconds=120.0)
    world.bodies.append(Body(x=10.0, y=70.0, vx=60.0, bounces=False))
    score, finding = max(spoken(scorer, world, Reason.SPEED, seconds=4.0), key=lambda pair: pair[1].seen)
    true = 60.0 * Body(x=0.0, y=70.0).scale(GEOMETRY.valid_height) / GEOMETRY.valid_width
    assert finding.unit == "picture widths/s"
    assert finding.seen == pytest.approx(true, rel=0.35)
    assert 0.0 < finding.usual < 0.5 * finding.seen
    assert f"{finding.seen:.2f}" in finding.text
    assert f"{finding.usual:.2f}" in finding.text
    assert score.is_anomalous


def passers_by(*, seconds: float) -> tuple[World, Scorer]:
    """All walk to the right, one after the other: in on the left, out on the right. And who has watched them.

    Of passages few are rare until many were counted, so the budget is one that lets a young camera speak.
    """
    world = World(seed=3, people=0)
    world.smooth_ground()
    settings = ScoringSettings(warming_after_s=20.0, calibrated_after_s=60.0)
    scorer = Scorer("cam", settings=settings, false_alarms_per_day=14400.0, analysis_fps=world.fps)
    for cells in world.frames(10.0):
        scorer.step(cells)
    began_s = world.now_s
    while world.now_s - began_s < seconds:
        world.bodies[:] = [body for body in world.bodies if body.x < 166.0]
        world.bodies.append(Body(x=-6.0, y=70.0, vx=20.0, bounces=False))
        for cells in world.frames(3.0):
            scorer.step(cells)
    for cells in world.frames(12.0):
        scorer.step(cells)
    world.bodies.clear()
    return world, scorer


def test_direction_is_told_in_degrees_and_words() -> None:
    world, scorer = passers_by(seconds=150.0)
    world.bodies.append(Body(x=166.0, y=70.0, vx=-20.0, bounces=False))
    _, finding = spoken(scorer, world, Reason.DIRECTION, seconds=8.0)[-1]
    assert finding.seen == pytest.approx(270.0, abs=30.0)
    assert finding.usual == 90.0
    assert "moves left" in finding.text
    assert "usually it is right" in finding.text


def test_size_is_told_as_a_share_of_the_picture() -> None:
    world, scorer = passers_by(seconds=150.0)
    world.bodies.append(Body(x=-20.0, y=70.0, vx=20.0, height=55.0, width=40.0, bounces=False))
    told = sorted((finding for _, finding in spoken(scorer, world, Reason.SIZE, seconds=8.0)), key=lambda f: f.seen)
    finding = told[len(told) // 2]
    true = 100.0 * 55.0 * 40.0 * Body(x=0.0, y=70.0).scale(GEOMETRY.valid_height) ** 2
    assert finding.seen == pytest.approx(true / (GEOMETRY.valid_width * GEOMETRY.valid_height), rel=0.35)
    assert 0.0 < finding.usual < 0.5 * finding.seen
    assert "% of the picture" in finding.text


def test_what_was_left_behind_is_told_in_seconds_and_grey_levels() -> None:
    world = World(seed=3, people=0)
    world.level_ground()
    scorer = watched(world, seconds=120.0)
    world.bodies.append(Body(x=80.0, y=70.0, vx=0.0, vy=0.0, height=16.0, width=14.0, shade=30.0, faded=9.0))
    _, finding = spoken(scorer, world, Reason.STATIC_CHANGE, seconds=20.0)[-1]
    assert finding.unit == "s"
    assert 4.0 <= finding.usual < finding.seen <= 24.0
    assert "grey levels" in finding.text


def test_appearance_is_told_as_times_the_usual_error() -> None:
    world = World(seed=3)
    scorer = watched(world, seconds=120.0)
    for body in world.bodies[:3]:
        body.surprise = 6.0
    _, finding = spoken(scorer, world, Reason.APPEARANCE, seconds=6.0)[-1]
    assert finding.unit == "times the usual error"
    assert finding.seen > finding.usual >= 1.0


def test_nothing_is_told_of_what_is_normal() -> None:
    world = World(seed=3)
    scorer = watched(world, seconds=120.0)
    scores = [scorer.step(cells) for cells in world.frames(20.0)]
    assert all(not score.findings for score in scores if not score.reasons)
    assert any(not score.reasons for score in scores)
