"""What ``CellNetwork`` does around its layers, each in one pass over the rows instead of a dozen.

What a camera holds is an array (n, values) of its own, one row for each of its places; a table has the same columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vad.model.cell_layers import sigmoid
from vad.model.compiling import Planes, kernel
from vad.model.lanes import load, store

Index = NDArray[np.int32]


@kernel
def fetch(held: Planes, place: Index, row: Index, table: Planes) -> None:
    """What is held of K places -> rows of ``table``."""
    for k in range(len(place)):
        values, out = held[place[k]], table[row[k]]
        for j in range(len(out)):
            out[j] = values[j]


@kernel
def keep(held: Planes, place: Index, row: Index, table: Planes) -> None:
    """``fetch``'s contrary."""
    for k in range(len(place)):
        values, new = held[place[k]], table[row[k]]
        for j in range(len(new)):
            values[j] = new[j]


@kernel
def say(
    heads: Planes,
    pictures: Planes,
    where: Index,
    past: Index,
    first: int,
    flow: Planes,
    faint: float,
    table: Planes,
    at: int,
    mean_flow: Planes,
    surprise: Planes,
) -> None:
    """What the heads (R, 4 + 4 + 64) mean for R cells, whose blocks move by ``flow`` (R, 2, 4).

    ``where`` (R, 3) is the picture of each, of ``pictures`` (T, H, W), and its row and column there. Filled are rows
    ``first`` on of ``table``, from ``at`` on: prediction, spread and activity side by side. What was predicted before
    stands at the fifth of ``past`` (R, 9), always an earlier row. ``mean_flow`` (R, 2) is weighted by the foreground;
    ``surprise`` is (R,).
    """
    picture, (height, width) = np.empty(64, np.float32), pictures.shape[1:]
    for r in range(len(heads)):
        head, expected, predicted = heads[r], table[past[r, 4], at:], table[first + r, at:]
        corner = (where[r, 0] * height + 8 * where[r, 1]) * width + 8 * where[r, 2]
        for y in range(8):
            store(picture, 8 * y, load(pictures, corner + y * width))
        spread_before, spread, activity = expected[64:], predicted[64:], predicted[68:]
        whole = share = along = across = np.float32(0.0)
        for block in range(4):
            corner, error = 32 * (block // 2) + 4 * (block % 2), np.float32(0.0)
            for y in range(4):
                for k in range(corner + 8 * y, corner + 8 * y + 4):
                    error += abs(picture[k] - expected[k])
            whole += error * np.exp(-spread_before[block])
            foreground = sigmoid(head[block])
            share += foreground
            along += flow[r, 0, block] * (foreground + np.float32(faint))
            across += flow[r, 1, block] * (foreground + np.float32(faint))
            spread[block] = min(max(head[4 + block], np.float32(-7.0)), np.float32(3.0))
        weight = share + np.float32(4.0 * faint)
        mean_flow[r, 0], mean_flow[r, 1] = along / weight, across / weight
        surprise[r], activity[0] = whole * np.float32(1.0 / 64.0), share * np.float32(0.25)
        change = head[8:]
        for k in range(64):
            predicted[k] = picture[k] + change[k]


@kernel
def tell(
    held: Planes,
    hidden_at: int,
    rows: Index,
    said_flow: Planes,
    said_surprise: Planes,
    said: Planes,
    flow: Planes,
    surprise: Planes,
    latent: Planes,
    activity: Planes,
) -> None:
    """All cells of T pictures: what is said of R of them, and of the others what was said last.

    ``rows`` (T, gh, gw) is each cell's row or -1. ``held`` (n, values) and what is ``said`` (R, values) have the state
    from ``hidden_at`` on and the activity at the end; flow is (R, 2), surprise (R,). Written: ``flow`` (T, 2, gh, gw)
    and ``surprise`` (T, gh, gw), nothing and as expected where a cell is not looked at, ``latent`` (T, hidden, gh, gw)
    and ``activity`` (T, gh, gw).
    """
    size, gh, gw = latent.shape[1:]
    last = held.shape[1] - 1
    for t in range(len(rows)):
        flow[t], surprise[t] = np.float32(0.0), np.float32(1.0)
        if t == 0:
            _recall(held, hidden_at, latent[t], activity[t])
        else:
            latent[t], activity[t] = latent[t - 1], activity[t - 1]
        for i in range(gh):
            for j in range(gw):
                row = rows[t, i, j]
                if row >= 0:
                    flow[t, 0, i, j], flow[t, 1, i, j] = said_flow[row, 0], said_flow[row, 1]
                    surprise[t, i, j], activity[t, i, j] = said_surprise[row], said[row, last]
                    for h in range(size):
                        latent[t, h, i, j] = said[row, hidden_at + h]


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
    one, table = np.zeros((1, 9), np.int32), np.zeros((2, 80), np.float32)
    for move in (fetch, keep):
        move(table, one[0], one[0], table)
    picture, where, heads = np.zeros((1, 8, 8), np.float32), np.zeros((1, 3), np.int32), np.zeros((1, 72), np.float32)
    moved, mean_flow = np.zeros((1, 2, 4), np.float32), np.zeros((1, 2), np.float32)
    say(heads, picture, where, one, 1, moved, 0.0, table, 0, mean_flow, table[0])
    rows, cells = np.zeros((1, 1, 1), np.int32), np.zeros((1, 2, 1, 1), np.float32)
    tell(table, 0, rows, mean_flow, table[0], table, cells, cells[0, :1], cells.copy(), cells[0, 1:])
