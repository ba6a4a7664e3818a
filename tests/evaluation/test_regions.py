"""Boxes and tracks from pixel masks; RBDC and TBDC against hand-drawn cases and a slow definition."""

from __future__ import annotations

import numpy as np
import pytest

from vad.evaluation.measures import Undefined
from vad.evaluation.regions import ALPHA, BETA, Reported, Truth, overlaps, region_and_track_detection, truth_of

HERE = (0.0, 0.0, 0.2, 0.2)
THERE = (0.5, 0.5, 0.7, 0.7)


def said(*entries: tuple[tuple[float, float, float, float], float]) -> Reported:
    return Reported(np.array([box for box, _ in entries]).reshape(-1, 4), np.array([score for _, score in entries]))


def true(*entries: tuple[tuple[float, float, float, float], int]) -> Truth:
    return Truth(np.array([box for box, _ in entries]).reshape(-1, 4), tuple(track for _, track in entries))


def masks_of(*frames: tuple[tuple[int, int, int, int], ...]) -> np.ndarray:
    """(F, 10, 20), each frame with rectangles x0, y0, x1, y1."""
    masks = np.zeros((len(frames), 10, 20), bool)
    for mask, boxes in zip(masks, frames, strict=True):
        for x0, y0, x1, y1 in boxes:
            mask[y0:y1, x0:x1] = True
    return masks


def test_boxes_are_half_open_fractions_of_the_picture() -> None:
    (frame,) = truth_of(masks_of(((2, 1, 6, 4), (10, 5, 20, 10))))
    assert frame.boxes.tolist() == [[0.1, 0.1, 0.3, 0.4], [0.5, 0.5, 1.0, 1.0]]
    assert frame.tracks == (0, 1)


def test_diagonal_neighbours_are_one_region() -> None:
    assert len(truth_of(masks_of(((0, 0, 2, 2), (2, 2, 4, 4))))[0].tracks) == 1


def test_a_track_follows_what_overlaps_and_ends_at_a_gap() -> None:
    frames = truth_of(masks_of(((0, 0, 4, 4),), ((1, 0, 5, 4), (10, 0, 14, 4)), ((2, 0, 6, 4),), (), ((2, 0, 6, 4),)))
    assert [frame.tracks for frame in frames] == [(0,), (0, 1), (0,), (), (2,)]


def test_of_two_that_split_the_larger_keeps_the_track() -> None:
    frames = truth_of(masks_of(((0, 0, 10, 4),), ((0, 0, 3, 4), (5, 0, 10, 4))))
    assert frames[1].tracks == (1, 0)


def test_of_two_that_merge_the_larger_track_goes_on() -> None:
    frames = truth_of(masks_of(((0, 0, 3, 4), (5, 0, 10, 4)), ((0, 0, 10, 4),), ((0, 0, 3, 4),)))
    assert [frame.tracks for frame in frames] == [(0, 1), (1,), (1,)]


