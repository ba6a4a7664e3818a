"""What the scene looks like when nobody is there: a running quantile per model pixel, in the light of now.

The background starts as the first picture and is useful at once. What stood in that picture and then leaves would stay
as a ghost; ``resolve_still`` finds it by the edges along its outline, which are then in the background and not in the
picture, and gives the place to the picture. Shapes: H, W model pixels; luma in levels of 0..255.

Sources: sigma-delta background (Manzanera and Richefeu, 2007); shadows by the ratio to it (Cucchiara et al.,
2003); edges along the outline to tell what came from what went (Li et al., 2003; Tian et al., 2011).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import Map, kernel

Luma = NDArray[np.uint8]
Flags = NDArray[np.uint8]
Labels = NDArray[np.int32]


class BackgroundTuning(NamedTuple):
    """Luma in levels, rates in levels a second, times in media seconds.

    Chosen by what they mean, looking at masks of a dozen real scenes. With any one of them 20 % higher or lower the
    five real falls stay at 0.47 and above, and of the normal scenes that come nearest the highest lies between 0.45 and
    0.52. Shadows matter most: one fall changes by 0.11.
    """

    least: float = 14.0  # off the background: beyond coding noise and the grain of a night picture
    spreads: float = 4.0  # ... and so many of the pixel's own spread
    weak_least: float = 8.0  # off it in the mean of 3x3 pixels, whose noise is a third: counts beside what is far off
    weak_spreads: float = 3.5
    weak_seeds: float = 0.15  # share of a connected part that must be far off, or move, for its weak pixels to count
    weak_most: float = 0.35  # share of the picture that such a part may cover: beyond that it is the light
    follow: float = 6.0  # of what agrees with it: a quarter of an hour's dusk, or a sensor's warming up, is far slower
    absorb: float = 0.1  # of what does not: a contrast of 40 levels takes 7 minutes
    spread_rate: float = 0.5  # swaying leaves are learnt in some ten seconds
    spread_floor: float = 2.0  # quantisation and coding
    spread_most: float = 20.0
    shadow_darkest: float = 0.55  # of the background's luma: a shadow lets the sky's light through
    shadow_lightest: float = 0.96
    shadow_texture: float = 7.0  # what its steps to two neighbours may differ from the background's in that light
    quiet: float = 8.0  # a change from what was there lately
    quiet_rate: float = 10.0  # 1/s: lately is the frame before at 10 frames/s and less
    recent_s: float = 0.3  # fills what moves up from its edges; longer, the place that was left counts as object
    replace_s: float = 0.5  # so long unchanged is background where none is established
    uncovered_s: float = 1.0  # ... and where it was that before something came to stand there
    established_s: float = 6.0  # longer than most people stand quite still
    light_least: float = 3.0  # median difference from the background below which the light has not changed
    light_explains: float = 0.6  # what gain and offset must leave of it at most


BACKGROUND = BackgroundTuning()

FAR, SHADOW, CHANGED, RECENT, SURE, WEAK, UNCOVERED = 1, 2, 4, 8, 16, 32, 64
"""Bits of a pixel: off the background; but only darker; changed since the frame before; changed within ``recent_s``;
its background is established; off the background by little; what was there before shows again."""


@kernel
def light_of(
    level_blocks: Map, luma_blocks: Map, usable: NDArray[np.bool_], t: BackgroundTuning
) -> tuple[float, float, float]:
    """Gain and offset from the background's blocks to the picture's, and by how much they change the middle grey.

    Tukey's resistant line over the dark and the bright third; (1, 0) unless that explains the picture clearly better
    than no change does: a fit that is applied at any time drifts.
    """
    count = 0
    x, y = np.empty(usable.size, np.float32), np.empty(usable.size, np.float32)
    for i in range(usable.shape[0]):
        for j in range(usable.shape[1]):
            if usable[i, j]:
                x[count], y[count] = level_blocks[i, j], luma_blocks[i, j]
                count += 1
    if count < 24:
        return 1.0, 0.0, 0.0
    x, y = x[:count], y[:count]
    shift = float(np.median(y - x))
    unlike = float(np.median(np.abs(y - x)))
    if unlike < t.light_least:
        return 1.0, 0.0, shift
    order = np.argsort(x)
    third = count // 3
    low, high = order[:third], order[count - third :]
    x_low, x_high = float(np.median(x[low])), float(np.median(x[high]))
    gain = 1.0
    if x_high - x_low >= 16.0:
        gain = min(1.6, max(0.6, (float(np.median(y[high])) - float(np.median(y[low]))) / (x_high - x_low)))
    offset = float(np.median(y - np.float32(gain) * x))
    if float(np.median(np.abs(y - np.float32(gain) * x - np.float32(offset)))) > t.light_explains * unlike:
        return 1.0, 0.0, shift
    return gain, offset, shift


@kernel
def relight(level: Map, gain: float, offset: float) -> None:
    """The background in the light of now; what is below zero stands for none."""
    for i in range(level.shape[0]):
        for j in range(level.shape[1]):
            if level[i, j] < np.float32(0.0):
                continue
            level[i, j] = min(
                np.float32(255.0), max(np.float32(0.0), np.float32(gain) * level[i, j] + np.float32(offset))
            )


@kernel
def look(
    luma: Luma,
    level: Map,
    spread: Map,
    seen_s: Map,
    soft: Map,
    lately: Map,
    quiet_s: Map,
    flags: Flags,
    dt_s: float,
    t: BackgroundTuning,
) -> None:
    """Set ``flags`` of every pixel, but for SHADOW; ``soft`` (H, W) is its mean difference over 3x3 pixels.

    Advances ``lately`` and ``quiet_s``, how long it has looked the same.
    """
    height, width = luma.shape
    dt = np.float32(dt_s)
    near = np.float32(min(1.0, t.quiet_rate * dt_s))
    least, spreads, quiet = np.float32(t.least), np.float32(t.spreads), np.float32(t.quiet)
    recent, sure = np.float32(t.recent_s), np.float32(t.established_s)
    weak, share = np.float32(t.weak_least), np.float32(t.weak_spreads / t.spreads)
    zero, no, wide = np.float32(0.0), np.uint8(0), np.empty(width, np.float32)
    for i in range(height):  # one simple loop after the other, so that many pixels are done at once
        row, usual, late, calm, out = luma[i], level[i], lately[i], quiet_s[i], flags[i]
        seen, around, little = seen_s[i], spread[i], soft[i]
        for j in range(width):
            wide[j] = spreads * around[j]
        for j in range(width):
            off = abs(np.float32(row[j]) - usual[j])
            out[j] = np.uint8(FAR) if off > max(least, wide[j]) else no
        for j in range(width):
            out[j] |= np.uint8(WEAK) if abs(little[j]) > max(weak, share * wide[j]) else no
        for j in range(width):
            step = np.float32(row[j]) - late[j]
            moved = abs(step) > max(quiet, wide[j])
            late[j] += near * step
            calm[j] = zero if moved else calm[j] + dt
            out[j] |= np.uint8(CHANGED) if moved else no
        for j in range(width):
            out[j] |= np.uint8(RECENT) if calm[j] < recent else no
            out[j] |= np.uint8(SURE) if seen[j] >= sure else no


@kernel
def uncover(luma: Luma, level: Map, spread: Map, under: Map, quiet_s: Map, flags: Flags, t: BackgroundTuning) -> None:
    """Where an established background shows again that something stood before, nothing is FAR: a chair that is empty.

    ``under`` (H, W) is what the background was when something came to stand on it, -1 for none. Who sits for minutes
    becomes the background; once he has left, what was under him is it again, at once.
    """
    least, none, quiet = np.float32(t.least), np.float32(-1.0), np.float32(t.uncovered_s)
    for i in range(luma.shape[0]):
        for j in range(luma.shape[1]):
            now, before = np.float32(luma[i, j]), under[i, j]
            if flags[i, j] & (FAR | SURE) == FAR | SURE:
                if before < np.float32(0.0):
                    under[i, j] = level[i, j]
                elif abs(now - before) < min(least, np.float32(0.5) * abs(now - level[i, j])):
                    flags[i, j] = flags[i, j] & ~np.uint8(FAR) | np.uint8(UNCOVERED)
                    if quiet_s[i, j] >= quiet:
                        level[i, j], spread[i, j], under[i, j] = now, np.float32(t.spread_floor), none
            elif abs(now - level[i, j]) < np.float32(0.5) * least and abs(level[i, j] - before) < least:
                under[i, j] = none  # nothing of another kind is on it


@kernel
def mark_shadows(luma: Luma, level: Map, flags: Flags, t: BackgroundTuning) -> None:
    """Set SHADOW where what is off the background is the background, only darker."""
    height, width = luma.shape
    for i in range(height - 1):
        for j in range(width - 1):
            if flags[i, j] & FAR:
                usual = level[i, j]
                ratio = np.float32(luma[i, j]) / max(usual, np.float32(1.0))
                if ratio < t.shadow_darkest or ratio > t.shadow_lightest:
                    continue
                right = np.float32(luma[i, j]) - np.float32(luma[i, j + 1]) - ratio * (level[i, j] - level[i, j + 1])
                below = np.float32(luma[i, j]) - np.float32(luma[i + 1, j]) - ratio * (level[i, j] - level[i + 1, j])
                if abs(right) + abs(below) < t.shadow_texture:
                    flags[i, j] |= SHADOW


@kernel
def grow(
    flags: Flags, activity: Map, cell: int, least_activity: float, labels: Labels, count: int, t: BackgroundTuning
) -> None:
    """Weak pixels become FAR where enough of their connected part is far off already, or the network sees it move.

    Hysteresis (Canny, 1986): somebody in the colour of the floor is an outline and a head otherwise. ``labels`` are the
    ``count - 1`` connected parts of what is weak or far off.
    """
    area, seeds = np.zeros(count, np.int32), np.zeros(count, np.int32)
    for i in range(flags.shape[0]):
        for j in range(flags.shape[1]):
            k = labels[i, j]
            if k:
                area[k] += 1
                seeds[k] += (flags[i, j] & FAR) != 0 or (
                    flags[i, j] & RECENT != 0 and activity[i // cell, j // cell] > least_activity
                )
    for k in range(1, count):
        counts = seeds[k] >= max(4.0, t.weak_seeds * area[k]) and area[k] <= t.weak_most * labels.size
        area[k] = counts
    for i in range(flags.shape[0]):
        for j in range(flags.shape[1]):
            k = labels[i, j]
            if k and area[k]:
                flags[i, j] |= FAR


@kernel
def mark(flags: Flags, out: Flags) -> None:
    """Mark (1) the pixels that are off the background, by much or little, or have changed."""
    for i in range(flags.shape[0]):
        for j in range(flags.shape[1]):
            out[i, j] = flags[i, j] & (FAR | WEAK | CHANGED) != 0


@kernel
def mark_weak(flags: Flags, out: Flags) -> bool:
    """Mark (1) the pixels that are off the background by much or little; is any pixel off by only a little?"""
    weak = False
    for i in range(flags.shape[0]):
        for j in range(flags.shape[1]):
            off = flags[i, j] & (FAR | WEAK)
            out[i, j] = off != 0
            weak |= off == WEAK
    return weak


@kernel
def follow(
    luma: Luma,
    level: Map,
    spread: Map,
    seen_s: Map,
    quiet_s: Map,
    flags: Flags,
    dt_s: float,
    t: BackgroundTuning,
) -> float:
    """Bring level and spread nearer to the picture: quickly where it is the background, hardly where something stands.

    Where the background is not established yet, what has been quiet for ``replace_s`` is the background from now on.
    Returns by how much what agreed with the picture has become brighter, as a ratio: the light of dusk and dawn.
    """
    agreed, became = 1.0, 1.0
    dt = np.float32(dt_s)
    quick, slow = np.float32(t.follow * dt_s), np.float32(t.absorb * dt_s)
    rate, floor, most = np.float32(t.spread_rate * dt_s), np.float32(t.spread_floor), np.float32(t.spread_most)
    replace = np.float32(t.replace_s)
    for i in range(luma.shape[0]):
        for j in range(luma.shape[1]):
            off = np.float32(luma[i, j]) - level[i, j]
            far = (flags[i, j] & FAR) != 0
            if far and not (flags[i, j] & SURE) and quiet_s[i, j] >= replace:
                level[i, j] += off
                seen_s[i, j] = replace
                continue
            step = slow if far else quick
            if not far:
                agreed += level[i, j]
            level[i, j] += min(step, max(-step, off))
            if not far:
                became += level[i, j]
            wider = np.float32(0.9) if abs(off) > spread[i, j] else np.float32(-0.1)
            spread[i, j] = min(most, max(floor, spread[i, j] + wider * (np.float32(0.2) * rate if far else rate)))
            seen_s[i, j] = seen_s[i, j] if far else seen_s[i, j] + dt
    return became / agreed


@kernel
def foreground(flags: Flags, activity: Map, cell: int, least_activity: float, out: Flags) -> None:
    """What belongs to objects (1), from the flags and the network's activity (gh, gw).

    Where the background is established: what is off it and no shadow. Where it is not: what has lately changed and is
    off it. Anywhere: what changes where the network sees something move.
    """
    width = flags.shape[1]
    for i in range(flags.shape[0]):
        row, to, busy = flags[i], out[i], activity[i // cell]
        any_set = 0
        for j in range(width):
            to[j] = 0
            any_set |= row[j]
        if any_set & (FAR | CHANGED) == 0:
            continue
        for j in range(width):
            flag = row[j]
            if flag & (FAR | CHANGED):
                active = busy[j // cell] > least_activity
                far = (flag & FAR) != 0 and (active or flag & SHADOW == 0)
                lately = (flag & SURE) != 0 or (flag & RECENT) != 0
                to[j] = (far and lately) or (active and (flag & CHANGED) != 0)


@kernel
def keep_added(flags: Flags, activity: Map, cell: int, least_activity: float, mask: Flags, network: Flags) -> None:
    """Keep (1) of what the ``network`` (H, W) says belongs to objects what it adds to ``mask``.

    It is not asked where the background is not established or shows again, nor of what is marked as SHADOW and does
    not move.
    """
    for i in range(flags.shape[0]):
        row, busy, added = flags[i], activity[i // cell], network[i]
        for j in range(flags.shape[1]):
            if added[j]:
                asked = mask[i, j] == 0 and row[j] & (SURE | UNCOVERED) == SURE
                added[j] = asked and (row[j] & SHADOW == 0 or busy[j // cell] > least_activity)


@kernel
def unsupported(
    labels: Labels, count: int, foreground: Flags, activity: Map, cell: int, least_activity: float, least: float
) -> NDArray[np.bool_]:
    """(count,) which connected parts are neither ``foreground`` nor move in a share of ``least`` of their pixels."""
    area, supported = np.zeros(count, np.int32), np.zeros(count, np.int32)
    for i in range(labels.shape[0]):
        row, busy = labels[i], activity[i // cell]
        for j in range(labels.shape[1]):
            k = row[j]
            if k:
                area[k] += 1
                supported[k] += foreground[i, j] != 0 or busy[j // cell] > least_activity
    out = np.zeros(count, np.bool_)
    for k in range(1, count):
        out[k] = supported[k] < least * area[k]
    return out
