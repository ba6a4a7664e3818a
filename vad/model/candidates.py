"""Which of its candidates a block's flow is: each is checked by warping the picture before (``motion.measure``).

Loops for a CPU. The limits come as ``motion.Rules`` and not as globals, which Numba would freeze into the machine code
that it keeps on disk; only the side of the window is that of ``lanes``. The pictures get a margin in which their edge
repeats, so that no window leaves them; only what some window may reach is filled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vad.model.compiling import Planes, kernel
from vad.model.lanes import SIDE, load, spread, store, total
from vad.model.motion import Rules


class _Pair(NamedTuple):
    """Two pictures, each within a margin of that many pixels, their block means, and room to work."""

    now: Planes
    before: Planes
    margin: int
    means: Planes
    means_before: Planes
    misfits: Planes
    slopes: Planes


@kernel
def _margin_of(rules: Rules) -> int:
    """Pixels by which a window may leave the picture."""
    return rules.block * max(rules.up, rules.left) + rules.refinements + SIDE


@kernel
def reach_of(rules: Rules) -> int:
    """Blocks around a block that its windows and its match may read."""
    reach: int = max(-(-_margin_of(rules) // rules.block), rules.up + 1, SIDE)
    return reach


@kernel
def choose(
    now: Planes,
    before: Planes,
    rules: Rules,
    spans: Any,
    reach: Any,
    rows: Any,
    change: Planes,
    flows: Planes,
    flow: Planes,
    traits: Planes,
) -> None:
    """The choice among ``flows`` (scales, 2, h, w) and a match, into ``flow`` (2, h, w) and ``traits`` (3, h, w).

    Only for the cells that have a row (``features.Rows``), all of them within ``spans``; ``reach`` are spans wider by
    ``reach_of``. ``change`` (h, w) is each block's mean squared difference.
    """
    height = len(change)
    one, block = np.float32(1.0), rules.block
    margin = _margin_of(rules)
    pair = _Pair(
        _within_margin(now, margin, block, reach),
        _within_margin(before, margin, block, reach),
        margin,
        _block_means(now, block, 0, 0, reach),
        _block_means(before, block, rules.left, SIDE - 1 - rules.left, reach),
        np.empty((2 * rules.up + 1, SIDE), np.float32),
        np.empty((2, SIDE, SIDE), np.float32),
    )
    inset = margin - (SIDE - block) // 2
    for i in range(height):
        for j in range(spans[i, 0], spans[i, 1]):
            u, v, fit = flows[0, 0, i, j], flows[0, 1, i, j], one
            if rows[i // 2, j // 2] >= 0 and change[i, j] > np.float32(rules.still_change):
                y, x = i * block + inset, j * block + inset
                u, v, error = _best_of(pair, rules, flows, i, j, y, x)
                still = _error_of(pair, y, x, np.float32(0.0), np.float32(0.0))
                fit = error / (still + np.float32(rules.contrast_floor))
            flow[0, i, j], flow[1, i, j] = u, v
            traits[0, i, j], traits[1, i, j] = u / (one + abs(u)), v / (one + abs(v))
            traits[2, i, j] = fit


@kernel
def _best_of(pair: Any, rules: Rules, flows: Planes, i: int, j: int, y: int, x: int) -> tuple[Any, Any, Any]:
    """Flow (u, v) and error of block (i, j): the finest while it fits, else what fits best, refined where it points."""
    u, v = flows[0, 0, i, j], flows[0, 1, i, j]
    best, finest = _error_of(pair, y, x, u, v), True
    within = max(abs(u), abs(v)) <= rules.within_reach_px
    weighed = best * np.float32(rules.clearly_better) if within else best
    for s in range(1, rules.scales + 1 if best > rules.good_fit or not within else 1):
        if s < rules.scales:
            other_u, other_v = flows[s, 0, i, j], flows[s, 1, i, j]
        else:
            shift_y, shift_x = _match(pair.means, pair.means_before, i, j, rules, pair.misfits)
            other_u, other_v = np.float32(-rules.block * shift_x), np.float32(-rules.block * shift_y)
        error = _error_of(pair, y, x, other_u, other_v)
        if error < weighed:
            best, weighed, finest, u, v = error, error, False, other_u, other_v
    if not finest:
        _slopes(pair, y, x, pair.slopes)
        for _ in range(rules.refinements):
            other_u, other_v = _refined(pair, pair.slopes, np.float32(rules.gradient_floor), y, x, u, v)
            error = _error_of(pair, y, x, other_u, other_v)
            if error < best:
                best, u, v = error, other_u, other_v
    return u, v, best


@kernel
def _within_margin(picture: Planes, margin: int, block: int, spans: Any) -> Planes:
    height, width = picture.shape
    out = np.empty((height + 2 * margin, width + 2 * margin), np.float32)
    for y in range(len(out)):
        inside = min(max(y - margin, 0), height - 1)
        first, last = spans[inside // block, 0] * block, spans[inside // block, 1] * block
        row, source = out[y, margin + first :], picture[inside, first:]
        for x in range(last - first):
            row[x] = source[x]
        if first == 0:
            out[y, :margin] = picture[inside, 0]
        if last == width:
            out[y, margin + width :] = picture[inside, width - 1]
    return out


@kernel
def _block_means(picture: Planes, block: int, left: int, right: int, spans: Any) -> Planes:
    """With ``left`` and ``right`` more columns, in which the edge repeats."""
    height, width = picture.shape[0] // block, picture.shape[1] // block
    share = np.float32(1.0 / (block * block))
    out = np.empty((height, left + width + right), np.float32)
    sums = np.empty(width * block, np.float32)
    for i in range(height):
        first, count = spans[i, 0], spans[i, 1] - spans[i, 0]
        sums[: count * block] = np.float32(0.0)
        for y in range(i * block, i * block + block):
            source = picture[y, first * block :]
            for x in range(count * block):
                sums[x] += source[x]
        row = out[i, left + first :]
        for j in range(count):
            part = np.float32(0.0)
            for x in range(j * block, j * block + block):
                part += sums[x]
            row[j] = part * share
        if count:
            out[i, :left], out[i, left + width :] = out[i, left], out[i, left + width - 1]
    return out


@kernel
def _match(now: Planes, before: Planes, i: int, j: int, rules: Rules, misfits: Planes) -> tuple[int, int]:
    """The shift (y, x) in blocks at which block (i, j) of the block means and its neighbours fit ``before`` best.

    ``before`` has a margin on the left of ``rules.left``, SIDE - 1 on both sides together: the shifts in x lie side by
    side. ``misfits`` (2 up + 1, SIDE) is room to work.
    """
    height, width = now.shape
    for y in range(-rules.up, rules.up + 1):
        misfit = spread(np.float32(0.0))
        for near in range(i - 1, i + 2):
            row = min(max(near, 0), height - 1)
            source = min(max(row + y, 0), height - 1) * before.shape[1]
            for beside in range(j - 1, j + 2):
                column = min(max(beside, 0), width - 1)
                misfit += abs(load(before, source + column) - spread(now[row, column]))
        store(misfits, (y + rules.up) * SIDE, misfit)
    best, best_y, best_x = np.float32(np.inf), 0, 0
    for y in range(2 * rules.up + 1):
        for x in range(2 * rules.left + 1):
            if misfits[y, x] < best:
                best, best_y, best_x = misfits[y, x], y - rules.up, x - rules.left
    return best_y, best_x


@kernel
def _error_of(pair: Any, y: int, x: int, u: Any, v: Any) -> Any:
    """``motion.check`` of one flow (u, v) for the window whose first pixel is (y, x), the margin counted in."""
    came = _source(pair, y, x, u, v)
    off = spread(np.float32(0.0))
    for i in range(SIDE):
        off += abs(_off(pair, came, i))
    return total(off) * np.float32(1.0 / (SIDE * SIDE))


@kernel
def _source(pair: Any, y: int, x: int, u: Any, v: Any) -> Any:
    """Where the window is and where it came from, both as flat indices, and the shares of four pixels there."""
    one, reach, width = np.float32(1.0), pair.margin - SIDE, pair.now.shape[1]
    down, right = np.floor(-v), np.floor(-u)
    fy, fx = -v - down, -u - right
    shares = ((one - fy) * (one - fx), (one - fy) * fx, fy * (one - fx), fy * fx)
    to_y, to_x = y + min(max(int(down), -reach), reach), x + min(max(int(right), -reach), reach)
    return y * width + x, to_y * width + to_x, shares


@kernel
def _off(pair: Any, came: Any, i: int) -> Any:
    """Row i of the window less that row of the picture before, where it came from."""
    here, there, (a, b, c, d) = came
    width = pair.now.shape[1]
    k = there + i * width
    upper = spread(a) * load(pair.before, k) + spread(b) * load(pair.before, k + 1)
    lower = spread(c) * load(pair.before, k + width) + spread(d) * load(pair.before, k + width + 1)
    return load(pair.now, here + i * width) - (upper + lower)


@kernel
def _slopes(pair: Any, y: int, x: int, out: Planes) -> None:
    """Half differences in x and y of a window's pixels, into ``out`` (2, SIDE, SIDE); they repeat in the margin."""
    height, width = pair.now.shape
    half = spread(np.float32(0.5))
    for i in range(SIDE):
        k = min(max(y + i, pair.margin), height - pair.margin - 1) * width + x
        store(out, SIDE * i, (load(pair.now, k + 1) - load(pair.now, k - 1)) * half)
        store(out, SIDE * (SIDE + i), (load(pair.now, k + width) - load(pair.now, k - width)) * half)
    before, beyond = pair.margin - x, x + SIDE - (width - pair.margin)
    for i in range(SIDE):
        for j in range(before):
            out[0, i, j] = out[0, i, before]
        for j in range(SIDE - beyond, SIDE):
            out[0, i, j] = out[0, i, SIDE - beyond - 1]


@kernel
def _refined(pair: Any, slopes: Planes, floor: Any, y: int, x: int, u: Any, v: Any) -> tuple[Any, Any]:
    """``motion._refined`` of one flow (u, v) for one window."""
    came = _source(pair, y, x, u, v)
    nothing = spread(np.float32(0.0))
    all_xx, all_xy, all_yy, all_xo, all_yo = nothing, nothing, nothing, nothing, nothing
    for i in range(SIDE):
        across, down = load(slopes, SIDE * i), load(slopes, SIDE * (SIDE + i))
        off = _off(pair, came, i)
        all_xx += across * across
        all_xy += across * down
        all_yy += down * down
        all_xo += across * off
        all_yo += down * off
    share = np.float32(1.0 / (SIDE * SIDE))
    xx, xy, yy = total(all_xx) * share + floor, total(all_xy) * share, total(all_yy) * share + floor
    xo, yo = total(all_xo) * share, total(all_yo) * share
    determinant = xx * yy - xy * xy
    step_u, step_v = (xy * yo - yy * xo) / determinant, (xy * xo - xx * yo) / determinant
    length = max(np.sqrt(step_u * step_u + step_v * step_v), np.float32(1.0))
    return u + step_u / length, v + step_v / length
