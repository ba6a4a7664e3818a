"""What passes where, and how: counted passages by the place of the foot, by size, direction and speed.

A cell of a road is crossed by the heads of those who walk in front of it: what is normal *in* a cell says little of
what is normal *there*. So each track is counted at the cell in which its foot stands, once for each cell that it
crosses, with its size, its direction and its speed; and what a track does is compared with the passages counted around
its foot. A value of 2 means one in a hundred, and no value is higher than the passages counted can support.

Four values of each track: how rare its direction is among passages of about its size, how rare a size like its own or
larger is, how rare a speed like its own or higher is among passages of about its size, and how rare its size, direction
and speed are together (movement). A value of a track is what it has been for most of ``holds_s``: tracks that merge for
a moment change nothing.

Shapes: gh, gw cells. Sources: Reiss and Hoshen, "Attribute-based Representations for Accurate and Interpretable Video
Anomaly Detection" (2022), for the density of an object's velocity; Good (1953), for what was never seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.scoring.calibration import take
from vad.scoring.kernels import Map, State, kernel
from vad.scoring.objects.tracks import MOST_TRACKS, SPAN, Column, Past

SIZES, WAYS, SPEEDS = 10, 9, 10
"""Bins: of the area in doublings from ``SMALLEST_PX``, eighths of the circle and standing, of the speed."""

Visits = NDArray[np.int64]  # (n, len(Visit))
STANDING = 8
SMALLEST_PX, SLOWEST_PX_S, SPEED_STEP = 12.0, 1.0, 1.6
RARITIES = 4
AROUND = 9  # cells: one and its neighbours
HALF_LIFE_S = 7 * 86400.0  # of learnt footage, in which what was counted halves
FADE_EVERY_S = 600.0


class Rarity(IntEnum):
    """Which of a track's values."""

    DIRECTION = 0
    SIZE = 1
    PACE = 2
    MOVEMENT = 3


class Visit(IntEnum):
    """Columns of a visit: a track's stay in one cell."""

    ROW = 0
    COLUMN = 1
    SIZE = 2
    WAY = 3
    SPEED = 4


class Open(IntEnum):
    """Columns of the visit that is open for each track. Sums over its samples."""

    ID = 0
    ROW = 1
    COLUMN = 2
    SAMPLES = 3
    SIZE = 4
    X = 5  # velocity
    Y = 6
    SPEED = 7
    MOVING = 8  # samples in which it moved
    LAST_ROW = 9  # the cells counted before, two
    LAST_COLUMN = 10
    BEFORE_ROW = 11
    BEFORE_COLUMN = 12


class PassageTuning(NamedTuple):
    """Media seconds, shares. Set by hand while looking at worlds of training seed 31; none was searched or varied."""

    least_age_s: float = 0.8  # of a track, and since it merged or was split
    over_s: float = 1.05  # its velocity is taken over so long
    least_over_s: float = 0.7
    agree: float = 0.5  # its two sides may differ by that share of their speed ...
    wider: float = 0.3  # ... or by that share of its width
    size_s: float = 2.0  # its size is what it was for most of that time: others pass before and behind it
    most: float = 0.3  # the quantile that "for most of" means
    moves: float = 0.12  # heights a second: slower is standing
    least_height_px: float = 4.0
    holds_s: float = 1.5  # what a track does for so long counts
    least_holds_s: float = 0.9


PASSAGES = PassageTuning()


