"""Who came by himself and stays is nobody's bag; where somebody stood for long and goes, nothing was taken away.

What stands still is told from what was left by how it came. A track that has gone a way of its own, and is shaped as it
was on the way, is somebody who stays: his time does not count (what he does is for other cues). Somebody who lies where
he has walked is shaped otherwise, and counts; so does a bag, whose own track begins where it was put down. And who has
stood for so long that the background took him leaves a hole when he goes: a track begins in it and goes away.

Source: the histories of left and of removed objects (Fan et al., "Relative Attributes for Large-Scale Abandoned Object
Detection", 2013; Tian et al., 2011), of which these are the parts that tracks alone can tell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import State, kernel
from vad.scoring.objects.background import FAR, Flags, Labels
from vad.scoring.objects.still import ARRIVED, GHOST, REMOVED
from vad.scoring.objects.tracks import Column


class StaysTuning(NamedTuple):
    """Own heights, shares. Chosen by what they mean; none was searched or varied."""

    way: float = 1.0  # that somebody has gone
    as_high: tuple[float, float] = (0.6, 1.3)  # over his height on the way: seated, and a little nearer
    as_wide: tuple[float, float] = (0.6, 1.4)  # ... and his width
    inside: float = 0.6  # of a still part's box that lies in the track's
    known: float = 0.5  # of a part's pixels: if so many belong to who stays, all do
    left: float = 0.5  # way from where a track began: whoever it is has left the hole
    hole: float = 0.6  # of his height on the way: a lower hole is no somebody's
    near_px: float = 4.0  # from a part's box: where a track that leaves it begins


STAYS = StaysTuning()

UNKNOWN, BY_ITSELF, AS_A_PART = 0, 1, 2
"""How a still part came to where it is."""


@kernel
def mark_who_stays(
    tracks: State,
    boxes: State,
    labels: Labels,
    flags: Flags,
    stays: Flags,
    verdict: NDArray[np.uint8],
    pace: NDArray[np.float32],
    t: StaysTuning,
) -> None:
    """Mark in ``stays`` (H, W) the still parts of those who came by themselves, and turn their ``pace`` (count,) back.

    Parts that were taken for removed things become ghosts in ``verdict`` (count,) where a track has left them.
    ``boxes`` (count, 5) are top, bottom, left, right and area of each part.
    """
    count = len(boxes)
    marked = np.zeros(count)
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            if not flags[i, j] & FAR:
                stays[i, j] = 0
            elif stays[i, j]:
                marked[labels[i, j]] += 1.0
    changed = False
    for k in range(1, count):
        box = boxes[k]
        if verdict[k] < ARRIVED:
            continue
        if verdict[k] == REMOVED and has_left(tracks, box, t):
            verdict[k] = GHOST
        how = how_it_came(tracks, box, t)
        if how != UNKNOWN or marked[k] < t.known * box[4]:
            stays_now = how == BY_ITSELF
            changed |= stays_now != (marked[k] > 0.0)
            marked[k] = box[4] if stays_now else 0.0
        if marked[k] > 0.0:
            pace[k] = np.float32(-1.0)
    if changed:
        for i in range(labels.shape[0]):
            for j in range(labels.shape[1]):
                if labels[i, j] and verdict[labels[i, j]] >= ARRIVED:
                    stays[i, j] = marked[labels[i, j]] > 0.0


@kernel
def covers(track: State, box: State, inside: float) -> bool:
    """Does so much of a still part's box lie in that of the track?"""
    down = min(box[1], track[Column.BOTTOM]) - max(box[0], track[Column.TOP])
    across = min(box[3], track[Column.RIGHT]) - max(box[2], track[Column.LEFT])
    if track[Column.ID] == 0.0 or down <= 0.0 or across <= 0.0:
        return False
    return bool(down * across >= inside * (box[1] - box[0]) * (box[3] - box[2]))


@kernel
def how_it_came(tracks: State, box: State, t: StaysTuning) -> int:
    """A still part is in a track that has gone a way and is shaped as it was then; or in one that began as a part of
    another and has gone none since; or neither is known, since tracks that merged or were lost have no past."""
    found = UNKNOWN
    for k in range(len(tracks)):
        track = tracks[k]
        if not covers(track, box, t.inside):
            continue
        height, width = track[Column.BOTTOM] - track[Column.TOP], track[Column.RIGHT] - track[Column.LEFT]
        if track[Column.WAY] == 0.0 or track[Column.WAY] < t.way * track[Column.WAY_HEIGHT]:
            if track[Column.IS_PART] > 0.0:
                found = AS_A_PART
            continue
        tall, wide = height / track[Column.WAY_HEIGHT], width / track[Column.WAY_WIDTH]
        if t.as_high[0] <= tall <= t.as_high[1] and t.as_wide[0] <= wide <= t.as_wide[1]:
            return BY_ITSELF
    return found


@kernel
def has_left(tracks: State, box: State, t: StaysTuning) -> bool:
    """Has somebody about as high as that part begun in or at it, and gone from there?"""
    for k in range(len(tracks)):
        track = tracks[k]
        if track[Column.ID] == 0.0:
            continue
        y, x = track[Column.BORN_Y], track[Column.BORN_X]
        near = t.near_px
        if not (box[0] - near <= y <= box[1] + near and box[2] - near <= x <= box[3] + near):
            continue
        height = max(track[Column.WAY_HEIGHT], track[Column.BOTTOM] - track[Column.TOP])
        if box[1] - box[0] < t.hole * height:
            continue
        now_y = 0.5 * (track[Column.TOP] + track[Column.BOTTOM])
        now_x = 0.5 * (track[Column.LEFT] + track[Column.RIGHT])
        if np.hypot(now_y - y, now_x - x) >= t.left * height:
            return True
    return False
