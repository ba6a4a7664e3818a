"""What ``CellNetwork`` does between its products of matrices, each in one pass over the rows instead of a dozen."""

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
    """What the heads (R, 4 + 4 + 64) mean for R cells of ``pictures`` (R, 64), whose blocks move by ``flow`` (R, 2, 4).

    Rows ``first`` on of the tables ``prediction``, ``spread`` and ``activity`` are filled. What was predicted before
    stands at the fifth of ``past`` (R, 9), always an earlier row. ``mean_flow`` (R, 2) is weighted by the foreground;
    ``surprise`` is (R,).
    """
    for r in range(len(heads)):
        head, picture, before, new = heads[r], pictures[r], past[r, 4], first + r
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


def warm_cells() -> None:
    """Compile or load the loops."""
    one, table = np.zeros((1, 9), np.int32), np.zeros((2, 64), np.float32)
    step(np.zeros((1, 8), np.float32), one, 1, table[:, :2].copy(), table[:, :2].copy())
    blocks, flow = table[:, :4].copy(), np.zeros((1, 2, 4), np.float32)
    heads, mean_flow = np.zeros((1, 72), np.float32), np.zeros((1, 2), np.float32)
    say(heads, table[:1], one, 1, flow, 0.0, table, blocks, table[:, :1].copy(), mean_flow, table[0])
