"""Parts of somebody whose middle cannot be seen: what was one track's stays one object.

Trousers in the colour of the floor leave a trunk and two shoes. While they touch, or nearly do, they are one object
(``blobs.join``), and as the light falls they are not; a track that was whole a moment ago says that they still are.
Parts beside one another are not joined: two who walked together go apart that way.

Source: feedback from tracks to segmentation, as of Harville, "A framework for high-level feedback to adaptive,
per-pixel, mixture-of-Gaussian background models" (2002).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vad.scoring.kernels import State, kernel
from vad.scoring.objects.components import Labels
from vad.scoring.objects.tracks import Column, Past


class RejoinTuning(NamedTuple):
    """Shares of the track's box, media seconds. Chosen by what they mean; none was searched or varied."""

    grown_s: float = 0.5  # age of a track that counts
    apart_s: float = 1.0  # ... and since it merged with another or was split
    gap_s: float = 0.3  # ... and since it was last seen
    around: float = 0.1  # of its height: so far beyond its box parts may lie
    inside: float = 0.7  # of a part's box that lies there
    overlap: float = 0.25  # of the lower one's height: parts that overlap more downwards are beside one another
    aside: float = 0.5  # of the track's width: so far they may lie apart across
    taller: float = 1.15  # than it was when its history began
    wider: float = 1.4
    person: float = 1.8  # height over width of what looks like a whole person
    small: float = 0.25  # area over that of the other: so small a part is nobody
    most: int = 64  # parts: of more, nothing is joined


REJOIN = RejoinTuning()


@kernel
def rejoin(parts: State, group: Labels, count: int, tracks: State, history: State, dt_s: float, t: RejoinTuning) -> int:
    """Give ``group``s that lie above one another in one track's box one number; ``count`` anew.

    ``parts`` and ``group`` as ``blobs.join`` leaves them: numbers 1, 2, ... below ``count``. ``tracks`` and ``history``
    are of the frame before, which was ``dt_s`` ago.
    """
    if count > t.most:
        return count
    boxes = np.zeros((count, 5))
    boxes[:, 0], boxes[:, 2] = 1e9, 1e9
    for p in range(1, len(parts)):
        box, part = boxes[group[p]], parts[p]
        box[0], box[1], box[2], box[3] = (
            min(box[0], part[0]),
            max(box[1], part[1]),
            min(box[2], part[2]),
            max(box[3], part[3]),
        )
        box[4] = max(box[4], part[4])
    into, candidates = np.arange(count), np.zeros(count, np.int64)
    joined = False
    for k in range(len(tracks)):
        track = tracks[k]
        if (
            track[Column.ID] == 0.0
            or track[Column.AGE_S] < t.grown_s
            or track[Column.APART_S] < t.apart_s
            or track[Column.GAP_S] > t.gap_s
        ):
            continue
        first = 0
        while history[k, first, Past.AGE_S] < 0.0 and first < history.shape[1] - 1:
            first += 1
        near = 0
        for g in range(1, count):
            if into[g] == g and is_at(track, boxes[g], dt_s, t):
                candidates[near] = g
                near += 1
        for i in range(near):
            for j in range(i + 1, near):
                a, b = candidates[i], candidates[j]
                if into[a] == a and into[b] == b and are_one(track, history[k, first], boxes[a], boxes[b], t):
                    box, other = boxes[a], boxes[b]
                    box[0], box[1] = min(box[0], other[0]), max(box[1], other[1])
                    box[2], box[3] = min(box[2], other[2]), max(box[3], other[3])
                    box[4] += other[4]
                    into[b] = a
                    joined = True
    if not joined:
        return count
    number, kept = np.zeros(count, np.int64), 1
    for g in range(1, count):
        if into[g] == g:
            number[g] = kept
            kept += 1
    for g in range(1, count):
        root = g
        while into[root] != root:
            root = into[root]
        number[g] = number[root]
    for p in range(1, len(group)):
        group[p] = number[group[p]]
    return kept


@kernel
def is_at(track: State, box: State, dt_s: float, t: RejoinTuning) -> bool:
    """Does a part lie where the track's box is expected, ``dt_s`` after it was brought up to date?"""
    ahead_s = dt_s + track[Column.GAP_S]
    around = max(2.0, t.around * (track[Column.BOTTOM] - track[Column.TOP]))
    down, right = track[Column.VY] * ahead_s, track[Column.VX] * ahead_s
    top, bottom = track[Column.TOP] + down - around, track[Column.BOTTOM] + down + around
    left, far = track[Column.LEFT] + right - around, track[Column.RIGHT] + right + around
    tall, wide = min(box[1], bottom) - max(box[0], top), min(box[3], far) - max(box[2], left)
    return bool(tall > 0.0 and wide > 0.0 and tall * wide >= t.inside * (box[1] - box[0]) * (box[3] - box[2]))


@kernel
def are_one(track: State, then: State, a: State, b: State, t: RejoinTuning) -> bool:
    """Are two parts in the track's box of the one object that it was? ``then`` is the first sample of its history."""
    if min(a[1], b[1]) - max(a[0], b[0]) > t.overlap * min(a[1] - a[0], b[1] - b[0]):
        return False
    if max(a[2], b[2]) - min(a[3], b[3]) > t.aside * (track[Column.RIGHT] - track[Column.LEFT]):
        return False
    height, width = max(a[1], b[1]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[2], b[2])
    if height > t.taller * (then[Past.BOTTOM] - then[Past.TOP]) or width > t.wider * (
        track[Column.RIGHT] - track[Column.LEFT]
    ):
        return False
    slim_a, slim_b = a[1] - a[0] >= t.person * (a[3] - a[2]), b[1] - b[0] >= t.person * (b[3] - b[2])
    return bool(not (slim_a and slim_b) or min(a[4], b[4]) < t.small * max(a[4], b[4]))
