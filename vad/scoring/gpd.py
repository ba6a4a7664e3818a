"""Generalised Pareto tails: maximum likelihood by Grimshaw's reduction to one dimension, and its regularised use.

S. D. Grimshaw, "Computing Maximum Likelihood Estimates for the Generalized Pareto Distribution", Technometrics 35(2),
1993, as Siffer et al. (KDD 2017, section 4.2) use it. Tail: ``P(Y > y) = (1 + shape * y / scale) ** (-1 / shape)``.
"""

from __future__ import annotations

import math

import numpy as np

from vad.scoring.kernels import Mask, State, kernel

FEWEST_FOR_LIKELIHOOD = 10  # with fewer excesses the likelihood says nothing of the shape
SHAPE_RANGE = (-0.3, 0.4)
SHAPE_WEIGHT = 60.0  # peaks at which the camera's own shape gets half its say: shapes are hard to learn
REACH = 4.0  # scales above the tail's start where the extrapolation is meant to be right on average


@kernel
def quantiles(ordered: State, shares: State) -> State:
    """The ``shares`` quantiles of values that are ``ordered``, at least there."""
    out = np.empty(shares.size)
    for k in range(shares.size):
        out[k] = quantile(ordered, shares[k])
    return out


@kernel
def quantile(ordered: State, share: float) -> float:
    """One of them: ``np.quantile`` to the last bit, a tenth of its time."""
    last = ordered.size - 1
    place = share * last
    below = min(last, int(place))
    low, high, part = ordered[below], ordered[min(last, below + 1)], place - below
    return float(low + (high - low) * part if part < 0.5 else high - (high - low) * (1.0 - part))


@kernel
def excursions(
    values: State, steps_s: State, starts: Mask, start: float, gap_s: float, longest_s: float
) -> tuple[State, float, float, float]:
    """Declustered peaks of a stream above ``start``, and the excursion still open at its end (peak, length, calm).

    An excursion ends after ``gap_s`` of calm, at a break of the footage, or after ``longest_s``.
    """
    peaks = np.empty(values.size)
    count, peak, open_s, calm_s = 0, -np.inf, 0.0, 0.0
    for k in range(values.size):
        if starts[k] or calm_s >= gap_s or open_s >= longest_s:
            if peak > start:
                peaks[count] = peak
                count += 1
            peak, open_s, calm_s = -np.inf, 0.0, 0.0
        if values[k] > start:
            peak = max(peak, values[k])
            calm_s = 0.0
        else:
            calm_s += steps_s[k]
        if peak > -np.inf:
            open_s += steps_s[k]
    return peaks[:count].copy(), peak, open_s, calm_s


@kernel
def log_likelihood(excesses: State, shape: float, scale: float) -> float:
    """Log-likelihood of a generalised Pareto distribution; ``-inf`` outside its support."""
    if scale <= 0.0:
        return -np.inf
    total = -excesses.size * math.log(scale)
    for y in excesses:
        if abs(shape) < 1e-9:
            total -= y / scale
            continue
        inside = 1.0 + shape * y / scale
        if inside <= 0.0:
            return -np.inf
        total -= (1.0 + 1.0 / shape) * math.log(inside)
    return total


@kernel
def grimshaw(excesses: State, x: float) -> tuple[float, float]:
    """(w, shape) at x = shape / scale: stationary points of the likelihood are the roots of w other than 0."""
    inverse, logarithm = 0.0, 0.0
    for y in excesses:
        inverse += 1.0 / (1.0 + x * y)
        logarithm += math.log(1.0 + x * y)
    inverse /= excesses.size
    logarithm /= excesses.size
    return inverse * (1.0 + logarithm) - 1.0, logarithm


@kernel
def fit_gpd(excesses: State) -> tuple[float, float]:
    """(shape, scale) of the highest likelihood among Grimshaw's roots and the exponential. Excesses > 0, at least one.

    Shapes below -1, where the likelihood is unbounded, are not looked at.
    """
    mean, low, high = excesses.mean(), excesses.min(), excesses.max()
    best_shape, best_scale = 0.0, mean
    best = log_likelihood(excesses, 0.0, mean)
    steps = 40
    for side in range(2):
        if side == 0:  # from the edge of the support towards 0, log-spaced distances from the edge, then from 0
            near, far = 1e-6 / mean, (1.0 - 1e-6) / high
        else:
            near, far = 1e-6 / mean, max(2.0 * (mean - low) / max(low * low, 1e-12 * mean * mean), 10.0 / mean)
            far = min(far, 1e6 / mean)
        sign = -1.0 if side == 0 else 1.0
        ratio = (far / near) ** (1.0 / steps)
        left = near
        w_left, _ = grimshaw(excesses, sign * left)
        for _ in range(steps):
            right = min(left * ratio, far)
            w_right, _ = grimshaw(excesses, sign * right)
            if w_left * w_right <= 0.0:
                a, b, w_a = left, right, w_left
                for _ in range(50):
                    middle = 0.5 * (a + b)
                    w_middle, _ = grimshaw(excesses, sign * middle)
                    if w_a * w_middle <= 0.0:
                        b = middle
                    else:
                        a, w_a = middle, w_middle
                x = sign * 0.5 * (a + b)
                _, shape = grimshaw(excesses, x)
                likelihood = log_likelihood(excesses, shape, shape / x)
                if shape > -1.0 and likelihood > best:
                    best, best_shape, best_scale = likelihood, shape, shape / x
            left, w_left = right, w_right
    return best_shape, best_scale


@kernel
def fit_tail(excesses: State, prior_shape: float, prior_scale: float, weight: float) -> tuple[float, float]:
    """(shape, scale) of the tail to extrapolate with: the likelihood's shape shrunk towards the prior's, and widened.

    ``weight`` pseudo-observations of mean ``prior_scale`` stand in for missing peaks. The shape is widened to that of
    the predictive distribution, so that the expected number of false alarms keeps its promise although both numbers
    are estimates: by 1 / n for the scale (n exponential excesses predict a Pareto tail of that shape), and by a quarter
    of the squared reach times the shape's variance for the shape (second order).
    """
    count = excesses.size
    if count == 0:
        return prior_shape + 1.0 / weight + 0.25 * REACH**2 / SHAPE_WEIGHT, prior_scale
    shape = prior_shape
    if count >= FEWEST_FOR_LIKELIHOOD:
        fitted, _ = fit_gpd(excesses)
        fitted = min(SHAPE_RANGE[1], max(SHAPE_RANGE[0], fitted))
        shape = (count * fitted + SHAPE_WEIGHT * prior_shape) / (count + SHAPE_WEIGHT)
    mean = (excesses.sum() + weight * prior_scale) / (count + weight)
    widening = 1.0 / (count + weight) + 0.25 * REACH**2 / (count + SHAPE_WEIGHT)
    return shape + widening, mean * (1.0 - shape)


@kernel
def fit_body_and_tail(
    ordered: State, shares: State, start: float, peaks: State, prior_shape: float, prior_scale: float, weight: float
) -> tuple[State, float, float, float]:
    """(the ``shares`` quantiles of values that are ``ordered``, none above ``start``; their median, no higher either;
    shape and scale of the tail that ``fit_tail`` fits to the ``peaks``)."""
    body = quantiles(ordered, shares)
    for k in range(body.size):
        body[k] = min(body[k], start)
    usual = min(0.5 * (ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]), start)
    shape, scale = fit_tail(peaks - start, prior_shape, prior_scale, weight)
    return body, usual, shape, scale
