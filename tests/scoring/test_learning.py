"""What is learnt, and what is not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.scoring.test_scorer import make_scorer
from tests.scoring.walkers import Body, World, lit
from vad.config import Polygon
from vad.scoring.evidence import Motion
from vad.scoring.gate import Gate, Sample
from vad.scoring.objects.passages import NO_VISITS
from vad.scoring.tuning import HABITUAL, REASONS, TUNING
from vad.types import HealthIssue, Reason, Stage

RUNNER = Body(x=5.0, y=70.0, vx=45.0)


def learnt(scorer, folder) -> dict[str, np.ndarray]:
    scorer.save(folder / "now.npz", weights_sha256="0" * 64)
    with np.load(folder / "now.npz") as file:
        return {name: file[name] for name in file.files}


def same(a, b) -> bool:
    parts = ("speed", "appearance", "objects/counts", "hours", "highs", "scale")
    for part in parts:
        assert any(name.startswith(part) for name in a), part
    return all(np.array_equal(a[name], b[name]) for name in a if name.startswith(parts))


@pytest.fixture
def trained():
    scorer, world = make_scorer(), World(seed=4)
    for cells in world.frames(60.0):
        scorer.step(cells)
    return scorer, world


def test_nothing_flagged_is_learnt_not_even_what_led_up_to_it(trained, tmp_path):
    scorer, world = trained
    scorer._normal_s, scorer._busy_s = TUNING.young_s, TUNING.young_busy_s  # before, flagged frames are learnt too
    before = None
    world.bodies.append(replace(RUNNER))
    for cells in world.frames(10.0):
        score = scorer.step(cells)
        if score.is_anomalous and before is None:
            before = learnt(scorer, tmp_path)
    assert before is not None
    assert same(before, learnt(scorer, tmp_path))


@pytest.mark.parametrize(("every_s", "times"), [(96.0, 8), (300.0, 3)])
def test_an_act_that_recurs_scores_as_high_the_last_time_as_the_first(trained, every_s, times):
    scorer, world = trained
    scorer._normal_s, scorer._busy_s = TUNING.young_s, TUNING.young_busy_s
    peaks = []
    for _ in range(times):
        for cells in world.frames(every_s - 6.0):
            scorer.step(cells)
        world.bodies.append(runner := replace(RUNNER))
        peaks.append(max(scorer.step(cells).score for cells in world.frames(6.0)))
        world.bodies.remove(runner)
    assert peaks[0] > 4.0
    assert min(peaks[1:]) > 0.9 * peaks[0]


def test_learning_goes_on_after_the_margin(trained, tmp_path):
    scorer, world = trained
    world.bodies.append(runner := replace(RUNNER))
    for cells in world.frames(3.0):
        scorer.step(cells)
    world.bodies.remove(runner)
    before = learnt(scorer, tmp_path)
    for cells in world.frames(TUNING.unlearn_margin_s + TUNING.learn_delay_s + 2.0):
        scorer.step(cells)
    assert not same(before, learnt(scorer, tmp_path))


def test_what_was_left_stays_flagged():
    scorer, world = make_scorer(), World(seed=4, people=0)
    world.level_ground()
    for cells in world.frames(60.0):
        scorer.step(cells)
    world.bodies.append(Body(x=80.0, y=89.0, vx=0.0, vy=0.0, height=16.0, width=14.0, shade=30.0, faded=9.0))
    scores = [scorer.step(cells) for cells in world.frames(60.0)]
    assert np.mean([Reason.STATIC_CHANGE in score.reasons for score in scores[-300:]]) > 0.9
    assert all(score.regions for score in scores[-300:] if score.is_anomalous)


def test_drifting_light_is_no_static_change(trained):
    scorer, world = trained
    for _ in range(120):
        world.light *= 0.995
        for cells in world.frames(1.0):
            assert Reason.STATIC_CHANGE not in scorer.step(cells).reasons


def test_a_light_jump_is_named_and_neither_flagged_nor_learnt(trained, tmp_path):
    scorer, world = trained
    before = learnt(scorer, tmp_path)
    world.light = 0.55
    scores = []
    for cells in world.frames(0.9):
        everywhere = np.full_like(cells.activity, 0.9)
        scores.append(scorer.step(replace(cells, activity=everywhere, flow=cells.flow + 30.0)))
    assert not any(score.is_anomalous for score in scores)
    assert scores[-1].health is HealthIssue.LIGHT_JUMP
    assert same(before, learnt(scorer, tmp_path))
    later = [scorer.step(cells) for cells in world.frames(10.0)]
    assert not any(score.is_anomalous for score in later)


@pytest.mark.parametrize("width", [24, 40])  # half of the picture, and all of it
def test_after_a_light_jump_nothing_is_called_left_behind(trained, width):
    scorer, world = trained
    world.bodies.append(Body(x=130.0, y=90.0, vx=0.0, vy=0.0, height=12.0, width=14.0, shade=20.0, faded=9.0))
    for cells in world.frames(3.0):
        scorer.step(cells)
    rng = np.random.default_rng(5)
    look = rng.uniform(0.4, 0.6, cells.luma.shape).astype(np.float32)  # no single gain explains another lamp
    look[:, width:] = 1.0
    scores = [scorer.step(lit(cells, cells.luma * look)) for cells in world.frames(12.0)]
    assert HealthIssue.LIGHT_JUMP in {score.health for score in scores}
    assert not any(score.is_anomalous for score in scores[20:])


@pytest.mark.xfail(
    strict=True,
    reason="ObjectLayer goes on learning its background from a covered picture: ghosts stand all over it afterwards",
)
def test_what_is_left_behind_a_cover_is_a_static_change(trained):
    scorer, world = trained
    world.bodies.append(Body(x=130.0, y=90.0, vx=0.0, vy=0.0, height=12.0, width=14.0, shade=20.0, faded=9.0))
    scores = []
    for k, cells in enumerate(world.frames(30.0)):
        hidden = np.float32(min(1.0, k / 40.0, max(0.0, 3.0 - k / 40.0)))  # within 4 s, and so away again
        luma = (1.0 - hidden) * cells.luma + hidden * (60.0 + 0.01 * cells.luma)
        scores.append(scorer.step(lit(cells, luma)))
    assert HealthIssue.COVERED in {score.health for score in scores}
    assert HealthIssue.LIGHT_JUMP not in {score.health for score in scores}
    last = scores[-1]
    assert Reason.STATIC_CHANGE in last.reasons
    assert any(region.x0 > 0.6 and region.y0 > 0.6 for region in last.regions)
    assert all(region.x0 > 0.6 and region.y0 > 0.6 for region in last.regions)


def test_a_new_run_forgets_what_is_transient_and_keeps_the_calibration(trained):
    scorer, world = trained
    world.bodies.append(runner := replace(RUNNER))
    for cells in world.frames(3.0):
        scorer.step(cells)
    world.bodies.remove(runner)
    world.new_run()
    first = scorer.step(next(iter(world.frames(0.2))))
    assert first.stage is Stage.CALIBRATED
    assert first.score < 0.5 * first.threshold


def test_zones_limit_what_is_judged():
    left = Polygon(points=[(0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)])
    scorer, world = make_scorer(zones=[left]), World(seed=1)
    for cells in world.frames(60.0):
        scorer.step(cells)
    world.bodies.append(Body(x=70.0, y=70.0, vx=45.0, bounces=False))
    outside = [scorer.step(cells) for cells in world.frames(2.0)]
    assert not any(score.is_anomalous for score in outside)
    world.bodies.append(Body(x=5.0, y=70.0, vx=45.0, bounces=False))
    inside = [scorer.step(cells) for cells in world.frames(1.0)]
    assert any(score.is_anomalous for score in inside)
    assert all(region.x1 <= 0.36 for score in inside for region in score.regions)


def test_maps_that_are_not_finite_are_refused(trained):
    scorer, world = trained
    cells = next(iter(world.frames(0.1)))
    with pytest.raises(ValueError, match="not finite"):
        scorer.step(replace(cells, flow=np.full_like(cells.flow, np.nan)))


def make_sample() -> Sample:
    cells = next(iter(World().frames(0.1)))
    ratios = np.zeros((HABITUAL, *cells.activity.shape), np.float32)
    return Sample(cells, np.zeros(len(REASONS)), ratios, NO_VISITS, 0.1)


def test_a_twentieth_of_what_is_flagged_nearly_always_is_learnt_in_the_end():
    gate, sample = Gate(longest_s=20.0), make_sample()
    steps = [gate.step(sample, flagged=True, ailing=False) for _ in range(4000)]
    assert not any(steps[:200])
    share = sum(map(len, steps[1000:])) / 3000.0
    assert share == pytest.approx(TUNING.flagged_share, rel=0.1)
    for _ in range(600):
        gate.step(sample, flagged=False, ailing=False)
    assert not gate.accepting
    assert gate.step(sample, flagged=True, ailing=False) == []


def test_what_is_flagged_each_time_it_recurs_is_never_learnt():
    gate, sample = Gate(longest_s=600.0), make_sample()
    learnt = []
    for _ in range(300):  # eight hours of ten seconds in each 96
        act = sample._replace(values=np.ones(len(REASONS)))
        learnt += [one for _ in range(100) for one in gate.step(act, flagged=True, ailing=False)]
        learnt += [one for _ in range(860) for one in gate.step(sample, flagged=False, ailing=False)]
    assert len(learnt) > 200_000
    assert not any(one.values.any() for one in learnt)


def test_what_waits_at_the_end_of_a_run_is_learnt():
    gate, sample = Gate(longest_s=5.0), make_sample()
    assert not any(gate.step(sample, flagged=False, ailing=False) for _ in range(10))
    assert len(gate.end()) == 10
    gate.step(sample, flagged=False, ailing=False)
    gate.step(sample, flagged=True, ailing=False)
    assert gate.end() == []


def test_the_gate_never_lets_an_unhealthy_picture_through():
    gate, sample = Gate(longest_s=5.0), make_sample()
    assert not any(gate.step(sample, flagged=True, ailing=True) for _ in range(500))


def test_a_frame_at_rest_is_learnt_as_one_of_zeros_is():
    cells = make_sample().cells
    learnt, rested = (Motion(*cells.activity.shape).evidences for _ in range(2))
    still = replace(cells, flow=np.zeros_like(cells.flow), activity=np.zeros_like(cells.activity))
    rows, columns = cells.activity.shape
    busy = replace(still, flow=np.full_like(cells.flow, 30.0), activity=np.full((rows, columns), 0.5, "f4"))
    for one, other in zip(learnt, rested, strict=True):
        for _ in range(20):
            one.learn(busy, dt_s=0.5)
            other.learn(busy, dt_s=0.5)
            one.learn(still, dt_s=0.5)
            other.rest(dt_s=0.5)
        assert all(np.array_equal(value, other.state()[name]) for name, value in one.state().items())
