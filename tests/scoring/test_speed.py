"""What is fast in a row: not what a belt makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.objects_pictures import film
from vad.scoring.evidence import Speed
from vad.scoring.tuning import TUNING
from vad.types import CellMap

BELT, AISLE = 6, 9
"""Rows of cells."""

SLOW, WALKING = 4.0, 30.0  # px/s


def cells_of(rows: dict[int, float]) -> CellMap:
    """Something moves along the whole of each row, so many px/s."""
    (cells,) = film([[]])
    for row, speed in rows.items():
        cells.flow[0, row], cells.activity[row] = speed, 1.0
    return cells


def belt() -> np.ndarray:
    cells = np.zeros((12, 20), np.float32)
    cells[BELT] = 1.0
    return cells


def learn(speed: Speed, rows: dict[int, float], seconds: float, crawls: np.ndarray | None = None) -> None:
    cells = cells_of(rows)
    for _ in range(round(seconds / 0.2)):
        speed.learn(cells, dt_s=0.2, crawls=crawls)


def test_a_row_that_was_never_passed_is_no_slower_than_cameras_are() -> None:
    speed = Speed(12, 20)
    learn(speed, {BELT: SLOW}, 300.0)
    assert speed.fast[BELT] < 1.5 * SLOW
    assert speed.fast[AISLE] >= 0.9 * TUNING.speed_prior


def test_who_passes_a_known_belt_is_measured_by_those_who_pass() -> None:
    speed = Speed(12, 20)
    learn(speed, {BELT: SLOW}, 300.0)
    learn(speed, {BELT: SLOW}, 600.0, belt())
    learn(speed, {BELT: SLOW, AISLE: WALKING}, 20.0, belt())
    assert WALKING / speed.fast[AISLE] < 1.2
    assert WALKING / speed.fast[BELT] < 1.6


def test_a_belt_is_left_out_once_and_for_all() -> None:
    speed = Speed(12, 20)
    learn(speed, {AISLE: WALKING}, 20.0, belt())
    other = Speed(12, 20)
    other.restore(speed.state())
    learn(other, {AISLE: WALKING}, 1.0, belt())
    assert other.fast == pytest.approx(speed.fast, rel=0.1)
    assert other.fast[AISLE] > 0.8 * WALKING
