"""Worlds: simulated cameras that live for days."""

from __future__ import annotations

import time
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import pytest

from vad.video.worlds import JUDGED_SEEDS, TRAINING_SEEDS, PlantedKind, World, WorldFrame, WorldKind, open_world

KINDS = list(WorldKind)
HOUR = 3600 * 8  # frames
OF_KIND = {
    WorldKind.STREET: {"running", "vehicle_on_walk", "wrong_way", "fight", "bag_left", "fall", "crowd"},
    WorldKind.SHOP: {"running", "fight", "climbing", "bag_left", "after_hours"},
    WorldKind.YARD: {"intruder", "loitering"},
    WorldKind.CARE: {"fall", "lying", "wandering_at_night", "no_sign_of_life"},
    WorldKind.LINE: {
        "line_stop", "half_speed", "reverse", "jam", "wrong_part", "missing_part", "person_in_cell",
    },
}  # fmt: skip


@cache
def world(kind: WorldKind, seed: int = 5) -> World:
    return open_world(kind, seed=seed)


def at_hour(hour: float) -> int:
    """The frame at which the clock shows that hour, on the first day (or in the night after it)."""
    return round((hour - 6.0) % 24 * HOUR)


@pytest.mark.parametrize("kind", KINDS)
def test_any_frame_can_be_asked_for_without_the_ones_before(kind: WorldKind) -> None:
    start = at_hour(8.9)
    sequence = list(world(kind).frames(90, start=start, truth=True))
    fresh = open_world(kind, seed=5)
    for k in (89, 0, 41):
        alone = fresh.render(start + k, truth=True)
        assert alone.index == start + k
        assert alone.at_s == (start + k) / 8
        assert np.array_equal(alone.luma, sequence[k].luma)
        assert np.array_equal(alone.flow, sequence[k].flow)
        assert np.array_equal(alone.foreground, sequence[k].foreground)
        assert (alone.labels, alone.conditions) == (sequence[k].labels, sequence[k].conditions)


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_is_the_same_with_and_without_truth(kind: WorldKind) -> None:
    bare, known = world(kind).render(at_hour(12.2)), world(kind).render(at_hour(12.2), truth=True)
    assert np.array_equal(bare.luma, known.luma)
    assert bare.flow is None
    assert bare.foreground is None


@pytest.mark.parametrize(("kind", "width", "height"), [("street", 160, 96), ("care", 320, 192), ("yard", 112, 80)])
def test_frames_have_the_size_that_was_asked_for(kind: str, width: int, height: int) -> None:
    frame = open_world(kind, seed=3, width=width, height=height).render(at_hour(9.0), truth=True)
    assert frame.luma.shape == (height, width)
    assert frame.luma.dtype == np.uint8
    assert frame.luma.std() > 8
    assert frame.flow is not None
    assert (frame.flow.shape, frame.flow.dtype) == ((height, width, 2), np.float32)
    assert frame.foreground is not None
    assert (frame.foreground.shape, frame.foreground.dtype) == ((height, width), np.uint8)
    assert not frame.flow[frame.foreground == 0].any()


def test_seeds_make_different_worlds_and_equal_seeds_the_same() -> None:
    one, again, other = (open_world("shop", seed=seed).render(at_hour(11)).luma for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert np.abs(one.astype(float) - other).mean() > 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [5, 6])
