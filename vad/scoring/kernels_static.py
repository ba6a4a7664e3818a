"""The heavy loops of what stands still: light, background, dwell. Blocks are (2gh, 2gw), cells (gh, gw)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import Map, Mask, State, kernel

TRACE_S = 1e-36  # what has faded so far never stood: much further down, every product takes a hundred times as long


@kernel
def resistant_line(background: Map, now: Map, known: Mask, quiet: Mask) -> tuple[float, float]:
    """Gain and offset from ``background`` to ``now`` by Tukey's resistant line: medians of the dark and bright third.

    A light that drifts changes most blocks alike; what arrives in the scene changes few, and medians do not see it.
    Of blocks that are ``known`` (2gh, 2gw) in ``quiet`` (gh, gw) cells. ``background`` holds whole levels of 0..255.
    """
    x, y = np.empty(known.size), np.empty(known.size)
    count = 0
    for i in range(known.shape[0]):
        for j in range(known.shape[1]):
            if known[i, j] and quiet[i // 2, j // 2]:
                x[count], y[count] = background[i, j], now[i, j]
                count += 1
    if count < 12:
        return 1.0, 0.0
    x, y = x[:count], y[:count]
    order = by_level(x)
    third = count // 3
    dark, bright = order[:third], order[count - third :]
    x_low = 0.5 * (x[dark[(third - 1) // 2]] + x[dark[third // 2]])  # they lie in order
    x_high = 0.5 * (x[bright[(third - 1) // 2]] + x[bright[third // 2]])
    if x_high - x_low < 8.0:
        return 1.0, median(y - x)
    gain = min(2.0, max(0.5, (median(y[bright]) - median(y[dark])) / (x_high - x_low)))
    return gain, median(y - gain * x)


@kernel
def median(values: State) -> float:
    """``np.median``, in a third of its time."""
    count = values.size
    middle = nth(values, (count - 1) // 2)
    if count % 2 == 1:
        return middle
    up_to, following = 0, np.inf
    for value in values:
        up_to += value <= middle
        following = min(following, value if value > middle else np.inf)
    return middle if up_to > count // 2 else 0.5 * (middle + following)


@kernel
def nth(values: State, n: int) -> float:
    """The ``n``-th lowest, from 0. Halved by writing to both sides, since which one it will be is not to be guessed."""
    rest, less, more = values.copy(), np.empty_like(values), np.empty_like(values)
    count = values.size
    while True:
        first, middle, last = rest[0], rest[count // 2], rest[count - 1]
        pivot = max(min(first, middle), min(max(first, middle), last))
        lower, higher = 0, 0
        for k in range(count):
            value = rest[k]
            less[lower], more[higher] = value, value
            lower += value < pivot
            higher += value > pivot
        if n < lower:
            rest, less, count = less, rest, lower
        elif n < count - higher:
            return float(pivot)
        else:
            n -= count - higher
            rest, more, count = more, rest, higher


@kernel
def by_level(levels: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices that sort whole levels of 0..255, equal ones in their order (ten times as fast as argsort)."""
    first = np.zeros(257, np.int64)  # of each level among the sorted
    for level in levels:
        first[int(level) + 1] += 1
    for level in range(256):
        first[level + 1] += first[level]
    order = np.empty(levels.size, np.int64)
    for k in range(levels.size):
        level = int(levels[k])
        order[first[level]] = k
        first[level] += 1
    return order


@kernel
def surface(
    luma: Map,
    activity: Map,
    background: Map,
    spread: Map,
    known: Mask,
    gain: float,
    offset: float,
    least: float,
    spreads: float,
    moving: float,
) -> Map:
    """(gh, gw) share of each cell's blocks that are off the background by ``least`` and by ``spreads`` spreads.

    At least ``moving`` of the activity; all of it for blocks whose background is not known.
    """
    gh, gw = activity.shape
    out = np.zeros((gh, gw), np.float32)
    for i in range(gh):
        for j in range(gw):
            share = np.float32(0.0)
            for y in range(2 * i, 2 * i + 2):
                for x in range(2 * j, 2 * j + 2):
                    off = abs(luma[y, x] - gain * background[y, x] - offset)
                    if not known[y, x]:
                        share += np.float32(0.25) * activity[i, j]
                    elif off > least and off > spreads * spread[y, x]:
                        share += np.float32(0.25)
            out[i, j] = max(share, np.float32(moving) * activity[i, j])
    return out


@kernel
def slower_than(limit: float, flow: Map, activity: Map, fast: State) -> Mask:
    """Where activity times speed over what is fast in that row is below ``limit``: nothing moves to speak of."""
    _, gh, gw = flow.shape
    out = np.empty((gh, gw), np.bool_)
    for i in range(gh):
        for j in range(gw):
            speed = np.float32(math.sqrt(flow[0, i, j] ** 2 + flow[1, i, j] ** 2) / fast[i])
            out[i, j] = speed * activity[i, j] < np.float32(limit)
    return out


