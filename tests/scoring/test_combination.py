"""Several cues at once: what one says alone is left to it, and what another said seconds ago adds to what is now."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vad.scoring.combination import Combination
from vad.scoring.tuning import CUES, TUNING

FRAME_S = 0.125
NOTHING = TUNING.combined_beyond - math.log10(FRAME_S)
"""A cue's exponent of a frame up to which it adds nothing."""


def exponents(*over: float) -> np.ndarray:
    """So many cues are by so much above what adds nothing; the others are 0."""
    values = np.zeros(len(CUES))
    values[: len(over)] = [NOTHING + value for value in over]
    return values


def step(combination: Combination, *over: float, dt_s: float = FRAME_S) -> float:
    return combination.step(exponents(*over), frame_s=FRAME_S, dt_s=dt_s)


def test_one_cue_alone_comes_to_nothing():
    assert step(Combination(), 2.0) == 0.0


def test_what_is_added_is_all_but_the_strongest_of_four():
    assert step(Combination(), 1.0, 0.5, 2.0, 0.25, 0.125) == pytest.approx(1.0 + 0.5 + 0.25)


def test_no_cue_counts_for_more_than_its_most():
    assert step(Combination(), 9.0, 9.0) == pytest.approx(TUNING.combined_most)


def test_what_came_one_after_the_other_counts_together_for_seconds_and_no_longer():
    combination = Combination()
    step(combination, 2.0)
    assert step(combination, 0.0, 1.5, dt_s=1.0) == pytest.approx(1.5)
    combination = Combination()
    step(combination, 2.0)
    for _ in range(int(2.0 * TUNING.combined_s) + 2):
        step(combination, dt_s=1.0)
    assert step(combination, 0.0, 1.5) == 0.0


def test_it_is_over_once_nothing_is_unusual_any_more():
    combination = Combination()
    assert step(combination, 2.0, 2.0, 2.0) > 0.0
    assert step(combination) == 0.0
    assert step(combination, 0.25) == pytest.approx(0.25)


def test_what_is_forgotten_adds_nothing():
    combination = Combination()
    step(combination, 2.0)
    combination.forget()
    assert step(combination, 0.0, 1.5) == 0.0


def test_it_means_the_same_at_any_frame_rate():
    """Exponents of a frame that is half as long are larger by that much, and come to the same."""
    slow = Combination().step(exponents(1.0, 1.0, 0.5), frame_s=FRAME_S, dt_s=FRAME_S)
    fast = Combination().step(exponents(1.0, 1.0, 0.5) + math.log10(2.0), frame_s=FRAME_S / 2, dt_s=FRAME_S / 2)
    assert fast == pytest.approx(slow, abs=1e-9)
