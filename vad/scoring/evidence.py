"""The evidences of motion: each maps a frame to how unusual every place of it is, and learns from normal frames.

A map is (gh, gw) float32, >= 0, about 1 when all is as usual.
``Motion.score`` changes nothing that ``learn`` has learnt; ``learn`` is given normal frames only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from vad.scoring import kernels
from vad.scoring.calibration import Histogram, RowLine, refresh_after_s, take
from vad.scoring.kernels import Map, State
from vad.scoring.tuning import TUNING
from vad.types import CellMap


class Stateful(Protocol):
    """Holds calibration as plain arrays; ``restore`` raises CalibrationError when they do not fit."""

    def state(self) -> dict[str, State]: ...

    def restore(self, arrays: Mapping[str, State]) -> None: ...


class Evidence(Stateful, Protocol):
    """What the scorer needs of an evidence."""

    def learn(self, cells: CellMap, *, dt_s: float) -> None: ...


class Moving(Evidence, Protocol):
    """An evidence of what moves."""

    def rest(self, *, dt_s: float) -> None:
        """``learn`` of a frame in which nothing moves at all, without the work."""


PERSON = (TUNING.window_rows, TUNING.window_columns, TUNING.least_activity)
APPEARANCE = (TUNING.row_groups, TUNING.activity_bins, TUNING.surprise_cap)
"""What ``kernels.moving_maps`` takes: the person-sized window, and what each evidence is tuned by."""


class Speed:
    """Mean speed of the surface in a person-sized window, over what is fast at that depth; one-sided.

    The surface is all that belongs to objects: a trunk moves as its legs do on the whole, and the mean over both tells
    a rider from a walker where the legs alone would not. What always crawls there (a belt) says nothing of how fast
    those are who pass: it is left out once it is known.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._fast = RowLine(
            rows, columns, q=TUNING.speed_quantile, prior=TUNING.speed_prior, prior_mass=TUNING.speed_prior_mass
        )
        self._is_apart = False  # has what always crawls been left out?

    @property
    def fast(self) -> State:
        """(gh,) what is fast in each row, px/s."""
        return self._fast.line

    def learn(self, cells: CellMap, *, dt_s: float, crawls: Map | None = None) -> None:
        """Learn a normal frame. ``crawls`` (gh, gw) is 1 on cells that are left out; None: none is known."""
        activity = cells.activity
        if crawls is not None:
            activity = activity * (np.float32(1.0) - crawls)
            if not self._is_apart:
                self._is_apart = True
                self._fast.begin()  # most of what was learnt before is the belt
        self._fast.add(kernels.speeds(cells.flow), activity, dt_s)

    def rest(self, *, dt_s: float) -> None:
        self._fast.pass_time(dt_s)

    def state(self) -> dict[str, State]:
        return {**self._fast.state(), "is_apart": np.array([float(self._is_apart)])}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._fast.restore(arrays)
        self._is_apart = bool(take(arrays, "is_apart", np.zeros(1))[0])


class Appearance:
    """Surprise over what that much activity explains at that depth; one-sided, at moving cells."""

    def __init__(self, rows: int, columns: int) -> None:
        groups = TUNING.row_groups * TUNING.activity_bins
        self._histogram = Histogram(groups, low=0.05, high=500.0)
        self._expected: State = np.full(groups, TUNING.surprise_prior)
        self._since_fit_s, self._learnt_s = 0.0, 0.0

    @property
    def expected(self) -> State:
        """(groups,) surprise that is usual, by row and activity."""
        return self._expected

    def learn(self, cells: CellMap, *, dt_s: float) -> None:
        groups = kernels.groups_of(cells.activity, TUNING.row_groups, TUNING.activity_bins)
        self._histogram.add(groups, cells.surprise, cells.activity, dt_s)
        self.rest(dt_s=dt_s)

    def rest(self, *, dt_s: float) -> None:
        self._since_fit_s += dt_s
        self._learnt_s += dt_s
        if self._since_fit_s < refresh_after_s(self._learnt_s):
            return
        self._histogram.forget(self._since_fit_s)
        self._since_fit_s = 0.0
        mass = self._histogram.mass
        scene = Histogram(1, low=0.05, high=500.0)
        scene.mass = mass.sum(axis=0, keepdims=True)
        total, prior = float(scene.mass.sum()), TUNING.surprise_mass
        common = (total * scene.quantiles(TUNING.surprise_quantile)[0] + prior * TUNING.surprise_prior) / (
            total + prior
        )
        own = mass.sum(axis=1)
        self._expected = (own * self._histogram.quantiles(TUNING.surprise_quantile) + prior * common) / (own + prior)

    def state(self) -> dict[str, State]:
        clock = np.array([self._since_fit_s, self._learnt_s])
        return {"mass": self._histogram.mass, "expected": self._expected, "clock": clock}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._histogram.mass = take(arrays, "mass", self._histogram.mass)
        self._expected = take(arrays, "expected", self._expected)
        clock = take(arrays, "clock", np.zeros(2))
        self._since_fit_s, self._learnt_s = float(clock[0]), float(clock[1])


class Motion:
    """The evidences of motion, asked together: a call for each would cost as much as all their loops."""

    def __init__(self, rows: int, columns: int) -> None:
        self.speed, self.appearance = Speed(rows, columns), Appearance(rows, columns)

    @property
    def evidences(self) -> list[Moving]:
        """In the order of CUES."""
        return [self.speed, self.appearance]

    def learn(self, cells: CellMap, *, dt_s: float, crawls: Map | None) -> None:
        """Learn a normal frame; ``crawls`` is ``Speed.learn``'s."""
        self.speed.learn(cells, dt_s=dt_s, crawls=crawls)
        self.appearance.learn(cells, dt_s=dt_s)

    def rest(self, *, dt_s: float) -> None:
        """``learn`` of a frame in which nothing moves at all, without the work."""
        self.speed.rest(dt_s=dt_s)
        self.appearance.rest(dt_s=dt_s)

    def score(self, cells: CellMap, *, surface: Map, out: Map) -> CellMap:
        """Their maps into the first of ``out`` (K, gh, gw), and the cells with the activity of what really moves.

        ``surface`` (gh, gw) is the share of each cell that objects cover, moving or not: speed is the mean over that.
        """
        share = kernels.moving_maps(
            out,
            cells.flow,
            cells.activity,
            surface,
            cells.surprise,
            self.speed.fast,
            self.appearance.expected,
            TUNING.moving_slow,
            PERSON,
            APPEARANCE,
        )
        return CellMap(cells.frame, cells.dt_s, cells.flow, share, cells.surprise, cells.latent, cells.luma)
