"""Decoded picture -> the model's luma: the Y plane box-pooled by a whole number, masked, padded to whole cells.

There is no colour conversion and no interpolation. A whole-number box pool reads each source byte once, in order, and
is some forty times faster than an area resize at a fractional ratio; the price is that the model is only near the width
asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from av import VideoFrame
from numba import njit
from numpy.typing import NDArray

from vad.config import Polygon
from vad.types import Geometry
from vad.video.pooling import EDGE, must_blend, window_of
from vad.video.view import AS_CODED, SQUARE, Orientation, PixelAspect, View, square_size, upright

_PLANAR = frozenset({"gray", "yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "nv21"})
_FULL_RANGE_BY_NAME = frozenset({"gray", "yuvj420p", "yuvj422p", "yuvj444p"})
_RANGE_LIMITED, _RANGE_FULL = 1, 2  # AVColorRange: AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG

SHIFT = 22  # fixed point: 255 * (255 / 219) * 2**22 still fits an int32
_LIMITED_BLACK, _LIMITED_SPAN = 16, 219


def geometry(
    source_width: int,
    source_height: int,
    *,
    model_width: int,
    orientation: Orientation = AS_CODED,
    aspect: PixelAspect = SQUARE,
) -> Geometry:
    """How a source, coded in that size, maps to a model grid about ``model_width`` wide (see ``Geometry``).

    Raises ValueError when a side is not positive.
    """
    if min(source_width, source_height, model_width) < 1:
        raise ValueError(
            f"picture of {source_width}x{source_height} for a model {model_width} wide; allowed: positive sides"
        )
    width, height = square_size(source_width, source_height, aspect=aspect)
    is_as_coded = orientation == AS_CODED and (width, height) == (source_width, source_height)
    if orientation.rotation % 180:
        width, height = height, width
    coded = (0, 0) if is_as_coded else (source_width, source_height)
    return Geometry(width, height, 1, 0, 0, *orientation, *coded).pooled_for(model_width)


def geometry_of(view: View, *, model_width: int) -> Geometry:
    """``geometry`` of a picture that is to be seen so."""
    return geometry(view.width, view.height, model_width=model_width, orientation=view.orientation, aspect=view.aspect)


def visible(masks: Sequence[Polygon], grid: Geometry) -> NDArray[np.uint8] | None:
    """(height, width) uint8 on the model grid: 0 under any mask, 255 elsewhere; None when there are no masks.

    Every model pixel that a polygon touches is masked, and the padding is masked like the edge it repeats: nothing
    that is meant to be hidden can be seen.
    """
    if not masks:
        return None
    keep = np.full((grid.valid_height, grid.valid_width), 255, dtype=np.uint8)
    to_px = np.array([grid.source_width, grid.source_height]) / grid.pool
    for mask in masks:
        corners = np.asarray(mask.points) * to_px - 0.5  # cv2 counts from the centre of the first pixel
        cv2.fillPoly(keep, [np.round(corners * 256).astype(np.int32)], 0, shift=8)
        cv2.polylines(keep, [np.round(corners * 256).astype(np.int32)], True, 0, thickness=2, shift=8)
    below, right = grid.height - grid.valid_height, grid.width - grid.valid_width
    return np.pad(keep, ((0, below), (0, right)), mode="edge")


def luma_plane(frame: VideoFrame) -> tuple[NDArray[np.uint8], bool]:
    """The luma of a decoded frame, (height, line size) uint8 with line size >= width, and whether it is limited range.

    A view of the frame's own memory where the pixel format has a luma plane of 8 bits; otherwise (10 bit, RGB, packed)
    PyAV converts to full-range gray first.
    """
    name = frame.format.name
    limited = frame.color_range == _RANGE_LIMITED or (
        frame.color_range != _RANGE_FULL and name not in _FULL_RANGE_BY_NAME
    )
    if name not in _PLANAR:
        frame, limited = frame.reformat(format="gray", dst_color_range=_RANGE_FULL), False
    plane = frame.planes[0]
    lines: NDArray[np.uint8] = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(
        frame.height, abs(plane.line_size)
    )
    if plane.line_size < 0:  # stored bottom up
        lines = np.ascontiguousarray(lines[::-1])
    return lines, limited


def pool_luma(
    plane: NDArray[np.uint8],
    grid: Geometry,
    mask: NDArray[np.uint8] | None = None,
    *,
    limited_range: bool,
    woven: bool = False,
) -> NDArray[np.uint8]:
    """Box-pool a luma plane to the model grid: (grid.height, grid.width) uint8, full range, upright, a new array.

    ``plane`` is (coded height, line size) uint8, C-contiguous, line size >= coded width. ``mask`` comes from
    ``visible``. With ``limited_range`` 16..235 is stretched to 0..255 (after averaging, clipped). Of a ``woven`` plane
    each model pixel shows as much of one field as of the other.
    """
    width, height = grid.coded_size
    if plane.shape[0] != height or plane.shape[1] < width:
        raise ValueError(
            f"luma plane of {plane.shape[0]} lines of {plane.shape[1]} bytes; allowed: {height} lines of at least "
            f"{width}"
        )
    if woven and must_blend(grid):
        plane = _blended(plane)
    luma = np.empty((grid.height, grid.width), dtype=np.uint8)
    gain, bias = (np.int32(value) for value in scale_of(grid, limited_range=limited_range))
    if grid.is_as_coded:
        _pool(plane, grid.pool, grid.valid_height, grid.valid_width, gain, bias, luma)
        return masked(luma, mask)
    window = window_of(grid)
    if window.is_whole:
        coded = np.empty(window.size, dtype=np.uint8)
        used = np.ascontiguousarray(plane[window.top :, window.left :])  # no copy where it begins at the left
        _pool(used, grid.pool, *window.size, gain, bias, coded)
    else:
        coded = _pool_edges(plane, window.rows, window.columns, *levels(limited_range))
    return masked(as_seen(coded, grid), mask)


def luma_of(
    frame: VideoFrame, grid: Geometry, mask: NDArray[np.uint8] | None, *, woven: bool = False
) -> NDArray[np.uint8]:
    """The model's luma of a decoded frame, wherever that lies: see ``pool_luma``."""
    if frame.format.name == "cuda":
        from vad.video.device_luma import pool_on_device  # loads torch, which is there where such frames come from

        return pool_on_device(frame, grid, mask, limited_range=frame.color_range != _RANGE_FULL, woven=woven)
    plane, limited_range = luma_plane(frame)
    return pool_luma(plane, grid, mask, limited_range=limited_range, woven=woven)


