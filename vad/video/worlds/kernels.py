"""The heavy loops of rendering: arrays in, arrays out.

Pictures are (H, W) uint8. Polygons are convex, (corners, 2) as (x, y) in pixels from the centre of the top left one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

_LINES = 4
"""Scan lines a pixel row: a polygon's edge is that smooth."""


def _kernel(function: F) -> F:
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=True)(function))


@_kernel
def _cover(coverage: Any, corners: Any, scale: float, x0: int, y0: int, x1: int, y1: int) -> None:
    """Set ``coverage`` (H, W) float32 in the box [x0, x1) x [y0, y1) to how much of each pixel the polygon covers."""
    count = corners.shape[0]
    for row in range(y0, y1):
        for column in range(x0, x1):
            coverage[row, column] = 0.0
        for line in range(_LINES):
            y = row - 0.5 + (line + 0.5) / _LINES
            left, right = 1e9, -1e9
            for k in range(count):
                ax, ay = corners[k, 0] * scale, corners[k, 1] * scale
                other = k + 1 if k + 1 < count else 0
                bx, by = corners[other, 0] * scale, corners[other, 1] * scale
                if (ay <= y) != (by <= y):
                    x = ax + (y - ay) / (by - ay) * (bx - ax)
                    left, right = min(left, x), max(right, x)
            if right <= left:
                continue
            left, right = left + 0.5, right + 0.5  # pixel k now is [k, k + 1)
            first, last = max(math.floor(left), x0), min(math.floor(right), x1 - 1)
            for column in range(first, last + 1):
                coverage[row, column] += (min(right, column + 1.0) - max(left, float(column))) / _LINES


@_kernel
def paint_parts(light: Any, numbers: Any, coverage: Any, corners: Any, lumas: Any, first: int) -> None:
    """Paint polygons one over the other.

    ``corners`` (parts, corners, 2) int32 has four fractional bits, ``lumas`` (parts,) float32. Where a part covers half
    a pixel, ``numbers`` (H, W) uint16 is set to ``first`` + its place; it may be of size 0. ``coverage`` is scratch.
    """
    height, width = light.shape
    for part in range(corners.shape[0]):
        outline = corners[part]
        x0 = max(math.floor(outline[:, 0].min() / 16 + 0.5), 0)
        y0 = max(math.floor(outline[:, 1].min() / 16 + 0.5), 0)
        x1 = min(math.floor(outline[:, 0].max() / 16 + 0.5) + 1, width)
        y1 = min(math.floor(outline[:, 1].max() / 16 + 0.5) + 1, height)
        if x0 >= x1 or y0 >= y1:
            continue
        _cover(coverage, outline, 1 / 16, x0, y0, x1, y1)
        luma = lumas[part]
        for row in range(y0, y1):
            for column in range(x0, x1):
                share = coverage[row, column]
                if share > 0.0:
                    under = float(light[row, column])
                    light[row, column] = np.uint8(min(under + (luma - under) * min(share, 1.0) + 0.5, 255.0))
                    if share >= 0.5 and numbers.shape[0] > 0:
                        numbers[row, column] = first + part


@_kernel
def shadow_outlines(bodies: Any, sun: Any, view: Any) -> Any:
    """Outlines (n, 16, 2) float64 in pixels of the shadows that bodies cast along ``sun``, metres per metre of height.

    ``bodies`` (n, 7): x, y, heading, tilt, half the length, half the width, half the height. ``view`` is the camera's
    focal length, pitch, height and middle (x, y); it is not tilted.
    """
    outlines = np.empty((bodies.shape[0], 16, 2))
    cos_p, sin_p = math.cos(view[1]), math.sin(view[1])
    for n in range(bodies.shape[0]):
        x, y, heading, tilt, long, wide, tall = bodies[n]
        cos_h, sin_h = math.cos(heading), math.sin(heading)
        far = tall * math.cos(tilt)
        for k in range(16):
            along, aside = long * math.cos(math.pi * k / 8), wide * math.sin(math.pi * k / 8)
            dx, dy = along * cos_h - aside * sin_h, along * sin_h + aside * cos_h
            if dx * sun[0] + dy * sun[1] > 0.0:  # the half away from the sun: still convex
                dx, dy = dx + far * sun[0], dy + far * sun[1]
            depth = max((y + dy) * cos_p + view[2] * sin_p, 0.3)
            outlines[n, k, 0] = (x + dx) * view[0] / depth + view[3]
            outlines[n, k, 1] = (view[2] * cos_p - (y + dy) * sin_p) * view[0] / depth + view[4]
    return outlines


