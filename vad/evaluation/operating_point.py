"""What happens at the threshold that the false-alarm budget chose, from normal footage alone.

Frames: a frame counts as flagged when its score is above its threshold. Events: what an operator gets. A *stretch* is
an unbroken run of abnormal frames. An event opened within a stretch, or within ``BORDER_S`` of it because borders are
labelled by eye, belongs to that stretch and catches it; every other event is a false alarm, also one that stays open
until something abnormal happens. So an event that never ends catches nothing but what it was opened for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vad.evaluation.judged import JudgedClip
from vad.evaluation.measures import Measure, Undefined
from vad.video.labels import Interval, intervals_of

BORDER_S = 1.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """An unbroken run of abnormal frames ``[first, last)`` of a clip; ``delay_s`` is None when no event caught it."""

    clip: str
    first: int
    last: int
    delay_s: float | None  # from its first frame to the event; 0.0 for an event just before it


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Rates are over all frames of all test clips."""

    precision: Measure
    recall: Measure
    f1: Measure
    false_alarms: int
    false_alarms_per_hour: Measure  # of normal footage
    normal_hours: float
    stretches: tuple[Stretch, ...]

    @property
    def events_caught(self) -> int:
        return sum(stretch.delay_s is not None for stretch in self.stretches)

    @property
    def median_delay_s(self) -> Measure:
        """Over the stretches caught."""
        delays = [stretch.delay_s for stretch in self.stretches if stretch.delay_s is not None]
        if delays:
            return float(np.median(delays))
        return Undefined("no event was caught" if self.stretches else "nothing abnormal happens")


def operating_point(clips: Sequence[JudgedClip]) -> OperatingPoint:
    """Of one or more clips."""
    labels = np.concatenate([clip.labels for clip in clips])
    flagged = np.concatenate([clip.flagged for clip in clips])
    hits, said, there = int((labels & flagged).sum()), int(flagged.sum()), int(labels.sum())
    judged = [_events(clip) for clip in clips]
    false_alarms = sum(false for _, false in judged)
    normal_hours = sum(float((~clip.labels).sum()) / clip.fps for clip in clips) / 3600.0
    return OperatingPoint(
        precision=hits / said if said else Undefined("no frame was flagged"),
        recall=hits / there if there else Undefined("every frame is normal"),
        f1=2.0 * hits / (said + there) if there else Undefined("every frame is normal"),
        false_alarms=false_alarms,
        false_alarms_per_hour=false_alarms / normal_hours if normal_hours else Undefined("every frame is abnormal"),
        normal_hours=normal_hours,
        stretches=tuple(stretch for stretches, _ in judged for stretch in stretches),
    )


def _events(clip: JudgedClip) -> tuple[list[Stretch], int]:
    """The clip's stretches, and how many of its events belong to none."""
    intervals = intervals_of(clip.labels)
    mine: list[list[int]] = [[] for _ in intervals]
    false = 0
    for incident in clip.incidents:
        owner = _owner(incident.opened, intervals, border=BORDER_S * clip.fps)
        if owner is None:
            false += 1
        else:
            mine[owner].append(incident.opened)
    stretches = []
    for (first, last), opened in zip(intervals, mine, strict=True):
        delay_s = max(0.0, float(clip.times_s[min(opened)] - clip.times_s[first])) if opened else None
        stretches.append(Stretch(clip.name, first, last, delay_s))
    return stretches, false


def _owner(frame: int, intervals: Sequence[Interval], *, border: float) -> int | None:
    """The interval that holds the frame, else the nearest one within ``border`` frames."""
    apart = [max(first - frame, frame - (last - 1), 0) for first, last in intervals]
    nearest = int(np.argmin(apart)) if apart else None
    return nearest if nearest is not None and apart[nearest] <= border else None
