"""What is drawn over a picture: where it was unusual, as colour and as boxes; and pictures as JPEG."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vad.types import CELL_PX, Geometry, Region
from vad.video.view import upright

Picture = NDArray[np.uint8]  # (height, width, 3) BGR
Heat = NDArray[np.float32]  # (gh, gw), in units of score

BOX_COLOUR = (40, 40, 230)  # BGR
HEAT_FROM = 0.5
"""Share of the threshold below which heat is not shown."""
_STRONGEST = 0.6


def heat_extent(grid: Geometry) -> tuple[float, float]:
    """How far the cell grid reaches, across and down, in pictures: 1.0 or more, because it pads to whole cells."""
    rows, columns = grid.cells
    cell_px = CELL_PX * grid.pool
    return columns * cell_px / grid.source_width, rows * cell_px / grid.source_height


def spread_heat(heat: Heat, extent: tuple[float, float], *, width: int, height: int) -> Heat:
    """(height, width) the heat of each pixel, between the cells' middles by straight lines."""
    across, down = extent
    full = (max(width, round(width * across)), max(height, round(height * down)))
    return np.asarray(cv2.resize(heat, full, interpolation=cv2.INTER_LINEAR)[:height, :width], np.float32)


def draw_heat(picture: Picture, heat: Heat, extent: tuple[float, float], *, threshold: float) -> Picture:
    """Translucent colour where the heat is above HEAT_FROM of the threshold, full at the highest or the threshold."""
    height, width = picture.shape[:2]
    spread = spread_heat(heat, extent, width=width, height=height)
    if not np.isfinite(threshold) or threshold <= 0.0:
        return picture
    share = np.clip(spread / max(threshold, float(heat.max())), 0.0, 1.0)
    colours = cv2.applyColorMap((255.0 * share).astype(np.uint8), cv2.COLORMAP_INFERNO)
    weight = np.where(spread >= HEAT_FROM * threshold, _STRONGEST * np.sqrt(share), 0.0)[:, :, None]
    return np.asarray((1.0 - weight) * picture + weight * colours, np.uint8)


def draw_boxes(picture: Picture, regions: Sequence[Region]) -> Picture:
    """The regions' outlines. Changed in place."""
    height, width = picture.shape[:2]
    for region in regions:
        corner = (int(region.x0 * width), int(region.y0 * height))
        opposite = (int(region.x1 * width) - 1, int(region.y1 * height) - 1)
        cv2.rectangle(picture, corner, opposite, BOX_COLOUR, max(1, width // 320))
    return picture


def colour_picture(frame: VideoFrame, grid: Geometry, *, most_width: int | None = None) -> Picture:
    """A decoded frame as (height, width, 3) BGR, as ``grid`` has it seen, scaled down to ``most_width`` where it is
    wider. A new array.

    Nobody else may look at the frame meanwhile. (``frame.reformat`` would share a converter, and its threads, with
    whoever converted the frame before: two at a time wait for each other for ever.)
    """
    width, height = scaled_size(grid.source_width, grid.source_height, most_width=most_width)
    coded = (height, width) if grid.is_sideways else (width, height)
    converted = VideoReformatter().reformat(frame, width=coded[0], height=coded[1], format="bgr24", threads=1)
    picture = upright(converted.to_ndarray().astype(np.uint8, copy=False), grid)
    return np.array(picture, order="C")


def scaled_size(width: int, height: int, *, most_width: int | None) -> tuple[int, int]:
    """Width and height of a picture of that size once it is scaled down to ``most_width``, where it is wider."""
    scaled = min(width, most_width or width)
    return scaled, max(1, round(height * scaled / width))


def jpeg(picture: Picture, *, quality: int = 85) -> bytes:
    """The picture compressed; ``quality`` 1 to 100."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError(f"a picture of shape {picture.shape} cannot be written as JPEG")
    return data.tobytes()
