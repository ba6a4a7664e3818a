"""Tracks: one blob after the other of what is taken for the same object, with a history of a few seconds.

A table of tracks is (MOST_TRACKS, len(Column)) float64, a free row has id 0; ``history`` is (MOST_TRACKS, SPAN,
len(Past)), the newest sample last. Blobs are given to tracks greedily, the best overlap with the predicted box first.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vad.scoring.kernels import State, kernel
from vad.scoring.objects.blobs import Blob

MOST_TRACKS = 32
SPAN = 32
"""Samples of a track's history."""


class Column(IntEnum):
    """Columns of a table of tracks. Pixels, px/s, media seconds."""

    ID = 0
    TOP = 1  # the box, smoothed by a median of three
    BOTTOM = 2
    LEFT = 3
    RIGHT = 4
    VX = 5  # of the box's middle
    VY = 6
    HITS = 7  # frames in which it had a blob
    AGE_S = 8
    GAP_S = 9  # since it last had a blob
    APART_S = 10  # since it last merged with another track or was split
    AREA = 11
    BLOB = 12  # number of its blob in this frame, -1 for none
    DROPPED = 13  # integral of the downward flow of its upper half, px
    SPREAD = 14  # of its flow, px/s, smoothed
    STILL_S = 15  # for how long hardly any of it has changed
    SAMPLE_S = 16  # age at which the last sample of history was taken
    SUNK = 17  # integral of the downward flow of its lower half, px
    FLOW_Y = 18  # mean downward flow, px/s, smoothed
    CELLS = 19  # cells' worth of it that have flow
    BORDER = 20  # as of the blob
    SPEED = 21  # length of its mean flow, px/s, smoothed
    BORN_X = 22  # middle of its box when it began; that of the track which it was a part of
    BORN_Y = 23
    FROM_X = 24  # ... and when it last merged or was split
    FROM_Y = 25
    WAY = 26  # how far from there it has been, px
    WAY_HEIGHT = 27  # its box over the last of that way
    WAY_WIDTH = 28
    IS_PART = 29  # 1: it began as a part of another track


class Past(IntEnum):
    """Columns of a sample of a track's history."""

    AGE_S = 0  # of the track; below zero: no sample
    TOP = 1
    BOTTOM = 2
    LEFT = 3
    RIGHT = 4
    AREA = 5
    Y = 6  # mean row of its pixels
    DROPPED = 7
    BORDER = 8  # as of the blob
    SUNK = 9


class TrackTuning(NamedTuple):
    """Shares of areas, media seconds.

    With any one 20 % higher or lower falls change by 0.06 at most; but one of 0.51 becomes 0.41 when smaller parts that
    come and go count as splits (``split_share``).
    """

    least_overlap: float = 0.1  # of intersection over union
    least_inside: float = 0.5  # ... or of the smaller one inside the other
    most_gap_s: float = 1.0  # a walker behind a post
    young_gap_s: float = 0.3  # ... of one that is no older than ``grown_s``: mostly noise
    grown_s: float = 0.5
    split_share: float = 0.3  # area over area: smaller parts that come and go are arms and bags
    velocity_tau_s: float = 0.3
    spread_tau_s: float = 0.6
    wider: float = 1.4  # than on its way: something or somebody is at it, or it lies
    lower: float = 0.8  # ... its height over that on its way: it sits down or falls
    shaped_s: float = 1.0  # age from which on its shape is known
    beside_px: float = 4.0  # from another track's box: what begins there was a part of it
    sample_s: float = 0.075  # 32 samples hold 2.4 s and more
    reach: float = 0.6  # of its larger side, from one frame to the next, beyond what its velocity says
    like_area: float = 0.4  # area over area of what does not overlap
    least_area: float = 16.0  # px
    fills: float = 0.05  # share of its pixels that change: below it, it is still


TRACKS = TrackTuning()


@kernel
def overlap_of(a: State, b: State) -> tuple[float, float]:
    """Intersection over union of two boxes (top, bottom, left, right), and over the smaller one."""
    down = min(a[1], b[1]) - max(a[0], b[0])
    across = min(a[3], b[3]) - max(a[2], b[2])
    if down <= 0.0 or across <= 0.0:
        return 0.0, 0.0
    both = down * across
    area_a, area_b = (a[1] - a[0]) * (a[3] - a[2]), (b[1] - b[0]) * (b[3] - b[2])
    return both / (area_a + area_b - both), both / min(area_a, area_b)


