from collections import deque

import numpy as np
import pytest

from vad.scoring.smoothing import Smoothing
from vad.scoring.tuning import CUES, TUNING


def test_one_odd_frame_is_not_seen_and_a_lasting_change_is_followed():
    smoothing = Smoothing(tau_s=0.0)
    odd = [smoothing.step(np.full(len(CUES), 9.0 if k == 20 else 1.0), dt_s=0.1, frame_s=0.1)[0] for k in range(40)]
    assert set(odd) == {1.0}
    after = [smoothing.step(np.full(len(CUES), 2.0), dt_s=0.1, frame_s=0.1)[0] for _ in range(5)]
    assert after == [1.0, 1.0, 2.0, 2.0, 2.0]


def test_the_median_is_of_as_many_frames_as_its_span_holds():
    """However many those are: the usual time between two frames may change on the way."""
    rng = np.random.default_rng(0)
    smoothing = Smoothing(tau_s=0.0)
    recent: deque[np.ndarray] = deque()
    for frame_s in np.repeat([0.1, 0.004, 0.05, 0.5], 300):
        recent.append(rng.random(len(CUES)))
        while (len(recent) - 1) * frame_s > TUNING.median_s + 1e-6:
            recent.popleft()
        values = smoothing.step(recent[-1], dt_s=frame_s, frame_s=frame_s)
        median = np.sort(recent, axis=0)[(len(recent) - 1) // 2]
        assert values == pytest.approx(median, rel=1e-12)


def test_values_given_away_are_not_changed_later():
    smoothing = Smoothing(tau_s=0.2)
    first = smoothing.step(np.ones(len(CUES)), dt_s=0.1, frame_s=0.1)
    kept = first.copy()
    smoothing.step(np.full(len(CUES), 5.0), dt_s=0.1, frame_s=0.1)
    assert np.array_equal(first, kept)
    assert smoothing.step(np.zeros(len(CUES)), dt_s=0.0, frame_s=0.1) is smoothing.values
