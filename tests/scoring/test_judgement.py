"""Which reasons a frame's exponents come to."""

from __future__ import annotations

from vad.scoring.judgement import spoke
from vad.scoring.tuning import REASONS
from vad.types import Reason


def exponents(**given: float) -> list[float]:
    return [given.get(reason.value, 0.0) for reason in REASONS]


def test_those_above_the_threshold_strongest_first():
    given = exponents(speed=5.0, fall=6.0, size=3.0)
    assert spoke(given, 4.0) == (Reason.FALL, Reason.SPEED)


def test_nothing_below_it():
    assert spoke(exponents(speed=3.9, fall=3.0), 4.0) == ()


def test_where_all_together_are_above_it_the_cues_that_had_a_part_are_named():
    given = exponents(combined=5.0, direction=3.0, size=2.0, pace=1.0)
    assert spoke(given, 4.0) == (Reason.COMBINED, Reason.DIRECTION, Reason.SIZE)


def test_a_cue_above_the_threshold_is_named_beside_them_however_strong_another_is():
    given = exponents(combined=5.0, speed=12.0, size=4.5)
    assert spoke(given, 4.0) == (Reason.SPEED, Reason.COMBINED, Reason.SIZE)
