"""The regions that a frame's heat map gives, for every frame: the detector names them only above its threshold."""

from __future__ import annotations

import numpy as np

from vad.scoring.places import box_region, label_boxes
from vad.scoring.tuning import TUNING
from vad.types import FrameScore, Region


def reported_regions(score: FrameScore) -> list[Region]:
    """What the detector would report if the threshold were just below this frame's score."""
    if score.heat is None or score.score <= 0.0 or score.health is not None:
        return []
    heat = score.heat
    boxes = label_boxes(heat >= np.float32(TUNING.region_share * score.score), heat)
    regions = [box_region(score.frame.geometry, box) for box in boxes]
    return [region for region in regions if region.x1 > region.x0 and region.y1 > region.y0]
