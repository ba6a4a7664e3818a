"""Frames that are never decoded: above the analysis rate, and no other picture refers to them.

Such a frame still counts, at its place among the others: the media clock, the measured rate and the choice of the
frames to analyse are the same as if it had been decoded. Whatever lacks what it takes to be sure (time stamps, a place
in the run) is decoded.
"""

from __future__ import annotations

from typing import NamedTuple

from av import Packet
from av.video.stream import VideoStream

from vad.video.arrival import Arrival
from vad.video.source import Feed
from vad.video.timing import LONGEST_GAP_S, MediaClock, Selector

MOST_HELD = 64
"""Frames that a decoder may hold before it gives them."""


class Spared(NamedTuple):
    """A frame that was not decoded."""

    stamp_s: float
    arrival: Arrival


class Sparing:
    """Decides which packets are spared, and gives their frames back where they belong. One stream's, in packet order.

    A frame may come out of the decoder after several later packets went in, so the choice looks ahead: by then the
    packets of all frames before an unreferred one have been seen.
    """

    def __init__(self) -> None:
        self.count = 0
        self._within: list[float] = []  # stamps of packets that went into the decoder and have not come out
        self._spared: list[Spared] = []

    def spares(
        self,
        packet: Packet[VideoStream],
        stamp_s: float | None,
        arrival: Arrival,
        *,
        feed: Feed,
        media: MediaClock,
        selector: Selector,
    ) -> bool:
        """True when the packet need not be decoded; it is kept as a ``Spared`` then. Without a stamp it is decoded."""
        if stamp_s is None:
            return False
        if self._may_spare(packet, stamp_s, feed=feed, media=media, selector=selector):
            self._spared.append(Spared(stamp_s, arrival))
            self.count += 1
            return True
        self._within.append(stamp_s)
        if len(self._within) > MOST_HELD:
            del self._within[0]
        return False

    def _may_spare(
        self, packet: Packet[VideoStream], stamp_s: float, *, feed: Feed, media: MediaClock, selector: Selector
    ) -> bool:
        pts_s = media.at_s(stamp_s)
        if pts_s is None or not media.pts_s < pts_s < media.pts_s + LONGEST_GAP_S or not feed.may_leave_out(packet):
            return False
        ahead_s = pts_s - stamp_s
        between = [*self._within, *(spared.stamp_s for spared in self._spared)]
        between_s = sorted(earlier_s + ahead_s for earlier_s in between if earlier_s < stamp_s)
        return not selector.will_want(pts_s, last_s=media.pts_s, between_s=between_s)

    def before(self, stamp_s: float | None) -> list[Spared]:
        """The spared frames whose place is before that of a decoded one; all of them without a stamp.

        Also those that lie far ahead of it: the stream has jumped back since.
        """
        if stamp_s is None:
            due, self._spared = self._spared, []
            return due
        if self._within == [stamp_s]:  # most streams: out comes what went in
            self._within.clear()
        else:
            self._within = [s for s in self._within if stamp_s < s <= stamp_s + LONGEST_GAP_S]
        if not self._spared:
            return []
        due = [s for s in self._spared if not stamp_s <= s.stamp_s <= stamp_s + LONGEST_GAP_S]
        self._spared = [s for s in self._spared if s not in due]
        return sorted(due, key=lambda spared: spared.stamp_s)
