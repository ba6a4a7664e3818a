"""Media time of one run: what the frames say, never what the camera announces."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

ASSUMED_FPS = 25.0
"""Rate of a recording that neither stamps its frames nor announces a rate."""

LONGEST_GAP_S = 5.0
GAP_FRAMES = 4.0
REORDER_S = 0.5


class MediaClock:
    """Media seconds since the run's first frame, which is at 0.0.

    A frame without a time stamp comes after its predecessor by what the arrival clock says on a live stream, by one
    announced frame interval in a recording. (FFmpeg's first RTSP packet never has one, so the step from it to the first
    stamp is such an interval too: packets held during opening arrive in a burst that says nothing.)
    """

    def __init__(self, *, live: bool, announced_fps: float | None) -> None:
        self.pts_s = 0.0
        self._live = live
        self._interval_s = 1.0 / (announced_fps or ASSUMED_FPS)
        self._origin_s: float | None = None
        self._arrived_s: float | None = None

    def at_s(self, stamp_s: float) -> float | None:
        """Media time of a stamp; None before the first one."""
        return None if self._origin_s is None else stamp_s - self._origin_s

    def step_s(self, stamp_s: float | None, *, arrived_s: float) -> float:
        """How far the next frame lies after the last accepted one (0.0 for the first). Changes nothing."""
        if self._arrived_s is None:
            return 0.0
        if stamp_s is None:
            return arrived_s - self._arrived_s if self._live else self._interval_s
        return self._interval_s if self._origin_s is None else stamp_s - self._origin_s - self.pts_s

    def accept(self, step_s: float, stamp_s: float | None, *, arrived_s: float) -> float:
        """Move to that frame; returns its media time."""
        self.pts_s += step_s
        self._arrived_s = arrived_s
        if stamp_s is not None:  # sums of steps would drift, stamps do not
            if self._origin_s is None:
                self._origin_s = stamp_s - self.pts_s
            self.pts_s = stamp_s - self._origin_s
        return self.pts_s


def is_jump(step_s: float, fps: float | None) -> bool:
    """Whether media time jumped: back by more than frames are ever reordered, or ahead by far more than a frame.

    ``fps`` lets a slow recording (a frame every ten seconds) pass.
    """
    return step_s < -REORDER_S or step_s > longest_gap_s(fps)


def longest_gap_s(fps: float | None) -> float:
    """The longest step between two frames that is no jump yet."""
    return max(LONGEST_GAP_S, GAP_FRAMES / fps if fps else 0.0)


class RateMeter:
    """Frames per second by the media clock, over the last few seconds."""

    WINDOW_FRAMES = 128
    AT_LEAST_FRAMES = 5

    def __init__(self) -> None:
        self._pts_s: deque[float] = deque(maxlen=self.WINDOW_FRAMES)

    def push(self, pts_s: float) -> None:
        """``pts_s`` must rise."""
        self._pts_s.append(pts_s)

    @property
    def fps(self) -> float | None:
        """None until a few frames are in."""
        if len(self._pts_s) < self.AT_LEAST_FRAMES:
            return None
        return (len(self._pts_s) - 1) / (self._pts_s[-1] - self._pts_s[0])


class Selector:
    """Which frames are analysed: those nearest to evenly spaced due times on the media clock.

    The mean rate is ``analysis_fps`` whatever the ratio to the source's (25 to 8 gives 8.0, which "every third" does
    not); a source slower than that is analysed whole. After a gap at most one frame is owed.
    """

    def __init__(self, analysis_fps: float) -> None:
        self._period_s = 1.0 / analysis_fps
        self._due_s = 0.0

    def wants(self, pts_s: float, *, step_s: float) -> bool:
        """``step_s``: since the previous frame. Half a step early counts as due, or a grid of whole milliseconds
        (Matroska) would miss every other due time at equal rates."""
        next_due_s = self._due_after(self._due_s, pts_s, step_s)
        if next_due_s is None:
            return False
        self._due_s = next_due_s
        return True

    def will_want(self, pts_s: float, *, last_s: float, between_s: Iterable[float]) -> bool:
        """Whether ``wants`` will say yes at ``pts_s``, once it was asked about the frames between, rising, after
        ``last_s``. Changes nothing."""
        due_s = self._due_s
        for between in between_s:
            if between > last_s:
                due_s, last_s = self._due_after(due_s, between, between - last_s) or due_s, between
        return pts_s <= last_s or self._due_after(due_s, pts_s, pts_s - last_s) is not None

    def _due_after(self, due_s: float, pts_s: float, step_s: float) -> float | None:
        """When the next frame is due if this one is taken; None if it is not due itself."""
        if pts_s + min(step_s, self._period_s) / 2 < due_s:
            return None
        return max(due_s + self._period_s, pts_s + self._period_s / 2)
