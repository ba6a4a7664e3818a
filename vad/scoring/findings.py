"""Expected against seen: what each evidence that spoke says of the place that it speaks of, in units people know.

Told of frames above the threshold alone; nothing here has a say in scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vad.scoring.evidence import Evidence, Speed
from vad.scoring.evidence_static import StaticChange
from vad.scoring.hours import MOVES
from vad.scoring.kernels import Map, Mask, State
from vad.scoring.objects.layer import TrackedObject
from vad.scoring.objects.passages import Passages
from vad.scoring.rhythm import RHYTHM
from vad.scoring.tuning import REASONS
from vad.types import CELL_PX, CellMap, Finding, Geometry, Reason

WAYS = ("up", "up and right", "right", "down and right", "down", "down and left", "left", "up and left")
"""Eighths of the circle, clockwise from up, as a direction in the picture."""


OBJECT_CUES = (Reason.HOUR, Reason.ABSENCE, Reason.FALL, Reason.AGITATION)
PASSAGE_CUES = (Reason.DIRECTION, Reason.SIZE, Reason.PACE, Reason.MOVEMENT)


@dataclass(frozen=True, slots=True)
class Peak:
    """Where an evidence is highest in a frame. ``value`` is what it came to after smoothing, ``usual`` where the tail
    of the camera's own normal values begins: both in the evidence's own units."""

    cells: CellMap
    row: int
    column: int
    value: float
    usual: float

    @property
    def geometry(self) -> Geometry:
        return self.cells.frame.geometry


def findings_of(
    reasons: Sequence[Reason],
    *,
    cells: CellMap,
    evidences: Sequence[Evidence],
    maps: Map,
    judged: Mask,
    values: State,
    usual: Sequence[float],
    objects: Sequence[TrackedObject],
    passages: Passages,
) -> tuple[Finding, ...]:
    """One finding for each reason. ``evidences``, ``maps`` (K, gh, gw), ``values``, ``usual``: in REASONS' order."""
    found = []
    for reason in reasons:
        k = REASONS.index(reason)
        if reason is Reason.COMBINED:
            found.append(_combined(reasons, float(values[k]), usual[k]))
            continue
        at = int(np.argmax(np.where(judged, maps[k], -np.inf)))
        row, column = divmod(at, judged.shape[1])
        peak = Peak(cells, row, column, float(values[k]), usual[k])
        if reason in PASSAGE_CUES:
            found.append(_of_passage(reason, peak, _object_at(objects, peak), passages))
        else:
            found.append(_of_object(reason, peak) if reason in OBJECT_CUES else _tell(reason, evidences[k], peak))
    return tuple(found)


def _combined(reasons: Sequence[Reason], seen: float, usual: float) -> Finding:
    parts = " and ".join(reason.value.replace("_", " ") for reason in reasons if reason is not Reason.COMBINED)
    text = f"more was unusual within seconds than usually is{': ' if parts else ''}{parts}"
    return Finding(Reason.COMBINED, seen, usual, "powers of ten", text)


def _object_at(objects: Sequence[TrackedObject], peak: Peak) -> TrackedObject | None:
    """The object whose box the cell touches, the one that is seen now and best covers it first."""
    y, x = (peak.row + 0.5) * CELL_PX, (peak.column + 0.5) * CELL_PX

    def off(one: TrackedObject) -> float:
        return max(one.top - y, y - one.bottom, 0.0) + max(one.left - x, x - one.right, 0.0)

    near = [one for one in objects if off(one) <= CELL_PX]
    return min(near, key=lambda one: (one.gap_s > 0.0, off(one)), default=None)


