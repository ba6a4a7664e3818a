"""Masks burnt into whole pictures: at least all that analysis hides is black, whatever the picture's size.

Analysis hides every model pixel that a mask touches. The same blocks are hidden here, and a margin around them, because
scaling a picture smears each pixel over its neighbours, and so does the chroma of 4:2:0.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vad.config import Polygon
from vad.types import Geometry
from vad.video.luma import visible

MARGIN_PX = 4
"""What scaling may smear, in pixels of the scaled picture."""

Hidden = NDArray[np.bool_]


def hidden(masks: Sequence[Polygon], grid: Geometry, *, width: int, height: int) -> Hidden | None:
    """(height, width) True where a picture of that size must be black; None when there are no masks."""
    keep = visible(masks, grid)
    if keep is None:
        return None
    shown = keep[: grid.valid_height, : grid.valid_width]
    rows = np.minimum(np.arange(grid.source_height) // grid.pool, grid.valid_height - 1)
    columns = np.minimum(np.arange(grid.source_width) // grid.pool, grid.valid_width - 1)
    black = np.where(shown[rows][:, columns] == 0, np.uint8(255), np.uint8(0))  # (source_height, source_width)
    scaled = (
        cv2.resize(black, (width, height), interpolation=cv2.INTER_AREA) if black.shape != (height, width) else black
    )
    side = 2 * MARGIN_PX + 1
    return np.asarray(cv2.dilate(np.where(scaled > 0, np.uint8(1), np.uint8(0)), np.ones((side, side), np.uint8)) > 0)


def black_out(picture: NDArray[np.uint8], where: Hidden | None) -> NDArray[np.uint8]:
    """``picture`` (height, width, 3) BGR, black where it is hidden. Changed in place."""
    if where is not None:
        picture[where] = 0
    return picture


def chroma_of(where: Hidden) -> Hidden:
    """(height / 2, width / 2) what is hidden of a 4:2:0 picture's chroma: whatever any of its four pixels hides."""
    height, width = where.shape
    return np.asarray(where.reshape(height // 2, 2, width // 2, 2).any(axis=(1, 3)))


def black_out_planes(planes: NDArray[np.uint8], where: Hidden, chroma: Hidden) -> NDArray[np.uint8]:
    """4:2:0 planes as PyAV stacks them, (height * 3 / 2, width), limited range, even sides. Changed in place."""
    height, width = where.shape
    np.copyto(planes[:height], np.uint8(16), where=where)
    np.copyto(planes[height:].reshape(2, height // 2, width // 2), np.uint8(128), where=chroma)
    return planes
