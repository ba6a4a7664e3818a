"""A false-alarm budget instead of a threshold: peaks over threshold on declustered excursions.

After Siffer, Fouque, Termier, Largouet, "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017 (SPOT, and
DSPOT for drifting streams), with three changes. What is counted is excursions, not frames: a run of values above the
start of the tail, ended by a calm gap, is one peak, its maximum. A value must be *sustained* to count, as an incident
must last to open. And the fit is regularised by pseudo-observations and widened by what few peaks cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vad.scoring import tails
from vad.scoring.calibration import take
from vad.scoring.gpd import excursions, fit_body_and_tail, quantile
from vad.scoring.kernels import Mask, State
from vad.scoring.tails import BODY, HORIZON_S, LONGEST_EXCURSION_S, RING, Streams
from vad.scoring.tuning import TailPrior

MOST_PEAKS = 1024  # kept; the lowest make room and the tail then starts higher
FEWEST_PEAKS = 32  # below that, after ageing, the tail starts anew from the ring
LEAST_RATE = 1e-9  # a second: no tail is told to be empty
FEW = 1024  # values that are sorted as a whole as soon as in part
YOUNG_SHARE = 0.7  # of the ring is used while it fills: the first values were made by a scorer that knew less
YOUNG_S = 900.0  # of learnt footage, whose peaks are forgotten as soon as OLDER times as much was learnt
OLDER = 4.0


class Spot:
    """The tail of one stream of values: ``rate(value)`` is the expected number of excursions above it, per second.

    Of stream ``k`` of ``streams``: what is done of every value is theirs (``learn`` in step), and what is rare is done
    here. Score first, then learn. Memory is bounded. Deterministic.
    """

    def __init__(self, prior: TailPrior, streams: Streams, k: int) -> None:
        self.prior, self._streams, self._k = prior, streams, k
        self._peaks: State = np.zeros(0)
        self._peak_at_s: State = np.zeros(0)
        self._counted_from_s = 0.0  # learnt_s at which the counting of peaks above the tail's start began
        tail = self._tail
        tail["start"], tail["shape"], tail["scale"] = prior.floor, prior.shape, prior.scale
        tail["body"] = BODY * prior.floor
        tail["fitted_at_s"] = tail["open_peak"] = -math.inf

    @classmethod
    def alone(cls, prior: TailPrior, *, gap_s: float, sustain_s: float = 0.0, drift_s: float = 0.0) -> Spot:
        """Of a stream of its own."""
        return cls(prior, Streams(1, gap_s=gap_s, sustain_s=sustain_s, drift_s=drift_s), 0)

    @property
    def _tail(self) -> Any:
        """A view of what the streams know of it: one TAIL."""
        return self._streams.tails[self._k]

    @property
    def tails(self) -> tails.Tails:
        """Those of its streams, its own among them."""
        return self._streams.tails

    @property
    def learnt_s(self) -> float:
        """Normal footage that its streams have learnt, media seconds."""
        return self._streams.learnt_s

    @property
    def peaks(self) -> int:
        """Peaks the fit rests on."""
        return self._peaks.size

    @property
    def start(self) -> float:
        """Where the tail begins."""
        return float(self._tail["start"])

    @property
    def shape(self) -> float:
        return float(self._tail["shape"])

    @property
    def scale(self) -> float:
        return float(self._tail["scale"])

    @property
    def start_rate(self) -> float:
        """Excursions above the start, per second."""
        return float(self._tail["start_rate"])

    def relative(self, value: float) -> float:
        """The value as the tail sees it: itself, or its distance from the drifting mean."""
        return value - float(self._tail["mean"]) if self._streams.drift_s > 0.0 else value

    def exponent(self, value: float, *, dt_s: float) -> float:
        """``tails.exponent`` of a value in a frame of ``dt_s``."""
        return tails.exponent(self._streams.tails, self._k, self.relative(value), dt_s)

    def level(self, rate: float) -> float:
        """The value above which ``rate`` excursions a second are expected; never below the tail's start."""
        shape, scale = self.shape, self.scale
        ratio = max(1.0, self.start_rate / rate)
        over = scale * math.log(ratio)
        if abs(shape) > 1e-9:
            over = scale * (ratio**shape - 1.0) / shape
        return self.start + over + (float(self._tail["mean"]) if self._streams.drift_s > 0.0 else 0.0)

    def learn(self, value: float, *, dt_s: float, starts: bool = False) -> None:
        """Learn one normal value that stood for ``dt_s``; ``starts`` marks the first after a break in the footage.

        Of a stream of its own; others learn in step.
        """
        learn_in_step([self], self._streams, np.array([value], np.float64), dt_s=dt_s, starts=starts)

    def go_on(self) -> bool:
        """The open excursion has ended, the newest value comes after it. Is a fit due?"""
        self._close_excursion()
        streams = self._streams
        slot = (streams.count - 1) % RING
        value, dt_s = float(streams.ring[self._k, slot]), float(streams.steps_s[slot])
        return tails.advance(streams.tails, self._k, value, dt_s, streams.learnt_s)

    def refit(self) -> None:
        """Fit the tail anew, from the ring alone while that fills."""
        if self._streams.count <= RING:
            self._begin_from_ring()
        else:
            self._age()
            self._fit()

    def _begin_from_ring(self) -> None:
        """Place the tail's start at a high quantile of the ring and take the ring's excursions as the peaks."""
        streams, tail = self._streams, self._tail
        values, steps_s, starts = self._latest()
        above = min(0.25, max(0.02, 3.0 / math.sqrt(values.size)))
        start = max(self.prior.floor, quantile(in_order_at(values, np.array([1.0 - above])), 1.0 - above))
        peaks, tail["open_peak"], tail["open_s"], tail["calm_s"] = excursions(
            values, steps_s, starts, start, streams.gap_s, LONGEST_EXCURSION_S
        )
        tail["start"] = start
        self._keep(peaks, np.full(peaks.size, streams.learnt_s))
        self._counted_from_s = streams.learnt_s - float(steps_s.sum())
        self._fit()

    def _latest(self) -> tuple[State, State, Mask]:
        """(n,) values, steps and breaks to place the tail's start by, oldest first."""
        streams, count = self._streams, self._streams.count
        if count <= RING:
            part: Any = slice(count - max(1, math.ceil(YOUNG_SHARE * count)), count)
        else:
            part = np.arange(count - RING, count) % RING
        return streams.ring[self._k, part], streams.steps_s[part], streams.starts[part]

    def _close_excursion(self) -> None:
        tail = self._tail
        peaks = np.append(self._peaks, tail["open_peak"])
        self._keep(peaks, np.append(self._peak_at_s, self._streams.learnt_s))
        tail["open_peak"], tail["open_s"], tail["calm_s"] = -math.inf, 0.0, 0.0
        if self._peaks.size > MOST_PEAKS:
            tail["start"] = np.quantile(self._peaks, 0.1)
            high = self._peaks > self.start
            self._keep(self._peaks[high], self._peak_at_s[high])
            self._fit()

    def _age(self) -> None:
        if self._counted_from_s < YOUNG_S <= self._streams.learnt_s / OLDER:
            self._forget_before(YOUNG_S)
        oldest_s = self._streams.learnt_s - HORIZON_S
        if oldest_s > self._counted_from_s:
            self._forget_before(oldest_s)
            if self._peaks.size < FEWEST_PEAKS:
                self._begin_from_ring()

    def _forget_before(self, at_s: float) -> None:
        later = self._peak_at_s >= at_s
        self._counted_from_s = at_s
        self._keep(self._peaks[later], self._peak_at_s[later])

    def _keep(self, peaks: State, at_s: State) -> None:
        self._peaks, self._peak_at_s = peaks, at_s
        self._tail["peaks"] = peaks.size

    def _fit(self) -> None:
        streams, tail, prior = self._streams, self._tail, self.prior
        start = self.start
        values = streams.ring[self._k, : min(streams.count, RING)]
        above = int(np.count_nonzero(values > start))
        shares = 1.0 - (max(1, above) / values.size) ** BODY
        span_s = max(streams.learnt_s - self._counted_from_s, 1.0)
        tail["start_rate"] = self._start_rate(span_s)
        tail["body"], tail["usual"], tail["shape"], tail["scale"] = fit_body_and_tail(
            in_order_at(values, shares), shares, start, self._peaks, prior.shape, prior.scale, prior.weight
        )
        tail["body"][-1] = start
        tail["fitted_at_s"] = streams.learnt_s

    def _start_rate(self, span_s: float) -> float:
        """Excursions above the start, per second, of the camera and of the prior (Gamma-Poisson)."""
        prior = self.prior
        if prior.rate_worth_s <= 0.0:
            return (self._peaks.size + 0.5) / span_s
        rate = prior.rate_per_hour / 3600.0 * survival(prior, self.start - prior.floor)
        return max((self._peaks.size + rate * prior.rate_worth_s) / (span_s + prior.rate_worth_s), LEAST_RATE)

    def state(self) -> dict[str, State]:
        """Everything that the next value's judgement and learning rest on."""
        streams, tail, k = self._streams, self._tail, self._k
        scalars = [streams.count, streams.learnt_s, self._counted_from_s, tail["fitted_at_s"]]
        scalars += [tail[name] for name in NUMBERS]
        return {
            "ring": np.stack([streams.ring[k], streams.steps_s, streams.starts.astype(np.float64)]),
            "peaks": np.stack([self._peaks, self._peak_at_s]),
            "recent": streams.recent[:, [1 + k, 0]],
            "body": np.append(tail["body"], tail["usual"]),
            "scalars": np.nan_to_num(np.array(scalars, dtype=np.float64), neginf=-1e300),
        }

    def restore(self, arrays: Mapping[str, State]) -> None:
        """Go on from ``state``; the streams' common parts are those of the one that is restored last."""
        streams, tail, k = self._streams, self._tail, self._k
        ring = take(arrays, "ring", np.zeros((3, RING)))
        streams.ring[k], streams.steps_s[:], streams.starts[:] = ring[0], ring[1], ring[2] > 0.0
        self._keep(*take(arrays, "peaks", np.zeros_like(arrays.get("peaks", np.zeros((2, 0))))))
        recent = take(arrays, "recent", np.zeros_like(arrays.get("recent", np.zeros((0, 2)))))
        streams.restore_recent(k, recent)
        body = take(arrays, "body", np.zeros(BODY.size + 1))
        tail["body"], tail["usual"] = body[:-1], body[-1]
        scalars = [-math.inf if value <= -1e300 else float(value) for value in take(arrays, "scalars", np.zeros(13))]
        streams.count, streams.learnt_s = int(scalars[0]), scalars[1]
        self._counted_from_s, tail["fitted_at_s"] = scalars[2:4]
        for name, value in zip(NUMBERS, scalars[4:], strict=True):
            tail[name] = value


