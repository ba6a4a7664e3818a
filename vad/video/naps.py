"""How long a camera's packets may wait in its connection: until the clip that they are of is nearly whole.

A thread that wakes for every packet finds the caches full of other cameras' pictures each time. With 48 cameras
reading a clip in one go took a sixth less of the machine, decoding included, and no clip was complete any later.
"""

from __future__ import annotations

from vad.types import Frame

LONGEST_S, SHORTEST_S = 0.45, 0.05
EARLY_S = 0.06
"""Before the last frame of a clip is expected: that one, and often the one before, is waited for."""

FRESH_S = 0.03
"""A frame looked at so soon after it came was the last that there was."""

MOST_LATE_S = 0.3
"""A stream that comes so much later than it did at best is being caught up with: more of it waits."""

MOST_WAITING_BYTES = 32 * 1024
"""In a connection's buffers, which hold 64 KiB at least: a camera must not be kept from sending."""


class Naps:
    """One run's. ``after`` is asked at each frame to be analysed."""

    def __init__(self, clip_length: int) -> None:
        self._clip_length = clip_length
        self._clip_began: tuple[float, int] | None = None  # media time and bytes read when the clip before ended
        self._step_s = 0.0  # between two frames to be analysed
        self._bytes_per_s = 0.0

    def after(self, frame: Frame, *, bytes_read: int, now_s: float, late_s: float) -> float:
        """Seconds for which nothing need be read; 0.0 until a whole clip has shown the stream's rates.

        ``late_s``: how much later than at best the frame came. What has waited for long in the connection is no
        longer told by ``frame.arrived_s``.
        """
        done = (frame.index + 1) % self._clip_length
        if not done:
            self._learn(frame.pts_s, bytes_read)
        if not self._step_s or now_s - frame.arrived_s > FRESH_S or late_s > MOST_LATE_S:
            return 0.0
        due_s = frame.arrived_s + (self._clip_length - done) * self._step_s
        nap_s = min(LONGEST_S, MOST_WAITING_BYTES / max(1.0, self._bytes_per_s), due_s - EARLY_S - now_s)
        return nap_s if nap_s >= SHORTEST_S else 0.0

    def _learn(self, pts_s: float, bytes_read: int) -> None:
        """A clip has ended."""
        if self._clip_began is not None:
            began_s, began_bytes = self._clip_began
            self._step_s = (pts_s - began_s) / self._clip_length
            self._bytes_per_s = (bytes_read - began_bytes) / max(pts_s - began_s, 1e-3)
        self._clip_began = pts_s, bytes_read
