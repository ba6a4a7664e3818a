"""Which coded pixels each model pixel is pooled from."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.types import Geometry

EDGE = 256
"""Parts of a coded pixel."""


def must_blend(grid: Geometry) -> bool:
    """Would a model pixel show more of one field of an interlaced picture than of the other?

    Then each line is averaged with the next one first, so that an odd number of lines, or part of one, is as good as
    an even number.
    """
    return grid.pool % 2 != 0 or not (grid.is_as_coded or window_of(grid).is_whole)


class Window(NamedTuple):
    """What of a coded plane is pooled: ``size`` (rows, columns) model pixels from line ``top`` and column ``left`` on.

    Where pixels are stretched they have edges inside pixels: ``rows`` and ``columns`` are those of model pixels in EDGE
    parts of a coded one, one more each than there are model pixels.
    """

    size: tuple[int, int]
    top: int
    left: int
    is_whole: bool
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


@lru_cache(maxsize=256)
def window_of(grid: Geometry) -> Window:
    """It begins at the upper left corner of what is seen, which may be any of what is coded."""
    width, height = grid.coded_size
    across, down = grid.source_width, grid.source_height
    if grid.is_sideways:
        across, down = down, across
    from_right = (grid.rotation in (180, 270)) != (grid.mirrored and not grid.is_sideways)
    from_bottom = (grid.rotation in (90, 180)) != (grid.mirrored and grid.is_sideways)
    columns = _edges(across, width, pool=grid.pool, from_end=from_right)
    rows = _edges(down, height, pool=grid.pool, from_end=from_bottom)
    is_whole = (across, down) == (width, height)
    size = len(rows) - 1, len(columns) - 1
    return Window(size, int(rows[0]) // EDGE, int(columns[0]) // EDGE, is_whole, rows, columns)


def _edges(shown: int, coded: int, *, pool: int, from_end: bool) -> NDArray[np.int64]:
    """Where model pixels begin and end along ``coded`` pixels that are seen as ``shown`` ones, in EDGE parts of one."""
    count = shown // pool
    first = shown - count * pool if from_end else 0
    at = (first + np.arange(count + 1) * pool) * (EDGE * coded / shown)
    return np.asarray(np.rint(at), np.int64)
