"""The common scale: exponents of all cues by one tail more, that of the largest."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from vad.scoring.scale import Scale
from vad.scoring.tuning import CUES, TAILS
from vad.types import Reason

FALL = CUES.index(Reason.FALL)


def scale_of(rng: np.random.Generator, *, hours: float, excess: float) -> Scale:
    """One that has seen so many hours in which a cue of falls went over its floor each two minutes."""
    scale = Scale(gap_s=3.0, sustain_s=0.0)
    values = np.zeros(len(CUES))
    for k in range(round(hours * 3600.0)):
        values[FALL] = TAILS[Reason.FALL].floor + rng.exponential(excess) if k % 120 == 0 else 0.0
        judged = scale.judge(values, dt_s=1.0, frame_s=1.0, learnt_s=float(k))
        scale.learn(judged.values, judged.nominal, dt_s=1.0, starts=k == 0)
    return scale


def exponent_of(scale: Scale, value: float) -> float:
    values = np.zeros(len(CUES))
    values[FALL] = value
    scale.combination.forget()
    return float(scale.judge(values, dt_s=1.0, frame_s=1.0, learnt_s=1e6).exponents[FALL])


def test_what_is_expected_is_what_was_counted():
    """Whatever a cue's share of the budget is: where it alone speaks, one in ten hours is one in ten hours."""
    rng = np.random.default_rng(5)
    scale = scale_of(rng, hours=24.0, excess=0.05)
    each_ten_hours = TAILS[Reason.FALL].floor + 0.05 * math.log(300.0)  # of 30 an hour
    assert exponent_of(scale, each_ten_hours) == pytest.approx(math.log10(36000.0), abs=0.5)


def test_a_camera_that_has_shown_nothing_yet_is_judged_by_the_priors_alone():
    scale = Scale(gap_s=3.0, sustain_s=0.0)
    values = np.zeros(len(CUES))
    values[FALL] = 0.9
    judged = scale.judge(values, dt_s=1.0, frame_s=1.0, learnt_s=1e6)
    assert judged.exponents.max() == pytest.approx(judged.nominal)
    assert judged.nominal > 4.0


def test_a_larger_value_is_never_the_smaller_exponent():
    scale = scale_of(np.random.default_rng(6), hours=3.0, excess=0.1)
    exponents = [exponent_of(scale, value) for value in np.linspace(0.0, 1.2, 60)]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(exponents))
