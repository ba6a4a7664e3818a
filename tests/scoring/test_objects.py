"""The object layer as a whole: hand-made pictures with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.objects_pictures import film, lowering, standing, walking
from vad.scoring.objects.layer import ObjectLayer

FALLEN = 0.42
"""What a fall must reach and nothing else may."""


def falls_of(shapes, **options) -> np.ndarray:
    layer = ObjectLayer(12, 20)
    return np.array([layer.step(cells).fall.max() for cells in film([[shape] for shape in shapes], **options)])


def fall_at(x: float) -> list:
    return lowering(8, x=x, to=66.0, wide=50.0)


def test_who_falls_after_a_walk_is_found_within_a_second_and_a_half():
    shapes = walking(30) + fall_at(68.0) + [fall_at(68.0)[-1]] * 10
    falls = falls_of(shapes)
    assert falls[:30].max() < 0.1
    assert falls[30:45].max() > FALLEN


def test_a_fall_in_the_second_second_of_a_run_is_found():
    shapes = standing(5) + walking(8, x=70.0) + fall_at(84.0) + [fall_at(84.0)[-1]] * 10
    assert falls_of(shapes).max() > FALLEN


@pytest.mark.parametrize("to", [36.0, 44.0])
def test_sitting_down_and_bending_are_no_fall(to):
    down = lowering(10, x=68.0, to=to, wide=26.0)
    assert falls_of(walking(30) + down + [down[-1]] * 10 + down[::-1]).max() < FALLEN


def test_walking_out_below_is_no_fall():
    shapes = [(10.0 + 2.5 * t, 60.0 + 2.5 * t, 60.0, 78.0) for t in range(40)]
    assert falls_of(shapes).max() < FALLEN


def test_walking_away_is_no_fall():
    shapes = [(20.0 + 0.3 * t, 90.0 - 1.0 * t, 60.0, 80.0 - 0.3 * t) for t in range(45)]
    assert falls_of(shapes).max() < FALLEN
