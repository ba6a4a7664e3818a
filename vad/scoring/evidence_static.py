"""The evidence of things at rest: something stays where the background shows nothing of the kind."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from vad.scoring import kernels
from vad.scoring.calibration import take
from vad.scoring.kernels import Map, Mask, State
from vad.scoring.tuning import TUNING
from vad.types import CellMap


class StaticChange:
    """Persistent difference of quiet blocks from a slow background, in spreads of each block, light taken into account.

    Gain and offset of the whole picture are fitted by medians, so that drifting light does not count; a leaky integral
    over ``static_tau_s`` forgets what merely passes. The integral is transient: it starts fresh with each run.
    """

    def __init__(self, rows: int, columns: int) -> None:
        blocks = (2 * rows, 2 * columns)
        self._background: Map = np.zeros(blocks, np.float32)
        self._spread: Map = np.zeros(blocks, np.float32)
        self._seen: Map = np.zeros(blocks, np.float32)  # seconds each block was learnt
        self._integral: Map = np.zeros(blocks, np.float32)
        self._map: Map = np.zeros((rows, columns), np.float32)
        self._gain, self._offset, self._light_from_s = 1.0, 0.0, -math.inf

    def begin_run(self) -> None:
        self._integral[:] = 0.0
        self._map = np.zeros_like(self._map)
        self._light_from_s = -math.inf

    def score(self, cells: CellMap) -> Map:
        """Advances the integral by this frame; call once a frame."""
        self._follow_light(cells)
        self._map = kernels.static_residual(
            cells.luma,
            self._background,
            self._spread,
            self._seen,
            cells.activity,
            self._integral,
            self._gain,
            self._offset,
            1.0 - float(np.exp(-cells.dt_s / TUNING.static_tau_s)),
            TUNING.static_active,
            TUNING.static_tolerance,
            TUNING.static_spread_floor,
            TUNING.static_cap,
        )
        return self._map

    def learn(self, cells: CellMap, *, dt_s: float) -> None:
        """Learn a normal frame where nothing moves; where something unusual stands, at a tenth of the pace."""
        still = cells.activity <= TUNING.static_active
        held = self._map >= TUNING.static_hold
        self._learn_where(still & ~held, cells, dt_s=dt_s)
        if np.any(held):
            self._learn_where(still & held, cells, dt_s=0.1 * dt_s)

    def learn_rest(self, cells: CellMap, *, dt_s: float) -> None:
        """Learn a flagged frame: only where nothing moves and nothing unusual stands, so that light may drift on."""
        self._learn_where((cells.activity <= TUNING.static_active) & (self._map < TUNING.static_hold), cells, dt_s=dt_s)

    def accept(self, cells: CellMap, *, dt_s: float) -> None:
        """What has been flagged for too long is the background from now on."""
        changed = (cells.activity <= TUNING.static_active) & (self._map >= TUNING.static_hold)
        blocks = np.repeat(np.repeat(changed, 2, axis=0), 2, axis=1)
        self._seen[blocks] = 0.0
        self._integral[blocks] = 0.0
        self._learn_where(changed, cells, dt_s=dt_s)

    def _learn_where(self, quiet: Mask, cells: CellMap, *, dt_s: float) -> None:
        kernels.learn_background(
            cells.luma,
            self._background,
            self._spread,
            self._seen,
            quiet,
            self._gain,
            self._offset,
            dt_s,
            TUNING.background_tau_s,
            TUNING.static_spread_floor,
        )

    def _follow_light(self, cells: CellMap) -> None:
        """Gain and offset of the light from the background to now, over quiet blocks that were learnt."""
        now_s = cells.frame.pts_s
        if now_s - self._light_from_s < TUNING.light_every_s:
            return
        self._light_from_s = now_s
        quiet = np.repeat(np.repeat(cells.activity <= TUNING.static_active, 2, axis=0), 2, axis=1)
        self._gain, self._offset = kernels.resistant_line(self._background, cells.luma, quiet & (self._seen > 0.0))

    def state(self) -> dict[str, State]:
        names = {"background": self._background, "spread": self._spread, "seen": self._seen}
        return {name: value.astype(np.float64) for name, value in names.items()}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._background = take(arrays, "background", self._background.astype(np.float64)).astype(np.float32)
        self._spread = take(arrays, "spread", self._spread.astype(np.float64)).astype(np.float32)
        self._seen = take(arrays, "seen", self._seen.astype(np.float64)).astype(np.float32)