def as_seen(coded: NDArray[np.uint8], grid: Geometry) -> NDArray[np.uint8]:
    """Luma pooled as it is coded, turned upright and padded: (grid.height, grid.width), a new array."""
    seen, luma = upright(coded, grid), np.empty((grid.height, grid.width), dtype=np.uint8)
    rows, columns = seen.shape
    luma[:rows, :columns] = seen
    luma[:rows, columns:] = seen[:, -1:]
    luma[rows:] = luma[rows - 1]
    return luma


def masked(luma: NDArray[np.uint8], mask: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Black where ``mask`` is 0. Changed in place."""
    return luma if mask is None else np.bitwise_and(luma, mask, out=luma)


def levels(limited_range: bool) -> tuple[float, float]:
    """(black, stretch) with which a mean becomes full-range luma: ``(mean - black) * stretch``."""
    return (float(_LIMITED_BLACK), 255 / _LIMITED_SPAN) if limited_range else (0.0, 1.0)


def scale_of(grid: Geometry, *, limited_range: bool) -> tuple[int, int]:
    """(gain, bias) with which the sum of a box becomes full-range luma: ``sum * gain + bias >> SHIFT``, clipped."""
    black, stretch = levels(limited_range)
    return round(stretch / grid.pool**2 * 2**SHIFT), round((0.5 - black * stretch) * 2**SHIFT)


def warm_luma() -> None:
    """Compile (or load from the cache) the kernels, so that no stream thread waits for them."""
    for aspect in (SQUARE, (2, 1)):
        grid = geometry(8, 8, model_width=8, aspect=aspect)
        pool_luma(np.zeros((8, 8), dtype=np.uint8), grid, limited_range=True, woven=True)


@njit(nogil=True, cache=True)
def _pool(plane, pool, valid_height, valid_width, gain, bias, out):  # type: ignore[no-untyped-def]
    """Lines are added first (long, contiguous), then columns; sums of 2, 3 and 4 columns are spelt out because LLVM
    turns those, and no others, into interleaved vector loads: 2 to 4 times faster."""
    used = valid_width * pool
    columns = np.empty(used, np.uint16)
    total = np.empty(valid_width, np.int32)
    for y in range(valid_height):
        line = plane[y * pool]
        for x in range(used):
            columns[x] = line[x]
        for j in range(1, pool):
            line = plane[y * pool + j]
            for x in range(used):
                columns[x] += line[x]
        if pool == 1:
            for x in range(valid_width):
                total[x] = columns[x]
        elif pool == 2:
            for x in range(valid_width):
                total[x] = columns[2 * x] + columns[2 * x + 1]
        elif pool == 3:
            for x in range(valid_width):
                total[x] = columns[3 * x] + columns[3 * x + 1] + columns[3 * x + 2]
        elif pool == 4:
            for x in range(valid_width):
                total[x] = columns[4 * x] + columns[4 * x + 1] + columns[4 * x + 2] + columns[4 * x + 3]
        else:
            for x in range(valid_width):
                total[x] = columns[pool * x]
            for i in range(1, pool):
                for x in range(valid_width):
                    total[x] += columns[pool * x + i]
        row = out[y]
        for x in range(valid_width):
            # the casts keep Numba from widening to int64, which would halve the vector width
            value = np.int32(np.int32(np.int32(total[x] * gain) + bias) >> np.int32(SHIFT))
            row[x] = np.uint8(min(max(value, np.int32(0)), np.int32(255)))
        row[valid_width:] = row[valid_width - 1]
    for y in range(valid_height, out.shape[0]):
        out[y] = out[valid_height - 1]


@njit(nogil=True, cache=True)
def _pool_edges(plane, rows, columns, black, stretch):  # type: ignore[no-untyped-def]
    """``_pool`` where model pixels cover parts of pixels: their edges are in EDGE parts of one."""
    out = np.empty((rows.size - 1, columns.size - 1), np.uint8)
    used = (columns[-1] + EDGE - 1) // EDGE
    total = np.empty(used, np.int32)
    for y in range(out.shape[0]):
        total[:] = 0
        for j in range(rows[y] // EDGE, (rows[y + 1] + EDGE - 1) // EDGE):
            share = np.int32(min(rows[y + 1], (j + 1) * EDGE) - max(rows[y], j * EDGE))
            line = plane[j]
            for x in range(used):
                total[x] += share * np.int32(line[x])
        for x in range(out.shape[1]):
            first, last = columns[x], columns[x + 1]
            box = 0
            for i in range(first // EDGE, (last + EDGE - 1) // EDGE):
                box += (min(last, (i + 1) * EDGE) - max(first, i * EDGE)) * np.int64(total[i])
            mean = box / ((rows[y + 1] - rows[y]) * (last - first))
            out[y, x] = np.uint8(min(max(np.floor((mean - black) * stretch + 0.5), 0.0), 255.0))
    return out


@njit(nogil=True, cache=True)
def _blended(plane):  # type: ignore[no-untyped-def]
    """Each line averaged with the next one, the last one with that before."""
    out = np.empty_like(plane)
    height, width = plane.shape
    for y in range(height):
        line, other = plane[y], plane[y + 1 if y + 1 < height else max(0, y - 1)]
        row = out[y]
        for x in range(width):
            row[x] = (np.uint16(line[x]) + np.uint16(other[x]) + np.uint16(1)) >> np.uint16(1)
    return out
