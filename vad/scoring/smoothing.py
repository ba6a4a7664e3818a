"""The evidences of a frame in time: a short median, then a causal exponential mean."""

from __future__ import annotations

import math
from collections import deque

from vad.scoring.tuning import REASONS, TUNING


class Smoothing:
    """``step(peaks)`` -> the smoothed evidences, (K,); both begin with the run's first measured frame.

    The median is against key frames and whoever steps into the picture. A mean that began at zero would hide what a
    run begins with.
    """

    def __init__(self, *, tau_s: float) -> None:
        self._tau_s = tau_s
        self.values = [0.0] * len(REASONS)  # replaced, never changed: samples keep it
        self._smoothed_s = 0.0  # footage in that mean
        self._recent: deque[list[float]] = deque()  # (K,) of the last frames, for the median

    def step(self, peaks: list[float], *, dt_s: float, frame_s: float) -> list[float]:
        """``frame_s`` is the usual time between two frames. A frame that took no time changes nothing."""
        if dt_s <= 0.0:
            return self.values
        recent = self._recent
        recent.append(peaks)
        while (len(recent) - 1) * frame_s > TUNING.median_s + 1e-6:
            recent.popleft()
        middle = (len(recent) - 1) // 2
        steady = [sorted(values)[middle] for values in zip(*recent, strict=True)]
        self._smoothed_s += dt_s
        share = self._share(dt_s)
        self.values = [old + share * (new - old) for old, new in zip(self.values, steady, strict=True)]
        return self.values

    def _share(self, dt_s: float) -> float:
        """How far the mean goes towards the newest value."""
        if self._tau_s <= 0.0:
            return 1.0
        return (1.0 - math.exp(-dt_s / self._tau_s)) / (1.0 - math.exp(-self._smoothed_s / self._tau_s))
