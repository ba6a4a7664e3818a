import math

import numpy as np
import pytest

from tests.scoring.walkers import Body, World
from vad.config import ScoringSettings
from vad.scoring.cues import UNSTEADY_MOST
from vad.scoring.scorer import Scorer
from vad.scoring.tuning import REASONS
from vad.types import Reason, Stage

SETTINGS = ScoringSettings(warming_after_s=12.0, calibrated_after_s=30.0, left_behind_s=1.0)


def make_scorer(**changes) -> Scorer:
    values = {"settings": SETTINGS, "false_alarms_per_day": 2.0, "analysis_fps": 10.0, **changes}
    return Scorer("cam1", **values)


def test_stages_come_in_order_and_cold_never_judges():
    scorer, world = make_scorer(), World(seed=1)
    scores = [scorer.step(cells) for cells in world.frames(60.0)]
    stages = [score.stage for score in scores]
    assert stages == sorted(stages, key=list(Stage).index)
    assert set(stages) == set(Stage)
    cold = [score for score in scores if score.stage is Stage.COLD]
    assert all(score.score == 0.0 and score.threshold == math.inf and not score.is_anomalous for score in cold)
    assert not any(score.is_anomalous for score in scores)


def test_a_camera_says_from_the_start_how_long_until_its_budget_is_kept():
    scorer, world = make_scorer(), World(seed=1)
    first_s = scorer.promised_after_s
    assert 3600.0 < first_s < 2 * 3600.0
    assert scorer.allowed_per_day > 90.0
    for cells in world.frames(30.0):
        scorer.step(cells)
    assert 0.0 < scorer.learnt_s <= 30.0
    assert scorer.promised_after_s == pytest.approx(first_s - scorer.learnt_s)
    scorer.adjust(false_alarms_per_day=1440.0, zones=())
    assert scorer.promised_after_s == 0.0


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        (Reason.SPEED, Body(x=5.0, y=70.0, vx=42.0, bounces=False)),
        (Reason.APPEARANCE, Body(x=10.0, y=75.0, vx=12.0, surprise=3.5, bounces=False)),
        (Reason.DIRECTION, Body(x=80.0, y=40.0, vx=0.0, vy=14.0, bounces=False)),
        (Reason.SIZE, Body(x=-5.0, y=82.0, vx=14.0, height=45.0, width=30.0, bounces=False)),
        (Reason.STATIC_CHANGE, Body(x=80.0, y=89.0, vx=0.0, vy=0.0, height=16.0, width=14.0, shade=30.0, faded=9.0)),
    ],
)
def test_each_cue_speaks_for_its_own_kind_of_anomaly(reason, body):
    # A minute is not much: size and direction are told by passages, and of few no rarity can be told. So the budget is
    # one that lets a young camera speak.
    scorer, world = make_scorer(false_alarms_per_day=14400.0), World(seed=1, people=2)
    world.level_ground()
    for cells in world.frames(60.0):
        scorer.step(cells)
    usual = [scorer.step(cells) for cells in world.frames(6.0)]
    assert np.mean([reason in score.reasons for score in usual]) < 0.1  # it does not say so of anybody
    world.bodies.append(body)
    flagged = [score for score in map(scorer.step, world.frames(6.0)) if score.is_anomalous]
    assert flagged
    assert reason in {reason for score in flagged for reason in score.reasons}


def test_where_nothing_moves_the_score_is_the_same_without_the_work():
    worlds, scorers = (World(seed=1), World(seed=1)), (make_scorer(), make_scorer())
    for world, scorer in zip(worlds, scorers, strict=True):
        for cells in world.frames(60.0):
            scorer.step(cells)
    for still, whole in zip(worlds[0].frames(3.0), worlds[1].frames(3.0), strict=True):
        still.flow[:] = 0.0
        whole.flow[:] = 0.0
        whole.flow[0, 0, 0] = 1e-20  # as good as none, but the evidences are asked
        one, other = scorers[0].step(still), scorers[1].step(whole)
        assert one.evidence == pytest.approx(other.evidence)
        assert one.score == pytest.approx(other.score)


def test_an_insect_before_the_lens_is_seldom_faster_than_what_keeps_no_way_may_be():
    scorer, world = make_scorer(), World(seed=1, people=3)
    world.smooth_ground()
    for cells in world.frames(60.0):
        scorer.step(cells)
    world.bodies.clear()
    for cells in world.frames(3.0):
        scorer.step(cells)
    random, speeds, uncapped = np.random.default_rng(2), [], []
    insect = Body(x=80.0, y=50.0, height=12.0, width=12.0, bounces=False)
    for k in range(80):
        angle = random.uniform(0.0, 2.0 * np.pi)
        scale = insect.scale(world.geometry.valid_height)
        insect.vx, insect.vy = 60.0 * np.cos(angle) / scale, 60.0 * np.sin(angle) / scale
        insect.height = insect.width = 12.0 / scale
        if k % 4 == 0:  # it comes and goes
            insect.x, insect.y = random.uniform(20.0, 140.0), random.uniform(25.0, 75.0)
        world.bodies[:] = [insect] if k % 4 < 3 else []
        for cells in world.frames(1.0 / world.fps):
            scorer.step(cells)
            speeds.append(scorer.cue_values[REASONS.index(Reason.SPEED)])
            uncapped.append(float(np.hypot(*cells.flow).max() / scorer._cues.motion.speed.fast.max()))
    assert np.median(uncapped) > 2.0 * UNSTEADY_MOST  # it is fast
    assert 0.5 < np.quantile(speeds, 0.75) <= 1.01 * UNSTEADY_MOST  # by chance it may keep its way for a moment


@pytest.mark.parametrize("budget", [5e-324, 1e-300, 1e-9])
def test_a_budget_that_nearly_vanishes_is_still_one(budget):
    little = make_scorer(false_alarms_per_day=budget)
    assert 0.0 < little.promised_after_s < math.inf
    assert little.allowed_per_day > 0.0
    little.adjust(false_alarms_per_day=2.0, zones=())
    little.adjust(false_alarms_per_day=budget, zones=())
    assert 0.0 < little.promised_after_s < math.inf
