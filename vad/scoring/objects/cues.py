"""What the tracks tell: a fall, agitation. Absolute and free of scale, so that hardly anything has to be learnt.

- Fall: by what share of a person's own height the head came down and the height was lost, within about a second, while
  the foot did not leave the ground and the upper half moved downwards; counts in full once it has stayed down.
- Agitation: how much the parts of an object move against one another, in object heights a second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vad.scoring.kernels import Map, State, kernel
from vad.scoring.objects.background import FAR, SURE, Flags
from vad.scoring.objects.tracks import Column, Past


class FallTuning(NamedTuple):
    """Shares of the person's own height before, media seconds. Pairs are where a gate begins to open and is open.

    Chosen from what bodies do. With any one of them 20 % higher or lower the five real falls stay at 0.47 and above
    (one at 0.43 when ``slim`` is higher: it begins seated). Of the normal scenes that come nearest all but one stay
    at 0.45 and below, and that one, who walks out over a caption, between 0.40 and 0.58 (when ``bare`` is higher).
    """

    within_s: float = 1.8  # a fall takes 0.5 to 1.5 s; the place that was left counts for 0.3 s more
    least_s: float = 0.25
    least_age_s: float = 0.4
    least_px: tuple[float, float] = (14.0, 20.0)  # height before: below it a pixel is 7 % of it
    slim: tuple[float, float] = (0.9, 1.3)  # height over width before: somebody who stands or sits, not a car
    foot_rises: float = 0.2
    foot_sinks: float = 0.7  # who falls towards the camera covers ground below his feet
    travels: tuple[float, float] = (1.4, 0.9)  # sideways: who trips goes no further than he is tall
    flow: tuple[float, float] = (
        0.08,
        0.16,
    )  # way down of the upper half by its flow, over that of the head; falls: 0.19+
    area: tuple[float, float] = (0.35, 0.6)  # over the area before: a body stays, a part of it does not
    cut_area: tuple[float, float] = (0.7, 0.9)  # ... of somebody whose foot may be out of the picture
    cut_wider: tuple[float, float] = (1.1, 1.4)  # and width over width before
    before_s: float = 0.6  # how it moved for that long before is taken off: who walks down and out does not fall
    fastest: float = 3.5  # of the head, heights a second: a free fall of a person's height ends at 2.6
    at_once: float = 0.7  # of its depth counts before it is sure that it stays down
    landed: float = 0.25  # mean downward flow, heights a second, below which it has come to rest
    bare: float = 0.7  # of its box shows nothing but background: it is gone
    confirm_s: float = 1.0  # bending and squatting come up again
    begins: float = 0.25  # from this depth on its time is counted
    rises: float = 0.3  # of the way down: who comes up again did not fall
    holds_s: float = 4.0


FALL = FallTuning()


@kernel
def ramp(value: float, gate: tuple[float, float]) -> float:
    return min(1.0, max(0.0, (value - gate[0]) / (gate[1] - gate[0])))


@kernel
def sinking(history: State, at: int, before_s: float) -> float:
    """How fast the top came down in the ``before_s`` before that sample, px/s; 0 if nobody knows."""
    first = at
    while (
        first > 0
        and history[first - 1, Past.AGE_S] >= 0.0
        and history[at, Past.AGE_S] - history[first, Past.AGE_S] < before_s
    ):
        first -= 1
    took_s = history[at, Past.AGE_S] - history[first, Past.AGE_S]
    return (history[at, Past.TOP] - history[first, Past.TOP]) / took_s if took_s >= 0.5 * before_s else 0.0


@kernel
def drop_of(history: State, at: int, apart_s: float, t: FallTuning) -> float:
    """From one earlier sample on: mean of the head's way down and the height lost, with all gates."""
    now, then = history[-1], history[at]
    since_s = now[Past.AGE_S] - then[Past.AGE_S]
    if then[Past.AGE_S] < 0.0 or since_s < t.least_s or since_s > t.within_s or since_s >= apart_s:
        return 0.0
    height, width = then[Past.BOTTOM] - then[Past.TOP], then[Past.RIGHT] - then[Past.LEFT]
    foot = (now[Past.BOTTOM] - then[Past.BOTTOM]) / height
    # Flow grows along a line from foot to head: its means below and above the middle tell how far the foot went. If
    # the lowest that is seen did not, then something hides the foot: who walks out of sight does not fall.
    sunk = (1.5 * (now[Past.SUNK] - then[Past.SUNK]) - 0.5 * (now[Past.DROPPED] - then[Past.DROPPED])) / height
    hidden = max(0.0, sunk - foot)
    head = (now[Past.TOP] - then[Past.TOP] - since_s * max(0.0, sinking(history, at, t.before_s))) / height - hidden
    lost = 1.0 - (now[Past.BOTTOM] - now[Past.TOP]) / height - hidden
    if int(now[Past.BORDER]) & 12 or foot < -t.foot_rises or foot > t.foot_sinks or head <= 0.0 or lost <= 0.0:
        return 0.0
    travel = abs(now[Past.LEFT] + now[Past.RIGHT] - then[Past.LEFT] - then[Past.RIGHT]) / (2.0 * height)
    area = now[Past.AREA] / then[Past.AREA]
    gate = ramp(height, t.least_px) * ramp(height / width, t.slim) * ramp(travel, t.travels) * ramp(area, t.area)
    gate *= ramp((now[Past.DROPPED] - then[Past.DROPPED]) / height / head, t.flow)
    if int(then[Past.BORDER]) & 2:
        gate *= ramp(area, t.cut_area) * ramp((now[Past.RIGHT] - now[Past.LEFT]) / width, t.cut_wider)
    for k in range(at + 1, len(history)):
        step_s = history[k, Past.AGE_S] - history[k - 1, Past.AGE_S]
        if history[k, Past.TOP] - history[k - 1, Past.TOP] > t.fastest * height * max(0.1, step_s):
            return 0.0
    return float(gate * 0.5 * (min(1.0, head) + lost))


