"""A camera's latest picture as JPEG: made when asked for, by who asks."""

from __future__ import annotations

from collections.abc import Sequence

from vad.config import Polygon
from vad.types import FrameScore
from vad.video.overlay import Picture, draw_boxes, draw_heat, heat_extent, jpeg
from vad.video.privacy import black_out, hidden
from vad.video.tape import Format


def snapshot_of(
    picture: Picture,
    shape: Format,
    *,
    masks: Sequence[Polygon],
    score: FrameScore | None,
    heat: bool,
    boxes: bool,
    quality: int,
) -> bytes:
    """``picture`` is drawn into. ``score`` is the newest there is, of a picture up to a second older; what it says of
    another view is left out.
    """
    grid = shape.geometry
    where = hidden((*shape.masks, *masks), grid, width=picture.shape[1], height=picture.shape[0])
    if heat and score is not None and score.heat is not None and score.frame.geometry == grid:
        picture = draw_heat(picture, score.heat, heat_extent(grid), threshold=score.threshold)
    black_out(picture, where)  # last of all that shows the scene
    if boxes and score is not None and score.frame.geometry == grid:
        draw_boxes(picture, score.regions)
    return jpeg(picture, quality=quality)
