"""What passes where: people on a ground, one after the other, and one who does not do as they do."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from tests.scoring.objects_pictures import Shape, film
from vad.errors import CalibrationError
from vad.scoring.objects.layer import ObjectFrame, ObjectLayer
from vad.scoring.objects.passages import STANDING, Passages, Visit
from vad.scoring.objects.tracks import MOST_TRACKS, SPAN, Column, Past
from vad.types import CELL_PX

PEOPLE = 40
FOOT_ROW = (80 - 1) // CELL_PX
OUTSIDE: Shape = (-40.0, -30.0, 0.0, 1.0)


def watch(layer: ObjectLayer, shapes: Sequence[Shape], *, learn: bool = False) -> list[ObjectFrame]:
    """All in one run, as a camera sees it."""
    frames = []
    for cells in film([[shape] for shape in shapes], run=0):
        frames.append(layer.step(cells))
        if learn:
            layer.learn(frames[-1].visits, dt_s=cells.dt_s)
    return frames


def walker(
    *, left: bool = False, foot: float = 80.0, height: float = 40.0, width: float = 12.0, step: float = 2.0
) -> list[Shape]:
    """Somebody who walks through the picture, 20 px/s, and a second without him."""
    xs = [-width + step * t for t in range(round((160 + width) / step))]
    shapes = [(foot - height, foot, x, x + width) for x in (xs[::-1] if left else xs)]
    return shapes + [OUTSIDE] * 12


def highest(frames: list[ObjectFrame], cue: str) -> float:
    return max(float(getattr(frame, cue).max()) for frame in frames)


@pytest.fixture(scope="module")
def road() -> ObjectLayer:
    """A camera that has seen its empty ground and then people who walk to the right, one after the other."""
    layer = ObjectLayer(12, 20)
    watch(layer, [OUTSIDE] * 80, learn=True)
    for k in range(PEOPLE):
        watch(layer, walker(foot=78.0 + k % 3), learn=True)
    return layer


@pytest.fixture
def camera(road: ObjectLayer) -> ObjectLayer:
    """That camera, once for each test."""
    return copy.deepcopy(road)


def test_who_goes_against_all_others_is_rare_by_direction_and_one_more_of_them_is_not(camera):
    with_them, against = (watch(camera, walker(left=left)) for left in (False, True))
    assert highest(with_them, "direction") < 0.3
    assert highest(against, "direction") > 1.2
    assert highest(against, "size") < 0.5  # he is as large as they


def test_what_is_three_times_as_large_is_rare_by_size_and_one_more_of_them_is_not(camera):
    usual = watch(camera, walker())
    large = watch(camera, walker(height=60.0, width=30.0))
    assert highest(usual, "size") < 0.5
    assert highest(large, "size") > 1.2
    assert highest(large, "direction") < 0.5  # it goes their way


def test_who_leaves_his_own_width_behind_from_one_frame_to_the_next_is_one_track(camera):
    frames = watch(camera, walker(step=14.0))
    assert len({track.id for frame in frames for track in frame.tracks if track.age_s > 0.3}) == 1


def test_who_runs_is_rare_by_pace_and_one_more_who_walks_is_not(camera):
    walks, runs = watch(camera, walker()), watch(camera, walker(step=5.0))
    assert highest(walks, "pace") < 0.5
    assert highest(runs, "pace") > 1.2
    assert highest(runs, "direction") < 0.5


def test_somebody_where_nobody_ever_walked_is_rare_by_his_movement(camera):
    usual, elsewhere = watch(camera, walker()), watch(camera, walker(foot=50.0))
    assert highest(usual, "movement") < 1.0
    assert highest(elsewhere, "movement") > 1.5
    assert highest(elsewhere, "direction") < 0.5  # of a place without passages no direction is wrong


def test_what_a_track_does_before_it_is_old_enough_has_no_value(camera):
    frames = watch(camera, walker(left=True, foot=50.0))
    ages = [max((track.age_s for track in frame.tracks), default=0.0) for frame in frames]
    young = [frame for frame, age in zip(frames, ages, strict=True) if age < 1.5]
    assert any(frame.tracks for frame in young)
    assert highest(young, "movement") == highest(young, "direction") == 0.0
    assert highest(frames, "movement") > 1.0


def test_nothing_is_learnt_by_watching_alone(camera):
    before = camera.passages.state()["counts"]
    values = [highest(watch(camera, walker(left=True)), "direction") for k in range(8)]
    assert np.array_equal(camera.passages.state()["counts"], before)
    assert min(values) > 1.2
    for _ in range(8):
        watch(camera, walker(left=True), learn=True)
    assert highest(watch(camera, walker(left=True)), "direction") < min(values) - 0.5


def test_what_crosses_several_cells_in_a_frame_is_counted_where_it_was_seen():
    layer = ObjectLayer(12, 20)
    watch(layer, [OUTSIDE] * 80)
    fast = [(60.0, 80.0, -60.0 + 12.0 * t, -10.0 + 12.0 * t) for t in range(19)]  # a car: 120 px/s
    visits = [line for frame in watch(layer, fast + [OUTSIDE] * 12) for line in frame.visits]
    assert len(visits) >= 3
    assert {int(line[Visit.WAY]) for line in visits} == {0}
    assert len({int(line[Visit.COLUMN]) for line in visits}) == len(visits)


def test_who_stands_and_sways_between_two_cells_counts_once_or_twice_not_with_every_sway():
    layer = ObjectLayer(12, 20)
    watch(layer, [OUTSIDE] * 80)
    sway = [2.5 * np.sin(2.0 * np.pi * t / 10.0) for t in range(120)]  # a second each time; the cells meet at 80
    frames = watch(layer, [(40.0, 80.0, 74.0 + x, 86.0 + x) for x in sway])
    people = [max(frame.tracks, key=lambda track: track.bottom - track.top) for frame in frames[20:]]
    assert len({track.id for track in people}) == 1
    middles = [0.5 * (track.left + track.right) for track in people]
    crossed = sum((a < 80.0) != (b < 80.0) for a, b in pairwise(middles))
    assert crossed > 9
    cells = [(int(line[Visit.ROW]), int(line[Visit.COLUMN])) for frame in frames for line in frame.visits]
    assert 1 <= len(cells) <= 3
    assert set(cells) <= {(FOOT_ROW, 9), (FOOT_ROW, 10)}


def test_who_sways_for_a_minute_counts_once_in_each_of_two_cells():
    passages, visits = Passages(12, 20, cell_px=CELL_PX), []
    tracks, history = np.zeros((MOST_TRACKS, len(Column))), np.full((MOST_TRACKS, SPAN, len(Past)), -1.0)
    tracks[0, Column.ID], tracks[0, Column.APART_S] = 1.0, 9.0
    for t in range(600):
        x = 80.0 + 3.0 * np.sin(2.0 * np.pi * t / 10.0)
        tracks[0, Column.AGE_S] = 0.1 * t
        history[0, :-1] = history[0, 1:].copy()
        sample = history[0, -1]
        sample[:] = 0.0
        sample[Past.AGE_S], sample[Past.AREA] = 0.1 * t, 480.0
        sample[Past.TOP], sample[Past.BOTTOM], sample[Past.LEFT], sample[Past.RIGHT] = 40.0, 80.0, x - 6.0, x + 6.0
        visits += [(int(line[Visit.ROW]), int(line[Visit.COLUMN])) for line in passages.step(tracks, history)]
    tracks[0, Column.ID] = 0.0  # it has gone
    visits += [(int(line[Visit.ROW]), int(line[Visit.COLUMN])) for line in passages.step(tracks, history)]
    assert sorted(visits) == [(FOOT_ROW, 9), (FOOT_ROW, 10)]


def test_a_file_gives_the_same_values(camera):
    other = ObjectLayer(12, 20)
    other.restore(camera.state())
    camera.begin_run()
    for here, there in zip(watch(camera, walker(left=True)), watch(other, walker(left=True)), strict=True):
        for cue in ("direction", "size", "movement"):
            assert np.array_equal(getattr(here, cue), getattr(there, cue))
    assert highest(watch(other, walker(left=True)), "direction") > 1.2


def test_passages_of_another_picture_are_refused(road):
    with pytest.raises(CalibrationError, match="counts"):
        Passages(15, 20, cell_px=CELL_PX).restore(road.passages.state())


def test_a_new_look_keeps_what_passes_where(camera):
    camera.begin_look()
    watch(camera, [OUTSIDE] * 80)
    assert highest(watch(camera, walker(left=True)), "direction") > 1.2


def test_habit_and_usual_area_are_those_of_the_passages_around_a_cell(road):
    habit = road.passages.habit(FOOT_ROW, 10)
    assert habit.shape == (8,)
    assert habit.argmax() == 0  # to the right
    assert habit[0] > 0.9 * habit.sum() > PEOPLE
    assert road.passages.passed(FOOT_ROW, 10) >= habit.sum()
    assert 0.5 * 480.0 < road.passages.usual_area_px(FOOT_ROW, 10) < 2.5 * 480.0  # 40 x 12 px
    assert road.passages.usual_area_px(2, 10) == road.passages.passed(2, 10) == 0.0
    assert not road.passages.habit(2, 10).any()


def test_what_was_counted_fades_with_the_footage_that_is_learnt(camera):
    before = camera.passages.passed(FOOT_ROW, 10)
    for _ in range(7 * 24):
        camera.learn(np.zeros((0, len(Visit)), np.int64), dt_s=3600.0)
    assert camera.passages.passed(FOOT_ROW, 10) == pytest.approx(0.5 * before, rel=0.02)


def test_standing_has_a_way_of_its_own_and_no_direction():
    passages = Passages(12, 20, cell_px=CELL_PX)
    line = np.zeros((1, len(Visit)), np.int64)
    line[0, Visit.ROW], line[0, Visit.COLUMN], line[0, Visit.WAY] = 5, 5, STANDING
    passages.learn(line, dt_s=0.1)
    assert passages.passed(5, 5) == 1.0
    assert not passages.habit(5, 5).any()
