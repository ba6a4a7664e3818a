"""Several cues at once: ``exponents -> how unusual they are together``, for what no cue would be raised for alone.

What is odd in one respect alone is mostly a fault of a track or of the light; what people call abnormal is mostly a
little odd in several. Sums of negative logarithms of p-values are R. A. Fisher's combination ("Statistical Methods for
Research Workers", 1932), which asks for independent cues. These are not: so the sum is one more value that the camera
learns the tail of, and no table says what it means.
"""

from __future__ import annotations

import math

import numpy as np

from vad.scoring.kernels import State, kernel
from vad.scoring.tuning import CUES, TUNING


@kernel
def strongest_together(lately: State, now: State, beyond: float, most: float, count: int) -> float:
    """Take ``now`` (K,) into ``lately`` (2, K). What of each cue is more than ``beyond``, at most ``most``, is added up
    for the ``count`` strongest but one: the very strongest speaks for itself. No more than what all of them say now.
    """
    values, present = np.empty(now.size), 0.0
    for k in range(now.size):
        value = min(most, max(0.0, now[k] - beyond))
        present += value
        lately[1, k] = max(lately[1, k], value)
        values[k] = max(lately[0, k], lately[1, k])
    values.sort()
    return min(present, float(values[-count:-1].sum()))


class Combination:
    """``step`` once a frame, in order. What a cue has been counts for ``combined_s``, and up to twice that."""

    def __init__(self) -> None:
        self._lately: State = np.zeros((2, len(CUES)))  # highest of each cue: in the span before, and in this one
        self._span_s = 0.0  # of this one

    def step(self, exponents: State, *, frame_s: float, dt_s: float) -> float:
        """``exponents`` (K,) of a frame of ``frame_s``: what they come to together, powers of ten; 0.0 = nothing."""
        self._span_s += dt_s
        if self._span_s > TUNING.combined_s:
            self._lately[0], self._lately[1], self._span_s = self._lately[1], 0.0, 0.0
        beyond = TUNING.combined_beyond - math.log10(frame_s)
        return strongest_together(self._lately, exponents, beyond, TUNING.combined_most, TUNING.combined_cues)

    def forget(self) -> None:
        """What the cues have been so far belongs to something else."""
        self._lately[:], self._span_s = 0.0, 0.0