@kernel
def sample_of(history: State, t: PassageTuning) -> tuple[bool, float, float, float, float]:
    """Of a track's ``history`` (SPAN, Past): is it known, its velocity (x, y) px/s, its size bin, its height, px.

    Where one side is cut by the border, the other one tells how fast it moves.
    """
    now = history[-1]
    height = now[Past.BOTTOM] - now[Past.TOP]
    if height < t.least_height_px:
        return False, 0.0, 0.0, 0.0, 0.0
    first = SPAN - 1
    while (
        first > 0
        and history[first - 1, Past.AGE_S] >= 0.0
        and now[Past.AGE_S] - history[first - 1, Past.AGE_S] <= t.over_s
    ):
        first -= 1
    then = history[first]
    over_s = now[Past.AGE_S] - then[Past.AGE_S]
    if over_s < t.least_over_s:
        return False, 0.0, 0.0, 0.0, 0.0
    left, right = (now[Past.LEFT] - then[Past.LEFT]) / over_s, (now[Past.RIGHT] - then[Past.RIGHT]) / over_s
    border = int(now[Past.BORDER])
    cut_left, cut_right = border & 4 != 0, border & 8 != 0
    x = 0.5 * (left + right)
    if cut_left != cut_right:
        x = right if cut_left else left
    elif not cut_left and abs(left - right) > max(
        t.agree * max(abs(left), abs(right)), t.wider * (now[Past.RIGHT] - now[Past.LEFT]) / over_s
    ):
        return False, 0.0, 0.0, 0.0, 0.0  # it grew or shrank: something joined it or left it
    y = (now[Past.BOTTOM] - then[Past.BOTTOM]) / over_s
    areas, count = np.empty(SPAN), 0
    for k in range(SPAN - 1, -1, -1):
        if history[k, Past.AGE_S] < 0.0 or now[Past.AGE_S] - history[k, Past.AGE_S] > t.size_s:
            break
        areas[count] = history[k, Past.AREA]
        count += 1
    area = np.sort(areas[:count])[int(t.most * count)]
    size = min(SIZES - 1.0, max(0.0, np.log2(max(area, 1.0) / SMALLEST_PX)))
    return True, x, y, size, height


@kernel
def way_of(x: float, y: float) -> int:
    """The eighth of the circle whose middle is nearest: 0 right, 2 down."""
    angle = np.arctan2(y, x) * (4.0 / np.pi)
    return int(np.floor(angle + 0.5)) % 8


@kernel
def speed_bin(speed: float) -> int:
    return int(min(SPEEDS - 1.0, max(0.0, np.log(max(speed, SLOWEST_PX_S) / SLOWEST_PX_S) / np.log(SPEED_STEP) + 0.5)))


@kernel
def rarities(counts: Map, usual: float, row: int, column: int, size: int, way: int, speed: int, out: State) -> None:
    """``out`` (RARITIES,) of a track at that cell. ``counts`` (gh, gw, SIZES, WAYS, SPEEDS) are passages.

    ``usual`` passages are counted around a cell of the scene on the mean: where fewer are, that counts as rare.
    """
    gh, gw = counts.shape[:2]
    here, alike, sized, faster, ways, same_way, larger = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(max(0, row - 1), min(gh, row + 2)):
        for j in range(max(0, column - 1), min(gw, column + 2)):
            cell = counts[i, j]
            for s in range(SIZES):
                near = abs(s - size) <= 1
                for w in range(WAYS):
                    turn = abs(w - way)
                    same = w == way or (w < 8 and way < 8 and (turn == 1 or turn == 7))
                    for v in range(SPEEDS):
                        seen = float(cell[s, w, v])
                        if seen == 0.0:
                            continue
                        here += seen
                        if s >= size:
                            larger += seen
                        if not near:
                            continue
                        sized += seen
                        if v >= speed:
                            faster += seen
                        if w < 8:
                            ways += seen
                        if same:
                            same_way += seen
                            if abs(v - speed) <= 1:
                                alike += seen
    out[Rarity.DIRECTION] = 0.0 if way == STANDING else max(0.0, np.log10((ways + 1.0) / (same_way + 0.5)))
    out[Rarity.SIZE] = max(0.0, np.log10((here + 1.0) / (larger + 0.5)))
    out[Rarity.PACE] = max(0.0, np.log10((sized + 1.0) / (faster + 0.5)))
    out[Rarity.MOVEMENT] = max(0.0, np.log10((max(here, usual) + 1.0) / (alike + 0.5)))


