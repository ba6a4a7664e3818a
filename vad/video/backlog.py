"""What waits between a live camera and its reader, and when to leave it out.

A reader that is too slow finds its frames waiting in sockets, later and later, and nobody loses one until the camera
gives up. The arrival clock against the media clock shows it: how much later frames come than they did at best.
"""

from __future__ import annotations

import math

MOST_BEHIND_S = 3.0
"""Frames that come so much later than they could are worth nothing to who must act on them."""

BEHIND_FOR_S = 5.0
"""How long all of them must: what a network has held up comes at once, and is read at once."""

CAUGHT_UP_S = 0.5

LOOK_AFTER_S, LEAST_GAIN = 1.0, 0.5
"""While nothing is decoded, what waits shrinks by at least that many seconds a second, or there is nothing waiting."""

DRIFT = 5e-4
"""By how much a camera's clock may run slower than ours, in seconds a second."""


class Backlog:
    """One run's. From frames it learns how late they come; of packets it says which are left out.

    Only whole stretches up to a key frame are, and only where key frames come again and again: from there on pictures
    are whole. A camera whose stamps are slower than time looks late too; once it is found out it is believed no more.
    """

    def __init__(self) -> None:
        self.left_out = 0
        self._least_s = math.inf  # of the times from media time to arrival
        self._seen_s = 0.0
        self._late_since_s: float | None = None
        self._began: tuple[float, float] | None = None  # leaving out: when, and how late what came was then
        self._keys = 0
        self._lies = False

    def note(self, pts_s: float, *, arrived_s: float) -> None:
        """A frame of media time ``pts_s`` came at the monotonic ``arrived_s``."""
        self._least_s = min(arrived_s - pts_s, self._least_s + DRIFT * (arrived_s - self._seen_s))
        self._seen_s = arrived_s
        if self.late_s(pts_s, arrived_s=arrived_s) < MOST_BEHIND_S:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s = arrived_s

    def late_s(self, pts_s: float, *, arrived_s: float) -> float:
        """How much later it came than it would have at best."""
        return arrived_s - pts_s - self._least_s

    def leaves_out(self, pts_s: float | None, *, arrived_s: float, is_key: bool) -> bool:
        """Whether a packet shall not be decoded: asked of each, in order. ``pts_s`` is None where it is not known."""
        self._keys += is_key
        if pts_s is not None and not self._lies:
            late_s = self.late_s(pts_s, arrived_s=arrived_s)
            if self._began is None:
                self._begin(late_s, arrived_s)
            elif not self._shrinks(late_s, arrived_s):
                self._lies = True
            elif is_key and late_s < CAUGHT_UP_S:
                self._began = self._late_since_s = None
        if self._lies and is_key:
            self._began = None
        self.left_out += self._began is not None
        return self._began is not None

    def _begin(self, late_s: float, arrived_s: float) -> None:
        late_for_s = 0.0 if self._late_since_s is None else arrived_s - self._late_since_s
        if self._keys > 1 and late_for_s > BEHIND_FOR_S:
            self._began = arrived_s, late_s

    def _shrinks(self, late_s: float, arrived_s: float) -> bool:
        if self._began is None or arrived_s - self._began[0] < LOOK_AFTER_S:
            return True
        return self._began[1] - late_s >= LEAST_GAIN * (arrived_s - self._began[0])