def test_ten_to_fifteen_anomalies_a_day_apart_from_each_other_and_none_at_first(kind: WorldKind, seed: int) -> None:
    planted = world(kind, seed).planted
    assert 10 <= len(planted) <= 15
    assert planted[0].start_s >= 3600
    assert planted[-1].end_s <= 86400
    for before, after in pairwise(planted):
        assert after.start_s - before.end_s >= 1200
    for item in planted:
        if item.kind is not PlantedKind.NO_SIGN_OF_LIFE:
            assert 4 <= item.end_s - item.start_s <= 60


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_world_has_the_anomalies_that_it_should(kind: WorldKind) -> None:
    seen = {item.kind.value for seed in (5, 6) for item in world(kind, seed).planted}
    assert seen <= OF_KIND[kind]
    assert len(seen) >= 0.7 * len(OF_KIND[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_shown_for_as_long_as_an_anomaly_is_said_to_last(kind: WorldKind) -> None:
    for item in world(kind).planted:
        first, end = round(item.start_s * 8), round(item.end_s * 8)
        for index in (first, (first + end) // 2, end - 1):
            labels = world(kind).render(index).labels
            assert {label.kind for label in labels} == {item.kind}
            assert all(0 <= label.x0 < label.x1 <= 1 and 0 <= label.y0 < label.y1 <= 1 for label in labels)
        assert not world(kind).render(first - 1).labels
        assert not world(kind).render(end).labels


def test_a_world_without_anomalies_is_the_same_place() -> None:
    calm = open_world("yard", seed=5, anomalies=False)
    assert calm.planted == ()
    assert np.array_equal(calm.render(at_hour(9)).luma, world(WorldKind.YARD).render(at_hour(9)).luma)
    item = world(WorldKind.YARD).planted[0]
    middle = round((item.start_s + item.end_s) * 4)
    assert not calm.render(middle).labels
    assert not np.array_equal(calm.render(middle).luma, world(WorldKind.YARD).render(middle).luma)


def test_training_and_judged_seeds_have_none_in_common() -> None:
    assert not set(TRAINING_SEEDS) & set(JUDGED_SEEDS)


def bodies(kind: WorldKind, hour: float) -> float:
    """How many bodies are in the picture on average, over twenty minutes."""
    frames = [world(kind).render(at_hour(hour) + k * 400, truth=True) for k in range(24)]
    return float(np.mean([len(np.unique(frame.foreground)) - 1 for frame in frames]))


@pytest.mark.parametrize("kind", [WorldKind.STREET, WorldKind.SHOP, WorldKind.YARD])
def test_night_is_emptier_than_day(kind: WorldKind) -> None:
    assert bodies(kind, 3.0) < 0.35 * bodies(kind, 9.2)


def test_a_second_day_goes_on_where_the_first_has_ended() -> None:
    two = open_world("care", seed=5, days=2.0)
    days = {int(item.start_s // 86400) for item in two.planted}
    assert days == {0, 1}
    before, after = (two.render(24 * HOUR + k, truth=True) for k in (-1, 0))
    assert np.abs(before.luma.astype(float) - after.luma).mean() < 8
    assert after.foreground is not None
    assert after.foreground.any()  # still in bed


def test_parts_on_the_belt_move_as_the_line_does() -> None:
    line = world(WorldKind.LINE)

    def belt_px(at_s: float) -> float:
        frame = line.render(round(at_s * 8), truth=True)
        assert frame.flow is not None
        flow = frame.flow[..., 0]
        return float(np.median(flow[np.abs(flow) > 0.05])) if (np.abs(flow) > 0.05).sum() > 20 else 0.0

    normal = belt_px(3700.0)
    assert abs(normal) > 0.2
    speeds = {item.kind: belt_px(item.start_s + 5) / normal for item in line.planted}
    for kind, factor in ((PlantedKind.LINE_STOP, 0.0), (PlantedKind.HALF_SPEED, 0.5), (PlantedKind.REVERSE, -1.0)):
        if kind in speeds:
            assert speeds[kind] == pytest.approx(factor, abs=0.15)


@pytest.mark.parametrize(("kind", "hour"), [(WorldKind.STREET, 17.6), (WorldKind.LINE, 9.2)])
def test_flow_says_where_everything_was_in_the_frame_before(kind: WorldKind, hour: float) -> None:
    without, along = np.zeros(2), np.zeros(2)
    for start in range(at_hour(hour), at_hour(hour) + 1200, 200):
        for before, after in pairwise(world(kind).frames(10, start=start, truth=True)):
            still, moved = warp_errors(before, after)
            without, along = without + still, along + moved
    assert without[1] > 100
    assert along[0] / along[1] < 0.5 * without[0] / without[1]


def warp_errors(before: WorldFrame, after: WorldFrame) -> tuple[np.ndarray, np.ndarray]:
    """(sum, pixels) of absolute luma errors inside what moves, without and with the flow."""
    assert after.flow is not None
    assert before.foreground is not None
    height, width = after.luma.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    back = (x - after.flow[..., 0], y - after.flow[..., 1])
    warped = cv2.remap(before.luma.astype(np.float32), *back, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    same = cv2.remap(before.foreground, *back, cv2.INTER_NEAREST) == after.foreground
    inside = ((np.abs(after.flow).max(axis=2) > 0.3) & same).astype(np.uint8)
    inside = cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0
    now = after.luma.astype(np.float32)
    still, moved = (float(np.abs(picture - now)[inside].sum()) for picture in (before.luma.astype(np.float32), warped))
    return np.array([still, inside.sum()]), np.array([moved, inside.sum()])


def test_what_is_not_offered_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: street"):
        open_world("moon", seed=1)
    with pytest.raises(ValueError, match="days=0"):
        open_world("street", seed=1, days=0)


def test_an_empty_picture_is_cheap() -> None:
    yard = world(WorldKind.YARD)
    list(yard.frames(20, start=at_hour(3.3)))
    began = time.process_time()
    list(yard.frames(100, start=at_hour(3.3) + 20))
    assert (time.process_time() - began) / 100 < 0.02
