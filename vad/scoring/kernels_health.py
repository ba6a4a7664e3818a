"""The loops that tell whether a picture is unwell, over block luma. Blocks are (h, w), tiles halves or thirds of it."""

from __future__ import annotations

import math

import numpy as np

from vad.scoring.kernels import Map, kernel

TILES = 3
"""A side of the grid on which ``compare_structure`` looks for a part of the picture that is as it always was."""


@kernel
def glance(
    luma: Map,
    last: Map,
    before: Map,
    structure: Map,
    before_mean: float,
    usual_contrast: float,
    fast: float,
    jump: tuple[float, float, float, float],
    texture: tuple[float, float, int],
) -> tuple[bool, bool, float, float, int, float, float, float]:
    """All that ``Health`` asks of a picture, in one call.

    Is it the ``last`` one again; did the light jump since the picture ``before`` (whose mean is given); mean and
    spread; ``compare_structure``. ``jump`` is (least change of the mean, and ``least``, ``alike`` and ``elsewhere`` of
    ``light_jumped``), ``texture`` what ``compare_structure`` is tuned by.
    """
    mean, contrast = mean_and_spread(luma)
    jumped = False
    if abs(mean - before_mean) > jump[0]:
        jumped = light_jumped(luma, before, fast, jump[1], jump[2], jump[3])
    dimmed = min(1.0, contrast / max(usual_contrast, 1e-6))
    count, apart, least_apart, strength = compare_structure(luma, structure, dimmed, texture)
    return identical(luma, last), jumped, mean, contrast, count, apart, least_apart, strength


