"""Expected against seen: what each evidence that spoke says of the place that it speaks of, in units people know.

Told of frames above the threshold alone; nothing here has a say in scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vad.scoring.evidence import Direction, Evidence, Size, Speed
from vad.scoring.evidence_static import StaticChange
from vad.scoring.kernels import Map, Mask, State
from vad.scoring.tuning import REASONS, TUNING
from vad.types import CELL_PX, CellMap, Finding, Geometry, Reason

WAYS = ("up", "up and right", "right", "down and right", "down", "down and left", "left", "up and left")
"""Eighths of the circle, clockwise from up, as a direction in the picture."""


OBJECT_CUES = (Reason.FALL, Reason.AGITATION)


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
) -> tuple[Finding, ...]:
    """One finding for each reason. ``evidences``, ``maps`` (K, gh, gw), ``values``, ``usual``: in REASONS' order."""
    found = []
    for reason in reasons:
        k = REASONS.index(reason)
        at = int(np.argmax(np.where(judged, maps[k], -np.inf)))
        row, column = divmod(at, judged.shape[1])
        peak = Peak(cells, row, column, float(values[k]), usual[k])
        found.append(_of_object(reason, peak) if reason in OBJECT_CUES else _tell(reason, evidences[k], peak))
    return tuple(found)


def _of_object(reason: Reason, peak: Peak) -> Finding:
    """Of a cue of whole objects: in units that need no scale of the scene."""
    seen, usual = peak.value, peak.usual
    if reason is Reason.FALL:
        text = f"somebody came down by {100 * seen:.0f} % of their height where they stood"
        return Finding(reason, 100.0 * seen, 100.0 * usual, "% of the height", text)
    text = f"parts of somebody move against one another by {seen:.1f} heights a second; usually at most {usual:.1f}"
    return Finding(reason, seen, usual, "heights/s", text)


def _tell(reason: Reason, evidence: Evidence, peak: Peak) -> Finding:
    if isinstance(evidence, Speed):
        return _speed(evidence, peak)
    if isinstance(evidence, Direction):
        return _direction(evidence, peak)
    if isinstance(evidence, Size):
        return _size(evidence, peak)
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


def _size(evidence: Size, peak: Peak) -> Finding:
    picture_px = peak.geometry.valid_width * peak.geometry.valid_height
    unit = float(evidence.large[peak.row]) * CELL_PX**2 / picture_px * 100.0
    seen, usual = peak.value * unit, peak.usual * unit
    text = f"what moves here covers {seen:.1f} % of the picture; usually at most {usual:.1f} %"
    return Finding(Reason.SIZE, seen, usual, "% of the picture", text)


def _static_change(evidence: StaticChange, peak: Peak) -> Finding:
    seen, usual = peak.value * evidence.left_behind_s, peak.usual * evidence.left_behind_s
    levels = evidence.difference(peak.cells, peak.row, peak.column)
    text = (
        f"something that is {levels:.0f} grey levels off the background has stood here for {seen:.0f} s; "
        f"usually at most {usual:.0f} s"
    )
    return Finding(Reason.STATIC_CHANGE, seen, usual, "s", text)


def _direction(evidence: Direction, peak: Peak) -> Finding:
    x, y = _mean_flow(peak)
    habit = evidence.habit(peak.row, peak.column)  # (8,)
    usual = float(45 * int(np.argmax(habit)) + 90) % 360.0
    seen = math.degrees(math.atan2(y, x)) % 360.0 + 90.0
    seen = seen % 360.0
    way = WAYS[round(seen / 45.0) % 8]
    ways = [WAYS[(k + 2) % 8] for k in np.argsort(-habit, kind="stable")[:2] if habit[k] > 0.2 * habit.sum()]
    if habit.sum() < TUNING.rate_mass:
        text = f"moves {way}, where usually nothing moves"
    else:
        text = f"moves {way} here; usually it is {' or '.join(ways) if ways else 'any other way'}"
    return Finding(Reason.DIRECTION, seen, usual, "degrees clockwise from up", text)


def _mean_flow(peak: Peak) -> tuple[float, float]:
    """Of what moves in the person-sized window there."""
    rows = slice(max(0, peak.row - TUNING.window_rows // 2), peak.row + TUNING.window_rows // 2 + 1)
    columns = slice(max(0, peak.column - TUNING.window_columns // 2), peak.column + TUNING.window_columns // 2 + 1)
    activity = peak.cells.activity[rows, columns]
    flow = (peak.cells.flow[:, rows, columns] * activity).sum(axis=(1, 2))
    return float(flow[0]), float(flow[1])
