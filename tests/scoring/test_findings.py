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


def test_direction_is_told_in_degrees_and_words() -> None:
    world = World(seed=3, people=0)
    world.bodies += [Body(x=20.0 + 25.0 * i, y=70.0, vx=12.0, bounces=False) for i in range(5)]
    settings = ScoringSettings(warming_after_s=20.0, calibrated_after_s=60.0)
    scorer = Scorer("cam", settings=settings, false_alarms_per_day=5.0, analysis_fps=world.fps)
    for _ in range(60):  # all walk to the right, and come back in from the left
        for cells in world.frames(2.0):
            scorer.step(cells)
        for body in world.bodies:
            body.x = body.x if body.x < 150.0 else body.x - 150.0
    world.bodies.append(Body(x=150.0, y=70.0, vx=-12.0, bounces=False))
    _, finding = spoken(scorer, world, Reason.DIRECTION, seconds=6.0)[-1]
    assert finding.seen == pytest.approx(270.0, abs=30.0)
    assert finding.usual == 90.0
    assert "moves left" in finding.text
    assert "usually it is right" in finding.text


def test_size_is_told_as_a_share_of_the_picture() -> None:
    world = World(seed=3)
    scorer = watched(world, seconds=120.0, budget=1440.0)
    world.bodies.append(Body(x=40.0, y=80.0, vx=12.0, height=60.0, width=90.0))
    _, finding = max(spoken(scorer, world, Reason.SIZE, seconds=6.0), key=lambda pair: pair[1].seen)
    assert 3.0 < finding.seen < 25.0
    assert finding.usual < finding.seen
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
