"""What stands still off the background: a ghost, something that was left, or something that was taken away.

Edges along its outline tell: what has come to stand has its outline in the picture, what is gone has it in the
background. Where the background is young, what is gone is a ghost of who stood there when the run began, and the
picture takes its place at once. How long the others have stood is counted per pixel, in media seconds, while nothing
moves at them: whoever lives moves now and then.

Sources: edges along the outline (Li et al., 2003; Tian et al., 2011).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import Map, State, kernel
from vad.scoring.objects.background import FAR, RECENT, SHADOW, SURE, Flags, Labels, Luma


class StillTuning(NamedTuple):
    """Contrasts as ratios, areas in pixels or shares of the picture, media seconds. Chosen by what they mean."""

    least_area: int = 12  # 3 x 4 px: a bag beside a person of 25 px
    most_share: float = 0.05  # of the picture: larger things are light, not things
    gone: float = 0.7  # contrast in the picture over that in the background: below it, it is gone
    came: float = 1.3  # ... above it, it came
    least_pairs: int = 8  # of an outline's pixels: fewer tell nothing
    texture: float = 4.0  # steps from pixel to pixel in the background, levels, that are more than noise
    same_texture: float = 0.7  # correlation of steps: the same surface in another light
    old_s: float = 60.0  # background that has held that long was a thing of the scene: it has been taken away
    upright: float = 1.8  # height over width of somebody who stands
    upright_pace: float = 0.25  # people stand about for a minute where a bag says something after a quarter of it
    alive: float = 0.06  # share of what moves at it
    alive_tau_s: float = 4.0  # who walks past for a second takes a fifth of it
    away_s: float = 0.5  # once the background shows again


STILL = StillTuning()

GHOST, ARRIVED, REMOVED = 1, 2, 3
"""Verdicts on a component; 0 for neither."""


@kernel
def outline_edges(luma: Luma, level: Map, flags: Flags, labels: Labels, edges: State) -> None:
    """Fill ``edges`` (count, 6) of each component.

    Contrast across its outline in the picture, the same in the background, how many pairs that were; and inside of it
    the products of the steps from pixel to pixel in both, their squares in the picture, and in the background. A pair
    lies one pixel inside and two outside of the outline; those whose outer one is on something else say nothing.
    """
    height, width = luma.shape
    edges[:] = 0.0
    for i in range(2, height - 2):
        for j in range(2, width - 2):
            k = labels[i, j]
            if k == 0:
                continue
            for down, right in ((0, 1), (1, 0)):
                if labels[i + down, j + right] == k:
                    step = float(luma[i + down, j + right]) - float(luma[i, j])
                    usual = float(level[i + down, j + right]) - float(level[i, j])
                    edges[k, 3] += step * usual
                    edges[k, 4] += step * step
                    edges[k, 5] += usual * usual
            for way in range(4):
                down = (way == 2) - (way == 3)
                right = (way == 0) - (way == 1)
                if labels[i + down, j + right] == k or flags[i + 2 * down, j + 2 * right] & FAR:
                    continue
                inside, outside = (i - down, j - right), (i + 2 * down, j + 2 * right)
                edges[k, 0] += abs(float(luma[inside]) - float(luma[outside]))
                edges[k, 1] += abs(float(level[inside]) - float(level[outside]))
                edges[k, 2] += 1.0


@kernel
def still_parts(flags: Flags, out: Flags) -> int:
    """Mark (1) what is off an established background and has not changed lately; returns how many pixels that are."""
    count = 0
    for i in range(flags.shape[0]):
        for j in range(flags.shape[1]):
            still = flags[i, j] & (FAR | RECENT | SURE) == FAR | SURE
            out[i, j] = still
            count += still
    return count


@kernel
def verdicts(
    boxes: State, edges: State, seen_s: Map, labels: Labels, flags: Flags, t: StillTuning
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(count,) what each still component is, and how fast its time runs: below zero while something at it moves, slowly
    for what is upright, since people stand about. ``boxes`` are those of ``boxes_of``.
    """
    count = len(boxes)
    out, pace = np.zeros(count, np.uint8), np.zeros(count, np.float32)
    most = t.most_share * labels.size
    for k in range(1, count):
        top, bottom, left, right, area = boxes[k]
        moving, held_s, inside = 0, 0.0, 0
        for i in range(max(0, int(top) - 2), min(labels.shape[0], int(bottom) + 2)):
            for j in range(max(0, int(left) - 2), min(labels.shape[1], int(right) + 2)):
                moving += flags[i, j] & (FAR | RECENT) == FAR | RECENT
                if labels[i, j] == k:
                    held_s += seen_s[i, j]
                    inside += 1
        upright = bottom - top >= t.upright * (right - left)
        pace[k] = -1.0 if moving > t.alive * area else t.upright_pace if upright else 1.0
        if edges[k, 2] < t.least_pairs:
            continue
        textured = edges[k, 5] > 2.0 * inside * t.texture**2
        if textured and edges[k, 3] > t.same_texture * math.sqrt(edges[k, 4] * edges[k, 5]):
            out[k] = GHOST
            continue
        if edges[k, 0] < t.gone * edges[k, 1]:
            out[k] = GHOST if held_s < t.old_s * inside or area > most else REMOVED
        elif edges[k, 0] > t.came * edges[k, 1] and area <= most:
            out[k] = ARRIVED
    return out, pace


@kernel
def settle(
    luma: Luma,
    level: Map,
    spread: Map,
    seen_s: Map,
    flags: Flags,
    labels: Labels,
    verdict: NDArray[np.uint8],
    floor: float,
) -> None:
    """Where a ghost was, the picture is the background from now on."""
    for i in range(luma.shape[0]):
        for j in range(luma.shape[1]):
            if labels[i, j] and verdict[labels[i, j]] == GHOST:
                level[i, j] = luma[i, j]
                spread[i, j], seen_s[i, j] = floor, np.float32(0.5)
                flags[i, j] &= ~(FAR | SHADOW)


@kernel
def dwell(
    stood_s: Map,
    flags: Flags,
    labels: Labels,
    verdict: NDArray[np.uint8],
    pace: NDArray[np.float32],
    dt_s: float,
    t: StillTuning,
) -> None:
    """Advance ``stood_s`` (H, W): it grows where something came or is gone, and is kept while something is in front."""
    fades, weary = np.float32(math.exp(-dt_s / t.away_s)), np.float32(math.exp(-dt_s / t.alive_tau_s))
    for i in range(flags.shape[0]):
        for j in range(flags.shape[1]):
            k = labels[i, j]
            if k and verdict[k] >= ARRIVED:
                longer = stood_s[i, j] + pace[k] * np.float32(dt_s)
                stood_s[i, j] = stood_s[i, j] * weary if pace[k] < np.float32(0.0) else longer
            elif stood_s[i, j] > np.float32(0.0) and not flags[i, j] & FAR:
                stood_s[i, j] = stood_s[i, j] * fades if stood_s[i, j] > np.float32(0.05) else np.float32(0.0)


@kernel
def stood_cells(stood_s: Map, cell: int, least: int, out: Map) -> float:
    """Into ``out`` (gh, gw) the mean time of a cell's pixels that stand, of ``least`` or more; returns the highest."""
    highest = 0.0
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total, count = 0.0, 0
            for y in range(i * cell, i * cell + cell):
                for x in range(j * cell, j * cell + cell):
                    if stood_s[y, x] > np.float32(0.0):
                        total += stood_s[y, x]
                        count += 1
            out[i, j] = total / count if count >= least else 0.0
            highest = max(highest, float(out[i, j]))
    return highest
