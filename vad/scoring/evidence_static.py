"""The evidence of things at rest: something stays where the background shows nothing of the kind."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vad.scoring import kernels_static
from vad.scoring.calibration import take
from vad.scoring.evidence import Speed
from vad.scoring.kernels import Map, Mask, State
from vad.scoring.tuning import TUNING
from vad.types import CellMap

DWELL = (
    TUNING.static_motion,
    TUNING.static_lately_s,
    TUNING.static_still,
    TUNING.static_tolerance,
    TUNING.static_full,
    TUNING.static_away_s,
    TUNING.static_held_s,
    TUNING.static_most,
)
"""What ``kernels_static.dwell`` is tuned by."""

KNOWN_FROM = 3
"""Samples with which ``kernels_static.background_of`` knows a background."""


class StaticChange:
    """For how long something has stood still that differs from the background, in units of ``left_behind_s``.

    The background is the median of samples of quiet cells, a hundred seconds' worth once so much was seen; gain and
    offset of the whole picture are fitted by medians, so that drifting light does not count. How long things have stood
    is transient: it starts fresh with each run.
    """

    def __init__(self, rows: int, columns: int, *, speed: Speed, left_behind_s: float) -> None:
        self._speed, self.left_behind_s = speed, left_behind_s
        blocks = (2 * rows, 2 * columns)
        self._samples: NDArray[np.uint8] = np.zeros((TUNING.background_samples, *blocks), np.uint8)
        self._valid: Mask = np.zeros((TUNING.background_samples, rows, columns), np.bool_)
        self._count = 0  # samples taken so far
        self._learnt_s = 0.0
        self._since_sample_s = 0.0
        self._background: Map = np.zeros(blocks, np.float32)
        self._spread: Map = np.ones(blocks, np.float32)
        self._known: Mask = np.zeros(blocks, np.bool_)
        self._stood_s: Map = np.zeros(blocks, np.float32)
        self.begin_run()

    def begin_run(self) -> None:
        self._stood_s[:] = 0.0
        self._unseen_s: Map = np.zeros_like(self._stood_s)
        self._lately: Map = np.zeros_like(self._stood_s)  # luma, a short mean
        self._map: Map = np.zeros((self._stood_s.shape[0] // 2, self._stood_s.shape[1] // 2), np.float32)  # seconds
        self._gain, self._offset, self._light_from_s = 1.0, 0.0, -math.inf

    def surface(self, cells: CellMap) -> Map:
        """(gh, gw) share of each cell that belongs to objects, moving or not: what the background does not explain.

        Where the background is not known yet, what moves is all the surface there is. The light is that of the last
        frame scored.
        """
        return kernels_static.surface(
            cells.luma,
            cells.activity,
            self._background,
            self._spread,
            self._known,
            self._gain,
            self._offset,
            TUNING.covered_least,
            TUNING.covered_spreads,
            TUNING.moving_surface,
        )

    def score(self, cells: CellMap, *, out: Map) -> None:
        """The map into ``out`` (gh, gw). Advances the clocks of what stands by this frame; call once a frame."""
        self._follow_light(cells)
        kernels_static.dwell(
            out,
            self._map,
            cells.luma,
            self._background,
            self._spread,
            self._known,
            cells.flow,
            cells.activity,
            self._speed.fast,
            self._lately,
            self._stood_s,
            self._unseen_s,
            self._gain,
            self._offset,
            min(cells.dt_s, 1.0),
            self.left_behind_s,
            DWELL,
        )

    def learn(self, cells: CellMap, *, dt_s: float) -> None:
        """Learn a normal frame where nothing moves: what stands there for long becomes the background."""
        if self._is_due(dt_s):
            self._sample(self._quiet(cells), cells)

    def learn_rest(self, cells: CellMap, *, dt_s: float) -> None:
        """Learn a flagged frame: only where nothing moves and nothing strange stands, so that light may drift on."""
        if self._is_due(dt_s):
            strange = self._map >= TUNING.static_hold_s
            self._sample(self._quiet(cells) & ~strange, cells)

    def accept(self, cells: CellMap) -> None:
        """What stands there now is the background from now on, where it differs."""
        changed = self._quiet(cells) & (self._map >= TUNING.static_hold_s)
        blocks = np.repeat(np.repeat(changed, 2, axis=0), 2, axis=1)
        self._samples[:, blocks] = np.round(cells.luma[blocks]).astype(np.uint8)
        self._valid[:, changed] = True
        self._stood_s[blocks] = 0.0
        self._look_up()

    def begin_look(self, cells: CellMap, *, since_s: float) -> None:
        """View or light changed ``since_s`` ago: what shows now is the background, but for what stood there before.

        Where something moves now, nothing is known any more. Little is made of this one look, so that whoever stood
        still in it is soon outvoted. What stood before is off a background that is brought into the new light.
        """
        self._light_from_s = -math.inf
        self._follow_light(cells)
        self._samples = np.clip(np.round(self._gain * self._samples + self._offset), 0, 255).astype(np.uint8)
        changed = self._map < since_s + TUNING.static_lately_s
        blocks = np.repeat(np.repeat(changed, 2, axis=0), 2, axis=1)
        self._samples[:, blocks] = np.round(cells.luma[blocks]).astype(np.uint8)
        self._stood_s[blocks] = 0.0
        self._valid[:, changed] = False
        for back in range(1, KNOWN_FROM + 1):
            self._valid[(self._count - back) % TUNING.background_samples] |= changed & self._quiet(cells)
        self._gain, self._offset, self._light_from_s = 1.0, 0.0, -math.inf
        self._look_up()

    def difference(self, cells: CellMap, row: int, column: int) -> float:
        """Grey levels by which that cell's most different block is off the background, in the light of now."""
        blocks = slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2)
        off = np.abs(cells.luma[blocks] - self._gain * self._background[blocks] - self._offset)
        return float(off.max())

    def _is_due(self, dt_s: float) -> bool:
        """Is a sample due, now that ``dt_s`` more were learnt?"""
        self._learnt_s += dt_s
        self._since_sample_s += dt_s
        span_s = min(TUNING.background_s, self._learnt_s)
        every_s = max(TUNING.sample_every_s, span_s / TUNING.background_samples)
        return not self._count or self._since_sample_s >= every_s

    def _sample(self, quiet: Mask, cells: CellMap) -> None:
        slot = self._count % TUNING.background_samples  # what is not quiet keeps the sample it has there
        blocks = np.repeat(np.repeat(quiet, 2, axis=0), 2, axis=1)
        self._samples[slot][blocks] = np.round(cells.luma[blocks]).astype(np.uint8)
        self._valid[slot] |= quiet
        self._count += 1
        self._since_sample_s = 0.0
        self._look_up()

    def _look_up(self) -> None:
        self._background, self._spread, self._known = kernels_static.background_of(
            self._samples,
            self._valid,
            min(self._count, TUNING.background_samples),
            TUNING.static_spread_floor,
            TUNING.static_spread_quantile,
        )

    def _quiet(self, cells: CellMap) -> Mask:
        """(gh, gw) where nothing moves to speak of."""
        return kernels_static.slower_than(TUNING.static_motion, cells.flow, cells.activity, self._speed.fast)

    def _follow_light(self, cells: CellMap) -> None:
        """Gain and offset of the light from the background to now, over quiet blocks that are known."""
        now_s = cells.frame.pts_s
        if now_s - self._light_from_s < TUNING.light_every_s:
            return
        self._light_from_s = now_s
        quiet = self._quiet(cells)
        self._gain, self._offset = kernels_static.resistant_line(self._background, cells.luma, self._known, quiet)

    def state(self) -> dict[str, State]:
        clock = np.array([self._count, self._learnt_s, self._since_sample_s])
        samples, valid = self._samples.astype(np.float64), self._valid.astype(np.float64)
        return {"samples": samples, "valid": valid, "clock": clock}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._samples = take(arrays, "samples", self._samples)
        self._valid = take(arrays, "valid", self._valid)
        count, self._learnt_s, self._since_sample_s = (float(v) for v in take(arrays, "clock", np.zeros(3)))
        self._count = int(count)
        self._look_up()
