"""What the segmentation network adds to objects: how far they reach, and neither new objects nor one out of two."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from tests.scoring.objects_pictures import film
from vad.scoring.objects import background as bg
from vad.scoring.objects import blobs as bl
from vad.scoring.objects import components as cc
from vad.scoring.objects.layer import ObjectLayer
from vad.types import CELL_PX

SHAPE = (96, 160)
Box = tuple[int, int, int, int]  # top, bottom, left, right


def pixels(*boxes: Box) -> np.ndarray:
    out = np.zeros(SHAPE, np.uint8)
    for top, bottom, left, right in boxes:
        out[top:bottom, left:right] = 1
    return out


def added(parts: list[Box], what: Box) -> np.ndarray:
    """The mask after ``what`` was to be added to ``parts``."""
    mask, labels = pixels(*parts), np.zeros(SHAPE, np.int32)
    count = cc.components(mask, 1, labels)
    boxes = cc.boxes_of(labels, count)
    bl.extend(labels, boxes, pixels(what) & (1 - mask), bl.BRIDGE, mask)
    return mask


HEAD, SHOES = (10, 20, 60, 70), (34, 38, 60, 70)


def test_head_and_shoes_are_joined_by_trousers() -> None:
    np.testing.assert_array_equal(added([HEAD, SHOES], (20, 34, 60, 70)), pixels((10, 38, 60, 70)))


def test_two_walkers_stay_two() -> None:
    walkers = [(10, 38, 60, 68), (10, 38, 74, 82)]
    mask = added(walkers, (14, 30, 68, 74))
    assert cc.components(mask, 8, np.zeros(SHAPE, np.int32)) == 3
    np.testing.assert_array_equal(mask, pixels(*walkers, (14, 30, 68, 70), (14, 30, 72, 74)))


def test_two_who_are_far_apart_stay_two_as_well() -> None:
    mask = added([(10, 38, 40, 48), (10, 38, 88, 96)], (14, 30, 48, 88))
    assert cc.components(mask, 8, np.zeros(SHAPE, np.int32)) == 3


def test_what_touches_nobody_is_added_for_now() -> None:
    np.testing.assert_array_equal(added([HEAD], (60, 70, 20, 30)), pixels(HEAD, (60, 70, 20, 30)))


ESTABLISHED = bg.SURE


@pytest.mark.parametrize(
    ("flags", "activity", "is_kept"),
    [
        (ESTABLISHED, 0.0, True),
        (0, 1.0, False),  # the background is not established
        (ESTABLISHED | bg.UNCOVERED, 1.0, False),  # it shows again
        (ESTABLISHED | bg.FAR | bg.SHADOW, 0.0, False),
        (ESTABLISHED | bg.FAR | bg.SHADOW, 1.0, True),  # what is dark and moves
    ],
)
def test_where_the_network_is_asked(flags: int, activity: float, is_kept: bool) -> None:
    says, mask = pixels((0, 40, 0, 40)), pixels((0, 20, 0, 40))
    cells = np.full((12, 20), activity, np.float32)
    bg.keep_added(np.full(SHAPE, flags, np.uint8), cells, CELL_PX, 0.4, mask, says)
    np.testing.assert_array_equal(says, pixels((20, 40, 0, 40)) if is_kept else pixels())


def test_a_part_needs_some_foreground_or_movement() -> None:
    labels = np.zeros(SHAPE, np.int32)
    mask = pixels((0, 16, 0, 16), (32, 48, 0, 16), (64, 80, 0, 16))
    assert cc.components(mask, 8, labels) == 4
    cells = np.zeros((12, 20), np.float32)
    cells[8, :2] = 1.0  # the third one moves
    found = bg.unsupported(labels, 4, pixels((32, 36, 0, 16)), cells, CELL_PX, 0.4, 0.15)
    assert found.tolist() == [False, True, False, False]


def test_a_layer_can_be_copied_and_pickled() -> None:
    """Evaluation copies a calibrated scorer for each clip, and benchmarks keep one in a checkpoint."""
    layer = ObjectLayer(12, 20)
    for cells in film([[]] * 12):
        layer.step(cells)
    assert copy.deepcopy(layer).tracks == pickle.loads(pickle.dumps(layer)).tracks == layer.tracks
