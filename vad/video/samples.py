"""A few small pictures of the last minutes: what a place usually looks like."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from av import VideoFrame

from vad.config import Polygon
from vad.types import Geometry
from vad.video.overlay import Picture, colour_picture, jpeg
from vad.video.privacy import black_out, hidden

COUNT = 9
EVERY_S = 20.0
"""Between two samples, in the long run: together they cover three minutes."""
FIRST_S = 1.0
WIDTH = 320
_JPEG_BEGINS, _MARKER, _BASELINE = b"\xff\xd8", 0xFF, 0xC0
_BEFORE_SIZE = frozenset({0xE0, 0xDB, 0xC4})  # the format's name, quantisation, Huffman codes
LEAST = 3
"""With fewer from before an incident, those taken during it count too."""


@dataclass(frozen=True, slots=True)
class Sample:
    """``jpeg`` is at most WIDTH wide, masked."""

    run: int
    pts_s: float
    geometry: Geometry
    jpeg: bytes


class Rhythm(NamedTuple):
    """When the next sample is due: at media time ``due_s`` of ``run``, and ``gap_s`` later the one after."""

    run: int | None = None
    due_s: float = 0.0
    gap_s: float = FIRST_S


class Samples:
    """One camera's. Written by its reader, read by anyone."""

    def __init__(self) -> None:
        self._kept: deque[Sample] = deque(maxlen=COUNT)
        self.rhythm = Rhythm()

    def is_due(self, run: int, pts_s: float) -> bool:
        return pts_s >= self.rhythm.due_s or run != self.rhythm.run

    def take(self, frame: VideoFrame, *, run: int, pts_s: float, grid: Geometry, masks: Sequence[Polygon]) -> None:
        """Keep this picture, as the newest of COUNT. Costs about a millisecond."""
        last, gap_s = self.rhythm.run, self.rhythm.gap_s
        if last not in (None, run):  # streams that break and come back are no reason to hurry
            self.rhythm = Rhythm(run, pts_s + gap_s, gap_s)
            return
        self.rhythm = Rhythm(run, pts_s + gap_s, min(EVERY_S, 1.5 * gap_s))
        picture = colour_picture(frame, grid, most_width=WIDTH)
        where = hidden(masks, grid, width=picture.shape[1], height=picture.shape[0])
        self.keep(Sample(run, pts_s, grid, jpeg(black_out(picture, where))))

    def keep(self, sample: Sample) -> None:
        """As the newest of COUNT."""
        self._kept.append(sample)

    def usual(self, grid: Geometry, *, run: int, before_s: float, masks: Sequence[Polygon]) -> Picture | None:
        """The median, pixel by pixel, of the pictures of that size from before media time ``before_s`` of ``run``.

        Passers-by are in none of most of them, and so in none of it. None before the first picture.
        """
        same = [sample for sample in list(self._kept) if sample.geometry == grid]
        earlier = [sample for sample in same if sample.run != run or sample.pts_s < before_s]
        chosen = earlier if len(earlier) >= LEAST else same
        if not chosen:
            return None
        pictures = [_picture(sample.jpeg) for sample in chosen]
        usual = np.median(np.stack(pictures), axis=0).astype(np.uint8)  # (height, width, 3)
        return black_out(usual, hidden(masks, grid, width=usual.shape[1], height=usual.shape[0]))


def _picture(data: bytes) -> Picture:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def is_jpeg_of(data: bytes, *, width: int, height: int) -> bool:
    """Whether it is a picture of that size, compressed as ``jpeg`` does it. Nothing larger is decoded to find out."""
    if _jpeg_size(data) != (width, height):
        return False
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return False
    return picture is not None and picture.shape == (height, width, 3)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header of a JPEG; None where anything stands before them that ``jpeg`` never writes."""
    at = len(_JPEG_BEGINS)
    if not data.startswith(_JPEG_BEGINS):
        return None
    while at + 9 <= len(data) and data[at] == _MARKER:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == _BASELINE:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        if kind not in _BEFORE_SIZE:
            return None
        at += 2 + length
    return None
