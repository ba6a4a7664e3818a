"""What ``CellNetwork`` does between its products of matrices, each in one pass over the rows instead of a dozen.

What a camera holds is an array (n, values) of its own, for each of its places the values of all tables side by side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad.model.compiling import Planes, kernel

Index = NDArray[np.int32]


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
def _sigmoid(x: Any) -> Any:
    half = np.float32(0.5)
    return half + half * _tanh(half * x)


@kernel
def fetch(held: Planes, c: int, place: Index, row: Index, begins: Index, tables: tuple[Planes, ...]) -> None:
    """What camera ``c`` holds -> the rows of ``tables`` that are its share (``tables.Shares``)."""
    for k in range(begins[c], begins[c + 1]):
        values, first = held[place[k]], 0
        for table in tables:
            out = table[row[k]]
            for j in range(len(out)):
                out[j] = values[first + j]
            first += len(out)


@kernel
def keep(held: Planes, c: int, place: Index, row: Index, begins: Index, tables: tuple[Planes, ...]) -> None:
    """``fetch``'s contrary."""
    for k in range(begins[c], begins[c + 1]):
        values, first = held[place[k]], 0
        for table in tables:
            new = table[row[k]]
            for j in range(len(new)):
                values[first + j] = new[j]
            first += len(new)


@kernel
def step(gates: Planes, past: Index, first: int, hidden: Planes, cell: Planes) -> None:
    """``Network.step`` from its ``gates`` (n, 4 hidden) on, into rows ``first`` on of ``hidden`` and ``cell``.

    ``past`` (n, 9): the fifth is the row of what the cell held before.
    """
    size = hidden.shape[1]
    for r in range(len(gates)):
        was, now, out = cell[past[r, 4]], cell[first + r], hidden[first + r]
        keep_in, forget, show, value = gates[r], gates[r, size:], gates[r, 2 * size :], gates[r, 3 * size :]
        for j in range(size):
            kept = _sigmoid(forget[j]) * was[j] + _sigmoid(keep_in[j]) * _tanh(value[j])
            now[j] = kept
            out[j] = _sigmoid(show[j]) * _tanh(kept)


@kernel
def say(
    heads: Planes,
    pictures: Planes,
    where: Index,
    past: Index,
    first: int,
    flow: Planes,
    faint: float,
    prediction: Planes,
    spread: Planes,
    activity: Planes,
    mean_flow: Planes,
    surprise: Planes,
) -> None:
    """What the heads (R, 4 + 4 + 64) mean for R cells, whose blocks move by ``flow`` (R, 2, 4).

    ``where`` (R, 3) is the picture of each, of ``pictures`` (F, H, W), and its row and column there.
    Rows ``first`` on of the tables ``prediction``, ``spread`` and ``activity`` are filled. What was predicted before
    stands at the fifth of ``past`` (R, 9), always an earlier row. ``mean_flow`` (R, 2) is weighted by the foreground;
    ``surprise`` is (R,).
    """
    picture = np.empty(64, np.float32)
    for r in range(len(heads)):
        head, before, new = heads[r], past[r, 4], first + r
        for y in range(8):
            row = pictures[where[r, 0], 8 * where[r, 1] + y, 8 * where[r, 2] :]
            for x in range(8):
                picture[8 * y + x] = row[x]
        expected, predicted = prediction[before], prediction[new]
        whole = share = along = across = np.float32(0.0)
        for block in range(4):
            corner, error = 32 * (block // 2) + 4 * (block % 2), np.float32(0.0)
            for y in range(4):
                for k in range(corner + 8 * y, corner + 8 * y + 4):
                    error += abs(picture[k] - expected[k])
            whole += error * np.exp(-spread[before, block])
            foreground = _sigmoid(head[block])
            share += foreground
            along += flow[r, 0, block] * (foreground + np.float32(faint))
            across += flow[r, 1, block] * (foreground + np.float32(faint))
            spread[new, block] = min(max(head[4 + block], np.float32(-7.0)), np.float32(3.0))
        weight = share + np.float32(4.0 * faint)
        mean_flow[r, 0], mean_flow[r, 1] = along / weight, across / weight
        surprise[r], activity[new, 0] = whole * np.float32(1.0 / 64.0), share * np.float32(0.25)
        change = head[8:]
        for k in range(64):
            predicted[k] = picture[k] + change[k]


@kernel
def tell(
    held: Planes,
    hidden_at: int,
    frames: NDArray[np.int64],
    rows: Index,
    said_flow: Planes,
    said_surprise: Planes,
    said_hidden: Planes,
    said_activity: Planes,
    flow: Planes,
    surprise: Planes,
    latent: Planes,
    activity: Planes,
) -> None:
    """All cells of one camera's ``frames`` (T,): what is said of R cells, and of the others what was said last.

    ``rows`` (F, gh, gw) is each cell's row or -1. ``held`` (n, values) has the state from ``hidden_at`` on and the
    activity at the end. Said are flow (R, 2), surprise (R,), state (R, hidden) and activity (R, 1). Written: ``flow``
    (F, 2, gh, gw) and ``surprise`` (F, gh, gw), nothing and as expected where a cell is not looked at, ``latent``
    (F, hidden, gh, gw) and ``activity`` (F, gh, gw).
    """
    size, gh, gw = latent.shape[1:]
    for t, f in enumerate(frames):
        flow[f], surprise[f] = np.float32(0.0), np.float32(1.0)
        if t == 0:
            _recall(held, hidden_at, latent[f], activity[f])
        else:
            latent[f], activity[f] = latent[frames[t - 1]], activity[frames[t - 1]]
        for i in range(gh):
            for j in range(gw):
                row = rows[f, i, j]
                if row >= 0:
                    flow[f, 0, i, j], flow[f, 1, i, j] = said_flow[row, 0], said_flow[row, 1]
                    surprise[f, i, j], activity[f, i, j] = said_surprise[row], said_activity[row, 0]
                    for h in range(size):
                        latent[f, h, i, j] = said_hidden[row, h]


@kernel
def _recall(held: Planes, hidden_at: int, latent: Planes, activity: Planes) -> None:
    size, gh, gw = latent.shape
    for i in range(gh):
        for j in range(gw):
            values = held[i * gw + j]
            activity[i, j] = values[len(values) - 1]
            for h in range(size):
                latent[h, i, j] = values[hidden_at + h]


def warm_cells() -> None:
    """Compile or load the loops."""
    one, table = np.zeros((1, 9), np.int32), np.zeros((2, 64), np.float32)
    pair, single, none = table[:, :2].copy(), table[:, :1].copy(), one[0, :1]
    step(np.zeros((1, 8), np.float32), one, 1, pair, pair.copy())
    for move in (fetch, keep):
        for count in (8, 2):  # tables of cells, and at stride 16
            move(table, 0, none, none, one[0, :2], (single,) * count)
    picture, where, heads = np.zeros((1, 8, 8), np.float32), np.zeros((1, 3), np.int32), np.zeros((1, 72), np.float32)
    flow, blocks = np.zeros((1, 2, 4), np.float32), table[:, :4].copy()
    say(heads, picture, where, one, 1, flow, 0.0, table, blocks, single, pair, table[0])
    frames, rows, cells = np.zeros(1, np.int64), np.zeros((1, 1, 1), np.int32), np.zeros((1, 2, 1, 1), np.float32)
    said = pair, table[0], pair, single
    tell(table, 0, frames, rows, *said, cells, cells[0, :1], cells.copy(), cells[0, 1:])