@kernel
def dwell(
    out: Map,
    out_s: Map,
    luma: Map,
    background: Map,
    spread: Map,
    known: Mask,
    flow: Map,
    activity: Map,
    fast: State,
    lately: Map,
    stood_s: Map,
    unseen_s: Map,
    gain: float,
    offset: float,
    dt_s: float,
    unit_s: float,
    tuning: tuple[float, float, float, float, float, float, float, float],
) -> None:
    """Advance ``stood_s`` (2gh, 2gw), how long each block has differed from the background; its map per cell.

    A block counts while nothing moves there (``slower_than`` ``motion``) and its luma stays within ``still`` levels
    of its own mean over ``lately_s`` (``lately``, advanced here). A difference of ``tolerance`` spreads or less is
    none, one of ``full`` more counts in full. What looks like the background again is forgotten within ``away_s``.
    Motion in front of it changes nothing for ``held_s`` (``unseen_s`` counts): whoever walks past a thing does not
    take it away. The map is ``longest_of`` the blocks: ``out_s`` in seconds, ``out`` in units of ``unit_s``, of which
    ``most`` count. All of these in ``tuning``.
    """
    motion, lately_s, still, tolerance, full, away_s, held_s, most = tuning
    most_s = most * unit_s
    bh, bw = luma.shape
    quiet = slower_than(motion, flow, activity, fast)
    nearer, fading = min(1.0, dt_s / lately_s), math.exp(-dt_s / away_s)
    seen, strange_s = np.empty(bw, np.bool_), np.empty(bw)
    for i in range(bh):  # one simple loop after the other, so that each is done for many blocks at once
        now, mean, usual, wide = luma[i], lately[i], background[i], spread[i]
        unseen, stood = unseen_s[i], stood_s[i]
        for j in range(bw):
            seen[j] = quiet[i // 2, j // 2] & known[i, j]
        for j in range(bw):
            seen[j] &= abs(now[j] - mean[j]) <= still
        for j in range(bw):
            mean[j] += nearer * (now[j] - mean[j])
        for j in range(bw):
            difference = abs(now[j] - gain * usual[j] - offset) / wide[j]
            strange_s[j] = min(1.0, max(0.0, (difference - tolerance) / full)) * dt_s
        for j in range(bw):
            unseen[j] = 0.0 if seen[j] else unseen[j] + dt_s
        for j in range(bw):
            before = float(stood[j]) if stood[j] > TRACE_S else 0.0
            fades = strange_s[j] <= 0.0 if seen[j] else unseen[j] > held_s
            longer = before + (strange_s[j] if seen[j] else 0.0)
            stood[j] = before * fading if fades else min(most_s, longer)
    longest_of(stood_s, out_s)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = out_s[i, j] / np.float32(unit_s)


@kernel
def longest_of(stood_s: Map, out_s: Map) -> None:
    """Each cell's best, over the 2x2 squares of blocks that begin in it, of the mean of a square's two longest."""
    bh, bw = stood_s.shape
    out_s[:] = 0.0
    long, short, best = np.zeros(bw + 1, np.float32), np.zeros(bw + 1, np.float32), np.empty(bw, np.float32)
    for i in range(bh - 1):
        upper, lower = stood_s[i], stood_s[i + 1]
        for j in range(bw):  # of each column's two
            long[j], short[j] = max(upper[j], lower[j]), min(upper[j], lower[j])
        for j in range(bw - 1):
            first = max(long[j], long[j + 1])
            second = max(min(long[j], long[j + 1]), max(short[j], short[j + 1]))
            best[j] = 0.5 * (float(first) + float(second))
        best[bw - 1] = 0.0  # no square begins in the last column
        for j in range(bw):
            out_s[i // 2, j // 2] = max(out_s[i // 2, j // 2], best[j])


@kernel
def background_of(samples: NDArray[np.uint8], valid: Mask, count: int, floor: float, q: float) -> tuple[Map, Map, Mask]:
    """Background, spread and which blocks are known, from the first ``count`` of ``samples`` (M, 2gh, 2gw).

    The background is the median of a block's valid samples, the spread (at least ``floor``) the q-quantile of their
    distances from it: whoever stood there for less than half of the time has left no trace in the former.
    """
    _, bh, bw = samples.shape
    ordered = np.empty((count, bh * bw), np.uint8)  # all blocks in one line, so that many are sorted at once
    held, sure = np.zeros(bh * bw, np.uint8), np.empty(bh * bw, np.bool_)  # how many samples are valid; is this one?
    for k in range(count):
        for i in range(bh):
            for j in range(bw):
                sure[i * bw + j] = valid[k, i // 2, j // 2]
        line, sample = ordered[k], samples[k].ravel()
        for at in range(bh * bw):
            line[at] = sample[at] if sure[at] else 255  # the invalid come last
        for at in range(bh * bw):
            held[at] += sure[at]
        insert(ordered, k)
    background, spread = np.zeros(bh * bw, np.float32), np.full(bh * bw, floor, np.float32)
    middle = np.zeros(bh * bw, np.uint8)
    for at in range(bh * bw):
        if held[at] >= 3:
            middle[at] = ordered[held[at] // 2, at]
    for k in range(count):
        line = ordered[k]
        for at in range(bh * bw):
            apart = max(line[at], middle[at]) - min(line[at], middle[at])
            line[at] = apart if k < held[at] else 255
        insert(ordered, k)
    known = held >= 3
    for at in range(bh * bw):
        if known[at]:
            background[at] = middle[at]
            spread[at] = max(floor, float(ordered[min(held[at] - 1, int(q * held[at])), at]))
    return background.reshape(bh, bw), spread.reshape(bh, bw), known.reshape(bh, bw)


@kernel
def insert(ordered: NDArray[np.uint8], k: int) -> None:
    """Bring line ``k`` into the ``k`` lines before it, which rise in each column, so that they rise with it too."""
    rest = ordered[k]
    for at in range(k):
        line = ordered[at]
        for j in range(line.size):
            line[j], rest[j] = min(line[j], rest[j]), max(line[j], rest[j])
