"""The heavy loops of what stands still: light, background, dwell. Blocks are (2gh, 2gw), cells (gh, gw)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import Map, Mask, kernel


@kernel
def resistant_line(background: Map, now: Map, use: Mask) -> tuple[float, float]:
    """Gain and offset from ``background`` to ``now`` by Tukey's resistant line: medians of the dark and bright third.

    A light that drifts changes most blocks alike; what arrives in the scene changes few, and medians do not see it.
    """
    count = 0
    for i in range(use.shape[0]):
        for j in range(use.shape[1]):
            count += use[i, j]
    if count < 12:
        return 1.0, 0.0
    x, y = np.empty(count), np.empty(count)
    k = 0
    for i in range(use.shape[0]):
        for j in range(use.shape[1]):
            if use[i, j]:
                x[k], y[k] = background[i, j], now[i, j]
                k += 1
    order = np.argsort(x)
    third = count // 3
    dark, bright = order[:third], order[count - third :]
    x_low, x_high = np.median(x[dark]), np.median(x[bright])
    y_low, y_high = np.median(y[dark]), np.median(y[bright])
    if x_high - x_low < 8.0:
        return 1.0, float(np.median(y - x))
    gain = min(2.0, max(0.5, (y_high - y_low) / (x_high - x_low)))
    return gain, float(np.median(y - gain * x))


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
def dwell(
    luma: Map,
    background: Map,
    spread: Map,
    known: Mask,
    quiet: Mask,
    lately: Map,
    stood_s: Map,
    unseen_s: Map,
    gain: float,
    offset: float,
    dt_s: float,
    lately_s: float,
    still: float,
    tolerance: float,
    full: float,
    away_s: float,
    held_s: float,
    most_s: float,
) -> Map:
    """Advance ``stood_s`` (2gh, 2gw), how long each block has differed from the background; returns its map per cell.

    A block counts while nothing moves there and its luma stays within ``still`` levels of its own mean over
    ``lately_s`` (``lately``, advanced here). A difference of ``tolerance`` spreads or less is none, one of ``full``
    more counts in full. What looks like the background again is forgotten within ``away_s``. Motion in front of it
    changes nothing for ``held_s`` (``unseen_s`` counts): whoever walks past a thing does not take it away. A cell's
    value is the best, over the 2x2 squares of blocks that begin in it, of the mean of a square's two longest.
    """
    bh, bw = luma.shape
    nearer, fading = min(1.0, dt_s / lately_s), math.exp(-dt_s / away_s)
    for i in range(bh):
        for j in range(bw):
            change = abs(luma[i, j] - lately[i, j])
            lately[i, j] += nearer * (luma[i, j] - lately[i, j])
            if not quiet[i // 2, j // 2] or not known[i, j] or change > still:
                unseen_s[i, j] += dt_s
                if unseen_s[i, j] > held_s:
                    stood_s[i, j] *= fading
                continue
            unseen_s[i, j] = 0.0
            difference = abs(luma[i, j] - gain * background[i, j] - offset) / spread[i, j]
            strange = min(1.0, max(0.0, (difference - tolerance) / full))
            if strange > 0.0:
                stood_s[i, j] = min(most_s, stood_s[i, j] + strange * dt_s)
            else:
                stood_s[i, j] *= fading
    out = np.zeros((bh // 2, bw // 2), np.float32)
    for i in range(bh - 1):
        for j in range(bw - 1):
            first, second = 0.0, 0.0
            for y in range(i, i + 2):
                for x in range(j, j + 2):
                    value = stood_s[y, x]
                    first, second = max(first, value), max(second, min(first, value))
            if 0.5 * (first + second) > out[i // 2, j // 2]:
                out[i // 2, j // 2] = 0.5 * (first + second)
    return out


@kernel
def background_of(samples: NDArray[np.uint8], valid: Mask, count: int, floor: float, q: float) -> tuple[Map, Map, Mask]:
    """Background, spread and which blocks are known, from the first ``count`` of ``samples`` (M, 2gh, 2gw).

    The background is the median of a block's valid samples, the spread (at least ``floor``) the q-quantile of their
    distances from it: whoever stood there for less than half of the time has left no trace in the former.
    """
    _, bh, bw = samples.shape
    background, spread = np.zeros((bh, bw), np.float32), np.full((bh, bw), floor, np.float32)
    known = np.zeros((bh, bw), np.bool_)
    ordered = np.empty((count, bw), np.uint8)
    for i in range(bh):
        for k in range(count):  # insertion by exchange, so that the blocks of a row are sorted all at once
            rest = ordered[k]
            for j in range(bw):
                rest[j] = samples[k, i, j] if valid[k, i // 2, j // 2] else 255  # the invalid go to the end
            for at in range(k):
                row = ordered[at]
                for j in range(bw):
                    row[j], rest[j] = min(row[j], rest[j]), max(row[j], rest[j])
        for j in range(bw):
            n = valid[:count, i // 2, j // 2].sum()
            if n < 3:
                continue
            middle = np.float32(ordered[n // 2, j])
            background[i, j], known[i, j] = middle, True
            low, high, apart = n // 2, n // 2, np.float32(0.0)  # grow outwards, always to the nearer side
            for _ in range(min(n - 1, int(q * n))):
                if high + 1 >= n or (low > 0 and middle - ordered[low - 1, j] <= ordered[high + 1, j] - middle):
                    low -= 1
                    apart = middle - ordered[low, j]
                else:
                    high += 1
                    apart = ordered[high, j] - middle
            spread[i, j] = apart if apart > floor else floor
    return background, spread, known