def test_overlap_is_intersection_over_union() -> None:
    a = np.array([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    b = np.array([[1.0, 1.0, 3.0, 3.0], [2.0, 0.0, 3.0, 1.0]])  # the second touches
    assert overlaps(a, b) == pytest.approx(np.array([[1.0 / 7.0, 0.0], [0.0, 0.0]]))
    assert overlaps(a, np.zeros((0, 4))).shape == (2, 0)
    assert overlaps(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0.0]]


def test_everything_found_without_a_false_positive_is_one() -> None:
    rbdc, tbdc = region_and_track_detection([[said((HERE, 3.0)), said()]], [[true((HERE, 0)), true()]])
    assert (rbdc, tbdc) == (1.0, 1.0)


def test_nothing_found_is_zero() -> None:
    assert region_and_track_detection([[said((THERE, 3.0))]], [[true((HERE, 0))]]) == (0.0, 0.0)
    assert region_and_track_detection([[said()]], [[true((HERE, 0))]]) == (0.0, 0.0)


def test_a_find_below_half_a_false_positive_a_frame_earns_the_area_beyond() -> None:
    # threshold 5: one false positive in two frames (0.5), nothing found; threshold 4: all found
    reported = [[said((THERE, 5.0)), said((HERE, 4.0))]]
    rbdc, tbdc = region_and_track_detection(reported, [[true(), true((HERE, 0))]])
    assert rbdc == tbdc == pytest.approx(0.5)


def test_false_positives_beyond_one_a_frame_are_cut_between_two_points() -> None:
    far = [(0.0, y, 0.1, y + 0.1) for y in (0.5, 0.7)]
    # (0, 0) at 9; two at once at 8 with the find: the line from (0, 0) to (2, 1) is cut at 1: area 0.25
    reported = [[said((far[0], 8.0), (far[1], 8.0), (HERE, 8.0))]]
    rbdc, _ = region_and_track_detection(reported, [[true((HERE, 0))]])
    assert rbdc == pytest.approx(0.25)


def test_a_tenth_of_a_track_is_enough_for_the_track() -> None:
    frames = 20
    truth = [[true((HERE, 0)) for _ in range(frames)]]
    two = [[said((HERE, 5.0)) if index in (3, 9) else said() for index in range(frames)]]
    one = [[said((HERE, 5.0)) if index == 3 else said() for index in range(frames)]]
    assert region_and_track_detection(two, truth) == (pytest.approx(0.1), 1.0)
    assert region_and_track_detection(one, truth) == (pytest.approx(0.05), 0.0)


def test_tracks_of_two_clips_are_two() -> None:
    truth = [[true((HERE, 0))], [true((HERE, 0))]]
    assert region_and_track_detection([[said((HERE, 1.0))], [said()]], truth) == (0.5, 0.5)


def test_without_any_abnormal_region_there_is_no_measure() -> None:
    rbdc, tbdc = region_and_track_detection([[said((HERE, 1.0))]], [[true()]])
    assert isinstance(rbdc, Undefined)
    assert isinstance(tbdc, Undefined)


def by_definition(reported: list[list[Reported]], truth: list[list[Truth]]) -> tuple[float, float]:
    """Each threshold on its own, counted plainly, then the trapezoids up to one false positive a frame."""
    scores = sorted({float(s) for clip in reported for frame in clip for s in frame.scores}, reverse=True)
    frames = sum(len(clip) for clip in reported)
    points = [(0.0, 0.0, 0.0)]
    for threshold in scores:
        false, found, regions, tracks, caught = 0, 0, 0, 0, 0
        for clip_reported, clip_truth in zip(reported, truth, strict=True):
            of_track: dict[int, list[bool]] = {}
            for frame, there in zip(clip_reported, clip_truth, strict=True):
                boxes = [box for box, score in zip(frame.boxes, frame.scores, strict=True) if score >= threshold]
                for box in boxes:
                    false += all(overlaps(box[None], t[None])[0, 0] < BETA for t in there.boxes)
                for box, track in zip(there.boxes, there.tracks, strict=True):
                    hit = any(overlaps(b[None], box[None])[0, 0] >= BETA for b in boxes)
                    of_track.setdefault(track, []).append(hit)
            regions += sum(len(hits) for hits in of_track.values())
            found += sum(sum(hits) for hits in of_track.values())
            tracks += len(of_track)
            caught += sum(sum(hits) >= ALPHA * len(hits) for hits in of_track.values())
        points.append((false / frames, found / regions, caught / tracks))
    areas = []
    for column in (1, 2):
        area = 0.0
        for before, after in zip(points, [*points[1:], (max(1.0, points[-1][0]), *points[-1][1:])], strict=True):
            if before[0] >= 1.0 or after[0] == before[0]:
                continue
            end = min(1.0, after[0])
            at_end = before[column] + (after[column] - before[column]) * (end - before[0]) / (after[0] - before[0])
            area += (end - before[0]) * (before[column] + at_end) / 2.0
        areas.append(area)
    return areas[0], areas[1]


@pytest.mark.parametrize("seed", range(8))
def test_the_criteria_agree_with_their_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def box() -> tuple[float, float, float, float]:
        x, y, w, h = rng.uniform(0.0, 0.7, 4) * (1.0, 1.0, 0.4, 0.4) + (0.0, 0.0, 0.05, 0.05)
        return (float(x), float(y), float(x + w), float(y + h))

    truth = [
        [true(*((box(), int(rng.integers(3))) for _ in range(rng.integers(0, 3)))) for _ in range(15)] for _ in "ab"
    ]
    reported = []
    for clip in truth:
        near = [[tuple(b + rng.normal(0.0, 0.02, 4)) for b in t.boxes if rng.random() < 0.6] for t in clip]
        wild = [[box() for _ in range(rng.poisson(0.9))] for _ in clip]
        reported.append(
            [said(*((b, float(rng.integers(1, 6))) for b in n + w)) for n, w in zip(near, wild, strict=True)]
        )
    rbdc, tbdc = region_and_track_detection(reported, truth)
    slow_rbdc, slow_tbdc = by_definition(reported, truth)
    assert rbdc == pytest.approx(slow_rbdc)
    assert tbdc == pytest.approx(slow_tbdc)
    assert 0.0 < slow_rbdc < 1.0
