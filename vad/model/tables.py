"""Where the values of cells stand in tables of rows: what lets a convolution run over some of the cells alone.

Row 0 of a table is what lies beyond the picture. Then come the rows that C cameras hold from before, then one row for
each cell that is looked at, frame by frame. A convolution over cells takes, for each of its rows, the nine rows in
which the newest values of the cell and its neighbours stand by then.

The grid of stride 16 has tables of its own: a place of it is looked at when one of its four cells is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.model.compiling import kernel
from vad.model.still import Cells

Index = NDArray[np.int32]


class Places(NamedTuple):
    """Rows of R cells and Q places at stride 16 that are looked at, in F frames of C cameras of n cells each.

    Neighbourhoods go row by row from the top left, the place itself is the fifth.
    """

    rows: Index  # (F, gh, gw) which of the R is it; -1: not looked at
    past: Index  # (R, 9) in the table, before this frame
    near: Index  # (R, 9) in the table, with this frame
    parent: Index  # (R,) the place at stride 16, in its table, with this frame
    under: Index  # (Q, 9) at stride 8, around the place, in the table, with this frame
    wide: Index  # (Q, 9) at stride 16, in its table, with this frame
    seen: Index  # (F, n) each cell's newest row, with this frame
    last: Index  # (C, n) each cell's newest row after all frames
    last_wide: Index  # (C, n at stride 16)


@kernel
def find_places(active: Cells, camera: NDArray[np.int64], cameras: int) -> Places:
    """``active`` (F, gh, gw), ``camera`` (F,) 0..C-1; the frames of one camera in order."""
    count, gh, gw = active.shape
    wh, ww = (gh + 1) // 2, (gw + 1) // 2
    at, at_wide = _held(cameras, gh, gw), _held(cameras, wh, ww)
    looked_wide = np.zeros((count, wh, ww), np.bool_)
    for f in range(count):
        for i in range(gh):
            for j in range(gw):
                looked_wide[f, i // 2, j // 2] |= active[f, i, j]
    cells, places = active.sum(), looked_wide.sum()
    rows = np.full((count, gh, gw), -1, np.int32)
    parent = np.empty(cells, np.int32)
    past, near = np.empty((cells, 9), np.int32), np.empty((cells, 9), np.int32)
    under, wide = np.empty((places, 9), np.int32), np.empty((places, 9), np.int32)
    seen = np.empty((count, gh * gw), np.int32)
    row, place = 0, 0
    for f in range(count):
        c, first, first_wide = camera[f], row, place
        for i in range(gh):
            for j in range(gw):
                if active[f, i, j]:
                    _around(at[c], i, j, past[row])
                    rows[f, i, j] = row
                    row += 1
        _renew(active[f], first + 1 + cameras * gh * gw, at[c])
        _renew(looked_wide[f], first_wide + 1 + cameras * wh * ww, at_wide[c])
        for i in range(wh):
            for j in range(ww):
                if looked_wide[f, i, j]:
                    _around(at[c], 2 * i, 2 * j, under[place])
                    _around(at_wide[c], i, j, wide[place])
                    place += 1
        row = first
        for i in range(gh):
            for j in range(gw):
                if active[f, i, j]:
                    _around(at[c], i, j, near[row])
                    parent[row] = at_wide[c, i // 2 + 1, j // 2 + 1]
                    row += 1
        seen[f] = at[c, 1 : gh + 1, 1 : gw + 1].copy().ravel()
    last, last_wide = np.empty((cameras, gh * gw), np.int32), np.empty((cameras, wh * ww), np.int32)
    for c in range(cameras):
        last[c] = at[c, 1 : gh + 1, 1 : gw + 1].copy().ravel()
        last_wide[c] = at_wide[c, 1 : wh + 1, 1 : ww + 1].copy().ravel()
    return Places(rows, past, near, parent, under, wide, seen, last, last_wide)


@kernel
def _held(cameras: int, height: int, width: int) -> Index:
    """(C, height + 2, width + 2) the row that is held for each place, within a border of what lies beyond."""
    at = np.zeros((cameras, height + 2, width + 2), np.int32)
    for c in range(cameras):
        for i in range(height):
            for j in range(width):
                at[c, i + 1, j + 1] = 1 + (c * height + i) * width + j
    return at


@kernel
def _renew(looked: Cells, first: int, at: Index) -> None:
    """The newest rows from ``first`` on are those of the places looked at."""
    for i in range(looked.shape[0]):
        for j in range(looked.shape[1]):
            if looked[i, j]:
                at[i + 1, j + 1] = first
                first += 1


@kernel
def _around(at: Index, i: int, j: int, out: Index) -> None:
    """The rows around place (i, j), which ``at`` keeps at (i + 1, j + 1)."""
    for k in range(9):
        out[k] = at[i + k // 3, j + k % 3]
