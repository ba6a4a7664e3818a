"""Cells of the model's grid and places of the source picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vad.config import Polygon
from vad.scoring.kernels import Map, Mask, State, kernel
from vad.scoring.objects.layer import TrackedObject
from vad.scoring.tuning import TUNING
from vad.types import CELL_PX, Geometry, Region

MOST_REGIONS = 8

COVERS, SEEN_S = 0.3, 0.3
"""At least: what an object and a region share, of the smaller of both boxes; for how long the object was followed."""


def judged_cells(geometry: Geometry, zones: Sequence[Polygon]) -> Mask:
    """(gh, gw) which cells count: those whose centre shows the source and lies in a zone (any place without zones)."""
    rows, columns = geometry.cells
    x = (np.arange(columns) + 0.5) * CELL_PX / geometry.valid_width  # fractions of the valid picture
    y = (np.arange(rows) + 0.5) * CELL_PX / geometry.valid_height
    valid = (y[:, None] < 1.0) & (x[None, :] < 1.0)
    if not zones:
        return valid
    inside = np.zeros_like(valid)
    for zone in zones:
        inside |= _inside(zone, x, y)
    return valid & inside


def _inside(zone: Polygon, x: State, y: State) -> Mask:
    """(len(y), len(x)) which points lie in the polygon, by the even-odd rule."""
    inside = np.zeros((y.size, x.size), np.bool_)
    for (xa, ya), (xb, yb) in zip(zone.points, zone.points[1:] + zone.points[:1], strict=True):
        if ya == yb:
            continue
        crosses = (ya > y) != (yb > y)  # (rows,)
        at_x = xa + (y - ya) / (yb - ya) * (xb - xa)
        inside ^= crosses[:, None] & (x[None, :] < at_x[:, None])
    return inside


@kernel
def label_boxes(mask: Mask, heat: Map) -> State:
    """Bounding boxes of the 8-connected components of ``mask``: (N, 5) rows of top, left, bottom, right, peak."""
    gh, gw = mask.shape
    label = np.zeros((gh, gw), np.int64)
    stack = np.empty((gh * gw, 2), np.int64)
    boxes = np.empty((gh * gw, 5))
    count = 0
    for i in range(gh):
        for j in range(gw):
            if not mask[i, j] or label[i, j]:
                continue
            box = boxes[count]
            box[0], box[1], box[2], box[3], box[4] = i, j, i + 1, j + 1, heat[i, j]
            count += 1
            label[i, j] = count
            stack[0, 0], stack[0, 1] = i, j
            size = 1
            while size > 0:
                size -= 1
                y, x = stack[size, 0], stack[size, 1]
                box[0], box[1] = min(box[0], y), min(box[1], x)
                box[2], box[3] = max(box[2], y + 1), max(box[3], x + 1)
                box[4] = max(box[4], heat[y, x])
                for r in range(max(0, y - 1), min(gh, y + 2)):
                    for c in range(max(0, x - 1), min(gw, x + 2)):
                        if mask[r, c] and not label[r, c]:
                            label[r, c] = count
                            stack[size, 0], stack[size, 1] = r, c
                            size += 1
    return boxes[:count].copy()


def regions_of(
    geometry: Geometry, heat: Map, score: float, threshold: float, *, objects: Sequence[TrackedObject] = ()
) -> tuple[Region, ...]:
    """Where the heat is above the threshold, or near its own top when the score is but just above.

    Each with the one of the frame's ``objects`` that covers it.
    """
    hot = heat >= min(threshold, TUNING.region_share * score)
    boxes = label_boxes(hot, heat)
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")][:MOST_REGIONS]
    regions = (replace(box_region(geometry, box), track=track_of(box, objects)) for box in boxes)
    return tuple(region for region in regions if region.x1 > region.x0 and region.y1 > region.y0)


def box_region(geometry: Geometry, box: State) -> Region:
    """A box of cells (top, left, bottom, right, score) in fractions of the source picture, clamped to it."""
    top, left, bottom, right, score = (float(value) for value in box)
    across, down = CELL_PX * geometry.pool / geometry.source_width, CELL_PX * geometry.pool / geometry.source_height
    return Region(
        x0=min(1.0, left * across),
        y0=min(1.0, top * down),
        x1=min(1.0, right * across),
        y1=min(1.0, bottom * down),
        score=score,
    )


def track_of(box: State, objects: Sequence[TrackedObject]) -> int | None:
    """The object that covers most of a box of cells, of several the smallest; None where none covers it."""
    best, most = None, (0.0, 0.0)
    for one in objects:
        if one.gap_s > 0.0 or one.age_s <= SEEN_S:
            continue
        both, smaller, own = _shared(box, one)
        if both >= COVERS * smaller and (both, -own) > most:
            best, most = one.id, (both, -own)
    return best


def _shared(box: State, one: TrackedObject) -> tuple[float, float, float]:
    """Model pixels: what a box of cells and an object's box share, the smaller of both, and the object's own."""
    top, left, bottom, right = (CELL_PX * float(side) for side in box[:4])
    down = min(bottom, one.bottom) - max(top, one.top)
    across = min(right, one.right) - max(left, one.left)
    own = (one.bottom - one.top) * (one.right - one.left)
    return max(0.0, down) * max(0.0, across), min(own, (bottom - top) * (right - left)), own
