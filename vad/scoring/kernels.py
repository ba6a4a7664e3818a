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
def window_sum(values: Map, rows: int, columns: int) -> Map:
    """Sum over the window of rows x columns around each cell, clipped at the border."""
    gh, gw = values.shape
    total = np.zeros((gh, gw + columns - 1), np.float32)
    add_windows(total, values, rows, columns)
    return total[:, :gw].copy()


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
def octant(x: float, y: float) -> int:
    """Which eighth of the circle (x, y) points into, counted from +x towards +y; no atan2 needed."""
    o = 0
    if y < 0.0:
        x, y, o = -x, -y, 4
    if x < 0.0:
        x, y, o = y, -x, o + 2
    if y > x:
        o += 1
    return o


@kernel
def turned(x: float, y: float) -> tuple[int, float]:
    """The octant whose centre is nearest and 0..1 how far the direction leans to the next one.

    Directions are shared between two neighbouring octants, so that one walked along a border is no rarity.
    """
    o = octant(x, y)
    ax, ay = abs(x), abs(y)
    low, high = min(ax, ay), max(ax, ay)
    lean = low / high if high > 0.0 else 0.0  # tan, near enough to the angle over 45 degrees
    if o % 2 == 1:
        lean = 1.0 - lean
    return o, lean


@kernel
def direction_cells(
    flow: Map,
    fast: State,
    place: State,
    scene: State,
    place_mass: float,
    scene_mass: float,
    least_speed: float,
    cap: float,
    rate_say: float,
    rate_mass: float,
) -> Map:
    """How unusual each cell's direction is here: ``-log10`` of its probability over that of a uniform direction.

    ``place`` (8, gh, gw) and ``scene`` (8,) are masses of activity by direction node (node k points to k * 45
    degrees). A place with little mass backs off to the scene, the scene to uniform. ``rate_say`` 0..1 adds motion
    where nothing ever moves: ``log10`` of how much rarer activity is here than in the scene's mean cell.
    """
    _, gh, gw = flow.shape
    out = np.zeros((gh, gw), np.float32)
    scene_total = scene.sum()
    usual = scene_total / (gh * gw)
    smooth = np.empty(8)
    for k in range(8):
        mass = 0.5 * scene[k] + 0.25 * (scene[(k + 7) % 8] + scene[(k + 1) % 8])
        smooth[k] = (mass + scene_mass / 8.0) / (scene_total + scene_mass)
    for i in range(gh):
        for j in range(gw):
            x, y = float(flow[0, i, j]), float(flow[1, i, j])
            speed = math.sqrt(x * x + y * y) / fast[i]
            if speed < 1e-3:
                continue
            o, lean = turned(x, y)
            total, p = 0.0, 0.0
            for k in range(8):
                total += place[k, i, j]
            for side in range(2):
                k = (o + side) % 8
                weight = lean if side == 1 else 1.0 - lean
                mass = 0.5 * place[k, i, j] + 0.25 * (place[(k + 7) % 8, i, j] + place[(k + 1) % 8, i, j])
                p += weight * (mass + place_mass * smooth[k]) / (total + place_mass)
            unusual = min(cap, max(0.0, -math.log10(8.0 * p)))
            rare = min(cap, max(0.0, math.log10((usual + rate_mass) / (total + rate_mass))))
            out[i, j] = (unusual + rate_say * rare) * speed**2 / (speed**2 + least_speed**2)
    return out


@kernel
def learn_direction(place: State, scene: State, flow: Map, activity: Map, fast: State, dt_s: float) -> None:
    """Add one frame's directions, spread over each cell's neighbours: a path is wider than the feet that drew it."""
    _, gh, gw = flow.shape
    for i in range(gh):
        for j in range(gw):
            x, y = float(flow[0, i, j]), float(flow[1, i, j])
            speed = math.sqrt(x * x + y * y)
            if activity[i, j] < 0.02 or speed < 0.05 * fast[i]:
                continue
            o, lean = turned(x, y)
            for side in range(2):
                k = (o + side) % 8
                mass = activity[i, j] * dt_s * (lean if side == 1 else 1.0 - lean)
                scene[k] += mass
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        r, c = i + dy, j + dx
                        if 0 <= r < gh and 0 <= c < gw:
                            place[k, r, c] += mass * (0.5 if dy == 0 else 0.25) * (0.5 if dx == 0 else 0.25)


@kernel
def fade(place: State, scene: State, keep: float) -> None:
    """Keep so much of the directions learnt."""
    place *= keep
    scene *= keep


@kernel
def over_rows(values: Map, line: State) -> Map:
    """(gh, gw) ``values`` over what is usual in their row, ``line`` (gh,)."""
    out = np.empty(values.shape, np.float32)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            out[i, j] = values[i, j] / line[i]
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
def sizes(activity: Map, rows: int, columns: int, least: float) -> tuple[Map, Map]:
    """(gh, gw) activity in the window around each cell, and the cell's own, where that is above ``least`` (else 0)."""
    total = window_sum(activity, rows, columns)
    own = np.zeros_like(total)
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            if total[i, j] > np.float32(least):
                own[i, j] = activity[i, j]
    return total, own


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
    large: State,
    place: State,
    scene: State,
    expected: State,
    slow: float,
    person: tuple[int, int, float],
    direction: tuple[float, float, float, float, float, float],
    size: tuple[int, int],
    appearance: tuple[int, int, float],
) -> Map:
    """The maps of speed, direction, size and appearance into ``out`` (4 or more, gh, gw), in one call.

    ``fast`` and ``large`` (gh,) are lines, ``place`` and ``scene`` those of ``direction_cells``, ``expected`` is that
    of ``over_groups``. The tuples are what ``pool``, ``direction_cells``, ``window_sum``, and ``groups_of`` and
    ``over_groups`` take. Speed is that of all ``surface``; the others look at what really moves, ``moving_share`` of
    the activity beyond ``slow``, which is returned.
    """
    rows, columns, least = person
    row_groups, bins, cap = appearance
    share = moving_share(flow, activity, fast, slow)
    out[0] = pool(speed_cells(flow, fast), surface, rows, columns, least)
    out[2] = over_rows(window_sum(share, *size), large)
    weight = window_weight(share, rows, columns, least)
    unusual = direction_cells(flow, fast, place, scene, *direction)
    out[1] = window_mean(unusual, share, weight, rows, columns)
    ratio = over_groups(surprise, groups_of(share, row_groups, bins), expected, cap)
    out[3] = window_mean(ratio, share, weight, rows, columns)
    return share