@kernel
def assign(tracks: State, blobs: State, dt_s: float, t: TrackTuning) -> NDArray[np.int64]:
    """(MOST_TRACKS,) the blob of each track, -1 for none."""
    count = len(blobs)
    given = np.full(len(tracks), -1, np.int64)
    taken = np.zeros(count, np.bool_)
    cost = np.zeros((len(tracks), count))
    box = np.empty(4)
    for k in range(len(tracks)):
        if tracks[k, Column.ID] == 0.0:
            continue
        box[:] = tracks[k, 1:5]
        ahead_s = dt_s + tracks[k, Column.GAP_S]
        box[:2] += tracks[k, Column.VY] * ahead_s
        box[2:] += tracks[k, Column.VX] * ahead_s
        for b in range(count):
            over, inside = overlap_of(box, blobs[b, :4])
            if over >= t.least_overlap or inside >= t.least_inside:
                cost[k, b] = over + 0.05 * inside + 0.02 * min(1.0, tracks[k, Column.AGE_S])
    greedy(tracks, cost, given, taken)
    for k in range(len(tracks)):
        for b in range(count):
            free = tracks[k, Column.ID] != 0.0 and given[k] < 0 and not taken[b]
            cost[k, b] = nearness_of(tracks[k], blobs[b], dt_s, t) if free else 0.0
    greedy(tracks, cost, given, taken)
    return given


@kernel
def nearness_of(track: State, blob: State, dt_s: float, t: TrackTuning) -> float:
    """Above 0 where a blob that does not touch the track's predicted box may be it: who runs leaves his own width
    behind from one frame to the next."""
    height, width = track[Column.BOTTOM] - track[Column.TOP], track[Column.RIGHT] - track[Column.LEFT]
    ratio = blob[Blob.AREA] / max(track[Column.AREA], 1.0)
    if not t.like_area <= ratio <= 1.0 / t.like_area:
        return 0.0
    ahead_s = dt_s + track[Column.GAP_S]
    x = 0.5 * (blob[Blob.LEFT] + blob[Blob.RIGHT] - track[Column.LEFT] - track[Column.RIGHT])
    y = 0.5 * (blob[Blob.TOP] + blob[Blob.BOTTOM] - track[Column.TOP] - track[Column.BOTTOM])
    far = np.hypot(x - track[Column.VX] * ahead_s, y - track[Column.VY] * ahead_s)
    reach = t.reach * max(height, width)
    return max(0.0, 1.0 - far / reach) if reach > 0.0 else 0.0


@kernel
def greedy(tracks: State, cost: State, given: NDArray[np.int64], taken: NDArray[np.bool_]) -> None:
    """Give blobs to tracks, the pair with the highest ``cost`` (tracks, blobs) first, while it is above 0."""
    count = cost.shape[1]
    while True:
        best, at, to = 0.0, -1, -1
        for k in range(len(tracks)):
            if tracks[k, Column.ID] == 0.0 or given[k] >= 0:
                continue
            for b in range(count):
                if not taken[b] and cost[k, b] > best:
                    best, at, to = cost[k, b], k, b
        if at < 0:
            return
        given[at] = to
        taken[to] = True


@kernel
def advance(tracks: State, history: State, raw: State, blobs: State, dt_s: float, next_id: int, t: TrackTuning) -> int:
    """Bring every track to this frame, begin and end tracks; returns the next free id.

    ``raw`` (MOST_TRACKS, 3, 4) the last three boxes as they were measured.
    """
    given = assign(tracks, blobs, dt_s, t)
    note_mixing(tracks, given, blobs, dt_s, t)
    taken = np.zeros(len(blobs), np.bool_)
    for k in range(len(tracks)):
        track = tracks[k]
        if track[Column.ID] == 0.0:
            continue
        track[Column.AGE_S] += dt_s
        track[Column.APART_S] += dt_s
        track[Column.BLOB] = given[k]
        if given[k] < 0:
            track[Column.GAP_S] += dt_s
            track[Column.STILL_S] += dt_s
            if track[Column.GAP_S] > (
                t.most_gap_s if track[Column.AGE_S] - track[Column.GAP_S] >= t.grown_s else t.young_gap_s
            ):
                track[Column.ID] = 0.0
            continue
        taken[given[k]] = True
        update(track, raw[k], blobs[given[k]], dt_s, t)
        remember(track, history[k], blobs[given[k]], t)
    for b in range(len(blobs)):
        if taken[b] or blobs[b, Blob.AREA] < t.least_area:
            continue
        for k in range(len(tracks)):
            if tracks[k, Column.ID] == 0.0:
                begin(tracks, k, raw[k], blobs[b], next_id, b)
                whole = beside(tracks, k, t.beside_px)
                if whole >= 0:
                    tracks[k, Column.IS_PART] = 1.0
                    tracks[k, Column.BORN_X], tracks[k, Column.BORN_Y] = (
                        tracks[whole, Column.BORN_X],
                        tracks[whole, Column.BORN_Y],
                    )
                history[k, :, Past.AGE_S] = -1.0
                remember(tracks[k], history[k], blobs[b], t)
                next_id += 1
                break
    return next_id


