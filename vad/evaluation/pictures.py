"""Which frames the report shows, and how: the frame beside its heat map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vad.evaluation.judged import JudgedClip
from vad.evaluation.regions import Boxes
from vad.video.labels import intervals_of
from vad.video.overlay import spread_heat
from vad.video.recording import pictures_at

WIDTH = 440
SHOWN = 6
APART_S = 3.0
"""Normal frames nearer than that to one already chosen show the same thing."""
BEGINNING_S = 1.0
"""A clip's first frames score low whatever they show: nothing has moved yet. They are shown only for want of others."""
TRUE_COLOUR, SAID_COLOUR = (60, 180, 60), (40, 40, 230)  # BGR
Picture = NDArray[np.uint8]


Chosen: TypeAlias = tuple[JudgedClip, int, str]  # clip, frame, why it is shown


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame worth looking at; ``frame`` and ``heat`` are (height, width, 3) BGR."""

    clip: JudgedClip
    index: int
    why: str
    frame: Picture
    heat: Picture


def worst_misses(clips: Sequence[JudgedClip]) -> list[Shown]:
    """Runs of abnormal frames that were not flagged, longest first, each by its frame of lowest score."""
    runs = [
        ((last - first) / clip.fps, clip, first, last)
        for clip in clips
        for first, last in intervals_of(clip.labels & ~clip.flagged)
    ]
    runs.sort(key=lambda run: -run[0])
    return _shown([_lowest(clip, first, last) for _, clip, first, last in runs[:SHOWN]])


def _lowest(clip: JudgedClip, first: int, last: int) -> Chosen:
    begin = max(first, round(BEGINNING_S * clip.fps))
    begin = begin if begin < last else first
    index = begin + int(np.argmin(clip.scores[begin:last]))
    return clip, index, f"not flagged from {first / clip.fps:.1f} to {last / clip.fps:.1f} s"


def worst_false_alarms(clips: Sequence[JudgedClip]) -> list[Shown]:
    """Normal frames of highest score, flagged or not, apart in time."""
    candidates = [
        (-float(clip.scores[index]), number, int(index))
        for number, clip in enumerate(clips)
        for index in np.flatnonzero(~clip.labels)
    ]
    chosen: list[Chosen] = []
    for _, number, index in sorted(candidates):
        clip = clips[number]
        if all(other is not clip or abs(at - index) >= APART_S * clip.fps for other, at, _ in chosen):
            chosen.append((clip, index, ", ".join(clip.reasons[index]) or "not flagged"))
        if len(chosen) == SHOWN:
            break
    return _shown(chosen)


def _shown(chosen: Sequence[Chosen]) -> list[Shown]:
    """In the order given; each clip is decoded once. Raises StreamError."""
    found: dict[tuple[str, int], Picture] = {}
    for clip in {clip.name: clip for clip, _, _ in chosen}.values():
        indices = [index for other, index, _ in chosen if other is clip]
        pictures = pictures_at(clip.source.url, at_s=[float(clip.times_s[i]) for i in indices], width=WIDTH)
        found.update({(clip.name, i): p for i, p in zip(indices, pictures, strict=True) if p is not None})
    return [
        Shown(clip, index, why, _outlined(clip, index, picture), _heated(clip, index, picture))
        for clip, index, why in chosen
        if (picture := found.get((clip.name, index))) is not None
    ]


def _outlined(clip: JudgedClip, index: int, picture: Picture) -> Picture:
    drawn = picture.copy()
    if clip.truth is not None:
        _outline(drawn, clip.truth[index].boxes, TRUE_COLOUR)
    if clip.flagged[index]:
        _outline(drawn, clip.reported[index].boxes, SAID_COLOUR)
    return drawn


def _outline(picture: Picture, boxes: Boxes, colour: tuple[int, int, int]) -> None:
    height, width = picture.shape[:2]
    for x0, y0, x1, y1 in boxes:
        corners = (int(x0 * width), int(y0 * height)), (int(x1 * width) - 1, int(y1 * height) - 1)
        cv2.rectangle(picture, *corners, colour, 2)


def _heated(clip: JudgedClip, index: int, picture: Picture) -> Picture:
    """The heat map over the grey picture; full colour at the threshold, or at the score where that is higher."""
    height, width = picture.shape[:2]
    grey = np.repeat(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)
    heat = clip.heats[index]
    if heat is None:
        return np.asarray(grey, np.uint8)
    spread = spread_heat(heat, clip.heat_extent, width=width, height=height)
    threshold = float(clip.thresholds[index])
    top = max(float(clip.scores[index]), threshold if np.isfinite(threshold) else 0.0, 1e-6)
    share = np.clip(spread / top, 0.0, 1.0)
    colours = cv2.applyColorMap((255.0 * share).astype(np.uint8), cv2.COLORMAP_INFERNO)
    weight = 0.75 * np.sqrt(share)[:, :, None]
    return np.asarray((1.0 - weight) * grey + weight * colours, np.uint8)
