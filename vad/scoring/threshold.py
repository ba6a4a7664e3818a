"""A false-alarm budget instead of a threshold: peaks over threshold on declustered excursions.

After Siffer, Fouque, Termier, Largouet, "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017 (SPOT, and
DSPOT for drifting streams), with three changes. What is counted is excursions, not frames: a run of values above the
start of the tail, ended by a calm gap, is one peak, its maximum. A value must be *sustained* to count, as an incident
must last to open. And the fit is regularised by pseudo-observations and widened by what few peaks cannot tell.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.gpd import excursions, fit_tail, quantiles
from vad.scoring.kernels import Mask, State
from vad.scoring.tuning import LONGEST_STEP_S, TailPrior

RING = 4096  # values kept: the tail is fitted anew from them until they are that many
MOST_PEAKS = 1024  # kept; the lowest make room and the tail then starts higher
FEWEST_PEAKS = 32  # below that, after ageing, the tail starts anew from the ring
HORIZON_S = 7 * 86400.0  # peaks older than that are forgotten
YOUNG_SHARE = 0.7  # of the ring is used while it fills: the first values were made by a scorer that knew less
LARGEST_EXPONENT = 30.0  # rates are not told apart below 1e-30 a second
LONGEST_EXCURSION_S = 60.0  # a longer one counts once in that time
BODY = np.linspace(0.0, 1.0, 17)  # shares of the exponent at the tail's start at which the values below it are kept


class Spot:
    """The tail of one stream of values: ``rate(value)`` is the expected number of excursions above it, per second.

    ``learn`` is given normal values only, in order, and never looks ahead; score first, then learn. Memory is bounded.
    ``gap_s`` of calm ends an excursion; a value counts when held for ``sustain_s``. ``drift_s`` > 0 judges values by
    their distance from the mean of the last ``drift_s`` seconds (DSPOT). Deterministic.
    """

    def __init__(self, prior: TailPrior, *, gap_s: float, sustain_s: float = 0.0, drift_s: float = 0.0) -> None:
        self.prior, self._gap_s, self._sustain_s, self._drift_s = prior, gap_s, sustain_s, drift_s
        self._values = np.zeros(RING)
        self._steps_s = np.zeros(RING)
        self._starts = np.zeros(RING, np.bool_)
        self._count = 0  # values learnt so far
        self._peaks: State = np.zeros(0)
        self._peak_at_s: State = np.zeros(0)
        self.learnt_s = 0.0
        self._counted_from_s = 0.0  # learnt_s at which the counting of peaks above the tail's start began
        self._fitted_at_s = -math.inf
        self.start = prior.floor
        self.shape, self.scale, self.start_rate = prior.shape, prior.scale, 0.0
        self._body: list[float] = (BODY * self.start).tolist()  # (17,) values that stand for BODY, rising
        self._usual = 0.0  # the median value
        self._mean, self._mean_s = 0.0, 0.0
        self._recent: deque[tuple[float, float]] = deque()  # (value, step) of the last sustain_s
        self._recent_s = 0.0  # the sum of those steps
        self._open_peak, self._open_s, self._calm_s = -math.inf, 0.0, 0.0

    @property
    def peaks(self) -> int:
        """Peaks the fit rests on."""
        return self._peaks.size

    def relative(self, value: float) -> float:
        """The value as the tail sees it: itself, or its distance from the drifting mean."""
        return value - self._mean if self._drift_s > 0.0 else value

    def exponent(self, value: float, *, dt_s: float) -> float:
        """``-log10`` of the expected number of excursions above ``value`` in a frame of ``dt_s``; 0.0 = all the time.

        Below the tail's start it follows the share of values that were higher, but no further than the value has come
        from the usual one (the median) to the start: it grows with the value, and trifles stay trifles where the tail
        starts at its floor.
        """
        value = self.relative(value)
        at_start = max(0.0, -math.log10(min(1.0, self.start_rate * dt_s))) if self.start_rate > 0.0 else 0.0
        if value <= self.start:
            way = (value - self._usual) / max(self.start - self._usual, 1e-9)
            return at_start * min(self._rarity(value), max(0.0, way))
        return min(LARGEST_EXPONENT, at_start + self._tail_exponent(value - self.start))

    def level(self, rate: float) -> float:
        """The value above which ``rate`` excursions a second are expected; never below the tail's start."""
        ratio = max(1.0, self.start_rate / rate)
        over = self.scale * math.log(ratio)
        if abs(self.shape) > 1e-9:
            over = self.scale * (ratio**self.shape - 1.0) / self.shape
        return self.start + over + (self._mean if self._drift_s > 0.0 else 0.0)

    def _rarity(self, value: float) -> float:
        """Where ``value`` lies in the body, 0..1, linearly between its values (``np.interp`` takes far longer)."""
        above = bisect_right(self._body, value)
        if above == 0 or above == len(self._body):
            return 0.0 if above == 0 else 1.0
        low, high = self._body[above - 1], self._body[above]
        return (above - 1 + (value - low) / (high - low)) / (len(self._body) - 1)

    def _tail_exponent(self, over: float) -> float:
        if abs(self.shape) < 1e-9:
            return over / self.scale / math.log(10.0)
        inside = 1.0 + self.shape * over / self.scale
        return LARGEST_EXPONENT if inside <= 0.0 else math.log10(inside) / self.shape

    def learn(self, value: float, *, dt_s: float, starts: bool = False) -> None:
        """Learn one normal value that stood for ``dt_s``; ``starts`` marks the first after a break in the footage."""
        dt_s = min(dt_s, LONGEST_STEP_S)
        relative = self.relative(value)
        self._learn_mean(value, dt_s)
        held = self._sustained(relative, dt_s, starts)
        slot = self._count % RING
        self._values[slot], self._steps_s[slot], self._starts[slot] = held, dt_s, starts
        self._count += 1
        self.learnt_s += dt_s
        if self._count <= RING:
            due = self.learnt_s - self._fitted_at_s >= max(1.0, 0.05 * self.learnt_s)
            if due or self._count == RING:
                self._begin_from_ring()
        else:
            self._stream(held, dt_s, starts)

    def _learn_mean(self, value: float, dt_s: float) -> None:
        if self._drift_s > 0.0:
            self._mean_s = min(self._mean_s + dt_s, self._drift_s)
            if self._mean_s > 0.0:
                self._mean += min(1.0, dt_s / self._mean_s) * (value - self._mean)

    def _sustained(self, value: float, dt_s: float, starts: bool) -> float:
        """The lowest of the values that together stood for ``sustain_s``: what an incident would open on."""
        if starts:
            self._recent.clear()
            self._recent_s = 0.0
        self._recent.append((value, dt_s))
        self._recent_s += dt_s
        needed_s = self._sustain_s - 1e-9
        while len(self._recent) > 1 and self._recent_s - self._recent[0][1] >= needed_s:
            self._recent_s -= self._recent.popleft()[1]
        return min(0.0, value) if self._recent_s < needed_s else min(self._recent)[0]

    def _begin_from_ring(self) -> None:
        """Place the tail's start at a high quantile of the ring and take the ring's excursions as the peaks."""
        kept = min(self._count, RING)
        first = self._count - max(1, math.ceil((YOUNG_SHARE if self._count < RING else 1.0) * kept))
        order = np.arange(first, self._count) % RING
        values, steps_s = self._values[order], self._steps_s[order]
        above = min(0.25, max(0.02, 3.0 / math.sqrt(values.size)))
        self.start = max(self.prior.floor, float(quantiles(np.sort(values), np.array([1.0 - above]))[0]))
        self._peaks, self._open_peak, self._open_s, self._calm_s = excursions(
            values, steps_s, self._starts[order], self.start, self._gap_s, LONGEST_EXCURSION_S
        )
        self._peak_at_s = np.full(self._peaks.size, self.learnt_s)
        self._counted_from_s = self.learnt_s - float(steps_s.sum())
        self._fit()

    def _stream(self, value: float, dt_s: float, starts: bool) -> None:
        if starts or self._calm_s >= self._gap_s or self._open_s >= LONGEST_EXCURSION_S:
            self._close_excursion()
        if value > self.start:
            self._open_peak = max(self._open_peak, value)
            self._calm_s = 0.0
        else:
            self._calm_s += dt_s
        if self._open_peak > -math.inf:
            self._open_s += dt_s
        if self.learnt_s - self._fitted_at_s >= 0.02 * min(self.learnt_s, HORIZON_S):
            self._age()
            self._fit()

    def _close_excursion(self) -> None:
        if self._open_peak > self.start:
            self._peaks = np.append(self._peaks, self._open_peak)
            self._peak_at_s = np.append(self._peak_at_s, self.learnt_s)
        self._open_peak, self._open_s, self._calm_s = -math.inf, 0.0, 0.0
        if self._peaks.size > MOST_PEAKS:
            self.start = float(np.quantile(self._peaks, 0.1))
            self._keep(self._peaks > self.start)
            self._fit()

    def _age(self) -> None:
        oldest_s = self.learnt_s - HORIZON_S
        if oldest_s > self._counted_from_s:
            self._counted_from_s = oldest_s
            self._keep(self._peak_at_s >= oldest_s)
            if self._peaks.size < FEWEST_PEAKS:
                self._begin_from_ring()

    def _keep(self, kept: Mask) -> None:
        self._peaks, self._peak_at_s = self._peaks[kept], self._peak_at_s[kept]

    def _fit(self) -> None:
        prior = self.prior
        ordered = np.sort(self._values[: min(self._count, RING)])
        above = ordered.size - int(np.searchsorted(ordered, self.start, side="right"))
        shares = 1.0 - (max(1, above) / ordered.size) ** BODY
        body = np.minimum(quantiles(ordered, shares), self.start)
        self._body = [*body[:-1].tolist(), self.start]
        self._usual = min(0.5 * float(ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]), self.start)
        span_s = max(self.learnt_s - self._counted_from_s, 1.0)
        self.start_rate = (self._peaks.size + 0.5) / span_s
        self.shape, self.scale = fit_tail(self._peaks - self.start, prior.shape, prior.scale, prior.weight)
        self._fitted_at_s = self.learnt_s

    def state(self) -> dict[str, State]:
        """Everything that the next value's judgement and learning rest on."""
        recent = np.array(self._recent, dtype=np.float64).reshape(-1, 2)
        scalars = [self._count, self.learnt_s, self._counted_from_s, self._fitted_at_s, self.start, self.shape]
        scalars += [self.scale, self.start_rate, self._mean, self._mean_s, self._open_peak, self._open_s, self._calm_s]
        return {
            "ring": np.stack([self._values, self._steps_s, self._starts.astype(np.float64)]),
            "peaks": np.stack([self._peaks, self._peak_at_s]),
            "recent": recent,
            "body": np.append(self._body, self._usual),
            "scalars": np.nan_to_num(np.array(scalars, dtype=np.float64), neginf=-1e300),
        }

    def restore(self, arrays: Mapping[str, State]) -> None:
        ring = take(arrays, "ring", np.zeros((3, RING)))
        self._values, self._steps_s, self._starts = ring[0].copy(), ring[1].copy(), ring[2] > 0.0
        self._peaks, self._peak_at_s = take(arrays, "peaks", np.zeros_like(arrays.get("peaks", np.zeros((2, 0)))))
        recent = take(arrays, "recent", np.zeros_like(arrays.get("recent", np.zeros((0, 2)))))
        self._recent = deque((float(value), float(step)) for value, step in recent)
        self._recent_s = sum(step for _, step in self._recent)
        body = take(arrays, "body", np.zeros(BODY.size + 1))
        self._body, self._usual = body[:-1].tolist(), float(body[-1])
        scalars = [-math.inf if value <= -1e300 else float(value) for value in take(arrays, "scalars", np.zeros(13))]
        self._count = int(scalars[0])
        self.learnt_s, self._counted_from_s, self._fitted_at_s, self.start, self.shape = scalars[1:6]
        self.scale, self.start_rate, self._mean, self._mean_s = scalars[6:10]
        self._open_peak, self._open_s, self._calm_s = scalars[10:]
