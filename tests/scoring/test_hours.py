"""At what time of day something moves."""

from __future__ import annotations

import numpy as np
import pytest

from vad.errors import CalibrationError
from vad.scoring.hours import BINS, MOVES, QUIET_S, Hours
from vad.scoring.tuning import DAY_S

MIDNIGHT = 19_675 * DAY_S
"""Of a day, UTC; the first that is watched."""

HOUR_S = 3600.0
STEP_S = 60.0


def watch(hours: Hours, *, from_h: float, to_h: float, share: float = 0.0) -> None:
    """Watch from that hour after the first midnight to that one; in ``share`` of the time something moves.

    Where that is most of the time, no pause is long enough to count as quiet.
    """
    for k in range(round((to_h - from_h) * HOUR_S / STEP_S)):
        at_s = MIDNIGHT + from_h * HOUR_S + k * STEP_S
        hours.learn(at_s, moves=True, quiet=False, dt_s=share * STEP_S)
        hours.learn(at_s, moves=False, quiet=share < 0.5, dt_s=(1.0 - share) * STEP_S)


def value(hours: Hours, hour: float, *, quiet: bool = False) -> float:
    """Of something that moves then, or of nothing that does."""
    return hours.value(MIDNIGHT + hour * HOUR_S, quiet=quiet)


@pytest.fixture(scope="module")
def days() -> Hours:
    """Two days and a night: nothing between 0 and 6 h, busy from 6 to 24 h."""
    hours = Hours()
    for day in range(2):
        watch(hours, from_h=24.0 * day, to_h=24.0 * day + 6.0)
        watch(hours, from_h=24.0 * day + 6.0, to_h=24.0 * day + 24.0, share=0.6)
    return hours


def test_the_first_day_says_nothing():
    hours = Hours()
    for hour in range(23):
        watch(hours, from_h=hour, to_h=hour + 1.0)
        assert value(hours, hour + 0.5) == value(hours, hour + 0.5, quiet=True) == 0.0


def test_what_is_unusual_at_three_in_the_night_is_not_at_noon(days):
    assert value(days, 48.0 + 3.0) > 3.0
    assert value(days, 48.0 + 12.0) < 0.3


def test_a_time_of_day_that_was_watched_for_too_short_says_nothing():
    hours = Hours()
    watch(hours, from_h=3.0, to_h=3.2)
    watch(hours, from_h=12.0, to_h=20.0)
    assert value(hours, 27.1) == 0.0
    longer = Hours()
    watch(longer, from_h=3.0, to_h=4.0)
    watch(longer, from_h=12.0, to_h=20.0)
    assert value(longer, 27.5) > 3.0


def test_the_quiet_before_midnight_counts_after_it():
    hours = Hours()
    watch(hours, from_h=23.0, to_h=24.0)
    watch(hours, from_h=34.0, to_h=44.0)
    assert value(hours, 48.2) > 3.0  # the first bin of the day; its neighbour is the last one
    assert value(hours, 47.9) > 3.0
    assert value(hours, 49.2) == 0.0  # nobody ever looked at that hour


def test_what_comes_every_night_becomes_usual(days):
    hours = Hours()
    hours.restore(days.state())
    before = value(hours, 48.0 + 3.0)
    for day in range(2, 5):
        watch(hours, from_h=24.0 * day, to_h=24.0 * day + 6.0, share=0.1)
        watch(hours, from_h=24.0 * day + 6.0, to_h=24.0 * day + 24.0, share=0.6)
    assert value(hours, 24.0 * 5 + 3.0) < before - 1.5


def test_what_was_seen_long_ago_counts_less_and_less(days):
    hours = Hours()
    hours.restore(days.state())
    for day in range(2, 60):  # the shop has closed: nothing moves at noon either
        watch(hours, from_h=24.0 * day, to_h=24.0 * day + 24.0)
    assert value(hours, 24.0 * 60 + 12.0) > 1.5


def test_the_last_half_day_does_not_count_yet(days):
    hours = Hours()
    hours.restore(days.state())
    before = value(hours, 48.0 + 3.0)
    watch(hours, from_h=50.0, to_h=54.0, share=1.0)  # a burglar is at it for hours: he does not make himself usual
    assert value(hours, 54.0 - 0.01) == pytest.approx(value(days, 54.0 - 0.01))
    assert value(hours, 48.0 + 3.0) == before


def test_nothing_that_moves_is_unusual_at_a_busy_hour_and_not_in_the_night(days):
    assert value(days, 48.0 + 12.0, quiet=True) > 3.0
    assert value(days, 48.0 + 3.0, quiet=True) < 0.3


def test_the_value_is_painted_where_enough_of_a_cell_moves(days):
    activity = np.array([[0.0, 0.9 * MOVES, MOVES], [1.0, 0.0, 0.0]], np.float32)
    out = np.full(activity.shape, 7.0, np.float32)
    days.step(activity, MIDNIGHT + 51.0 * HOUR_S, dt_s=0.1, out=out)
    high = np.float32(value(days, 51.0))
    assert np.array_equal(out, np.array([[0.0, 0.0, high], [high, 0.0, 0.0]], np.float32))


def test_a_pause_counts_as_quiet_once_it_is_long_enough(days):
    hours, noon_s = Hours(), MIDNIGHT + 60.0 * HOUR_S
    hours.restore(days.state())
    out, busy, little = np.full((2, 3), 7.0, np.float32), np.ones((2, 3), np.float32), np.full((2, 3), 0.1, np.float32)
    hours.step(busy, noon_s, dt_s=1.0, out=out)
    for k in range(1, 60):
        hours.step(None if k % 2 else little, noon_s, dt_s=1.0, out=out)
        assert hours.is_quiet == (k >= QUIET_S)
        assert np.array_equal(out, np.full((2, 3), value(hours, 60.0, quiet=True) if k >= QUIET_S else 0.0, "f4"))
    hours.step(busy, noon_s, dt_s=1.0, out=out)
    assert not hours.is_quiet
    assert out.max() < 0.3
    for _ in range(30):
        hours.step(None, noon_s, dt_s=1.0, out=out)
    hours.begin_run()  # nobody knows what was in between
    hours.step(None, noon_s, dt_s=1.0, out=out)
    assert not hours.is_quiet
    assert not out.any()


def test_asking_changes_nothing(days):
    before = {name: array.copy() for name, array in days.state().items()}
    for hour in range(48, 72):
        value(days, hour)
    assert all(np.array_equal(array, before[name]) for name, array in days.state().items())


def test_the_day_has_its_bins_and_they_wrap():
    assert [Hours.bin_of(MIDNIGHT + hour * HOUR_S) for hour in (0.0, 0.5, 23.9, 24.0)] == [0, 1, BINS - 1, 0]


def test_hours_are_saved_and_restored_and_those_of_another_shape_are_refused(days):
    other = Hours()
    other.restore({name: array.copy() for name, array in days.state().items()})
    for hour in range(48, 72):
        assert value(other, hour) == value(days, hour)
    with pytest.raises(CalibrationError, match="before"):
        other.restore({**days.state(), "before": np.zeros((3, BINS + 1))})
