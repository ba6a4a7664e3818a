"""The heavy loops: arrays in, arrays out, no Python objects, no global state.

Shapes: gh, gw are the rows and columns of cells; maps are (gh, gw) float32, learnt state is float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
State = NDArray[np.float64]
Mask = NDArray[np.bool_]
Groups = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile with the GIL released and the machine code cached on disk. What is divided by zero is not finite.

    (To raise instead takes a branch at each division, and no loop that divides is done several numbers at once then.)
    The cache of a kernel is renewed with its own file alone, so what it calls belongs into the same file.
    """
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


@kernel
def add_windows(total: Any, values: Any, rows: int, columns: int) -> None:
    """Add to each cell of ``total`` (gh, gw + columns - 1) the ``values`` (gh, gw) in its window of rows x columns.

    What the last columns of ``total`` come to means nothing: they make lines of cells lie behind one another as those
    of the values do, with a border of zeros, so that one simple loop adds one place of all windows.
    """
    gh, gw = values.shape
    width = total.shape[1]
    bordered = np.zeros((gh + rows - 1, width), total.dtype)
    bordered[rows // 2 : rows // 2 + gh, columns // 2 : columns // 2 + gw] = values
    one, sums = bordered.ravel(), total.ravel()
    span = gh * width - columns + 1
    for y in range(rows):
        for x in range(columns):
            part = one[y * width + x :]
            for k in range(span):
                sums[k] += part[k]


@kernel
def window_weight(activity: Map, rows: int, columns: int, least: float) -> State:
    """(gh, gw + columns - 1) activity in each window and ``least`` more, as ``add_windows`` gives it."""
    gh, gw = activity.shape
    weight = np.full((gh, gw + columns - 1), least)
    add_windows(weight, activity, rows, columns)
    return weight


@kernel
def window_mean(values: Map, activity: Map, weight: State, rows: int, columns: int) -> Map:
    """Activity-weighted mean of ``values`` over each window, whose ``window_weight`` is given."""
    gh, gw = values.shape
    total = np.zeros(weight.shape)
    add_windows(total, values * activity, rows, columns)
    out = np.empty((gh, gw), np.float32)
    for i in range(gh):
        for j in range(gw):
            out[i, j] = total[i, j] / weight[i, j]
    return out


@kernel
def pool(values: Map, activity: Map, rows: int, columns: int, least: float) -> Map:
    """Activity-weighted mean of ``values`` over a window, shrunk to 0 where the window holds little activity."""
    return window_mean(values, activity, window_weight(activity, rows, columns, least), rows, columns)


@kernel
def speed_cells(flow: Map, fast: State) -> Map:
    """Speed over what is fast in that row. ``flow`` (2, gh, gw), ``fast`` (gh,)."""
    _, gh, gw = flow.shape
    out = np.empty((gh, gw), np.float32)
    for i in range(gh):
        for j in range(gw):
            out[i, j] = math.sqrt(flow[0, i, j] ** 2 + flow[1, i, j] ** 2) / fast[i]
    return out


@kernel
def moving_share(flow: Map, activity: Map, fast: State, slow: float) -> Map:
    """Activity of what really moves: faded out where the speed is near or below ``slow`` of what is fast there.

    A foreground head is never quite silent on the background; what it sees there does not move.
    """
    _, gh, gw = flow.shape
    out = np.empty((gh, gw), np.float32)
    for i in range(gh):
        least = (slow * fast[i]) ** 2
        for j in range(gw):
            squared = flow[0, i, j] ** 2 + flow[1, i, j] ** 2
            out[i, j] = activity[i, j] * squared / (squared + least)
    return out


@kernel
def speeds(flow: Map) -> Map:
    """(gh, gw) length of each cell's flow, px/s."""
    _, gh, gw = flow.shape
    out = np.empty((gh, gw), np.float32)
    for i in range(gh):
        for j in range(gw):
            x, y = float(flow[0, i, j]), float(flow[1, i, j])
            out[i, j] = math.sqrt(x * x + y * y)
    return out


@kernel
def groups_of(activity: Map, row_groups: int, bins: int) -> Groups:
    """(gh, gw) group of each cell, by row and by activity 0..1: ``row_groups * bins`` in all."""
    gh, gw = activity.shape
    out = np.empty((gh, gw), np.int64)
    for i in range(gh):
        first = i * row_groups // gh * bins
        for j in range(gw):
            out[i, j] = first + min(bins - 1, int(activity[i, j] * np.float32(bins)))
    return out


@kernel
def over_groups(values: Map, groups: Groups, expected: State, cap: float) -> Map:
    """(gh, gw) ``values`` over what is expected in their group, at most ``cap``."""
    out = np.empty(values.shape, np.float32)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            out[i, j] = min(cap, values[i, j] / expected[groups[i, j]])
    return out


@kernel
def moving_maps(
    out: Map,
    flow: Map,
    activity: Map,
    surface: Map,
    surprise: Map,
    fast: State,
    expected: State,
    slow: float,
    person: tuple[int, int, float],
    appearance: tuple[int, int, float],
) -> Map:
    """The maps of speed and appearance into ``out`` (2 or more, gh, gw), in one call.

    ``fast`` (gh,) is a line, ``expected`` that of ``over_groups``. The tuples are what ``pool``, and ``groups_of`` and
    ``over_groups`` take. Speed is that of all ``surface``; appearance looks at what really moves, ``moving_share`` of
    the activity beyond ``slow``, which is returned.
    """
    rows, columns, least = person
    row_groups, bins, cap = appearance
    share = moving_share(flow, activity, fast, slow)
    out[0] = pool(speed_cells(flow, fast), surface, rows, columns, least)
    weight = window_weight(share, rows, columns, least)
    ratio = over_groups(surprise, groups_of(share, row_groups, bins), expected, cap)
    out[1] = window_mean(ratio, share, weight, rows, columns)
    return share
