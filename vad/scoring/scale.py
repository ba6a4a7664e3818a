"""The common scale: what each evidence's value means in expected incidents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vad.scoring import tails
from vad.scoring.combination import Combination
from vad.scoring.kernels import State
from vad.scoring.storage import below
from vad.scoring.tails import Streams
from vad.scoring.threshold import Spot, learn_in_step
from vad.scoring.tuning import CUES, NEEDS_NO_LEARNING, OVERALL, REASONS, TAILS, TUNING

LEARNS: State = np.array([float(reason not in NEEDS_NO_LEARNING) for reason in REASONS])
SHARES: State = np.array([TAILS[reason].share for reason in REASONS])
"""(K + 1,) of the budget, together 1."""


class Judged(NamedTuple):
    """A frame on the common scale, (K + 1,) each in the order of REASONS."""

    values: State  # the cues in their own units, and what they come to together
    exponents: State  # ``-log10`` of the incidents expected in such a frame, never below 0
    nominal: float  # the largest of them by the cues' own tails and shares, of a second


class Scale:
    """The tails of all evidences, and of their combination, each of the camera's own normal values.

    Shares of the budget add up as if the cues were strangers to one another, and priors are those of other cameras. So
    the largest exponent, too, has a tail that the camera learns: what is expected is what was counted.
    """

    def __init__(self, *, gap_s: float, sustain_s: float) -> None:
        self.combination = Combination()
        self._streams = Streams(len(REASONS), gap_s=gap_s, sustain_s=sustain_s)
        self._overall = Spot.alone(OVERALL, gap_s=gap_s, sustain_s=sustain_s)
        self._spots = [Spot(TAILS[reason], self._streams, k) for k, reason in enumerate(REASONS)]

    @property
    def settled(self) -> bool:
        """Have enough excursions been seen, all tails together, unless nothing ever comes near one?"""
        calm = all(spot.start <= spot.prior.floor for spot in self._spots)
        return calm or sum(spot.peaks for spot in self._spots) >= TUNING.min_peaks

    @property
    def usual(self) -> list[float]:
        """(K + 1,) where each tail begins: normal values are seldom higher."""
        return [spot.start for spot in self._spots]

    def judge(self, values: State, *, dt_s: float, frame_s: float, learnt_s: float) -> Judged:
        """Of a frame whose cues are ``values`` (K,), ``dt_s`` after the one before; usually that takes ``frame_s``.

        Each has its share of the budget (``tuning.TAILS``), so that the incidents of all together keep to it; what must
        learn what is usual has less while little footage was learnt.
        """
        margin = TUNING.young_margin * max(0.0, 1.0 - learnt_s / TUNING.young_margin_s)
        shares, streams, k = SHARES * 10.0 ** (-margin * LEARNS), self._streams.tails, len(CUES)
        cues = tails.exponents(streams[:k], values, shares[:k], frame_s)
        together = np.array([self.combination.step(cues, dt_s=dt_s, frame_s=frame_s)])
        nominal = np.append(cues, tails.exponents(streams[k:], together, shares[k:], frame_s))
        known = self._overall.learnt_s / (self._overall.learnt_s + TUNING.half_known_s)
        exponents = tails.recalibrated(self._overall.tails, 0, nominal, known, frame_s)
        of_a_second = max(0.0, float(nominal.max()) + math.log10(frame_s))
        return Judged(np.append(values, together), exponents, of_a_second)

    def learn(self, values: State, nominal: float, *, dt_s: float, starts: bool) -> None:
        """Learn the (K + 1,) values of a normal frame, and ``Judged.nominal`` of it.

        ``starts``: the frame before it was not learnt.
        """
        learn_in_step(self._spots, self._streams, values, dt_s=dt_s, starts=starts)
        self._overall.learn(nominal, dt_s=dt_s, starts=starts)

    def state(self) -> dict[str, State]:
        return {f"{name}/{part}": value for name, spot in self._named() for part, value in spot.state().items()}

    def restore(self, arrays: Mapping[str, State]) -> None:
        for name, spot in self._named():
            spot.restore(below(name, arrays))

    def _named(self) -> list[tuple[str, Spot]]:
        return [*((str(k), spot) for k, spot in enumerate(self._spots)), ("overall", self._overall)]
