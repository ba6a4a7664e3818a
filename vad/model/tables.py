"""Where the values of cells stand in tables of rows: what lets a convolution run over some of the cells alone.

Row 0 of a table is what lies beyond the picture. Then come rows for what the camera holds from before, of the cells
that are needed alone, then one row for each cell that is looked at, frame by frame. A convolution over cells takes, for
each of its rows, the nine rows in which the newest values of the cell and its neighbours stand by then.

The grid of stride 16 has tables of its own: a place of it is looked at when one of its four cells is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.model.compiling import kernel
from vad.model.still import Cells

Index = NDArray[np.int32]


class Rows(NamedTuple):
    """Which rows of a table are for what the camera holds: K of its cells, or places at stride 16."""

    place: Index  # (K,)
    row: Index  # (K,)


class Around(NamedTuple):
    """Rows of the tables that convolutions need, row by row from the top left, the place itself the fifth."""

    past: Index  # (R, 9) before this frame
    near: Index  # (R, 9) with this frame
    parent: Index  # (R,) the place at stride 16, in its table, with this frame
    under: Index  # (Q, 9) at stride 8, around the place, with this frame
    wide: Index  # (Q, 9) at stride 16, in its table, with this frame


class Places(NamedTuple):
    """R cells and Q places at stride 16 that are looked at, in T pictures of n cells each."""

    rows: Index  # (T, gh, gw) which of the R is it; -1: not looked at
    begins: Index  # (T + 1,) the first row of each picture, and R
    where: Index  # (R, 3) picture, row and column of each cell
    around: Around
    held: Rows  # what is needed of before
    held_wide: Rows
    last: Rows  # the newest row of each cell that was looked at
    last_wide: Rows


@kernel
def find_places(active: Cells) -> Places:
    """``active`` (T, gh, gw) are the cells of successive pictures that are to be looked at."""
    count, gh, gw = active.shape
    looked_wide = _looked_wide(active)
    wh, ww = looked_wide.shape[1:]
    at, at_wide = _needed(active, looked_wide)
    held, held_wide = _rows_above(at, 0), _rows_above(at_wide, 0)
    first_row, first_place = 1 + len(held.row), 1 + len(held_wide.row)
    cells, places = active.sum(), looked_wide.sum()
    rows, begins = np.full((count, gh, gw), -1, np.int32), np.zeros(count + 1, np.int32)
    where, parent = np.empty((cells, 3), np.int32), np.empty(cells, np.int32)
    past, near = np.empty((cells, 9), np.int32), np.empty((cells, 9), np.int32)
    under, wide = np.empty((places, 9), np.int32), np.empty((places, 9), np.int32)
    row, place = 0, 0
    for t in range(count):
        first, first_wide = row, place
        for i in range(gh):
            for j in range(gw):
                if active[t, i, j]:
                    _around(at, i, j, past[row])
                    where[row, 0], where[row, 1], where[row, 2] = t, i, j
                    rows[t, i, j] = row
                    row += 1
        begins[t + 1] = row
        _renew(active[t], first + first_row, at)
        _renew(looked_wide[t], first_wide + first_place, at_wide)
        for i in range(wh):
            for j in range(ww):
                if looked_wide[t, i, j]:
                    _around(at, 2 * i, 2 * j, under[place])
                    _around(at_wide, i, j, wide[place])
                    place += 1
        for r in range(first, row):
            i, j = where[r, 1], where[r, 2]
            _around(at, i, j, near[r])
            parent[r] = at_wide[i // 2 + 1, j // 2 + 1]
    last, last_wide = _rows_above(at, first_row - 1), _rows_above(at_wide, first_place - 1)
    around = Around(past, near, parent, under, wide)
    return Places(rows, begins, where, around, held, held_wide, last, last_wide)


@kernel
def _looked_wide(active: Cells) -> Cells:
    count, gh, gw = active.shape
    out = np.zeros((count, (gh + 1) // 2, (gw + 1) // 2), np.bool_)
    for f in range(count):
        for i in range(gh):
            for j in range(gw):
                out[f, i // 2, j // 2] |= active[f, i, j]
    return out


@kernel
def _needed(active: Cells, looked_wide: Cells) -> tuple[Index, Index]:
    """(gh + 2, gw + 2) and the same at stride 16: rows for what the places around those looked at hold, else 0."""
    count, gh, gw = active.shape
    wh, ww = looked_wide.shape[1:]
    at, at_wide = np.zeros((gh + 2, gw + 2), np.int32), np.zeros((wh + 2, ww + 2), np.int32)
    for t in range(count):
        for i in range(wh):
            for j in range(ww):
                if looked_wide[t, i, j]:
                    _mark(at, 2 * i, 2 * j)
                    _mark(at_wide, i, j)
        for i in range(gh):
            for j in range(gw):
                if active[t, i, j]:
                    _mark(at, i, j)
    _number(at)
    _number(at_wide)
    return at, at_wide


@kernel
def _mark(at: Index, i: int, j: int) -> None:
    """Place (i, j) and those around it."""
    for k in range(9):
        at[i + k // 3, j + k % 3] = 1


@kernel
def _number(at: Index) -> None:
    """Give what is marked rows from 1 on; what lies beyond the picture has row 0."""
    row = 0
    at[0, :], at[-1, :], at[:, 0], at[:, -1] = 0, 0, 0, 0
    for i in range(1, at.shape[0] - 1):
        for j in range(1, at.shape[1] - 1):
            if at[i, j]:
                row += 1
                at[i, j] = row


@kernel
def _rows_above(at: Index, above: int) -> Rows:
    """The places whose row is above that one."""
    height, width = at.shape
    count = (at > above).sum()
    place, row = np.empty(count, np.int32), np.empty(count, np.int32)
    k = 0
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            if at[i, j] > above:
                place[k], row[k] = (i - 1) * (width - 2) + j - 1, at[i, j]
                k += 1
    return Rows(place, row)


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
