"""What an operator gets at the budget's threshold."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.judging import judged
from vad.evaluation.measures import Undefined
from vad.evaluation.operating_point import operating_point


def test_precision_recall_and_f1_over_all_frames() -> None:
    first = judged([0, 0, 1, 1, 1], [0.0, 6.0, 6.0, 7.0, 4.0])
    second = judged([0, 1], [1.0, 5.0], name="b")  # at the threshold is not above it
    point = operating_point([first, second])
    assert point.precision == pytest.approx(2.0 / 3.0)
    assert point.recall == pytest.approx(2.0 / 4.0)
    assert point.f1 == pytest.approx(2.0 * 2.0 / (3.0 + 4.0))


def test_delay_runs_from_the_first_abnormal_frame_to_the_event() -> None:
    labels = [0] * 50 + [1] * 50 + [0] * 50 + [1] * 30
    point = operating_point([judged(labels, opened=[63, 151])])
    assert [(s.first, s.last, s.delay_s) for s in point.stretches] == [
        (50, 100, pytest.approx(1.3)),
        (150, 180, pytest.approx(0.1)),
    ]
    assert point.events_caught == 2
    assert point.median_delay_s == pytest.approx(0.7)
    assert point.false_alarms == 0


def test_only_the_first_event_of_a_stretch_counts_for_its_delay_and_none_is_a_false_alarm() -> None:
    point = operating_point([judged([1] * 100, opened=[70, 20, 40])])
    assert (point.events_caught, point.false_alarms, point.median_delay_s) == (1, 0, 2.0)


def test_an_event_within_a_second_of_the_border_belongs_to_the_stretch() -> None:
    labels = [0] * 50 + [1] * 20 + [0] * 50
    assert operating_point([judged(labels, opened=[40])]).median_delay_s == 0.0
    assert operating_point([judged(labels, opened=[79])]).median_delay_s == pytest.approx(2.9)
    for frame in (39, 80):
        point = operating_point([judged(labels, opened=[frame])])
        assert (point.events_caught, point.false_alarms) == (0, 1)
        assert isinstance(point.median_delay_s, Undefined)


def test_an_alarm_that_never_ends_catches_nothing_that_begins_later() -> None:
    point = operating_point([judged([0] * 60 + [1] * 60, np.full(120, 9.0), opened=[3])])
    assert (point.events_caught, len(point.stretches), point.false_alarms) == (0, 1, 1)


def test_an_event_between_two_stretches_belongs_to_the_nearer_alone() -> None:
    labels = [1] * 10 + [0] * 10 + [1] * 10
    point = operating_point([judged(labels, opened=[16])])
    assert [stretch.delay_s for stretch in point.stretches] == [None, 0.0]


def test_false_alarms_are_counted_over_hours_of_normal_footage() -> None:
    quiet = judged([0] * 18000, opened=[100, 9000, 12000])
    busy = judged([1] * 36000, name="b")  # does not dilute the rate
    point = operating_point([quiet, busy])
    assert point.normal_hours == pytest.approx(0.5)
    assert point.false_alarms_per_hour == pytest.approx(6.0)


def test_all_normal_footage_still_has_false_alarms_and_says_what_has_no_meaning() -> None:
    point = operating_point([judged([0] * 100, opened=[50])])
    assert point.false_alarms == 1
    assert isinstance(point.recall, Undefined)
    assert isinstance(point.f1, Undefined)
    assert isinstance(point.precision, Undefined)
    assert isinstance(point.median_delay_s, Undefined)


def test_all_abnormal_footage_has_no_false_alarm_rate() -> None:
    assert isinstance(operating_point([judged([1] * 100)]).false_alarms_per_hour, Undefined)
