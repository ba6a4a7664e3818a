"""Somebody whose middle cannot be seen stays one object; two who part do not."""

from __future__ import annotations

import numpy as np

from tests.scoring.objects_pictures import Shape, film
from vad.scoring.objects.layer import ObjectLayer, TrackedObject

NOBODY: Shape = (-40.0, -30.0, 0.0, 1.0)
SPEED = 1.5


def seen(shapes: list[list[Shape]]) -> list[list[TrackedObject]]:
    """The objects of each frame that were seen in it, after ten seconds of an empty scene."""
    layer = ObjectLayer(12, 20)
    nobody = [[NOBODY] * len(shapes[0])] * 100
    frames = [layer.step(cells) for cells in film(nobody + shapes)]
    return [[track for track in frame.tracks if track.gap_s == 0.0] for frame in frames[100:]]


def test_trunk_and_shoes_are_one_while_the_legs_cannot_be_seen():
    shapes = []
    for t in range(60):
        x = 10.0 + SPEED * t
        legs = (44.0, 74.0, x, x + 14.0) if t < 20 else NOBODY
        shapes.append([(20.0, 44.0, x, x + 16.0), legs, (74.0, 82.0, x, x + 14.0)])
    objects = seen(shapes)
    assert [len(frame) for frame in objects[12:]] == [1] * 48
    assert len({frame[0].id for frame in objects[12:]}) == 1
    assert all(frame[0].bottom - frame[0].top > 55.0 for frame in objects[12:])


def test_trunk_and_shoes_that_never_were_one_are_two():
    shapes = []
    for t in range(40):
        x = 10.0 + SPEED * t
        shapes.append([(20.0, 44.0, x, x + 16.0), (74.0, 82.0, x, x + 14.0)])
    assert {len(frame) for frame in seen(shapes)[12:]} == {2}


def test_a_head_that_comes_down_takes_the_top_of_the_whole_with_it():
    shapes = []
    for t in range(50):
        fallen = min(1.0, max(0.0, (t - 30) / 6.0))
        top = 20.0 + 40.0 * fallen
        legs = (44.0, 74.0, 60.0, 74.0) if t < 20 else NOBODY
        shapes.append([(top, top + 20.0, 58.0, 76.0), legs, (74.0, 82.0, 60.0, 74.0)])
    objects = seen(shapes)
    assert {len(frame) for frame in objects[25:]} == {1}
    assert objects[-1][0].top > 52.0
    assert objects[-1][0].bottom > 79.0


def test_two_who_walked_side_by_side_and_part_are_two():
    shapes = []
    for t in range(60):
        x, apart = 30.0 + 1.0 * t, max(0.0, 1.5 * (t - 25))
        shapes.append([(40.0, 80.0, x, x + 12.0), (40.0, 80.0, x + 13.0 + apart, x + 25.0 + apart)])
    objects = seen(shapes)
    assert len(objects[20]) == 1
    assert len(objects[-1]) == 2


def test_one_who_comes_out_from_behind_another_is_one_of_his_own():
    shapes = []
    for t in range(60):
        x = 40.0 + 1.0 * t
        up = min(30.0, max(0.0, 1.5 * (t - 25)))
        shapes.append([(44.0, 80.0, x, x + 14.0), (40.0 - up, 76.0 - up, x + 1.0, x + 13.0)])
    objects = seen(shapes)
    heights = [max(track.bottom - track.top for track in frame) for frame in objects[20:]]
    assert np.max(heights) < 72.0
