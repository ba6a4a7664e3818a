"""The layers of ``CellNetwork`` as loops: products of neighbourhoods with matrices, and the ConvLSTM's step.

For a convolution torch gathers the neighbourhoods into a matrix first, and each of its calls costs as much as the work
on a dozen cells. Here four rows and sixteen columns at a time stay in registers, and their values are taken from where
they stand: for any number of rows as fast as torch on one thread, or faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad.model.compiling import Planes, kernel
from vad.model.lanes import load, spread, store

Index = NDArray[np.int32]

PANEL = 16
"""Columns of a matrix that are worked on together: two vectors of ``lanes``."""


def panels_of(matrix: Planes) -> Planes:
    """(K, columns) -> (P, K, PANEL), as ``product`` takes it: what is missing in the last panel is zero."""
    count = -(-matrix.shape[1] // PANEL)
    padded = np.zeros((len(matrix), count * PANEL), np.float32)
    padded[:, : matrix.shape[1]] = matrix
    return np.ascontiguousarray(padded.reshape(len(matrix), count, PANEL).transpose(1, 0, 2))


@kernel
def product(
    table: Planes,
    at: int,
    around: Index,
    panels: Planes,
    bias: Planes,
    rectified: bool,
    out: Planes,
    first: int,
    to: int,
    width: int,
) -> None:
    """A convolution: R rows of ``out`` from ``first`` on, ``width`` values from column ``to`` on.

    ``around`` (R, taps) are the rows of ``table`` that each takes, from column ``at`` on. ``panels`` (P, K, 16) are the
    matrix, its rows tap by tap, ``bias`` is (16 P,).
    """
    rows, piece = len(around), 64  # rows that stay in the cache
    sums = np.empty((4, 16), np.float32)
    for begin in range(0, rows, piece):
        for p in range(len(panels)):
            for r in range(begin, min(begin + piece, rows), 4):
                _four_rows(table, at, around, r, panels, bias, p, sums)
                for i in range(min(4, rows - r)):
                    row = out[first + r + i, to + 16 * p :]
                    for j in range(min(16, width - 16 * p)):
                        row[j] = max(sums[i, j], np.float32(0.0)) if rectified else sums[i, j]


@kernel
def _four_rows(
    table: Planes, at: int, around: Index, r: int, panels: Planes, bias: Planes, p: int, sums: Planes
) -> None:
    """Neighbourhoods ``r`` to ``r + 3``, or the last, times panel ``p``, into ``sums`` (4, 16)."""
    last, size = len(around) - 1, panels.shape[1] // around.shape[1]
    r1, r2, r3 = min(r + 1, last), min(r + 2, last), min(r + 3, last)
    a0, a1 = load(bias, 16 * p), load(bias, 16 * p + 8)
    b0, b1, c0, c1, d0, d1 = a0, a1, a0, a1, a0, a1
    k = 16 * p * panels.shape[1]
    for tap in range(around.shape[1]):
        a, b = table[around[r, tap], at:], table[around[r1, tap], at:]
        c, d = table[around[r2, tap], at:], table[around[r3, tap], at:]
        for j in range(size):
            left, right = load(panels, k), load(panels, k + 8)
            a0, a1 = a0 + spread(a[j]) * left, a1 + spread(a[j]) * right
            b0, b1 = b0 + spread(b[j]) * left, b1 + spread(b[j]) * right
            c0, c1 = c0 + spread(c[j]) * left, c1 + spread(c[j]) * right
            d0, d1 = d0 + spread(d[j]) * left, d1 + spread(d[j]) * right
            k += 16
    store(sums, 0, a0)
    store(sums, 8, a1)
    store(sums, 16, b0)
    store(sums, 24, b1)
    store(sums, 32, c0)
    store(sums, 40, c1)
    store(sums, 48, d0)
    store(sums, 56, d1)


@kernel
def add_wide(table: Planes, at: int, wide: Planes, wide_at: int, parent: Index, first: int, to: int, size: int) -> None:
    """``size`` values of each row from ``first`` on, plus those of its place at stride 16, into column ``to`` on."""
    for r in range(len(parent)):
        row, more = table[first + r], wide[parent[r]]
        for j in range(size):
            row[to + j] = row[at + j] + more[wide_at + j]


@kernel
def _tanh(x: Any) -> Any:
    """Within 3e-7: a quotient of polynomials, which becomes vector instructions where a library's function would not.

    The coefficients are those that Eigen and XLA use, for what is not yet 1 in float32.
    """
    f = np.float32
    x = min(max(x, f(-7.9053111)), f(7.9053111))
    s = x * x
    p = f(-2.76076847742355e-16) * s + f(2.00018790482477e-13)
    p = (p * s + f(-8.60467152213735e-11)) * s + f(5.12229709037114e-08)
    p = ((p * s + f(1.48572235717979e-05)) * s + f(6.37261928875436e-04)) * s + f(4.89352455891786e-03)
    q = (f(1.19825839466702e-06) * s + f(1.18534705686654e-04)) * s + f(2.26843463243900e-03)
    return x * p / (q * s + f(4.89352518554385e-03))


@kernel
def sigmoid(x: Any) -> Any:
    half = np.float32(0.5)
    return half + half * _tanh(half * x)


@kernel
def recur(
    drive: Planes,
    steps: Index,
    past: Index,
    panels: Planes,
    none: Planes,
    table: Planes,
    first: int,
    hidden_at: int,
    cell_at: int,
) -> None:
    """``Network.step`` for rows ``first`` on of ``table``, in time steps that begin at ``steps`` (T + 1,).

    ``drive`` (R, 4 hidden), ``past`` (R, 9) the rows before; of a row the state stands from ``hidden_at`` and
    ``cell_at`` on. ``none`` (16 P,) are zeros.
    """
    gates, new = np.empty_like(drive), np.empty((2, drive.shape[1] // 4), np.float32)
    for t in range(len(steps) - 1):
        begin, end = steps[t], steps[t + 1]
        product(table, hidden_at, past[begin:end], panels, none, False, gates, begin, 0, drive.shape[1])
        for r in range(begin, end):
            _step(gates[r], drive[r], table[past[r, 4], cell_at:], new)
            hidden, cell = table[first + r, hidden_at:], table[first + r, cell_at:]
            for j in range(new.shape[1]):
                hidden[j], cell[j] = new[0, j], new[1, j]


@kernel
def _step(gates: Planes, drive: Planes, was: Planes, new: Planes) -> None:
    """Hidden state and cell of one row into ``new`` (2, hidden): an array of its own, so that this loop vectorises."""
    size = new.shape[1]
    for j in range(len(gates)):
        gates[j] += drive[j]
    for j in range(size):
        kept = sigmoid(gates[size + j]) * was[j] + sigmoid(gates[j]) * _tanh(gates[3 * size + j])
        new[1, j] = kept
        new[0, j] = sigmoid(gates[2 * size + j]) * _tanh(kept)


def warm_layers() -> None:
    """Compile or load the loops."""
    table, around, panels = np.zeros((2, 64), np.float32), np.zeros((1, 9), np.int32), np.zeros((1, 9, 16), np.float32)
    product(table, 0, around, panels, table[0], True, table, 0, 0, 16)
    add_wide(table, 0, table, 0, around[0, :1], 1, 32, 8)
    recur(table[:1, :4].copy(), np.array([0, 1], np.int32), around, panels, table[0], table, 1, 0, 8)
