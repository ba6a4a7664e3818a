"""How tall people are in a camera's picture, and so how wide the picture must be for them to be seen.

Somebody lower than 10 px at 160 px of width is hardly larger than a cell, and cannot be judged. Where people
are larger, a wider picture costs more and does worse (docs/detector.md): motion is looked at over fixed windows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vad.config.camera import MODEL_WIDTHS, PANORAMA_WIDTHS
from vad.scoring.calibration import take
from vad.scoring.kernels import State
from vad.scoring.objects.layer import TrackedObject
from vad.types import PERSON_PX, Geometry, pool_for

LARGE_ENOUGH_PX = PERSON_PX
"""Height of a person in the picture that is analysed: below it, the picture must be wider."""

LEAST_PEOPLE, LEAST_S = 8, 60.0
"""What a camera must have shown before its width is chosen."""

LEAST_PEOPLE_OF_A_RECORDING = 3
"""A recording may be short: so many decide, however long it took them to come."""

GROWN_S = 1.5
"""Age from which on a track is no passing noise."""

UPRIGHT = 1.3
"""Height over width from which on a track is shaped like somebody who stands or walks. A car is wider than tall."""

MOVED_HEIGHTS = 0.5
"""Of its own height: what has moved less may be a bush."""

BORDER_PX = 3.0
"""A box this near the picture's border may be cut off. The boxes are trimmed by up to that."""

LEAST_SIGHTINGS, MOST_SIGHTINGS = 3, 40
"""Frames that make a height; after so many the track counts even if it goes on."""

MOST_PEOPLE = 256
"""Heights that are kept; more would say nothing new."""

LOWER_QUARTILE = 0.25


@dataclass(slots=True)
class _Track:
    """One track so far. Pixels of the source."""

    x: float  # where it was seen first
    y: float
    age_s: float
    heights: list[float] = field(default_factory=list)
    has_moved: bool = False
    is_counted: bool = False


