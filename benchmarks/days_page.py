"""The figures of simulated days as one HTML page: tables, a drawing of each day, pictures of the worst mistakes.

Pictures are rendered anew: a world shows the same frame whenever it is asked for it.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.days_count import NO_CONDITION, Incident, Outcome
from benchmarks.days_record import Job, Record
from benchmarks.days_report import CameraResult, nearest, results_under, text
from benchmarks.days_timeline import STYLE, timelines
from vad.evaluation.page import image, page
from vad.video.worlds import World, WorldFrame

MOST_PICTURES = 16
ZOOM = 3
BEFORE_S = 0.75
"""How long before the frame that is marked its neighbour to the left was taken."""
RED, GREEN = (60, 60, 230), (70, 190, 70)  # BGR
LEGEND = (
    "Blue: the highest score; dashed: the threshold. Upright strokes: false alarms, red at {first:g} a day, "
    "amber at the others. Bands: planted events, green where caught, red where missed. Grey: not judged."
)
Box = tuple[float, float, float, float]
Item = TypeVar("Item")


def write_page(records: Sequence[Record], open_world: Callable[[Job], World]) -> str:
    """The whole document."""
    budgets = records[0].job.budgets
    under = [results_under(records, budget) for budget in budgets]
    pictures = Pictures(open_world)
    parts = ["<h1>Days of simulated cameras</h1>", f"<pre>{html.escape(text(records))}</pre>"]
    parts += [f"<h2>Timelines</h2><p class='quiet'>{LEGEND.format(first=budgets[0])}</p>"]
    for by_budget in zip(*under, strict=True):
        parts += [f"<h3>{html.escape(heading)}</h3>{svg}" for heading, svg in timelines(by_budget)]
    shown: list[tuple[str, float, float]] = []
    for budget, cameras in zip(budgets, under, strict=True):
        parts.append(f"<h2>The highest false alarms at {budget:g} a day{', not shown yet' if shown else ''}</h2>")
        worst = worst_alarms(cameras, but=shown)
        shown += [(camera.record.title, one.started_s, one.closed_s) for camera, one in worst]
        parts.append(_grid(pictures.false_alarm(camera, one) for camera, one in worst))
    parts.append(f"<h2>Missed at {budgets[0]:g} a day</h2>")
    parts.append(_grid(pictures.miss(camera, one) for camera, one in worst_misses(under[0])))
    return page("Days of simulated cameras", "".join(parts), style=STYLE + "pre { overflow-x: auto; font-size: 12px; }")


def worst_alarms(
    cameras: Sequence[CameraResult], *, but: Sequence[tuple[str, float, float]] = (), most: int = MOST_PICTURES
) -> list[tuple[CameraResult, Incident]]:
    """Those that rose furthest over the threshold: the worst of each camera and cue first, then the second of each.

    Without those that overlap one of ``but``: (camera, from, to) in the camera's seconds.
    """
    groups: dict[tuple[str, str], list[tuple[CameraResult, Incident]]] = {}
    for camera in cameras:
        for one in camera.matched.false:
            name = camera.record.title
            if not any(other == name and one.started_s <= b and one.closed_s >= a for other, a, b in but):
                groups.setdefault((name, one.reasons[0] if one.reasons else ""), []).append((camera, one))
    ranked = [sorted(group, key=lambda pair: pair[1].threshold - pair[1].peak) for group in groups.values()]
    return _in_turns(ranked)[:most]


def worst_misses(cameras: Sequence[CameraResult], *, most: int = MOST_PICTURES) -> list[tuple[CameraResult, Outcome]]:
    """Those that stayed furthest below the threshold: the worst of each kind first, then the second of each."""
    kinds: dict[str, list[tuple[CameraResult, Outcome]]] = {}
    for camera in cameras:
        for outcome in camera.matched.found:
            if outcome.incident is None:
                kinds.setdefault(outcome.event.kind, []).append((camera, outcome))
    return _in_turns([sorted(group, key=_reached) for group in kinds.values()])[:most]


def _reached(miss: tuple[CameraResult, Outcome]) -> float:
    """How near to the threshold it came, at most 0 unless too short; lowest where nothing of it was judged."""
    short = nearest(miss[0].record, miss[1]).short
    return -np.inf if short is None else -short


def _in_turns(ranked: Sequence[Sequence[Item]]) -> list[Item]:
    """The first of each, then the second of each, and so on."""
    return [item for turn in zip_longest(*ranked) for item in turn if item is not None]


class Pictures:
    """Figures for the page, from frames rendered anew. Keeps each camera's world open."""

    def __init__(self, open_world: Callable[[Job], World]) -> None:
        self._open_world = open_world
        self._worlds: dict[Job, World] = {}

    def false_alarm(self, camera: CameraResult, incident: Incident) -> str:
        boxes: list[Box] = [region[:4] for region in incident.regions]
        when, seconds = camera.record.clock(incident.peak_s), incident.closed_s - incident.started_s
        height = f"peak {incident.peak:.1f} over {incident.threshold:.1f}"
        conditions = ", ".join(sorted(camera.conditions_of(incident))) or NO_CONDITION
        caption = (
            f"{camera.record.title}, {when}, {seconds:.0f} s: {' + '.join(incident.reasons)}, {height}; {conditions}"
        )
        return self._figure(camera.record, incident.peak_s, caption, lambda _: boxes, RED)

    def miss(self, camera: CameraResult, found: Outcome) -> str:
        record, event, near = camera.record, found.event, nearest(camera.record, found)
        if near.short is None:
            why, shown_s = "not judged at all", 0.5 * (event.start_s + event.end_s)
        else:
            short = f"{near.short:.1f} below" if near.short > 0.0 else "above for too short a time,"
            why, shown_s = f"{near.cue} {short} at {record.clock(near.at_s)}", near.at_s
        seconds = event.end_s - event.start_s
        caption = f"{record.title}, {event.kind} from {record.clock(event.start_s)}, {seconds:.0f} s: {why}"
        return self._figure(record, shown_s, caption, _labelled, GREEN)

    def _figure(
        self,
        record: Record,
        at_s: float,
        caption: str,
        boxes_of: Callable[[WorldFrame], Sequence[Box]],
        colour: tuple[int, int, int],
    ) -> str:
        places = [record.job.start + record.frame_at(at_s - before_s) for before_s in (BEFORE_S, 0.0)]
        frames = [self._frame(record.job, place) for place in places]
        pictures = [_picture(frames[0].luma), _marked(_picture(frames[1].luma), boxes_of(frames[1]), colour)]
        return (
            f"<figure>{image(np.hstack(pictures), alt=caption)}<figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def _frame(self, job: Job, index: int) -> WorldFrame:
        if job not in self._worlds:
            self._worlds[job] = self._open_world(job)
        [frame] = self._worlds[job].frames(1, start=index)
        return frame


def _labelled(frame: WorldFrame) -> list[Box]:
    return [(label.x0, label.y0, label.x1, label.y1) for label in frame.labels]


def _picture(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) -> (ZOOM H, ZOOM W, 3) BGR."""
    large = cv2.resize(luma, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)


def _marked(picture: NDArray[np.uint8], boxes: Sequence[Box], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The picture with those boxes (fractions of it) drawn in; changes it."""
    height, width = picture.shape[:2]
    for x0, y0, x1, y1 in boxes:
        cv2.rectangle(picture, (int(x0 * width), int(y0 * height)), (int(x1 * width), int(y1 * height)), colour, 2)
    return picture


def _grid(figures: Iterator[str]) -> str:
    inside = "".join(figures)
    return f"<div class='incidents'>{inside}</div>" if inside else "<p class='quiet'>None.</p>"
