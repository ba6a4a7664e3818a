"""What many passages of a place reach is normal there, and nowhere else."""

import numpy as np
import pytest

from vad.scoring.cell_highs import FEWEST, LEVELS, CellHighs

ROWS, COLUMNS = 6, 8


def passage(highs: CellHighs, *, ratio: float, row: int = 2, column: int = 2, seconds: float = 1.0) -> None:
    """Something of that ratio is in one cell for a while; then nothing is, for longer than a passage lasts."""
    there, empty = np.zeros((2, ROWS, COLUMNS), np.float32)
    there[row, column] = ratio
    for _ in range(int(seconds / 0.2)):
        highs.learn(there[None], dt_s=0.2)
    for _ in range(20):
        highs.learn(empty[None], dt_s=0.2)


def relative(highs: CellHighs, ratio: float) -> np.ndarray:
    maps = np.full((1, ROWS, COLUMNS), ratio, np.float32)
    highs.apply(maps)
    return maps[0]


def test_two_passages_are_no_habit_and_three_are():
    highs = CellHighs(1, ROWS, COLUMNS)
    for _ in range(int(FEWEST)):
        passage(highs, ratio=3.1)
    assert (relative(highs, 3.1) == np.float32(3.1)).all()
    passage(highs, ratio=3.1)
    now = relative(highs, 3.1)
    assert LEVELS[0] <= now[2, 2] < LEVELS[0] * 1.25  # about as unusual as what is just fast at that depth
    assert now[1, 3] == now[2, 2]  # its neighbours: a path is wider than a cell
    assert now[5, 7] == np.float32(3.1)


def test_one_long_passage_counts_once():
    highs = CellHighs(1, ROWS, COLUMNS)
    passage(highs, ratio=3.0, seconds=60.0)
    assert (relative(highs, 3.0) == 3.0).all()


@pytest.mark.parametrize(("cars", "usual"), [(3, False), (40, True)])
def test_a_few_of_many_passages_are_not_usual_however_often_they_come(cars, usual):
    highs = CellHighs(1, ROWS, COLUMNS)
    for k in range(200):
        passage(highs, ratio=4.0 if k % 200 < cars else 0.9, seconds=0.4)
    assert (relative(highs, 4.0)[2, 2] < 2.0) == usual


def test_what_is_ordinary_changes_nothing():
    highs = CellHighs(1, ROWS, COLUMNS)
    for ratio in (0.5, 0.5, 0.5, 1.2, 1.2, 1.2):
        passage(highs, ratio=ratio)
    assert (relative(highs, 0.8) == np.float32(0.8)).all()


def test_a_restart_keeps_the_highs_and_forgets_the_open_passage():
    highs, other = CellHighs(1, ROWS, COLUMNS), CellHighs(1, ROWS, COLUMNS)
    for _ in range(3):
        passage(highs, ratio=3.0)
    other.restore(highs.state())
    assert np.array_equal(relative(highs, 3.0), relative(other, 3.0))
