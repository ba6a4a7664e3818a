"""How far a ratio commonly goes in each cell: a road's cells know vehicles, a lawn's do not.

Rows alone (``calibration.RowLine``) say what is fast or large at a depth; what is normal on one side of the picture may
never happen on the other at the same depth. So each cell counts the passages it has seen by the highest ratio of each.
What a good share of the passages reach is usual there. The very highest of many says nothing: it grows with time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, State, kernel
from vad.scoring.tuning import TUNING

LEVELS = (1.25 * 1.25 ** np.arange(10)).astype(np.float32)
"""Ratios that are told apart, 1.25 to 9.3. The lowest is within what is called fast or large at that depth, which a
tenth of what is normal exceeds."""

PASSES = 0.3
"""A ratio above which something passes at all."""

FEWEST = 2.5
"""Passages that make a habit, as they fade: two may be the same event seen twice."""


@kernel
def relative_to_highs(maps: Map, highs: Map) -> None:
    """Divide ``maps`` (R, gh, gw) in place by ``highs`` (R, gh, gw), which are 1 or more."""
    for r in range(maps.shape[0]):
        for i in range(maps.shape[1]):
            for j in range(maps.shape[2]):
                maps[r, i, j] /= highs[r, i, j]


@kernel
def learn_passages(
    maps: Map,
    counts: Map,
    highs: Map,
    peaks: Map,
    since_s: Map,
    levels: Map,
    dt_s: float,
    gap_s: float,
    passes: float,
    fewest: float,
    share: float,
) -> None:
    """Take in the ratios ``maps`` (R, gh, gw) of a normal frame that stood for ``dt_s``.

    ``peaks`` and ``since_s`` (R, gh, gw) are the passage that is open in each cell: its highest ratio, over the cell
    and its neighbours, and the seconds since it was above ``passes``. After ``gap_s`` it is counted: ``counts``
    (R, L + 1, gh, gw) holds all passages and, from 1 on, those that reached each of ``levels`` (L,). ``highs`` becomes
    the highest level, over the lowest, that at least ``fewest`` passages and a ``share`` of all have reached.
    """
    ratios, gh, gw = maps.shape
    for r in range(ratios):
        for i in range(gh):
            for j in range(gw):
                top = np.float32(0.0)
                for y in range(max(0, i - 1), min(gh, i + 2)):
                    for x in range(max(0, j - 1), min(gw, j + 2)):
                        top = max(top, maps[r, y, x])
                if top > passes:
                    peaks[r, i, j] = max(peaks[r, i, j], top)
                    since_s[r, i, j] = 0.0
                    continue
                since_s[r, i, j] += dt_s
                if peaks[r, i, j] <= 0.0 or since_s[r, i, j] <= gap_s:
                    continue
                counts[r, 0, i, j] += 1.0
                needed = max(fewest, share * counts[r, 0, i, j])
                high = np.float32(1.0)
                for k in range(levels.size):
                    if peaks[r, i, j] >= levels[k]:
                        counts[r, k + 1, i, j] += 1.0
                    if counts[r, k + 1, i, j] >= needed:
                        high = levels[k] / levels[0]
                highs[r, i, j] = high
                peaks[r, i, j] = 0.0


class CellHighs:
    """What is usual in each cell, of ``ratios`` maps that are about 1 where all is as usual."""

    def __init__(self, ratios: int, rows: int, columns: int) -> None:
        self._counts: Map = np.zeros((ratios, LEVELS.size + 1, rows, columns), np.float32)
        self._highs: Map = np.ones((ratios, rows, columns), np.float32)
        self.begin_run()

    def begin_run(self) -> None:
        """Forget the passages that are open; what was learnt is kept."""
        self._peaks: Map = np.zeros_like(self._highs)
        self._since_s: Map = np.zeros_like(self._highs)

    def apply(self, maps: Map) -> None:
        """Make ``maps`` (R, gh, gw) relative to what is usual in each cell, in place."""
        relative_to_highs(maps, self._highs)

    def learn(self, maps: Map, *, dt_s: float) -> None:
        """``maps`` (R, gh, gw) of a normal frame, before ``apply``."""
        self._counts *= np.float32(0.5 ** (dt_s / TUNING.high_half_life_s))
        learn_passages(
            maps,
            self._counts,
            self._highs,
            self._peaks,
            self._since_s,
            LEVELS,
            dt_s,
            TUNING.decluster_gap_s,
            PASSES,
            FEWEST,
            TUNING.high_share,
        )

    def state(self) -> dict[str, State]:
        return {"counts": self._counts.astype(np.float64), "highs": self._highs.astype(np.float64)}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._counts, self._highs = take(arrays, "counts", self._counts), take(arrays, "highs", self._highs)
