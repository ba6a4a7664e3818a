"""Boxes of a dataset's test clips instead of pixel masks: ``boxes.json``.

``{clip: [[frame, track, x0, y0, x1, y1], ...]}``: frames from 0; a whole number for each track of the clip; corners in
fractions of the picture, origin top left, half-open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vad.errors import DatasetError
from vad.video.labels import check_clips_exist, read_entries

FORM = "[frame, track, x0, y0, x1, y1] with corners in fractions of the picture"
NAME = "boxes.json"


@dataclass(frozen=True, slots=True)
class Box:
    """One abnormal thing in one frame."""

    frame: int
    track: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class BoxStore:
    """An opened ``boxes.json``."""

    path: Path
    entries: dict[str, list[Any]]

    @classmethod
    def find(cls, dataset: Path, *, clips: Sequence[str]) -> BoxStore | None:
        """The dataset's boxes, if it has any. Raises DatasetError when they are unreadable or of clips not there."""
        path = dataset / NAME
        if not path.exists():
            return None
        entries = read_entries(path)
        check_clips_exist(entries, clips, where=str(path), split="test")
        return cls(path, entries)

    def boxes(self, clip: str, *, frames: int) -> list[list[Box]] | None:
        """The boxes of each frame; None when nothing is said of the clip. Raises DatasetError."""
        if clip not in self.entries:
            return None
        of_frame: list[list[Box]] = [[] for _ in range(frames)]
        for item in self.entries[clip]:
            box = _checked(item, frames=frames, where=f"{self.path}: clip {clip!r}")
            if any(other.track == box.track for other in of_frame[box.frame]):
                raise DatasetError(f"{self.path}: clip {clip!r}: track {box.track} twice in frame {box.frame}")
            of_frame[box.frame].append(box)
        return of_frame


def _checked(item: Any, *, frames: int, where: str) -> Box:
    numbers = isinstance(item, list) and len(item) == 6 and all(type(value) in (int, float) for value in item)
    if not numbers or type(item[0]) is not int or type(item[1]) is not int:
        raise DatasetError(f"{where}: got {json.dumps(item)}; allowed: {FORM}")
    box = Box(item[0], item[1], *(float(value) for value in item[2:]))
    if not 0 <= box.frame < frames:
        raise DatasetError(f"{where}: frame {box.frame}; allowed: 0 to {frames - 1}")
    if not (0.0 <= box.x0 < box.x1 <= 1.0 and 0.0 <= box.y0 < box.y1 <= 1.0):
        raise DatasetError(
            f"{where}: frame {box.frame}: got {json.dumps(item[2:])}; allowed: 0 <= x0 < x1 <= 1, so too y"
        )
    return box