@kernel
def note_mixing(tracks: State, given: NDArray[np.int64], blobs: State, dt_s: float, t: TrackTuning) -> None:
    """Tracks that merge or are split lose their past: what their boxes do is not what an object does.

    Merged: a grown track without a blob lies inside the blob of another. Split: a large blob without a track lies
    inside what was one track's box.
    """
    for k in range(len(tracks)):
        if (
            tracks[k, Column.ID] == 0.0
            or given[k] >= 0
            or tracks[k, Column.GAP_S] > 0.0
            or tracks[k, Column.AGE_S] < t.grown_s
        ):
            continue
        for other in range(len(tracks)):
            if given[other] < 0 or tracks[other, Column.AGE_S] < t.grown_s:
                continue
            _, inside = overlap_of(tracks[k, 1:5], blobs[given[other], :4])
            smaller = min(tracks[k, Column.AREA], tracks[other, Column.AREA])
            if inside >= t.least_inside and smaller >= t.split_share * max(
                tracks[k, Column.AREA], tracks[other, Column.AREA]
            ):
                begin_way(tracks[other])
    used = np.zeros(len(blobs), np.bool_)
    for k in range(len(tracks)):
        if given[k] >= 0:
            used[given[k]] = True
    for b in range(len(blobs)):
        if used[b]:
            continue
        for k in range(len(tracks)):
            if tracks[k, Column.ID] == 0.0 or given[k] < 0:
                continue
            _, inside = overlap_of(blobs[b, :4], tracks[k, 1:5])
            if inside >= t.least_inside and blobs[b, Blob.AREA] >= t.split_share * tracks[k, Column.AREA]:
                begin_way(tracks[k])


@kernel
def begin_way(track: State) -> None:
    """From here on it is an object for itself."""
    track[Column.APART_S], track[Column.WAY], track[Column.WAY_HEIGHT], track[Column.WAY_WIDTH] = 0.0, 0.0, 0.0, 0.0
    track[Column.FROM_X] = 0.5 * (track[Column.LEFT] + track[Column.RIGHT])
    track[Column.FROM_Y] = 0.5 * (track[Column.TOP] + track[Column.BOTTOM])


@kernel
def follow_way(track: State, t: TrackTuning) -> None:
    """How far it has been from where it began, and its box over the last own height of that way.

    Who falls, sits down or is joined by somebody goes no way meanwhile, although the middle of the box moves.
    """
    height, width = track[Column.BOTTOM] - track[Column.TOP], track[Column.RIGHT] - track[Column.LEFT]
    x = 0.5 * (track[Column.LEFT] + track[Column.RIGHT]) - track[Column.FROM_X]
    y = 0.5 * (track[Column.TOP] + track[Column.BOTTOM]) - track[Column.FROM_Y]
    further = np.hypot(x, y) - track[Column.WAY]
    is_shaped = track[Column.WAY_HEIGHT] > 0.0 and track[Column.AGE_S] > t.shaped_s and track[Column.BORDER] == 0.0
    is_other = height < t.lower * track[Column.WAY_HEIGHT] or width > t.wider * track[Column.WAY_WIDTH]
    if further <= 0.0 or (is_shaped and is_other):
        return
    share = min(1.0, further / max(height, 1.0)) if track[Column.WAY_HEIGHT] > 0.0 else 1.0
    track[Column.WAY] += further
    track[Column.WAY_HEIGHT] += share * (height - track[Column.WAY_HEIGHT])
    track[Column.WAY_WIDTH] += share * (width - track[Column.WAY_WIDTH])