def _of_passage(reason: Reason, peak: Peak, one: TrackedObject | None, passages: Passages) -> Finding:
    """Of what is compared with the passages that were counted where its foot stands."""
    if one is None:  # the smoothed value outlasts the object by a moment
        text = f"what was here moved as about one in {10**peak.value:.0f} that pass here"
        return Finding(reason, 10**peak.value, 10**peak.usual, "passages to one like it", text)
    row, column = int((one.bottom - 0.5) / CELL_PX), int(0.5 * (one.left + one.right) / CELL_PX)
    if reason is Reason.DIRECTION:
        return _direction(one, passages.habit(row, column))
    if reason is Reason.SIZE:
        percent = 100.0 / (peak.geometry.valid_width * peak.geometry.valid_height)
        seen, usual = one.area * percent, passages.usual_area_px(row, column) * percent
        text = f"what moves here covers {seen:.1f} % of the picture; usually at most {usual:.1f} %"
        return Finding(reason, seen, usual, "% of the picture", text)
    if reason is Reason.PACE:
        width = peak.geometry.valid_width
        seen, usual = math.hypot(one.vx, one.vy) / width, passages.usual_speed_px_s(row, column) / width
        text = f"goes {seen:.2f} picture widths a second here; usually at most {usual:.2f}"
        return Finding(reason, seen, usual, "picture widths/s", text)
    passed = passages.passed(row, column)
    if passed < 1.0:
        text = "moves where hardly anything has passed before"
    else:
        text = f"moves here as hardly any of the {passed:.0f} that passed here: by its size, direction and speed"
    return Finding(reason, 10**peak.value, 10**peak.usual, "passages to one like it", text)


def _direction(one: TrackedObject, habit: State) -> Finding:
    """``habit`` (8,) passages there by direction: the k-th goes k * 45 degrees from right to down."""
    usual = float(45 * int(np.argmax(habit)) + 90) % 360.0
    seen = (math.degrees(math.atan2(one.vy, one.vx)) + 90.0) % 360.0
    way = WAYS[round(seen / 45.0) % 8]
    ways = [WAYS[(k + 2) % 8] for k in np.argsort(-habit, kind="stable")[:2] if habit[k] > 0.2 * habit.sum()]
    text = f"moves {way} here; usually it is {' or '.join(ways) if ways else 'any other way'}"
    return Finding(Reason.DIRECTION, seen, usual, "degrees clockwise from up", text)


def _of_object(reason: Reason, peak: Peak) -> Finding:
    """Of a cue of whole objects: in units that need no scale of the scene."""
    seen, usual = peak.value, peak.usual
    if reason is Reason.HOUR:
        what = "something" if peak.cells.activity[peak.row, peak.column] >= MOVES else "nothing"
        text = f"{what} moves here, as in {100 * 10.0**-seen:.2g} % of the time at this time of day"
        return Finding(reason, 100 * 10.0**-seen, 100 * 10.0**-usual, "% of the time", text)
    if reason is Reason.ABSENCE:
        text = f"what always moves here has neither moved as always nor rested for {seen * RHYTHM.odd_s:.0f} s"
        return Finding(reason, seen * RHYTHM.odd_s, usual * RHYTHM.odd_s, "s", text)
    if reason is Reason.FALL:
        text = f"somebody came down by {100 * seen:.0f} % of their height where they stood"
        return Finding(reason, 100.0 * seen, 100.0 * usual, "% of the height", text)
    text = f"parts of somebody move against one another by {seen:.1f} heights a second; usually at most {usual:.1f}"
    return Finding(reason, seen, usual, "heights/s", text)


def _tell(reason: Reason, evidence: Evidence, peak: Peak) -> Finding:
    if isinstance(evidence, Speed):
        return _speed(evidence, peak)
    if isinstance(evidence, StaticChange):
        return _static_change(evidence, peak)
    seen, usual = peak.value, peak.usual
    text = f"looks {seen:.1f} times as hard to predict as such movement usually is here; usually at most {usual:.1f}"
    return Finding(reason, seen, usual, "times the usual error", text)


def _speed(evidence: Speed, peak: Peak) -> Finding:
    unit = float(evidence.fast[peak.row]) / peak.geometry.valid_width
    seen, usual = peak.value * unit, peak.usual * unit
    text = f"moves {seen:.2f} picture widths a second here; usually at most {usual:.2f}"
    return Finding(Reason.SPEED, seen, usual, "picture widths/s", text)


def _static_change(evidence: StaticChange, peak: Peak) -> Finding:
    seen, usual = peak.value * evidence.left_behind_s, peak.usual * evidence.left_behind_s
    levels = evidence.difference(peak.cells, peak.row, peak.column)
    text = (
        f"something that is {levels:.0f} grey levels off the background has stood here for {seen:.0f} s; "
        f"usually at most {usual:.0f} s"
    )
    return Finding(Reason.STATIC_CHANGE, seen, usual, "s", text)