@_kernel
def darken(factor: Any, coverage: Any, outlines: Any, strength: float) -> None:
    """Multiply ``factor`` (h, w) float32 by 1 - strength inside each of ``outlines`` (n, corners, 2) float64."""
    height, width = factor.shape
    for n in range(outlines.shape[0]):
        outline = outlines[n]
        x0 = max(math.floor(outline[:, 0].min() + 0.5), 0)
        y0 = max(math.floor(outline[:, 1].min() + 0.5), 0)
        x1 = min(math.floor(outline[:, 0].max() + 0.5) + 1, width)
        y1 = min(math.floor(outline[:, 1].max() + 0.5) + 1, height)
        if x0 >= x1 or y0 >= y1:
            continue
        _cover(coverage, outline, 1.0, x0, y0, x1, y1)
        for row in range(y0, y1):
            for column in range(x0, x1):
                factor[row, column] *= 1.0 - strength * min(coverage[row, column], 1.0)


@_kernel
def hang(
    light: Any, alpha: Any, leaves: Any, top: int, left: int, dx: float, dy: float, gain: float, base: float
) -> None:
    """Blend leaves (h, w) float32 over the picture at (top, left), moved by (dx, dy): luma leaves * gain + base."""
    height, width = alpha.shape
    for row in range(height):
        y = min(max(row - dy, 0.0), height - 1.001)
        y0 = int(y)
        fy = np.float32(y - y0)
        for column in range(width):
            x = min(max(column - dx, 0.0), width - 1.001)
            x0 = int(x)
            fx = np.float32(x - x0)
            wa, wb, wc, wd = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
            a = wa * alpha[y0, x0] + wb * alpha[y0, x0 + 1] + wc * alpha[y0 + 1, x0] + wd * alpha[y0 + 1, x0 + 1]
            if a > 0.004:
                luma = (
                    wa * leaves[y0, x0]
                    + wb * leaves[y0, x0 + 1]
                    + wc * leaves[y0 + 1, x0]
                    + wd * leaves[y0 + 1, x0 + 1]
                )
                under = np.float32(light[top + row, left + column])
                value = under + a * (luma * gain + base - under)
                light[top + row, left + column] = np.uint8(min(max(value + 0.5, 0.0), 255.0))


@_kernel
def relight(light: Any, factor: Any, step: int) -> None:
    """Multiply the picture by ``factor`` (h, w) float32 of a grid ``step`` times coarser, bilinear."""
    height, width = light.shape
    rows, columns = factor.shape
    line = np.empty(columns + 1, np.float32)
    wide = np.empty(width + 2 * step, np.float32)
    shares = ((np.arange(step) + 0.5) / step).astype(np.float32)
    for row in range(height):
        y = min(max((row + 0.5) / step - 0.5, 0.0), rows - 1.001)
        y0 = int(y)
        fy = np.float32(y - y0)
        for k in range(columns):
            line[k] = factor[y0, k] + fy * (factor[y0 + 1, k] - factor[y0, k])
        line[columns] = line[columns - 1]
        half = step // 2
        for k in range(half):
            wide[k] = line[0]
        for k in range(columns):
            for j in range(step):
                wide[half + k * step + j] = line[k] + shares[j] * (line[k + 1] - line[k])
        for column in range(half + columns * step, width):
            wide[column] = line[columns]
        for column in range(width):
            light[row, column] = np.uint8(min(light[row, column] * wide[column] + np.float32(0.5), np.float32(255)))


@_kernel
def develop(
    light: Any, tone: Any, noise: Any, texture: Any, read: float, shot: float, kept: float, edge: float, luma: Any
) -> None:
    """Light -> ``luma``: tone curve, lens blur, noise.

    ``tone`` (256,) float32 is the curve, ``edge`` the weight of each neighbour in the blur's one-dimensional kernel,
    ``noise`` and ``texture`` (H, W) float32 unit noise; the former's strength is read + shot * luma, the latter's kept.
    """
    height, width = light.shape
    middle, side = np.float32(1 - 2 * edge), np.float32(edge)
    floor, slope, lasting = np.float32(read), np.float32(shot), np.float32(kept)
    low, high = np.float32(0), np.float32(255)
    three = np.empty((3, width), np.float32)  # rows blurred along x, by row modulo 3
    toned = np.empty(width + 2, np.float32)
    for row in range(-1, height):
        below = min(row + 1, height - 1)
        for column in range(width):
            toned[column + 1] = tone[light[below, column]]
        toned[0], toned[width + 1] = toned[1], toned[width]
        line = three[(row + 1) % 3]
        for column in range(width):
            line[column] = middle * toned[column + 1] + side * (toned[column] + toned[column + 2])
        if row >= 0:
            over, here = three[(row - 1) % 3 if row > 0 else 0], three[row % 3]
            for column in range(width):
                value = middle * here[column] + side * (over[column] + line[column])
                value += (floor + slope * value) * noise[row, column] + lasting * texture[row, column]
                luma[row, column] = np.uint8(min(max(value + np.float32(0.5), low), high))
