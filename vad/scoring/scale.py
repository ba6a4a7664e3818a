"""The common scale: what each evidence's value means in expected incidents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vad.scoring import tails
from vad.scoring.kernels import State
from vad.scoring.storage import below
from vad.scoring.tails import Streams
from vad.scoring.threshold import Spot, learn_in_step
from vad.scoring.tuning import NEEDS_NO_LEARNING, REASONS, TAILS, TUNING

LEARNS: State = np.array([float(reason not in NEEDS_NO_LEARNING) for reason in REASONS])
SHARES: State = np.array([TAILS[reason].share for reason in REASONS])
"""(K,) of the budget, together 1."""


class Scale:
    """The tails of all evidences, each of the camera's own normal values."""

    def __init__(self, *, gap_s: float, sustain_s: float) -> None:
        self._streams = Streams(len(REASONS), gap_s=gap_s, sustain_s=sustain_s)
        self._spots = [Spot(TAILS[reason], self._streams, k) for k, reason in enumerate(REASONS)]

    @property
    def settled(self) -> bool:
        """Have enough excursions been seen, all tails together, unless nothing ever comes near one?"""
        calm = all(spot.start <= spot.prior.floor for spot in self._spots)
        return calm or sum(spot.peaks for spot in self._spots) >= TUNING.min_peaks

    @property
    def usual(self) -> list[float]:
        """(K,) where each tail begins: normal values are seldom higher."""
        return [spot.start for spot in self._spots]

    def exponents(self, values: State, *, frame_s: float, learnt_s: float) -> State:
        """(K,) evidences -> (K,) ``-log10`` of the incidents expected in a frame of ``frame_s``, never below 0.

        Each cue has its share of the budget (``tuning.TAILS``), so that the incidents of all cues together keep to it;
        a cue that must learn what is usual has less while little footage was learnt.
        """
        margin = TUNING.young_margin * max(0.0, 1.0 - learnt_s / TUNING.young_margin_s)
        return tails.exponents(self._streams.tails, values, SHARES * 10.0 ** (-margin * LEARNS), frame_s)

    def learn(self, values: State, *, dt_s: float, starts: bool) -> None:
        """Learn the (K,) values of a normal frame; ``starts``: the frame before it was not learnt."""
        learn_in_step(self._spots, self._streams, values, dt_s=dt_s, starts=starts)

    def state(self) -> dict[str, State]:
        return {f"{k}/{name}": value for k, spot in enumerate(self._spots) for name, value in spot.state().items()}

    def restore(self, arrays: Mapping[str, State]) -> None:
        for k, spot in enumerate(self._spots):
            spot.restore(below(str(k), arrays))