class PersonHeights:
    """One camera, frames in order, one owner; ``wanted_width`` and ``height_px`` may be asked by anyone.

    Heights are kept in pixels of the source, so that they hold for every width. The lower quartile is looked at when
    enough people were seen and again whenever they have doubled; it only ever goes down, so that a width is revised
    upward alone.
    """

    def __init__(self) -> None:
        self._heights: list[float] = []  # of each person
        self._seen_s = 0.0
        self._lower: float | None = None  # quartile
        self._next_look = LEAST_PEOPLE  # people after which it is looked at
        self._tracks: dict[int, _Track] = {}
        self._is_settled = False  # the width was chosen already, for people that were seen

    @property
    def people(self) -> int:
        """How many were measured."""
        return len(self._heights)

    def step(self, tracks: Sequence[TrackedObject], geometry: Geometry, *, dt_s: float) -> None:
        """``tracks`` of one frame, ``dt_s`` after the one before."""
        self._seen_s += dt_s
        if tracks or self._tracks:
            before, self._tracks = self._tracks, {}
            for track in tracks:
                self._tracks[track.id] = self._follow(before.pop(track.id, None), track, geometry)
            for gone in before.values():
                self._count(gone)
        if len(self._heights) >= self._next_look and self._seen_s >= LEAST_S:
            self._look()

    def end_run(self) -> None:
        """No track goes on into the next run."""
        for track in self._tracks.values():
            self._count(track)
        self._tracks = {}

    def finish(self, *, least_people: int) -> None:
        """There is no more footage: so many people will do, however little was seen."""
        self.end_run()
        if len(self._heights) >= least_people:
            self._look()

    def settle(self) -> None:
        """The width was chosen with this footage, and no other will be wanted; unless hardly anybody was seen."""
        self.end_run()
        self._is_settled = len(self._heights) >= LEAST_PEOPLE_OF_A_RECORDING

    def height_px(self, geometry: Geometry) -> float | None:
        """A quarter of the people are lower than that in the picture of that geometry; None: not known yet."""
        return None if self._lower is None else self._lower / geometry.pool

    def wanted_width(self, geometry: Geometry) -> int | None:
        """The least of the widths for such a picture at which people are large enough, of a source as ``geometry`` has
        it. Of a panorama it is the least of its widths until people were seen.

        None: not known yet, or chosen before. A width that would show no more of the source than a lesser one is not
        wanted.
        """
        widths = widths_for(geometry)
        if self._is_settled:
            return None
        if self._lower is None:
            return widths[0] if widths is PANORAMA_WIDTHS else None
        pools = {width: _pool(geometry, width) for width in widths}
        narrow = widths[0]
        at_narrow_px = self._lower / pools[narrow]
        enough = (width for width in widths if at_narrow_px * width / narrow >= LARGE_ENOUGH_PX)
        wanted = next(enough, widths[-1])
        return next(width for width in widths if pools[width] == pools[wanted])

    def _follow(self, known: _Track | None, track: TrackedObject, geometry: Geometry) -> _Track:
        x, y = 0.5 * geometry.pool * (track.left + track.right), 0.5 * geometry.pool * (track.top + track.bottom)
        if known is not None and track.age_s < known.age_s:  # another of the same number, after the layer began anew
            self._count(known)
            known = None
        known = known or _Track(x, y, track.age_s)
        known.age_s = track.age_s
        if not known.is_counted and _is_upright(track, geometry):
            height = geometry.pool * (track.bottom - track.top)
            known.heights.append(height)
            known.has_moved |= math.hypot(x - known.x, y - known.y) >= MOVED_HEIGHTS * height
            if len(known.heights) > MOST_SIGHTINGS:
                known.heights.pop(0)
                self._count(known)
        return known

    def _count(self, track: _Track) -> None:
        if track.is_counted or not track.has_moved or len(track.heights) < LEAST_SIGHTINGS:
            return
        track.is_counted = True
        if len(self._heights) < MOST_PEOPLE:
            self._heights.append(float(np.median(track.heights)))

    def _look(self) -> None:
        lower = float(np.quantile(self._heights, LOWER_QUARTILE))
        self._lower = lower if self._lower is None else min(self._lower, lower)
        self._next_look = 2 * len(self._heights)

    def state(self) -> dict[str, State]:
        heights = np.zeros(MOST_PEOPLE)
        heights[: len(self._heights)] = self._heights
        clock = [self._seen_s, self._lower or 0.0, self._next_look, self._is_settled]
        return {"heights": heights, "clock": np.array(clock)}

    def restore(self, arrays: Mapping[str, State]) -> None:
        """Calibrations of before people were measured lack all of it: then it begins anew."""
        if not arrays:
            return
        heights, clock = take(arrays, "heights", np.zeros(MOST_PEOPLE)), take(arrays, "clock", np.zeros(4))
        self._heights = heights[heights > 0.0].tolist()
        self._seen_s, self._lower, self._next_look = float(clock[0]), float(clock[1]) or None, int(clock[2])
        self._is_settled = bool(clock[3])


def widths_for(geometry: Geometry) -> tuple[int, ...]:
    """At which a picture may be analysed, where that is chosen by the people seen."""
    return PANORAMA_WIDTHS if geometry.is_panorama else MODEL_WIDTHS


def _is_upright(track: TrackedObject, geometry: Geometry) -> bool:
    """Is it seen now, whole, and shaped like somebody who stands or walks?"""
    whole = (
        min(track.top, track.left) > BORDER_PX
        and track.bottom < geometry.valid_height - BORDER_PX
        and track.right < geometry.valid_width - BORDER_PX
    )
    upright = track.bottom - track.top >= UPRIGHT * (track.right - track.left)
    return whole and upright and track.age_s > GROWN_S and track.gap_s == 0.0


def _pool(geometry: Geometry, width: int) -> int:
    return pool_for(geometry.source_width, geometry.source_height, model_width=width)
