"""What the benchmark of days counts, on hand-made incidents whose answers are known."""

from __future__ import annotations

import math

import pytest

from benchmarks.days_count import (
    DAY_S,
    NO_CONDITION,
    PERIODS,
    Incident,
    PlantedEvent,
    by_condition,
    by_hour,
    caught,
    caught_by_kind,
    match_incidents,
    poisson_interval,
    pooled,
    rates,
    wilson_interval,
)


def incident(started_s: float, *, opened_s: float | None = None, closed_s: float | None = None, cue: str = "speed"):
    opened_s = started_s if opened_s is None else opened_s
    return Incident(
        started_s=started_s,
        opened_s=opened_s,
        closed_s=opened_s + 2.0 if closed_s is None else closed_s,
        peak_s=opened_s,
        peak=9.0,
        threshold=6.0,
        stage="calibrated",
        reasons=(cue,),
        close_reason="calm",
    )


EVENT = PlantedEvent("fall", 100.0, 110.0)


@pytest.mark.parametrize("at_s", [99.0, 100.0, 105.0, 110.0, 113.0])
def test_an_incident_within_the_grace_of_an_event_has_caught_it(at_s: float):
    matched = match_incidents([incident(at_s)], [EVENT])
    assert matched.found[0].incident is not None
    assert not matched.false


def test_an_incident_that_ended_more_than_a_second_before_an_event_is_a_false_alarm():
    assert len(match_incidents([incident(95.0, closed_s=98.9)], [EVENT]).false) == 1


def test_an_incident_more_than_three_seconds_after_an_event_is_a_false_alarm():
    assert len(match_incidents([incident(113.1)], [EVENT]).false) == 1


def test_an_incident_whose_first_frame_lies_in_the_grace_has_caught_though_it_opened_later():
    found = match_incidents([incident(112.9, opened_s=113.4)], [EVENT]).found[0]
    assert found.delay_s == pytest.approx(13.4)


def test_an_incident_that_lasted_into_an_event_neither_caught_it_nor_was_false():
    matched = match_incidents([incident(50.0, closed_s=100.0)], [EVENT])
    assert matched.ran_into
    assert not matched.false
    assert matched.found[0].incident is None


def test_the_first_incident_of_an_event_gives_the_delay_and_none_of_them_is_false():
    matched = match_incidents([incident(102.0), incident(108.0)], [EVENT])
    assert matched.found[0].delay_s == 2.0
    assert not matched.false


def test_an_incident_in_the_grace_before_an_event_has_no_delay():
    assert match_incidents([incident(99.5)], [EVENT]).found[0].delay_s == 0.0


def test_one_incident_may_catch_two_events():
    matched = match_incidents([incident(105.0)], [EVENT, PlantedEvent("theft", 104.0, 120.0)])
    assert all(found.incident for found in matched.found)


def test_false_alarms_are_split_by_the_camera_s_age():
    started_s = 8 * 3600.0
    ages = [0.0, 59.9, 60.0, 3599.0, 3600.0, DAY_S - 1.0, DAY_S, 2.5 * DAY_S]
    table = rates([started_s + age for age in ages], started_s=started_s, seconds=3 * DAY_S, budget=2.0)
    assert [row.raised for row in table] == [2, 2, 2, 2]
    assert [row.days for row in table] == pytest.approx([60 / DAY_S, 3540 / DAY_S, 1 - 3600 / DAY_S, 2.0])
    assert sum(row.promised for row in table) == pytest.approx(6.0)


def test_a_camera_of_two_hours_has_no_second_day():
    table = rates([100.0], started_s=0.0, seconds=7200.0, budget=20.0)
    assert [row.days for row in table][2:] == [pytest.approx(3600 / DAY_S), 0.0]
    assert math.isnan(table[3].a_day)
    assert table[3].is_kept


def test_pooled_periods_are_sums():
    one = rates([10.0, 70.0], started_s=0.0, seconds=DAY_S, budget=2.0)
    other = rates([DAY_S + 5.0], started_s=0.0, seconds=3 * DAY_S, budget=2.0)
    both = pooled([one, other])
    assert [row.period for row in both] == [period.name for period in PERIODS]
    assert [row.raised for row in both] == [1, 1, 0, 1]
    assert sum(row.days for row in both) == pytest.approx(4.0)


def test_the_promise_is_broken_only_beyond_chance():
    kept = rates([1e5 + k for k in range(5)], started_s=0.0, seconds=2 * DAY_S, budget=2.0)[3]
    broken = rates([1e5 + k for k in range(6)], started_s=0.0, seconds=2 * DAY_S, budget=2.0)[3]
    assert kept.is_kept  # 5 where 2 were promised: [1.97, 10.5]
    assert not broken.is_kept  # 6: [2.61, 11.8]


def test_poisson_intervals_are_those_of_the_tables():
    assert poisson_interval(0) == pytest.approx((0.0, 2.9957), abs=1e-3)
    assert poisson_interval(1) == pytest.approx((0.0513, 4.7439), abs=1e-3)
    assert poisson_interval(10) == pytest.approx((5.4254, 16.9622), abs=1e-3)
    assert poisson_interval(10, confidence=0.95) == pytest.approx((4.7954, 18.3904), abs=1e-3)


def test_wilson_intervals_are_those_of_the_tables():
    assert wilson_interval(8, 10, confidence=0.95) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2130), abs=1e-3)
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_events_are_counted_by_kind_with_their_median_delay():
    events = [PlantedEvent("fall", 100.0 * k, 100.0 * k + 10.0) for k in range(1, 4)] + [PlantedEvent("bag", 900, 950)]
    matched = match_incidents([incident(101.0), incident(205.0)], events)
    bag, fall = caught_by_kind(matched.found)
    assert (bag.kind, bag.caught, bag.of, bag.median_delay_s) == ("bag", 0, 1, None)
    assert (fall.kind, fall.caught, fall.of, fall.median_delay_s) == ("fall", 2, 3, 3.0)
    assert (total := caught("all", matched.found)).of == 4
    assert total.caught == 2


def test_a_false_alarm_counts_under_each_condition_that_held():
    alarms = [
        ("speed", frozenset({"rain", "headlights"})),
        ("speed", frozenset({"rain"})),
        ("size", frozenset()),
    ]
    table = by_condition(alarms, seconds_of={"rain": 7200.0, "headlights": 60.0, "insect": 30.0, NO_CONDITION: 3600.0})
    lines = {line.condition: line for line in table}
    assert table[0].condition == "rain"
    assert lines["rain"].by_cue == {"speed": 2}
    assert lines["rain"].an_hour == 1.0
    assert lines["headlights"].an_hour == 60.0
    assert lines[NO_CONDITION].by_cue == {"size": 1}
    assert lines["insect"].raised == 0


def test_false_alarms_are_counted_by_the_hour_of_the_day():
    hours = by_hour([0.0, 3599.0, 3600.0, 20 * 3600.0, DAY_S + 10.0], begins_s=6 * 3600.0)
    assert {hour: count for hour, count in enumerate(hours) if count} == {6: 3, 7: 1, 2: 1}