@kernel
def step(
    tracks: State,
    history: State,
    counts: Map,
    usual: float,
    cell: int,
    held: State,
    opened: State,
    values: State,
    visits: Visits,
    t: PassageTuning,
) -> int:
    """Bring every track's ``values`` (MOST_TRACKS, RARITIES) to this frame; how many of ``visits`` (n, 5) have ended.

    ``held`` (MOST_TRACKS, SPAN, 1 + RARITIES) are the ages and values of a track's last samples, the newest last;
    ``opened`` (MOST_TRACKS, len(Open)) the visits that are open.
    """
    gh, gw = counts.shape[:2]
    ended = 0
    found = np.empty(RARITIES)
    for k in range(len(tracks)):
        track = tracks[k]
        values[k] = 0.0
        if opened[k, Open.ID] != track[Column.ID]:
            ended = close(opened[k], visits, ended)
            opened[k] = -1.0
            opened[k, Open.ID] = track[Column.ID]
            opened[k, Open.SAMPLES] = 0.0
            held[k, :, 0] = -1.0
        if track[Column.ID] == 0.0 or track[Column.GAP_S] > 0.0:
            continue
        if min(track[Column.AGE_S], track[Column.APART_S]) < t.least_age_s:
            continue
        known, x, y, size, height = sample_of(history[k], t)
        if not known:
            continue
        now = history[k, -1]
        row = min(gh - 1, max(0, int((now[Past.BOTTOM] - 0.5) / cell)))
        column = min(gw - 1, max(0, int(0.5 * (now[Past.LEFT] + now[Past.RIGHT]) / cell)))
        speed = np.sqrt(x * x + y * y)
        moves = speed > t.moves * height
        way = way_of(x, y) if moves else STANDING
        rarities(counts, usual, row, column, int(size + 0.5), way, speed_bin(speed), found)
        if held[k, -1, 0] < now[Past.AGE_S]:  # a new sample of its history
            held[k, :-1] = held[k, 1:].copy()
        held[k, -1, 0], held[k, -1, 1:] = now[Past.AGE_S], found
        hold(held[k], values[k], t)
        if opened[k, Open.ROW] != row or opened[k, Open.COLUMN] != column:
            ended = close(opened[k], visits, ended)
            opened[k, Open.ROW], opened[k, Open.COLUMN] = row, column
            opened[k, Open.SAMPLES : Open.LAST_ROW] = 0.0
        add_sample(opened[k], size, x, y, speed, moves)
    return ended


@kernel
def add_sample(visit: State, size: float, x: float, y: float, speed: float, moves: bool) -> None:
    """One more sample of an open visit."""
    visit[Open.SAMPLES] += 1.0
    visit[Open.SIZE] += size
    visit[Open.X] += x
    visit[Open.Y] += y
    visit[Open.SPEED] += speed
    visit[Open.MOVING] += moves


@kernel
def hold(held: State, values: State, t: PassageTuning) -> None:
    """``values`` (RARITIES,): what the last samples were for most of ``holds_s``; 0 while too few are known."""
    count = 0
    while count < SPAN and held[SPAN - 1 - count, 0] >= 0.0 and held[-1, 0] - held[SPAN - 1 - count, 0] <= t.holds_s:
        count += 1
    if held[-1, 0] - held[SPAN - count, 0] < t.least_holds_s:
        return
    for r in range(RARITIES):
        values[r] = np.sort(held[SPAN - count :, 1 + r])[int(t.most * count)]


@kernel
def close(visit: State, visits: Visits, ended: int) -> int:
    """End an open visit: a line of ``visits`` unless it was to where the track just was.

    One sample is enough: a car crosses a cell in a tenth of a second.
    """
    samples = visit[Open.SAMPLES]
    if visit[Open.ROW] < 0.0 or samples < 1.0:
        return ended
    row, column = visit[Open.ROW], visit[Open.COLUMN]
    if (visit[Open.LAST_ROW] == row and visit[Open.LAST_COLUMN] == column) or (
        visit[Open.BEFORE_ROW] == row and visit[Open.BEFORE_COLUMN] == column
    ):
        return ended
    visit[Open.BEFORE_ROW], visit[Open.BEFORE_COLUMN] = visit[Open.LAST_ROW], visit[Open.LAST_COLUMN]
    visit[Open.LAST_ROW], visit[Open.LAST_COLUMN] = row, column
    if ended == len(visits):
        return ended
    line = visits[ended]
    line[Visit.ROW], line[Visit.COLUMN] = int(row), int(column)
    line[Visit.SIZE] = int(visit[Open.SIZE] / samples + 0.5)
    moves = visit[Open.MOVING] >= 0.5 * samples
    line[Visit.WAY] = way_of(visit[Open.X], visit[Open.Y]) if moves else STANDING
    line[Visit.SPEED] = speed_bin(visit[Open.SPEED] / samples)
    return ended + 1


