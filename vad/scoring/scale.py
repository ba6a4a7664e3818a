"""The common scale: what each evidence's value means in expected incidents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vad.scoring.kernels import State
from vad.scoring.storage import below
from vad.scoring.threshold import Spot
from vad.scoring.tuning import REASONS, TAILS, TUNING


class Scale:
    """The tails of all evidences, each of the camera's own normal values."""

    def __init__(self, *, gap_s: float, sustain_s: float) -> None:
        self._spots = [Spot(TAILS[reason], gap_s=gap_s, sustain_s=sustain_s) for reason in REASONS]

    @property
    def settled(self) -> bool:
        """Have enough excursions been seen, all tails together, unless nothing ever comes near one?"""
        calm = all(spot.start <= spot.prior.floor for spot in self._spots)
        return calm or sum(spot.peaks for spot in self._spots) >= TUNING.min_peaks

    @property
    def usual(self) -> list[float]:
        """(K,) where each tail begins: normal values are seldom higher."""
        return [spot.start for spot in self._spots]

    def exponents(self, values: Sequence[float], *, frame_s: float) -> list[float]:
        """(K,) evidences -> (K,) ``-log10`` of the incidents expected in a frame of ``frame_s``, never below 0.

        Corrected (Bonferroni) for how many tails share the budget: those that normal footage has ever reached. A tail
        that it never reached rests on its prior, which promises more incidents than there are; to give it a share of
        its own would leave most of the budget unused (benchmarks/budget.py).
        """
        shared = math.log10(max(1, sum([spot.peaks > 0 for spot in self._spots])))
        pairs = zip(self._spots, values, strict=True)
        return [max(0.0, spot.exponent(value, dt_s=frame_s) - shared) for spot, value in pairs]

    def learn(self, values: Sequence[float], *, dt_s: float, starts: bool) -> None:
        """Learn the (K,) values of a normal frame; ``starts``: the frame before it was not learnt."""
        for spot, value in zip(self._spots, values, strict=True):
            spot.learn(value, dt_s=dt_s, starts=starts)

    def state(self) -> dict[str, State]:
        return {f"{k}/{name}": value for k, spot in enumerate(self._spots) for name, value in spot.state().items()}

    def restore(self, arrays: Mapping[str, State]) -> None:
        for k, spot in enumerate(self._spots):
            spot.restore(below(str(k), arrays))
