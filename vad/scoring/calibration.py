"""What is large here: streaming quantiles of a camera's own normal values, by row (depth) or by group.

Histograms with log-spaced bins, in cell-seconds of activity, with slow forgetting; a straight line over the rows is
fitted robustly to the rows' quantiles, because a flat ground seen by a camera makes speeds and sizes linear in the row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vad.errors import CalibrationError
from vad.scoring import kernels
from vad.scoring.kernels import Map, State
from vad.scoring.tuning import TUNING

A = TypeVar("A", bound=np.generic)


def take(arrays: Mapping[str, State], name: str, like: NDArray[A]) -> NDArray[A]:
    """A copy of the saved array ``name``. Raises CalibrationError unless it is finite and shaped like ``like``."""
    if name not in arrays:
        raise CalibrationError(f"calibration lacks {name!r}; allowed: a file written by this version")
    value = np.array(arrays[name])
    if value.shape != like.shape or not np.all(np.isfinite(value)):
        raise CalibrationError(f"calibration's {name!r} has shape {value.shape}; allowed: {like.shape}, all finite")
    return value.astype(like.dtype)


def refresh_after_s(learnt_s: float) -> float:
    """Footage to learn before quantiles are looked up anew: often while young, every ``refresh_most_s`` later."""
    return min(TUNING.refresh_most_s, max(TUNING.refresh_s, 0.03 * learnt_s))


@kernels.kernel
def fit_line(mass: State, values: State, row_mass: float, ridge: float, floor: float) -> State:
    """A line through ``values`` (gh,), each as sure as its ``mass`` over ``row_mass``; never below ``floor`` middles.

    Weighted least squares with a ridge on the slope, three rounds of Huber weights against odd rows.
    """
    x = np.linspace(-0.5, 0.5, mass.size)
    weight = mass / (mass + row_mass)
    line = np.full(mass.size, (values * mass).sum() / mass.sum())
    for _ in range(3):
        robust = weight / np.maximum(1.0, np.abs(values - line) / (0.15 * line + 1e-9))
        total = robust.sum()
        mean_x, mean_y = (x * robust).sum() / total, (values * robust).sum() / total
        spread = (robust * (x - mean_x) ** 2).sum()
        slope = (robust * (x - mean_x) * (values - mean_y)).sum() / (spread + ridge)
        line = np.maximum(mean_y + slope * (x - mean_x), floor * mean_y)
    return line


@kernels.kernel
def learn_histogram(
    hist: State, groups: kernels.Groups, values: Map, weights: Map, dt_s: float, log_low: float, step: float
) -> None:
    """Add ``weights * dt_s`` to the log-spaced bins of ``hist`` (G, B) that ``values`` (gh, gw) fall in.

    Group -1 is none.
    """
    gh, gw = values.shape
    bins = hist.shape[1]
    for i in range(gh):
        for j in range(gw):
            g = groups[i, j]
            if g < 0 or weights[i, j] <= 0.0 or values[i, j] <= 0.0:
                continue
            b = int((math.log(values[i, j]) - log_low) / step)
            hist[g, min(bins - 1, max(0, b))] += np.float32(weights[i, j] * np.float32(dt_s))


@kernels.kernel
def histogram_quantile(hist: State, q: float, log_low: float, step: float) -> State:
    """The q-quantile of each row of ``hist``, log-interpolated within its bin; 0.0 where a row is empty."""
    rows, bins = hist.shape
    out = np.zeros(rows)
    for g in range(rows):
        total = hist[g].sum()
        if total <= 0.0:
            continue
        below = 0.0
        for b in range(bins):
            if below + hist[g, b] >= q * total and hist[g, b] > 0.0:
                out[g] = math.exp(log_low + (b + (q * total - below) / hist[g, b]) * step)
                break
            below += hist[g, b]
    return out


class Histogram:
    """Weighted histogram of positive values per group: (groups, bins) masses over log-spaced bins from low to high."""

    def __init__(self, groups: int, *, low: float, high: float) -> None:
        self._log_low = math.log(low)
        self._step = (math.log(high) - math.log(low)) / TUNING.histogram_bins
        self.mass: State = np.zeros((groups, TUNING.histogram_bins))

    def add(self, groups: kernels.Groups, values: Map, weights: Map, dt_s: float) -> None:
        """Add ``dt_s`` of one frame: ``groups``, ``values``, ``weights`` are (gh, gw); group -1 and values <= 0 are
        skipped."""
        learn_histogram(self.mass, groups, values, weights, dt_s, self._log_low, self._step)

    def forget(self, seconds: float) -> None:
        self.mass *= 0.5 ** (seconds / TUNING.forget_half_life_s)

    def quantiles(self, q: float) -> State:
        """(groups,) quantiles, 0.0 where nothing was seen."""
        return histogram_quantile(self.mass, q, self._log_low, self._step)


class RowLine:
    """A high quantile as a line over the rows: ``line`` (gh,), always positive.

    With little data it is a constant, with none the prior; a row that has little of its own is brought up towards
    that: a line that was learnt where a belt crawls says nothing of the aisle in front of it. ``add`` is cheap, the
    line is fitted anew once a ``refresh_s`` of learnt footage.
    """

    def __init__(self, rows: int, columns: int, *, q: float, prior: float, prior_mass: float) -> None:
        self._q, self._prior, self._prior_mass = q, prior, prior_mass
        self._groups = np.repeat(np.arange(rows), columns).reshape(rows, columns)
        self._histogram = Histogram(rows, low=prior / 50.0, high=prior * 50.0)
        self.begin()

    def begin(self) -> None:
        """Nothing is learnt yet."""
        self._histogram.mass[:] = 0.0
        self._since_fit_s, self._learnt_s = 0.0, 0.0
        self.line: State = np.full(len(self._groups), self._prior)

    def add(self, values: Map, weights: Map, dt_s: float) -> None:
        self._histogram.add(self._groups, values, weights, dt_s)
        self.pass_time(dt_s)

    def pass_time(self, dt_s: float) -> None:
        """``add`` where all weights are zero."""
        self._since_fit_s += dt_s
        self._learnt_s += dt_s
        if self._since_fit_s >= refresh_after_s(self._learnt_s):
            self._histogram.forget(self._since_fit_s)
            self._since_fit_s = 0.0
            self._fit()

    def _fit(self) -> None:
        mass = self._histogram.mass.sum(axis=1)
        total = mass.sum()
        if total <= 0.0:
            return
        quantiles = self._histogram.quantiles(self._q)
        line = fit_line(mass, quantiles, TUNING.row_mass, TUNING.slope_ridge, TUNING.line_floor)
        line = (total * line + self._prior_mass * self._prior) / (total + self._prior_mass)
        unknown = TUNING.row_mass / (mass + TUNING.row_mass)
        self.line = line + unknown * np.maximum(0.0, self._prior - line)

    def state(self) -> dict[str, State]:
        return {"mass": self._histogram.mass, "line": self.line, "clock": np.array([self._since_fit_s, self._learnt_s])}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._histogram.mass = take(arrays, "mass", self._histogram.mass)
        self.line = take(arrays, "line", self.line)
        clock = take(arrays, "clock", np.zeros(2))
        self._since_fit_s, self._learnt_s = float(clock[0]), float(clock[1])
