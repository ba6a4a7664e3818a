"""The synthetic camera: its frames, its truth, its anomalies."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from vad.video.synthetic import (
    DEMO_SECONDS,
    Anomaly,
    AnomalyKind,
    Layout,
    Rendered,
    Scene,
    demo_scene,
    ground_truth,
)
from vad.video.synthetic.traffic import Track

SMALL = {"width": 320, "height": 180}


@pytest.fixture(scope="module")
def demo() -> Scene:
    return demo_scene(seed=3)


def tracks_at(scene: Scene, index: int) -> list[Track]:
    return scene._traffic.at(index)


def test_frames_are_the_same_for_the_same_seed_and_in_any_order():
    one, two = Scene(seed=11, **SMALL), Scene(seed=11, **SMALL)
    forward = [one.render(index) for index in range(40, 46)]
    backward = [two.render(index) for index in reversed(range(40, 46))][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert np.array_equal(a.luma, b.luma)
        assert np.array_equal(a.flow, b.flow)
        assert np.array_equal(a.foreground, b.foreground)
    assert not np.array_equal(forward[0].luma, Scene(seed=12, **SMALL).render(40).luma)


def test_luma_does_not_depend_on_whether_truth_is_asked_for():
    scene = Scene(seed=5, **SMALL)
    bare = scene.render(20, truth=False)
    assert bare.flow is None
    assert bare.foreground is None
    assert np.array_equal(bare.luma, scene.render(20).luma)
    with pytest.raises(ValueError, match="truth=True"):
        _ = bare.moving


def test_frames_have_the_stated_shapes_and_types():
    frame = next(Scene(seed=1, width=322, height=182).frames(1))
    assert frame.luma.shape == (182, 322)
    assert frame.luma.dtype == np.uint8
    assert frame.flow is not None
    assert frame.flow.shape == (182, 322, 2)
    assert frame.flow.dtype == np.float32
    assert frame.foreground is not None
    assert frame.foreground.dtype == np.uint8
    assert not frame.flow[frame.foreground == 0].any()


def warp_errors(before: Rendered, after: Rendered) -> tuple[float, float]:
    """Mean absolute luma error on what moves, without and with the flow; borders of parts and bodies left out."""
    assert after.flow is not None
    assert before.foreground is not None
    assert after.foreground is not None
    height, width = after.luma.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    back = (x - after.flow[..., 0], y - after.flow[..., 1])
    warped = cv2.remap(before.luma.astype(np.float32), *back, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    came_from = cv2.remap(before.foreground, *back, cv2.INTER_NEAREST)
    inside = (after.moving & (came_from == after.foreground)).astype(np.uint8)
    inside = cv2.erode(inside, np.ones((3, 3), np.uint8)) > 0
    now = after.luma.astype(np.float32)
    if inside.sum() < 50:
        return 0.0, 0.0
    return float(np.abs(now - before.luma)[inside].mean()), float(np.abs(now - warped)[inside].mean())


@pytest.mark.parametrize("seed", [3, 5, 8])
def test_previous_frame_warped_by_the_flow_matches_this_one(seed: int):
    scene = Scene(seed=seed, layout=Layout.LANES, fps=8.0)
    frames = list(scene.frames(12, start=10))
    errors = np.array([warp_errors(a, b) for a, b in pairwise(frames)])
    still, warped = errors.sum(axis=0)
    assert still > 5 * len(errors)
    assert warped < still / 3


def test_fast_movers_of_free_scenes_are_matched_too():
    ratios = []
    for seed in range(20, 26):
        scene = Scene(seed=seed)
        if scene._sensor.jitter_px:
            continue
        frames = list(scene.frames(8, start=30))
        errors = np.array([warp_errors(a, b) for a, b in pairwise(frames)])
        still, warped = errors.sum(axis=0)
        if still > 8 * len(errors):
            ratios.append(warped / still)
    assert ratios
    assert np.median(ratios) < 0.45


def test_people_who_stand_still_are_foreground_without_flow():
    scene, found = Scene(seed=4, layout=Layout.LANES), 0
    for index in range(0, 600, 5):
        for track in tracks_at(scene, index):
            row = index - track.first
            if row < 1 or track.states[row, 4] > 0 or not np.array_equal(track.states[row], track.states[row - 1]):
                continue
            frame = scene.render(index)
            assert frame.foreground is not None
            assert frame.flow is not None
            alone = [t.id for t in tracks_at(scene, index)].count(track.id) == 1
            if alone and (mask := frame.foreground == track.id).any():
                assert np.abs(frame.flow[mask]).max() < 1e-3
                found += 1
        if found >= 2:
            return
    pytest.fail("nobody stood still in 48 s")


def test_every_kind_of_anomaly_is_in_the_demo_apart_from_the_others(demo: Scene):
    truth = ground_truth(demo)
    assert [interval.kind for interval in truth] == list(AnomalyKind)
    assert truth[0].start_s >= 34.0
    assert truth[-1].end_s <= DEMO_SECONDS - 2.0
    for interval in truth:
        assert 2.5 <= interval.end_s - interval.start_s <= 8.0
    for before, after in pairwise(truth):
        assert after.start_s - before.end_s >= 2.0


@pytest.mark.parametrize("seed", range(6))
def test_the_demo_shows_all_its_anomalies_whatever_its_seed(seed: int):
    assert [interval.kind for interval in ground_truth(demo_scene(seed=seed))] == list(AnomalyKind)


def test_labels_are_where_the_anomaly_is(demo: Scene):
    for interval in ground_truth(demo):
        frame = demo.render(round((interval.start_s + interval.end_s) / 2 * demo.fps))
        (label,) = frame.labels
        assert label.kind is interval.kind
        assert frame.foreground is not None
        rows, columns = np.nonzero(frame.foreground == label.id)
        assert len(rows) > 30
        assert label.x0 * demo.width - 2 <= columns.min() <= columns.max() <= label.x1 * demo.width + 2
        assert label.y0 * demo.height - 2 <= rows.min() <= rows.max() <= label.y1 * demo.height + 2


def test_nothing_is_labelled_outside_the_intervals(demo: Scene):
    intervals = ground_truth(demo)
    for index in range(0, round(DEMO_SECONDS * demo.fps), 9):
        inside = any(i.start_s <= index / demo.fps < i.end_s for i in intervals)
        assert bool(demo.labels(index)) == inside


def test_several_people_are_always_visible_in_the_demo_and_walk_every_lane(demo: Scene):
    counts = [len(demo._shaper.draw(tracks_at(demo, index), index, truth=False)) for index in range(0, 460, 10)]
    assert min(counts) >= 3
    assert 6 <= np.median(counts) <= 25


def speeds_on_near_lane(scene: Scene, index: int) -> dict[int, float]:
    """Ground speed in m/s of those present, by id."""
    tracks = [t for t in tracks_at(scene, index) if index - t.first > 0]
    steps = {t.id: t.states[index - t.first, :2] - t.states[index - t.first - 1, :2] for t in tracks}
    return {number: float(np.linalg.norm(step)) * scene.fps for number, step in steps.items()}


@pytest.mark.parametrize("kind", [AnomalyKind.RUNNING, AnomalyKind.VEHICLE])
def test_fast_anomalies_move_at_least_two_and_a_half_times_as_fast_as_walkers(demo: Scene, kind: AnomalyKind):
    interval = next(i for i in ground_truth(demo) if i.kind is kind)
    index = round((interval.start_s + interval.end_s) / 2 * demo.fps)
    (label,) = demo.labels(index)
    normal = [v for i in range(0, 450, 25) for v in speeds_on_near_lane(demo, i).values() if v > 0.3]
    assert speeds_on_near_lane(demo, index)[label.id] >= 2.5 * np.median(normal)


def test_wrong_direction_goes_against_everybody_on_its_lane(demo: Scene):
    interval = next(i for i in ground_truth(demo) if i.kind is AnomalyKind.WRONG_DIRECTION)
    index = round((interval.start_s + interval.end_s) / 2 * demo.fps)
    frame = demo.render(index)
    (label,) = frame.labels
    assert frame.flow is not None
    against = frame.flow[frame.foreground == label.id].mean(axis=0)[0]
    lane = demo._plan.lanes[0].points
    allowed = demo.camera.project(np.array([[*lane[1], 0.0]]))[0] - demo.camera.project(np.array([[*lane[0], 0.0]]))[0]
    assert against * allowed[0, 0] < 0


def test_a_fall_ends_lying_and_still_and_up_again(demo: Scene):
    interval = next(i for i in ground_truth(demo) if i.kind is AnomalyKind.FALL)
    boxes = {}
    for at_s in (interval.start_s, interval.start_s + 1.5, interval.start_s + 2.5, interval.end_s - 0.1):
        (label,) = demo.labels(round(at_s * demo.fps))
        boxes[at_s] = (label.x1 - label.x0) * demo.width / ((label.y1 - label.y0) * demo.height)
    upright, lying, later, up = boxes.values()
    assert lying > 1.2
    assert lying == later
    assert max(upright, up) < 1.0


def test_an_abandoned_object_stays_where_it_was_left_until_it_is_fetched():
    scene = Scene(seed=2, anomalies=[Anomaly(AnomalyKind.ABANDONED_OBJECT, 12.0, 8.0)], layout=Layout.LANES, **SMALL)
    (interval,) = ground_truth(scene)
    assert interval.start_s == pytest.approx(12.0, abs=0.1)
    assert interval.end_s == pytest.approx(20.0, abs=0.1)
    boxes = {scene.labels(round(at_s * scene.fps)) for at_s in (12.5, 15.0, 19.5)}
    assert len(boxes) == 1


@pytest.mark.parametrize("layout", Layout)
def test_anomalies_can_be_staged_in_any_scene(layout: Layout):
    for seed in range(2):
        anomalies = [Anomaly(kind, 5.0 + 12 * k) for k, kind in enumerate(AnomalyKind)]
        scene = Scene(seed=seed, anomalies=anomalies, layout=layout, **SMALL)
        assert {interval.kind for interval in ground_truth(scene)} <= set(AnomalyKind)
