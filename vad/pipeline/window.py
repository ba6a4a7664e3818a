"""Frames to clips."""

from __future__ import annotations

from vad.types import Clip, Frame


class Thinning:
    """Lets a share of the frames through, evenly."""

    def __init__(self) -> None:
        self._credit = 0.0

    def keeps(self, ratio: float) -> bool:
        """Whether the next frame goes through, at a ``ratio`` of 0..1 that may change from frame to frame."""
        if ratio >= 1.0:
            self._credit = 0.0
            return True
        self._credit += ratio
        if self._credit < 1.0 - 1e-9:
            return False
        self._credit -= 1.0
        return True


def ends_clip(index: int, length: int) -> bool:
    """Whether the frame of that index, counted in its run, is the last one of a whole clip."""
    return (index + 1) % length == 0


class ClipWindow:
    """Gathers ``length`` consecutive frames of one run into a clip.

    Clips of the ``length`` that it was made with end where ``ends_clip`` says, so that processes of readers know when
    one is whole; after a time of shorter clips the first may be shorter too.
    """

    def __init__(self, length: int) -> None:
        self.length = self._whole = length  # ``length`` may be changed at any time
        self._frames: list[Frame] = []

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, frame: Frame) -> Clip | None:
        """Add a frame; a full clip when it was the last one needed."""
        if self._frames and self._frames[-1].run != frame.run:
            self._frames.clear()
        self._frames.append(frame)
        is_whole = self.length == self._whole and ends_clip(frame.index, self._whole)
        return self.flush() if is_whole or len(self._frames) >= self.length else None

    def flush(self) -> Clip | None:
        """What was gathered so far, as a shorter clip; None when there is nothing."""
        if not self._frames:
            return None
        clip = Clip(tuple(self._frames))
        self._frames.clear()
        return clip
