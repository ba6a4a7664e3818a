"""How far a ratio has gone in each cell before: a road's cells know vehicles, a lawn's do not.

Rows alone (``calibration.RowLine``) say what is fast or large at a depth; what is normal on one side of the picture may
never happen on the other at the same depth. So each cell keeps the highest ratios of its own past, one a passage.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, State, kernel
from vad.scoring.tuning import TUNING

PASSAGES = 3
"""A ratio is a cell's own when as many passages reached it: two may be the same event seen twice."""

ORDINARY = 1.25
"""A high up to here is within what is called fast or large at that depth, which a tenth of what is normal exceeds."""


@kernel
def relative_to_highs(maps: Map, highs: Map, ordinary: float) -> None:
    """Divide ``maps`` (R, gh, gw) by the lowest of each cell's ``highs`` (R, PASSAGES, gh, gw) over ``ordinary``.

    Where that is more than 1: up to ``ordinary`` a high is what the rows' own lines leave room for.
    """
    for r in range(maps.shape[0]):
        lowest = highs[r, highs.shape[1] - 1]
        for i in range(maps.shape[1]):
            for j in range(maps.shape[2]):
                if lowest[i, j] > ordinary:
                    maps[r, i, j] *= ordinary / lowest[i, j]


@kernel
def learn_highs(maps: Map, highs: Map, peaks: Map, since_s: Map, dt_s: float, gap_s: float, keep: float) -> None:
    """Take in the ratios ``maps`` (R, gh, gw) of a normal frame that stood for ``dt_s``.

    ``peaks`` and ``since_s`` (R, gh, gw) are the passage that is open in each cell: its highest ratio, over the cell
    and its neighbours, and the seconds since it was above 1. After ``gap_s`` the peak joins the ``highs``, highest
    first. ``keep`` is the share of a high's distance from 1 that is kept.
    """
    ratios, gh, gw = maps.shape
    last = highs.shape[1] - 1
    for r in range(ratios):
        for i in range(gh):
            for j in range(gw):
                top = np.float32(0.0)
                for y in range(max(0, i - 1), min(gh, i + 2)):
                    for x in range(max(0, j - 1), min(gw, j + 2)):
                        top = max(top, maps[r, y, x])
                for p in range(last + 1):
                    if highs[r, p, i, j] > 1.0:
                        highs[r, p, i, j] = 1.0 + keep * (highs[r, p, i, j] - 1.0)
                if top > 1.0:
                    peaks[r, i, j] = max(peaks[r, i, j], top)
                    since_s[r, i, j] = 0.0
                    continue
                since_s[r, i, j] += dt_s
                if peaks[r, i, j] > highs[r, last, i, j] and since_s[r, i, j] > gap_s:
                    p = last
                    while p > 0 and peaks[r, i, j] > highs[r, p - 1, i, j]:
                        highs[r, p, i, j] = highs[r, p - 1, i, j]
                        p -= 1
                    highs[r, p, i, j] = peaks[r, i, j]
                if since_s[r, i, j] > gap_s:
                    peaks[r, i, j] = 0.0


class CellHighs:
    """The highest ratios that each cell has shown, of ``ratios`` maps that are about 1 where all is as usual."""

    def __init__(self, ratios: int, rows: int, columns: int) -> None:
        self._highs: Map = np.zeros((ratios, PASSAGES, rows, columns), np.float32)
        self.begin_run()

    def begin_run(self) -> None:
        """Forget the passages that are open; what was learnt is kept."""
        ratios, _, rows, columns = self._highs.shape
        self._peaks: Map = np.zeros((ratios, rows, columns), np.float32)
        self._since_s: Map = np.zeros_like(self._peaks)

    def apply(self, maps: Map) -> None:
        """Make ``maps`` (R, gh, gw) relative to what each cell has seen PASSAGES times, in place."""
        relative_to_highs(maps, self._highs, ORDINARY)

    def learn(self, maps: Map, *, dt_s: float) -> None:
        """``maps`` (R, gh, gw) of a normal frame, before ``apply``."""
        keep = 0.5 ** (dt_s / TUNING.high_half_life_s)
        learn_highs(maps, self._highs, self._peaks, self._since_s, dt_s, TUNING.decluster_gap_s, keep)

    def state(self) -> dict[str, State]:
        return {"highs": self._highs.astype(np.float64)}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._highs = take(arrays, "highs", self._highs)
