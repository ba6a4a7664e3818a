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


class ClipWindow:
    """Gathers ``length`` consecutive frames of one run into a clip."""

    def __init__(self, length: int) -> None:
        self.length = length  # may be changed at any time
        self._frames: list[Frame] = []

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, frame: Frame) -> Clip | None:
        """Add a frame; a full clip when it was the last one needed."""
        if self._frames and self._frames[-1].run != frame.run:
            self._frames.clear()
        self._frames.append(frame)
        return self.flush() if len(self._frames) >= self.length else None

    def flush(self) -> Clip | None:
        """What was gathered so far, as a shorter clip; None when there is nothing."""
        if not self._frames:
            return None
        clip = Clip(tuple(self._frames))
        self._frames.clear()
        return clip
