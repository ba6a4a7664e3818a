"""Frames to clips."""

from __future__ import annotations

from vad.types import Clip, Frame


class ClipWindow:
    """Gathers ``length`` consecutive frames of one run into a clip."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._frames: list[Frame] = []

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, frame: Frame) -> Clip | None:
        """Add a frame; a full clip when it was the last one needed."""
        if self._frames and self._frames[-1].run != frame.run:
            self._frames.clear()
        self._frames.append(frame)
        return self.flush() if len(self._frames) >= self._length else None

    def flush(self) -> Clip | None:
        """What was gathered so far, as a shorter clip; None when there is nothing."""
        if not self._frames:
            return None
        clip = Clip(tuple(self._frames))
        self._frames.clear()
        return clip