@kernel
def count_visits(counts: Map, visits: Visits) -> None:
    """Add ``visits`` (n, 5) to the passages."""
    for line in visits:
        counts[line[Visit.ROW], line[Visit.COLUMN], line[Visit.SIZE], line[Visit.WAY], line[Visit.SPEED]] += np.float32(
            1.0
        )


NO_VISITS: Visits = np.zeros((0, len(Visit)), np.int64)
MOST_VISITS = 64


class Passages:
    """The passages of one camera and the values of its tracks. ``step`` judges and learns nothing; ``learn`` does."""

    def __init__(self, rows: int, columns: int, *, cell_px: int) -> None:
        self._counts: Map = np.zeros((rows, columns, SIZES, WAYS, SPEEDS), np.float32)
        self._cell_px = cell_px
        self._total = 0.0  # passages of all cells
        self._unfaded_s = 0.0
        self.values: State = np.zeros((MOST_TRACKS, RARITIES))
        self._visits: Visits = np.zeros((MOST_VISITS, len(Visit)), np.int64)
        self.begin_run()

    def begin_run(self) -> None:
        """Forget the tracks; what was counted is kept."""
        self._held: State = np.full((MOST_TRACKS, SPAN, 1 + RARITIES), -1.0)
        self._open: State = np.full((MOST_TRACKS, len(Open)), -1.0)
        self._open[:, Open.ID] = 0.0
        self.values[:] = 0.0

    def step(self, tracks: State, history: State) -> Visits:
        """Bring ``values`` (MOST_TRACKS, RARITIES) to this frame. The visits (n, 5) that have ended."""
        ended = step(
            tracks,
            history,
            self._counts,
            AROUND * self._total / (self._counts.shape[0] * self._counts.shape[1]),
            self._cell_px,
            self._held,
            self._open,
            self.values,
            self._visits,
            PASSAGES,
        )
        return self._visits[:ended].copy() if ended else NO_VISITS

    def learn(self, visits: Visits, *, dt_s: float) -> None:
        """Count the visits of a normal frame; ``dt_s`` of normal footage went by."""
        self._unfaded_s += dt_s
        if self._unfaded_s >= FADE_EVERY_S:
            self._counts *= np.float32(0.5 ** (self._unfaded_s / HALF_LIFE_S))
            self._total, self._unfaded_s = float(self._counts.sum()), 0.0
        count_visits(self._counts, visits)
        self._total += len(visits)

    def habit(self, row: int, column: int) -> State:
        """(8,) passages counted around a cell, by direction: the k-th goes k * 45 degrees from right to down."""
        around = self._counts[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2, :, :STANDING]
        ways: State = around.sum(axis=(0, 1, 2, 4)).astype(np.float64)
        return ways

    def passed(self, row: int, column: int) -> float:
        """Passages counted around a cell."""
        return float(self._counts[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].sum())

    def area_px(self, k: int) -> float:
        """The area, px, by which the ``k``-th track is judged; 0.0 while it is not."""
        samples = float(self._open[k, Open.SAMPLES])
        return SMALLEST_PX * 2.0 ** (float(self._open[k, Open.SIZE]) / samples) if samples > 0.0 else 0.0

    def usual_area_px(self, row: int, column: int) -> float:
        """The area, px, that nineteen in twenty passages around a cell keep below; 0.0 where none was counted."""
        around = self._counts[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].sum(axis=(0, 1, 3, 4))
        if around.sum() < 1.0:
            return 0.0
        largest = int(np.searchsorted(np.cumsum(around), 0.95 * around.sum()))
        return float(SMALLEST_PX * 2.0 ** (largest + 0.5))

    def usual_speed_px_s(self, row: int, column: int) -> float:
        """The speed, px/s, that nineteen in twenty passages around a cell keep below; 0.0 where none was counted."""
        around = self._counts[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].sum(axis=(0, 1, 2, 3))
        if around.sum() < 1.0:
            return 0.0
        fastest = int(np.searchsorted(np.cumsum(around), 0.95 * around.sum()))
        return float(SLOWEST_PX_S * SPEED_STEP ** (fastest + 0.5))

    def state(self) -> dict[str, State]:
        return {"counts": self._counts.astype(np.float64)}

    def restore(self, arrays: Mapping[str, State]) -> None:
        self._counts = take(arrays, "counts", self._counts)
        self._total = float(self._counts.sum())
        self.begin_run()
