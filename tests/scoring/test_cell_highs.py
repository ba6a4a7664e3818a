"""What a place has seen three times is normal there, and nowhere else."""

import numpy as np

from vad.scoring.cell_highs import ORDINARY, CellHighs

ROWS, COLUMNS = 6, 8


def passage(highs: CellHighs, *, ratio: float, row: int, column: int, seconds: float = 1.0) -> None:
    """Something of that ratio is in one cell for a while; then nothing is, for longer than a passage lasts."""
    there, empty = np.zeros((2, 1, ROWS, COLUMNS), np.float32)
    there[0, row, column] = ratio
    for _ in range(int(seconds / 0.2)):
        highs.learn(there, dt_s=0.2)
    for _ in range(20):
        highs.learn(empty, dt_s=0.2)


def relative(highs: CellHighs, ratio: float) -> np.ndarray:
    maps = np.full((1, ROWS, COLUMNS), ratio, np.float32)
    highs.apply(maps)
    return maps[0]


def test_two_passages_are_no_habit_and_three_are():
    highs = CellHighs(1, ROWS, COLUMNS)
    for _ in range(2):
        passage(highs, ratio=3.0, row=2, column=2)
    assert (relative(highs, 3.0) == 3.0).all()
    passage(highs, ratio=3.0, row=2, column=2)
    now = relative(highs, 3.0)
    assert np.isclose(now[2, 2], ORDINARY, atol=1e-3)
    assert np.isclose(now[1, 3], ORDINARY, atol=1e-3)  # its neighbours: a path is wider than a cell
    assert now[5, 7] == 3.0


def test_one_long_passage_counts_once():
    highs = CellHighs(1, ROWS, COLUMNS)
    passage(highs, ratio=3.0, row=2, column=2, seconds=60.0)
    assert (relative(highs, 3.0) == 3.0).all()


def test_the_third_highest_is_what_a_place_is_used_to():
    highs = CellHighs(1, ROWS, COLUMNS)
    for ratio in (1.5, 4.0, 2.0, 1.2):
        passage(highs, ratio=ratio, row=2, column=2)
    assert np.isclose(relative(highs, 3.0)[2, 2], 3.0 * ORDINARY / 1.5, atol=1e-2)


def test_what_is_ordinary_changes_nothing():
    highs = CellHighs(1, ROWS, COLUMNS)
    for ratio in (0.5, 0.5, 0.5, 1.2, 1.2, 1.2):
        passage(highs, ratio=ratio, row=2, column=2)
    assert (relative(highs, 0.8) == np.float32(0.8)).all()


def test_a_restart_keeps_the_highs_and_forgets_the_open_passage():
    highs, other = CellHighs(1, ROWS, COLUMNS), CellHighs(1, ROWS, COLUMNS)
    for _ in range(3):
        passage(highs, ratio=3.0, row=2, column=2)
    other.restore(highs.state())
    assert np.array_equal(relative(highs, 3.0), relative(other, 3.0))