@kernel
def fine_structure(luma: Map) -> Map:
    """Each block less the mean of its 3x3 neighbourhood (clipped at the border)."""
    bh, bw = luma.shape
    out = np.empty((bh, bw), np.float32)
    down = np.zeros(bw + 2)  # sums over the rows of the neighbourhood, between two columns of nothing
    left, here, right = down[:bw], down[1 : bw + 1], down[2:]
    for i in range(bh):
        here[:] = 0.0
        for y in range(max(0, i - 1), min(bh, i + 2)):
            for j in range(bw):
                here[j] += luma[y, j]
        count = 3 * (min(bh, i + 2) - max(0, i - 1))
        for j in range(bw):
            out[i, j] = luma[i, j] - (left[j] + here[j] + right[j]) / count
        for j in (0, bw - 1):
            out[i, j] = luma[i, j] - (left[j] + here[j] + right[j]) / (count // 3 * min(bw, 2))
    return out


@kernel
def compare_structure(
    luma: Map, usual: Map, contrast: float, tuning: tuple[float, float, int]
) -> tuple[int, float, float, float]:
    """(textured blocks, share that disagree, least such share of any tile, strength over usual) of fine structure.

    ``usual`` is the fine structure of the background; with ``contrast`` times its contrast it would look the same.
    ``tuning`` is the least fine structure that counts, the share of it below which a block disagrees, and the least
    number of textured blocks of a tile that has a say.
    """
    texture, agreement, tile_textured = tuning
    now = fine_structure(luma)
    bh, bw = now.shape
    least_texture, agreeing = np.float32(texture), np.float32(agreement * contrast)
    one, none = np.float32(1.0), np.float32(0.0)
    sums = np.zeros((TILES, 4, bw), np.float32)  # of each column: textured, apart, strength, usual strength
    for i in range(bh):
        textured, apart, strength, reference = sums[i * TILES // bh]
        here, expected = now[i], usual[i]
        for j in range(bw):
            counts = one if abs(expected[j]) >= least_texture else none
            textured[j] += counts
            strength[j] += counts * abs(here[j])
            reference[j] += counts * abs(expected[j])
            apart[j] += counts if here[j] * expected[j] < agreeing * expected[j] * expected[j] else none
    count = sums[:, 0].sum()
    if count == 0.0:
        return 0, 0.0, 0.0, 1.0
    share = sums[:, 1].sum() / count
    least = share
    for row in range(TILES):
        for column in range(TILES):
            inside = slice(column * bw // TILES, (column + 1) * bw // TILES)
            counted = sums[row, 0, inside].sum()
            if counted >= tile_textured:
                least = min(least, sums[row, 1, inside].sum() / counted)
    return int(count), share, least, sums[:, 2].sum() / max(sums[:, 3].sum() * contrast, 1e-6)


@kernel
def mean_and_spread(luma: Map) -> tuple[float, float]:
    """Mean and standard deviation."""
    total, squares = np.zeros(luma.shape[1]), np.zeros(luma.shape[1])  # of each column: many are added at once
    for i in range(luma.shape[0]):
        for j in range(luma.shape[1]):
            value = float(luma[i, j])
            total[j] += value
            squares[j] += value * value
    mean = total.sum() / luma.size
    return mean, math.sqrt(max(0.0, squares.sum() / luma.size - mean * mean))


@kernel
def identical(now: Map, before: Map) -> bool:
    """Did nothing change at all?"""
    for i in range(now.shape[0]):
        for j in range(now.shape[1]):
            if now[i, j] != before[i, j]:
                return False
    return True


@kernel
def follow(mean: Map, luma: Map, share: float) -> None:
    """Bring ``mean`` nearer to ``luma`` by ``share`` of the way, in place."""
    part = np.float32(share)
    for i in range(mean.shape[0]):
        for j in range(mean.shape[1]):
            mean[i, j] += part * (luma[i, j] - mean[i, j])


@kernel
def light_jumped(now: Map, before: Map, fast: float, least: float, alike: float, elsewhere: float) -> bool:
    """Did the light of the whole picture, or of half of it, change at once between these two pictures?

    A region's light jumps when more than ``alike`` of its blocks got brighter (or all darker) by more than ``least``
    levels, more than half of them by more than ``fast``, and a gain and an offset explain more than half of that.
    Half a picture alone (left, right, upper, lower) only counts while less than ``elsewhere`` of the other half changes
    that way, which is what automatic exposure looks like beside something large, and if it shows what it showed before.
    Blocks that are black in both are masked, and no part of it.
    """
    seen_in = quarters_changed(now, -before, 1.0, 0.0)
    seen = seen_in.sum()
    for sign in (1.0, -1.0):
        some_in, many_in = quarters_changed(now, before, sign, least), quarters_changed(now, before, sign, fast)
        some, many = some_in.sum(), many_in.sum()
        if some > alike * seen and many > 0.5 * seen and explained(now, before)[0] > 0.5:
            return True
        for half in range(4):
            here, old = half_of(now, half), half_of(before, half)
            some_here, many_here = half_of(some_in, half).sum(), half_of(many_in, half).sum()
            seen_here = half_of(seen_in, half).sum()
            if some_here <= alike * seen_here or many_here <= 0.5 * seen_here or seen_here < 0.4 * seen:
                continue
            if some - some_here < elsewhere * (seen - seen_here):
                change, picture = explained(here, old)
                if change > 0.5 and picture > 0.5:
                    return True
    return False


@kernel
def half_of(values: Map, half: int) -> Map:
    """The upper, lower, left or right half."""
    middle, centre = values.shape[0] // 2, values.shape[1] // 2
    if half < 2:
        return values[:middle] if half == 0 else values[middle:]
    return values[:, :centre] if half == 2 else values[:, centre:]


@kernel
def quarters_changed(now: Map, before: Map, sign: float, by: float) -> Map:
    """(2, 2) blocks of each quarter of the picture that changed by more than ``by`` in the direction of ``sign``."""
    bh, bw = now.shape
    counts = np.zeros((2, bw), np.float32)
    towards, limit = np.float32(sign), np.float32(by)
    for i in range(bh):
        changed, new, old = counts[1 if i >= bh // 2 else 0], now[i], before[i]
        for j in range(bw):
            changed[j] += np.float32(1.0) if (new[j] - old[j]) * towards > limit else np.float32(0.0)
    out = np.empty((2, 2), np.float32)
    for half in range(2):
        out[half, 0], out[half, 1] = counts[half, : bw // 2].sum(), counts[half, bw // 2 :].sum()
    return out


@kernel
def explained(now: Map, before: Map) -> tuple[float, float]:
    """Shares of the squared change, and of the picture's own variance, that gain and offset account for."""
    x, y, xx, xy, yy, changes = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(now.shape[0]):
        for j in range(now.shape[1]):
            old, new = float(before[i, j]), float(now[i, j])
            x += old
            y += new
            xx += old * old
            xy += old * new
            yy += new * new
            changes += (new - old) ** 2
    count = now.size
    xx, xy, yy = xx - x * x / count, xy - x * y / count, yy - y * y / count
    rest = yy - xy * xy / max(xx, 1e-6)
    return 1.0 - rest / max(changes, 1e-6), 1.0 - rest / max(yy, 1e-6)
