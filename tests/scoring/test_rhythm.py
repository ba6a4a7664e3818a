"""What always moves in a place and does not move now as it does."""

from __future__ import annotations

import numpy as np
import pytest

from vad.errors import CalibrationError
from vad.scoring.rhythm import RHYTHM, Rhythm

ROWS, COLUMNS = 6, 10
BELT = 3
"""The row of cells in which it runs."""

STEP_S = 0.125
SPEED = 8.0  # px/s


def run(rhythm: Rhythm, seconds: float, *, speed: float = SPEED, learn: bool = False, seed: int = 0) -> np.ndarray:
    """(F,) the highest value of each frame of a belt whose parts pass each four seconds."""
    random, out, values = np.random.default_rng(seed), np.zeros((ROWS, COLUMNS), np.float32), []
    for k in range(round(seconds / STEP_S)):
        flow = np.zeros((2, ROWS, COLUMNS), np.float32)
        activity = np.zeros((ROWS, COLUMNS), np.float32)
        if speed:
            parts = 0.5 + 0.5 * np.sin(2.0 * np.pi * (k * STEP_S / 4.0 + np.arange(COLUMNS) / 5.0))
            activity[BELT] = 0.8 * parts
            flow[0, BELT] = speed + random.normal(0.0, 0.5, COLUMNS)
        rhythm.step(flow, activity, dt_s=STEP_S, out=out)
        values.append(float(out.max()))
        if learn:
            rhythm.learn(dt_s=STEP_S)
    return np.array(values)


@pytest.fixture
def known() -> Rhythm:
    rhythm = Rhythm(ROWS, COLUMNS)
    run(rhythm, 600.0, learn=True)
    return rhythm


def test_a_line_that_runs_as_always_is_nothing(known: Rhythm) -> None:
    assert run(known, 60.0, seed=1).max() == 0.0


def test_half_the_speed_for_long_is_an_absence(known: Rhythm) -> None:
    values = run(known, 60.0, speed=0.5 * SPEED)
    assert values[: round(10.0 / STEP_S)].max() < 0.5
    assert values[-1] > 2.0


def test_a_line_that_turned_round_is_told_sooner_than_one_that_slowed_down(known: Rhythm) -> None:
    backwards = run(known, 40.0, speed=-SPEED)
    assert backwards[-1] > 2.0
    assert int(np.argmax(backwards > 1.0)) * STEP_S < 20.0


def test_a_rest_is_a_state_of_its_own_and_so_is_the_way_there_and_back(known: Rhythm) -> None:
    assert run(known, 300.0, speed=0.0).max() < 1.0
    assert run(known, 60.0).max() < 1.0


def test_what_moves_now_this_way_and_now_that_has_no_rhythm() -> None:
    street, random = Rhythm(ROWS, COLUMNS), np.random.default_rng(3)
    for _ in range(60):
        run(street, 10.0, speed=float(random.choice([-1.0, 1.0])) * SPEED, learn=True)
    assert run(street, 60.0, speed=0.5 * SPEED).max() == 0.0


def test_nothing_is_told_before_five_minutes_of_motion() -> None:
    young = Rhythm(ROWS, COLUMNS)
    run(young, RHYTHM.known_s - 30.0, learn=True)
    assert run(young, 60.0, speed=-SPEED).max() == 0.0


def test_a_line_that_always_stood_still_has_no_rhythm() -> None:
    still = Rhythm(ROWS, COLUMNS)
    run(still, 600.0, speed=0.0, learn=True)
    assert run(still, 60.0).max() == 0.0


def test_what_is_usual_is_kept(known: Rhythm) -> None:
    other = Rhythm(ROWS, COLUMNS)
    other.restore(known.state())
    assert run(other, 60.0, speed=0.5 * SPEED)[-1] > 1.5
    with pytest.raises(CalibrationError, match="allowed"):
        Rhythm(ROWS + 1, COLUMNS).restore(known.state())


def test_it_says_where_it_runs_and_that_it_rests(known: Rhythm) -> None:
    run(known, 30.0)
    assert known.cells is not None
    assert known.cells[BELT].all()
    assert known.cells.sum() == COLUMNS
    assert not known.rests
    run(known, 60.0, speed=0.0)
    assert known.cells is not None
    assert known.rests


def test_what_has_no_rhythm_neither_runs_nor_rests() -> None:
    rhythm = Rhythm(ROWS, COLUMNS)
    run(rhythm, 60.0)
    assert rhythm.cells is None


@pytest.mark.parametrize(("speed", "is_slow"), [(8.0, True), (60.0, False)])
def test_a_slow_belt_crawls_and_a_fast_one_does_not(speed: float, is_slow: bool) -> None:
    rhythm = Rhythm(ROWS, COLUMNS)
    run(rhythm, 600.0, speed=speed, learn=True)
    rhythm.begin_run()
    run(rhythm, 0.5, speed=speed)
    assert (rhythm.crawls is not None) is is_slow
    if rhythm.crawls is not None:
        assert rhythm.crawls[BELT].all()
        assert not np.delete(rhythm.crawls, BELT, axis=0).any()