def survival(prior: TailPrior, over: float) -> float:
    """Share of the prior's excursions that go ``over`` further than its floor."""
    if abs(prior.shape) < 1e-9:
        return math.exp(-over / prior.scale)
    inside = max(0.0, 1.0 + prior.shape * over / prior.scale)
    return math.pow(inside, -1.0 / prior.shape) if inside > 0.0 else 0.0


NUMBERS = ("start", "shape", "scale", "start_rate", "mean", "mean_s", "open_peak", "open_s", "calm_s")
"""Of a TAIL, in the order of ``state()["scalars"]``."""


def in_order_at(values: State, shares: State) -> State:
    """The values, in order at least where their ``shares`` quantiles and their median lie."""
    if values.size < FEW:
        return np.sort(values)
    last = values.size - 1
    below = (shares * last).astype(np.int64)
    return np.partition(values, np.concatenate([below, np.minimum(below + 1, last), [last // 2, (last + 1) // 2]]))


def learn_in_step(spots: Sequence[Spot], streams: Streams, values: State, *, dt_s: float, starts: bool) -> None:
    """Learn one value of each of the ``streams``, (K,), whose tails ``spots`` are, and do what is due then."""
    ended, due = streams.learn(values, dt_s=dt_s, starts=starts)
    if not ended and not due:
        return
    for k, spot in enumerate(spots):
        if ended >> k & 1:
            due |= spot.go_on() << k
        if due >> k & 1:
            spot.refit()
