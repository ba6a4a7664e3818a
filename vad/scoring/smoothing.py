"""The evidences of a frame in time: a short median, then a causal exponential mean."""

from __future__ import annotations

import math

import numpy as np

from vad.scoring.kernels import State, kernel
from vad.scoring.tuning import CUES, TUNING


@kernel
def smoothed(recent: State, count: int, gone: int, peaks: State, values: State, share: float) -> State:
    """``values`` (K,), brought by ``share`` of the way to the (lower) median of the last peaks.

    Those are the first ``count`` lines of ``recent`` (N, K), oldest first, once ``gone`` of them have made room and
    ``peaks`` have been added.
    """
    out = np.empty(values.size)
    for k in range(values.size):
        line = recent[:, k]
        for at in range(count - 1):
            line[at] = line[at + gone]
        line[count - 1] = peaks[k]
        out[k] = values[k] + share * (low_median(line[:count]) - values[k])
    return out


@kernel
def low_median(line: State) -> float:
    """The median of a few values; of an even number the lower of the two in the middle."""
    for value in line:
        lower, equal = 0, 0
        for other in line:
            lower += other < value
            equal += other == value
        if lower <= (line.size - 1) // 2 < lower + equal:
            return float(value)
    return np.nan


class Smoothing:
    """``step(peaks)`` -> the smoothed evidences, (K,); both begin with the run's first measured frame.

    The median is against key frames and whoever steps into the picture. A mean that began at zero would hide what a
    run begins with.
    """

    def __init__(self, *, tau_s: float) -> None:
        self._tau_s = tau_s
        self.values: State = np.zeros(len(CUES))  # replaced, never changed: samples keep it
        self._smoothed_s = 0.0  # footage in that mean
        self._recent: State = np.zeros((8, len(CUES)))  # peaks of the last frames, for the median
        self._count = 0  # lines of it that are in use

    def step(self, peaks: State, *, dt_s: float, frame_s: float) -> State:
        """``peaks`` (K,); ``frame_s`` is the usual time between two frames. One that took no time changes nothing."""
        if dt_s <= 0.0:
            return self.values
        if self._count + 1 >= len(self._recent):
            self._recent = np.concatenate([self._recent, np.zeros_like(self._recent)])
        before, self._count = self._count, self._count + 1
        while (self._count - 1) * frame_s > TUNING.median_s + 1e-6:
            self._count -= 1
        self._smoothed_s += dt_s
        gone = before + 1 - self._count
        self.values = smoothed(self._recent, self._count, gone, peaks, self.values, self._share(dt_s))
        return self.values

    def _share(self, dt_s: float) -> float:
        """How far the mean goes towards the newest value."""
        if self._tau_s <= 0.0:
            return 1.0
        return (1.0 - math.exp(-dt_s / self._tau_s)) / (1.0 - math.exp(-self._smoothed_s / self._tau_s))
