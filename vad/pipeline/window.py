"""Frames to clips."""

from __future__ import annotations

import math

from vad.types import Clip, Frame


def ends_clip(index: int, length: int) -> bool:
    """Whether the frame of that index, counted in its run, is the last one of a whole clip."""
    return (index + 1) % length == 0


class Thinning:
    """Lets a share of the frames through, evenly: so many of each whole clip's, its last one first.

    What is kept of a clip is whole when the clip would have been, so that whoever reads frames a clip at a time may go
    on so while the machine is overloaded: a frame at a time costs it more than what is left out saves.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._owed = 0.0
        self._keeps = length  # of the clip at hand

    def keeps(self, index: int, ratio: float) -> bool:
        """Whether the frame of that index in its run goes through. A ``ratio`` of 0..1 counts from the next clip on."""
        place = index % self._length
        if place == 0:
            self._owed += ratio * self._length
            self._keeps = int(self._owed + 1e-9)
            self._owed = max(0.0, self._owed - self._keeps) if ratio < 1.0 else 0.0
        return (place + 1) * self._keeps // self._length > place * self._keeps // self._length


SLOW_STEP_S = 1.0
"""A frame that comes so long after the one before is a clip by itself: the rest of a whole one would take too long."""


class ClipWindow:
    """Gathers the frames of one run into clips of ``length``, or what ``Thinning`` left of one."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._frames: list[Frame] = []
        self._last_s = math.inf

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, frame: Frame) -> Clip | None:
        """Add a frame; a clip when it was the last one of it."""
        if self._frames and self._frames[-1].run != frame.run:
            self._frames.clear()
        is_slow = frame.pts_s - self._last_s >= SLOW_STEP_S
        self._last_s = frame.pts_s
        self._frames.append(frame)
        return self.flush() if is_slow or ends_clip(frame.index, self._length) else None

    def flush(self) -> Clip | None:
        """What was gathered so far, as a shorter clip; None when there is nothing."""
        if not self._frames:
            return None
        clip = Clip(tuple(self._frames))
        self._frames.clear()
        return clip