@kernel
def begin(tracks: State, k: int, raw: State, blob: State, number: int, b: int) -> None:
    track = tracks[k]
    track[:] = 0.0
    track[Column.ID] = number
    track[1:5] = blob[:4]
    for past in range(3):
        raw[past] = blob[:4]
    track[Column.HITS], track[Column.AREA], track[Column.BLOB], track[Column.SAMPLE_S] = (
        1.0,
        blob[Blob.AREA],
        b,
        -1.0,
    )
    begin_way(track)
    track[Column.APART_S] = 9.0
    track[Column.BORN_X], track[Column.BORN_Y] = track[Column.FROM_X], track[Column.FROM_Y]


@kernel
def beside(tracks: State, k: int, near: float) -> int:
    """The largest track in or near whose box the middle of the ``k``-th's lies, -1 for none."""
    x, y = tracks[k, Column.BORN_X], tracks[k, Column.BORN_Y]
    found = -1
    for other in range(len(tracks)):
        box = tracks[other]
        if other == k or box[Column.ID] == 0.0 or box[Column.GAP_S] > 0.0 or box[Column.HITS] < 2.0:
            continue
        across = box[Column.LEFT] - near <= x <= box[Column.RIGHT] + near
        down = box[Column.TOP] - near <= y <= box[Column.BOTTOM] + near
        if across and down and (found < 0 or box[Column.AREA] > tracks[found, Column.AREA]):
            found = other
    return found


@kernel
def update(track: State, raw: State, blob: State, dt_s: float, t: TrackTuning) -> None:
    """Box as the median of the last three (at first the newest), velocity and spread as running means."""
    for side in range(4):
        raw[0, side], raw[1, side], raw[2, side] = raw[1, side], raw[2, side], blob[side]
    took_s = dt_s + track[Column.GAP_S]
    if track[Column.HITS] < 2.0:
        raw[:] = blob[:4]
    before = np.array(
        [0.5 * (track[Column.LEFT] + track[Column.RIGHT]), 0.5 * (track[Column.TOP] + track[Column.BOTTOM])]
    )
    for side in range(4):
        a, b, c = raw[0, side], raw[1, side], raw[2, side]
        track[1 + side] = max(min(a, b), min(max(a, b), c))
    near = 1.0 if track[Column.HITS] < 2.0 else min(1.0, dt_s / t.velocity_tau_s)
    if dt_s > 0.0:
        track[Column.VX] += near * (
            (0.5 * (track[Column.LEFT] + track[Column.RIGHT]) - before[0]) / took_s - track[Column.VX]
        )
        track[Column.VY] += near * (
            (0.5 * (track[Column.TOP] + track[Column.BOTTOM]) - before[1]) / took_s - track[Column.VY]
        )
    follow_way(track, t)
    track[Column.HITS] += 1.0
    track[Column.GAP_S] = 0.0
    track[Column.AREA] += near * (blob[Blob.AREA] - track[Column.AREA])
    track[Column.DROPPED] += dt_s * blob[Blob.VY_UPPER]
    track[Column.CELLS], track[Column.BORDER] = blob[Blob.CELLS], blob[Blob.BORDER]
    track[Column.SUNK] += dt_s * blob[Blob.VY_LOWER]
    track[Column.FLOW_Y] += min(1.0, 2.0 * near) * (blob[Blob.VY] - track[Column.FLOW_Y])
    speed = np.sqrt(blob[Blob.VX] ** 2 + blob[Blob.VY] ** 2)
    track[Column.SPEED] += min(1.0, dt_s / t.spread_tau_s) * (speed - track[Column.SPEED])
    track[Column.SPREAD] += min(1.0, dt_s / t.spread_tau_s) * (blob[Blob.SPREAD] - track[Column.SPREAD])
    track[Column.STILL_S] = track[Column.STILL_S] + dt_s if blob[Blob.MOVING] < t.fills else 0.0


@kernel
def remember(track: State, history: State, blob: State, t: TrackTuning) -> None:
    """Take a sample of the track's history, at most each ``sample_s``."""
    if track[Column.SAMPLE_S] >= 0.0 and track[Column.AGE_S] - track[Column.SAMPLE_S] < t.sample_s:
        return
    track[Column.SAMPLE_S] = track[Column.AGE_S]
    history[:-1] = history[1:].copy()
    past = history[-1]
    past[Past.AGE_S], past[Past.AREA], past[Past.Y], past[Past.DROPPED], past[Past.BORDER], past[Past.SUNK] = (
        track[Column.AGE_S],
        blob[Blob.AREA],
        blob[Blob.Y],
        track[Column.DROPPED],
        blob[Blob.BORDER],
        track[Column.SUNK],
    )
    past[1:5] = track[1:5]