@kernel
def bare_share(flags: Flags, track: State) -> float:
    """Share of a track's box where the picture is its established background: nobody is there."""
    bare, count = 0, 0
    for i in range(int(track[Column.TOP]), min(flags.shape[0], int(track[Column.BOTTOM]))):
        for j in range(int(track[Column.LEFT]), min(flags.shape[1], int(track[Column.RIGHT]))):
            bare += flags[i, j] & (FAR | SURE) == SURE
            count += 1
    return bare / max(1, count)


@kernel
def falls(tracks: State, history: State, held: State, flags: Flags, dt_s: float, t: FallTuning) -> State:
    """(MOST_TRACKS,) the fall of each track at this frame. ``held`` (MOST_TRACKS, 6) is kept between frames:

    whose it is, how deep the fall is, height and top before it, for how long it has lain, and since when it is known.
    """
    out = np.zeros(len(tracks))
    for k in range(len(tracks)):
        track, hold = tracks[k], held[k]
        if hold[0] != track[Column.ID]:
            hold[:] = 0.0
            hold[0] = track[Column.ID]
        if track[Column.ID] == 0.0:
            continue
        if hold[1] > 0.0:
            landed = track[Column.FLOW_Y] < t.landed * hold[2]
            unseen = track[Column.GAP_S] > 0.0
            if unseen and (not landed or bare_share(flags, track) > t.bare):  # it does not lie there, it is gone
                hold[1:] = 0.0
            hold[4] += dt_s if landed else 0.0
            hold[5] += dt_s
            up = hold[3] + hold[2] * hold[1] * (1.0 - t.rises)
            if (
                (track[Column.GAP_S] == 0.0 and track[Column.TOP] < up)
                or hold[5] > t.holds_s
                or track[Column.APART_S] < hold[5]
            ):
                hold[1:] = 0.0
        if track[Column.GAP_S] == 0.0 and track[Column.AGE_S] >= t.least_age_s:
            for at in range(len(history[k]) - 1):
                deep = drop_of(history[k], at, track[Column.APART_S], t)
                if deep > hold[1]:
                    then = history[k, at]
                    if hold[1] <= t.begins:
                        hold[4:] = 0.0
                    hold[1], hold[2], hold[3] = deep, then[Past.BOTTOM] - then[Past.TOP], then[Past.TOP]
        out[k] = hold[1] * (t.at_once + (1.0 - t.at_once) * min(1.0, hold[4] / t.confirm_s))
    return out


class AgitationTuning(NamedTuple):
    """Pixels, cells, media seconds. Chosen so that walkers of all scenes stay below 0.5."""

    least_age_s: float = 0.6
    least_px: tuple[float, float] = (14.0, 20.0)  # height
    cells: tuple[float, float] = (3.0, 6.0)  # of it that move: of fewer no spread can be told
    carried: float = 0.5  # of its mean speed: so much its parts may differ because it is near, or ill measured


AGITATION = AgitationTuning()


