"""How many incidents a camera may raise: the budget, more at first, and a bar that rises with what was raised.

Tails learnt in minutes cannot promise two false alarms a day, and no tail can where the world changes. So what is
*raised* is controlled beside what is *scored*: each incident lifts the bar for the next ones, and the bar comes down as
the budget allows more. One-sided adaptive conformal inference (Gibbs and Candes, "Adaptive Conformal Inference Under
Distribution Shift", NeurIPS 2021), on incidents instead of frames. Scores stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import State
from vad.scoring.tuning import DAY_S, TUNING

PROMISED = 1.5
"""Times the budget: a camera that may raise no more than that keeps what it promises."""


class RaiseControl:
    """``allowed_per_s`` incidents may be raised; ``lift`` is added to the threshold. One camera, one owner."""

    def __init__(self) -> None:
        self._excess = 0.0  # incidents raised beyond what was allowed meanwhile
        self._chance = 1.0  # how many of them are no surprise

    @staticmethod
    def allowed_per_s(budget_per_s: float, *, learnt_s: float) -> float:
        """The budget and, while little was learnt, one incident more in all, most of it in the first hour."""
        return budget_per_s + math.exp(-learnt_s / TUNING.young_s) / TUNING.young_s

    @staticmethod
    def promised_after_s(budget_per_s: float, *, learnt_s: float) -> float:
        """Normal footage still to be learnt until ``PROMISED`` times the budget is allowed; 0.0 from then on."""
        beyond = (PROMISED - 1.0) * budget_per_s
        return max(0.0, -TUNING.young_s * math.log(beyond * TUNING.young_s) - learnt_s)

    @property
    def lift(self) -> float:
        """Powers of ten: 0.0 while no more was raised than allowed.

        At two a day 0.5 one incident beyond that, then 1.5, 3, 5; at larger budgets as much for more of them.
        """
        excess = self._excess / self._chance
        return min(TUNING.most_lift, TUNING.lift * excess * (excess + 1.0))

    def step(self, *, budget_per_s: float, learnt_s: float, dt_s: float) -> None:
        """``dt_s`` of judged footage went by."""
        self._excess = max(0.0, self._excess - self.allowed_per_s(budget_per_s, learnt_s=learnt_s) * dt_s)
        self._chance = max(1.0, math.sqrt(budget_per_s * DAY_S / TUNING.lift_budget))

    def raised(self) -> None:
        """An incident was opened, and nobody has called it right."""
        self._excess += 1.0

    def state(self) -> dict[str, State]:
        return {"excess": np.array(self._excess)}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._excess = float(take(arrays, "excess", np.array(0.0)))
