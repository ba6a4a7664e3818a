"""What may be raised: the budget, and a bar that rises with what was."""

import numpy as np
import pytest

from vad.errors import CalibrationError
from vad.scoring.raise_control import RaiseControl
from vad.scoring.tuning import DAY_S, TUNING

BUDGET_PER_S = 2.0 / DAY_S
OLD_S = 10 * DAY_S


def test_the_bar_is_down_until_something_is_raised_and_comes_down_as_the_budget_allows():
    control = RaiseControl()
    assert control.lift == 0.0
    control.raised()
    assert control.lift == pytest.approx(0.5)
    control.step(budget_per_s=BUDGET_PER_S, learnt_s=OLD_S, dt_s=DAY_S / 4.0)
    assert 0.0 < control.lift < 0.5
    control.step(budget_per_s=BUDGET_PER_S, learnt_s=OLD_S, dt_s=DAY_S / 4.0)
    assert control.lift == 0.0


def test_each_further_incident_lifts_more_but_not_without_end():
    control, lifts = RaiseControl(), []
    for _ in range(12):
        control.raised()
        lifts.append(control.lift)
    steps = np.diff(lifts)
    assert (steps >= 0.0).all()
    assert steps[1] > steps[0]
    assert lifts[-1] == TUNING.most_lift


@pytest.mark.parametrize("score", [6.0, 9.0, 12.0])
def test_what_recurs_all_day_is_raised_at_the_budget_and_at_least_daily(score):
    """An act of that score each 96 s, for a simulated week, against a threshold of 5.5."""
    control, raised_at_s = RaiseControl(), []
    for k in range(int(7 * DAY_S / 96.0)):
        control.step(budget_per_s=BUDGET_PER_S, learnt_s=OLD_S, dt_s=96.0)
        if score > 5.5 + control.lift:
            control.raised()
            raised_at_s.append(96.0 * k)
    days = np.histogram(raised_at_s, bins=7, range=(0.0, 7 * DAY_S))[0]
    assert (days >= 1).all()
    assert (days[1:] <= 4).all()
    assert days[0] <= 8


def test_little_knowledge_is_worth_one_incident_more_in_all():
    seconds = np.arange(0.0, 10 * DAY_S, 10.0)
    allowed = sum(RaiseControl.allowed_per_s(BUDGET_PER_S, learnt_s=s) * 10.0 for s in seconds)
    assert allowed == pytest.approx(20.0 + 1.0, abs=0.1)
    assert RaiseControl.allowed_per_s(BUDGET_PER_S, learnt_s=0.0) > 10.0 * BUDGET_PER_S


@pytest.mark.parametrize("budget", [0.01, 1.0, 2.0, 50.0])
def test_what_is_promised_is_allowed_from_the_moment_that_is_said(budget):
    after_s = RaiseControl.promised_after_s(budget / DAY_S, learnt_s=0.0)
    then = RaiseControl.allowed_per_s(budget / DAY_S, learnt_s=after_s) * DAY_S
    assert then == pytest.approx(1.5 * budget)
    assert RaiseControl.promised_after_s(budget / DAY_S, learnt_s=0.25 * after_s) == pytest.approx(0.75 * after_s)
    assert RaiseControl.promised_after_s(budget / DAY_S, learnt_s=after_s + 1.0) == 0.0


def test_a_large_budget_is_kept_from_the_start():
    assert RaiseControl.promised_after_s(1440.0 / DAY_S, learnt_s=0.0) == 0.0


def test_a_large_budget_is_not_cut_off_by_a_few_incidents():
    lifts = {}
    for budget in (2.0, 200.0):
        control = RaiseControl()
        control.step(budget_per_s=budget / DAY_S, learnt_s=OLD_S, dt_s=1.0)
        for _ in range(3):
            control.raised()
        lifts[budget] = control.lift
    assert lifts[2.0] == pytest.approx(3.0)
    assert lifts[200.0] < 0.15


def test_the_bar_survives_a_restart():
    control, other = RaiseControl(), RaiseControl()
    for _ in range(3):
        control.raised()
    other.restore(control.state())
    assert other.lift == control.lift > 0.0
    with pytest.raises(CalibrationError):
        other.restore({})