@kernel
def agitations(tracks: State, t: AgitationTuning) -> State:
    """(MOST_TRACKS,) spread of the flow inside each object over its height, 1/s, where it can be measured."""
    out = np.zeros(len(tracks))
    for k in range(len(tracks)):
        track = tracks[k]
        if track[Column.ID] == 0.0 or track[Column.GAP_S] > 0.0 or track[Column.AGE_S] < t.least_age_s:
            continue
        height = track[Column.BOTTOM] - track[Column.TOP]
        gate = ramp(height, t.least_px) * ramp(track[Column.CELLS], t.cells)
        own = track[Column.SPREAD] - t.carried * track[Column.SPEED]
        out[k] = gate * max(0.0, own) / height
    return out


class SteadyTuning(NamedTuple):
    """Frames, media seconds, ratios. An insect before the lens is new in each frame, or turns all the time."""

    least_hits: float = 4.0  # frames in which it was seen
    over_s: float = 1.2
    winding: float = 1.6  # path over the way made good: beyond it somebody does not go anywhere
    least_path: float = 1.0  # heights; shorter paths are those of who stands
    fastest: float = 3.0  # of its own length or height a second: runners come to 2.5


STEADY = SteadyTuning()


@kernel
def paint_steady(tracks: State, history: State, cell: int, out: Map, t: SteadyTuning) -> None:
    """1 on the cells that objects which keep their way touch, and on those around them, into ``out`` (gh, gw).

    -1 on those of objects that go to and fro, or faster than ``fastest``: insects do both. 0 where no object is, or one
    of which nothing is known yet.
    """
    out[:] = 0.0
    for k in range(len(tracks)):
        track = tracks[k]
        if track[Column.ID] == 0.0 or track[Column.GAP_S] > 0.0 or track[Column.HITS] < t.least_hits:
            continue
        longer = max(track[Column.BOTTOM] - track[Column.TOP], track[Column.RIGHT] - track[Column.LEFT])
        strays = np.hypot(track[Column.VX], track[Column.VY]) > t.fastest * longer
        if not strays and track[Column.APART_S] > t.over_s:
            strays = winds(history[k], t)
        value = np.float32(-1.0) if strays else np.float32(1.0)
        top, bottom = max(0, int(track[Column.TOP]) // cell - 1), int(track[Column.BOTTOM]) // cell + 2
        left, right = max(0, int(track[Column.LEFT]) // cell - 1), int(track[Column.RIGHT]) // cell + 2
        for i in range(top, min(bottom, out.shape[0])):
            for j in range(left, min(right, out.shape[1])):
                out[i, j] = value if out[i, j] == 0.0 else max(out[i, j], value)


@kernel
def winds(history: State, t: SteadyTuning) -> bool:
    """Does the middle of its box go much further than it gets?"""
    now = history[-1]
    path, k = 0.0, len(history) - 1
    while k > 0 and history[k - 1, Past.AGE_S] >= 0.0 and now[Past.AGE_S] - history[k - 1, Past.AGE_S] <= t.over_s:
        a, b = history[k - 1], history[k]
        path += 0.5 * np.hypot(
            a[Past.LEFT] + a[Past.RIGHT] - b[Past.LEFT] - b[Past.RIGHT],
            a[Past.TOP] + a[Past.BOTTOM] - b[Past.TOP] - b[Past.BOTTOM],
        )
        k -= 1
    then = history[k]
    made = 0.5 * np.hypot(
        then[Past.LEFT] + then[Past.RIGHT] - now[Past.LEFT] - now[Past.RIGHT],
        then[Past.TOP] + then[Past.BOTTOM] - now[Past.TOP] - now[Past.BOTTOM],
    )
    return bool(path > t.winding * made and path > t.least_path * (now[Past.BOTTOM] - now[Past.TOP]))


@kernel
def paint(tracks: State, values: State, cell: int, out: Map) -> float:
    """Each track's value on the cells that its box touches, into ``out`` (gh, gw); returns the highest."""
    out[:] = 0.0
    highest = 0.0
    for k in range(len(tracks)):
        if tracks[k, Column.ID] == 0.0 or values[k] <= 0.0:
            continue
        highest = max(highest, values[k])
        first, last = int(tracks[k, Column.LEFT]) // cell, min(out.shape[1], -(-int(tracks[k, Column.RIGHT]) // cell))
        for i in range(
            int(tracks[k, Column.TOP]) // cell, min(out.shape[0], -(-int(tracks[k, Column.BOTTOM]) // cell))
        ):
            for j in range(first, last):
                out[i, j] = max(out[i, j], np.float32(values[k]))
    return highest
