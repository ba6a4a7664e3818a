"""The tails of K streams that are learnt in step: all that must be done of every frame, in one call for all of them.

What is done now and then (placing a tail's start, fitting it) is ``threshold.Spot``'s.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import Mask, State, kernel
from vad.scoring.tuning import LONGEST_STEP_S

RING = 4096  # values kept: the tail is fitted anew from them until they are that many
HORIZON_S = 7 * 86400.0  # peaks older than that are forgotten
LARGEST_EXPONENT = 30.0  # rates are not told apart below 1e-30 a second
LONGEST_EXCURSION_S = 60.0  # a longer one counts once in that time
BODY = np.linspace(0.0, 1.0, 17)  # shares of the exponent at the tail's start at which the values below it are kept

TAIL = np.dtype(
    [
        ("start", "f8"),
        ("shape", "f8"),
        ("scale", "f8"),
        ("start_rate", "f8"),  # excursions above the start, per second
        ("peaks", "i8"),  # how many the fit rests on
        ("usual", "f8"),  # the median value
        ("body", "f8", BODY.shape),  # values that stand for BODY, rising
        ("fitted_at_s", "f8"),  # learnt footage then
        ("mean", "f8"),  # drifting, of mean_s seconds
        ("mean_s", "f8"),
        ("open_peak", "f8"),  # of the excursion that is open, -inf for none; its length; the calm since
        ("open_s", "f8"),
        ("calm_s", "f8"),
    ],
    align=True,
)
"""What a frame asks of one tail."""

Tails = NDArray[Any]  # (K,) TAIL


@kernel
def exponent(tails: Tails, k: int, value: float, dt_s: float) -> float:
    """``-log10`` of the expected number of excursions of stream ``k`` above ``value`` in a frame of ``dt_s``.

    0.0 = all the time. Below the tail's start it follows the share of values that were higher, but no further than the
    value has come from the usual one (the median) to the start: it grows with the value, and trifles stay trifles where
    the tail starts at its floor. ``value`` is relative to the drifting mean, if there is one.
    """
    tail = tails[k]
    at_start = max(0.0, -math.log10(min(1.0, tail.start_rate * dt_s))) if tail.start_rate > 0.0 else 0.0
    if value <= tail.start:
        way = (value - tail.usual) / max(tail.start - tail.usual, 1e-9)
        return float(at_start * min(rarity(tail.body, value), max(0.0, way)))
    over = value - tail.start
    if abs(tail.shape) < 1e-9:
        return float(min(LARGEST_EXPONENT, at_start + over / tail.scale / math.log(10.0)))
    inside = 1.0 + tail.shape * over / tail.scale
    beyond = LARGEST_EXPONENT if inside <= 0.0 else math.log10(inside) / tail.shape
    return min(LARGEST_EXPONENT, at_start + beyond)


@kernel
def rarity(body: State, value: float) -> float:
    """Where ``value`` lies in the ``body``, 0..1, linearly between its values."""
    last = len(body) - 1
    if value < body[0] or value >= body[last]:
        return 0.0 if value < body[0] else 1.0
    below = 0
    while body[below + 1] <= value:
        below += 1
    low, high = body[below], body[below + 1]
    return float((below + (value - low) / (high - low)) / last)


@kernel
def exponents(tails: Tails, values: State, shares: State, dt_s: float) -> State:
    """(K,) ``exponent`` of each stream's value, given that it may use its share of all incidents; never below 0.

    Weighted Bonferroni: Genovese, Roeder, Wasserman, "False discovery control with p-value weighting", Biometrika 2006.
    """
    out = np.empty(values.size)
    for k in range(values.size):
        out[k] = max(0.0, exponent(tails, k, values[k], dt_s) + math.log10(shares[k]))
    return out


@kernel
def recalibrated(tails: Tails, k: int, nominal: State, share: float, dt_s: float) -> State:
    """(K,) nominal exponents of a frame of ``dt_s``, brought by ``share`` of the way to those by the tail of stream
    ``k``, whose values are the largest nominal ones of a second.

    In proportion below the tail's start: the order is kept.
    """
    tail, out = tails[k], np.empty(nominal.size)
    at_start = exponent(tails, k, tail.start, dt_s)
    for j in range(nominal.size):
        value = nominal[j] + math.log10(dt_s)
        if value > tail.start:
            own = exponent(tails, k, value, dt_s)
        else:
            own = nominal[j] * at_start / (tail.start - math.log10(dt_s))
        out[j] = nominal[j] + share * (own - nominal[j])
    return out


@kernel
def advance(tails: Tails, k: int, value: float, dt_s: float, learnt_s: float) -> bool:
    """Take one more value of stream ``k`` into the excursion that is open, or open one. Is a new fit due?"""
    tail = tails[k]
    if value > tail.start:
        tail.open_peak = max(tail.open_peak, value)
        tail.calm_s = 0.0
    else:
        tail.calm_s += dt_s
    if tail.open_peak > -np.inf:
        tail.open_s += dt_s
    return bool(learnt_s - tail.fitted_at_s >= 0.02 * min(learnt_s, HORIZON_S))


@kernel
def hold(recent: State, count: int, lasted_s: float, needed_s: float) -> tuple[int, float]:
    """Drop the oldest of the first ``count`` lines of ``recent`` (N, 1 + K), each a step and what was seen in it, as
    far as the others make up ``needed_s``. How many are left, and how long they lasted together."""
    gone = 0
    while count - gone > 1 and lasted_s - recent[gone, 0] >= needed_s:
        lasted_s -= recent[gone, 0]
        gone += 1
    if gone:
        for line in range(count - gone):
            recent[line] = recent[line + gone]
    return count - gone, lasted_s


@kernel
def learn(
    tails: Tails,
    ring: State,
    recent: State,
    held: int,
    held_s: float,
    values: State,
    count: int,
    learnt_s: float,
    dt_s: float,
    starts: bool,
    gap_s: float,
    sustain_s: float,
    drift_s: float,
) -> tuple[int, float, int, int]:
    """Learn the ``count``-th values (K,), which stood for ``dt_s``; ``learnt_s`` is all footage, theirs included.

    ``ring`` (K, RING) takes what was sustained: the lowest of the values that together stood for ``sustain_s``, which
    are the first ``held`` lines of ``recent``, ``held_s`` long. Returns both anew, and, as bits, the streams whose open
    excursion has ended with a peak (they are left to the caller), and those of which a fit is due.
    """
    if starts:
        held, held_s = 0, 0.0
    recent[held, 0] = dt_s
    for k in range(values.size):
        tail = tails[k]
        recent[held, 1 + k] = values[k] - tail.mean if drift_s > 0.0 else values[k]
        if drift_s > 0.0:
            tail.mean_s = min(tail.mean_s + dt_s, drift_s)
            if tail.mean_s > 0.0:
                tail.mean += min(1.0, dt_s / tail.mean_s) * (values[k] - tail.mean)
    held, held_s = hold(recent, held + 1, held_s + dt_s, sustain_s - 1e-9)
    ended, due = 0, 0
    for k in range(values.size):
        tail = tails[k]
        value = recent[held - 1, 1 + k]
        if held_s < sustain_s - 1e-9:
            value = min(0.0, value)
        for line in range(held - 1 if held_s >= sustain_s - 1e-9 else 0):
            value = min(value, recent[line, 1 + k])
        ring[k, (count - 1) % RING] = value
        if count <= RING:
            is_due = count == RING or learnt_s - tail.fitted_at_s >= max(1.0, 0.05 * learnt_s)
        elif starts or tail.calm_s >= gap_s or tail.open_s >= LONGEST_EXCURSION_S:
            if tail.open_peak > tail.start:
                ended |= 1 << k
                continue
            tail.open_peak, tail.open_s, tail.calm_s = -np.inf, 0.0, 0.0
            is_due = advance(tails, k, value, dt_s, learnt_s)
        else:
            is_due = advance(tails, k, value, dt_s, learnt_s)
        due |= is_due << k
    return held, held_s, ended, due


class Streams:
    """K streams of values that come together, and their tails. ``learn`` is given normal values only, in order.

    ``gap_s`` of calm ends an excursion; a value counts when held for ``sustain_s``. ``drift_s`` > 0 judges values by
    their distance from the mean of the last ``drift_s`` seconds (DSPOT).
    """

    def __init__(self, count: int, *, gap_s: float, sustain_s: float = 0.0, drift_s: float = 0.0) -> None:
        self.gap_s, self.sustain_s, self.drift_s = gap_s, sustain_s, drift_s
        self.tails: Tails = np.zeros(count, TAIL)
        self.ring: State = np.zeros((count, RING))  # values, as sustained
        self.steps_s: State = np.zeros(RING)
        self.starts: Mask = np.zeros(RING, np.bool_)
        self.count = 0  # values learnt so far, of each stream
        self.learnt_s = 0.0
        self._recent: State = np.zeros((8, 1 + count))  # step and values of the last sustain_s
        self._held, self._held_s = 0, 0.0  # lines of it that are in use, and how long they lasted

    @property
    def recent(self) -> State:
        """(n, 1 + K) step and values of the last ``sustain_s``."""
        return self._recent[: self._held]

    def restore_recent(self, k: int, lines: State) -> None:
        """(n, 2) value and step of stream ``k``; the steps are common to all streams."""
        if len(lines) != self._held:
            self._recent = np.zeros((len(lines) + 8, 1 + len(self.tails)))
        self._held, self._held_s = len(lines), sum(lines[:, 1].tolist())
        self.recent[:, 1 + k], self.recent[:, 0] = lines[:, 0], lines[:, 1]

    def learn(self, values: State, *, dt_s: float, starts: bool) -> tuple[int, int]:
        """Learn one value of each stream, (K,). ``learn`` (the kernel) says what it returns."""
        dt_s = min(dt_s, LONGEST_STEP_S)
        slot = self.count % RING
        self.steps_s[slot], self.starts[slot] = dt_s, starts
        self.count += 1
        self.learnt_s += dt_s
        if self._held == len(self._recent):
            self._recent = np.concatenate([self._recent, np.zeros_like(self._recent)])
        self._held, self._held_s, ended, due = learn(
            self.tails,
            self.ring,
            self._recent,
            self._held,
            self._held_s,
            values,
            self.count,
            self.learnt_s,
            dt_s,
            starts,
            self.gap_s,
            self.sustain_s,
            self.drift_s,
        )
        return ended, due
