"""When frames came, by this machine's clock and, where it says so, by the camera's."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import NamedTuple

from av import Packet, VideoFrame
from av.video.stream import VideoStream

from vad.clock import Clock
from vad.types import WallSource

_HELD_BACK = 64  # packets that a decoder may hold before it gives their frames (reordering, frame threads)
ASK_EVERY = 8
"""Packets from one look for the sender's time to the next."""


_LATELY_S = 2.5
"""Half of the time over which a stream's packets are compared: how soon after its stamp can one be here?"""


class Arrival(NamedTuple):
    """When a packet came, before it was decoded. ``wall_s`` is None in a recording, where media time decides it.

    Who reads late finds packets waiting: they came before they were ``read_s``.
    """

    arrived_s: float
    wall_s: float | None
    wall_source: WallSource
    read_s: float


class _Told(NamedTuple):
    """The sender's time of one packet, and so of others by their stamps."""

    pts: int
    wall_s: float
    tick_s: float

    def of(self, pts: int) -> float:
        return self.wall_s + (pts - self.pts) * self.tick_s


class _Delay:
    """The least time from a packet's stamp to its reading, of the last seconds."""

    def __init__(self) -> None:
        self._before_s = self._now_s = math.inf
        self._since_s = -math.inf

    def least_s(self, delay_s: float, *, now_s: float) -> float:
        """With one more of them."""
        if now_s - self._since_s > _LATELY_S:
            self._before_s, self._now_s, self._since_s = self._now_s, math.inf, now_s
        self._now_s = min(self._now_s, delay_s)
        return min(self._before_s, self._now_s)


class Arrivals:
    """Remembers when packets came until the decoder gives their frames, which it may do later and reordered.

    The sender's own time of day is taken where it is within ``tolerance_s`` of this machine's; ``ask`` is whom to ask
    for that of a packet, as ``sender_wall_s`` unless it is given.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        live: bool,
        stamped: bool,
        tolerance_s: float,
        ask: Callable[[Packet[VideoStream]], float | None] | None = None,
    ) -> None:
        self._ask = ask
        self.skew_s: float | None = None  # the sender's time of day less this machine's, when it was last looked at
        self._tolerance_s = tolerance_s
        self._clock = clock
        self._live, self._stamped = live, stamped
        self._by_pts: dict[int, Arrival] = {}
        self._tick_s: float | None = None
        self._unasked = 0  # packets until the next look for the sender's time
        self._told: _Told | None = None
        self._delay = _Delay()
        self._latest_s = -math.inf

    def note(self, packet: Packet[VideoStream], *, has_clock: bool = True) -> Arrival:
        """A packet was read just now. Without ``has_clock`` the sender's stamps tell nothing of its time of day."""
        read_s = self._clock.monotonic_s()
        if not self._live:
            return Arrival(read_s, None, WallSource.FILE, read_s)
        if self._tick_s is None and packet.time_base is not None:
            self._tick_s = float(packet.time_base)  # PyAV makes a Fraction each time it is asked
        arrived_s = self._latest_s = self._came_s(packet, read_s)
        ours_s, senders_s = self._clock.wall_s() - (read_s - arrived_s), None
        if has_clock:
            senders_s = self._sender_wall_s(packet)
        if senders_s is not None:
            self.skew_s = senders_s - ours_s
        if senders_s is None or self.is_wrong:
            arrival = Arrival(arrived_s, ours_s, WallSource.ARRIVAL, read_s)
        else:
            arrival = Arrival(arrived_s, senders_s, WallSource.RTCP, read_s)
        if packet.pts is not None:
            self._by_pts[packet.pts] = arrival
            if len(self._by_pts) > _HELD_BACK:
                del self._by_pts[next(iter(self._by_pts))]
        return arrival

    @property
    def is_wrong(self) -> bool:
        """The sender's time of day is so far from this machine's that it is not believed."""
        return self.skew_s is not None and abs(self.skew_s) > self._tolerance_s

    def _came_s(self, packet: Packet[VideoStream], read_s: float) -> float:
        """As soon after its stamp as the quickest packets lately, no sooner than the one before, no later than now."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not self._stamped or self._tick_s is None:
            return read_s
        stamp_s = stamp * self._tick_s
        least_s = self._delay.least_s(read_s - stamp_s, now_s=read_s)
        return min(read_s, max(self._latest_s, stamp_s + least_s))

    def _sender_wall_s(self, packet: Packet[VideoStream]) -> float | None:
        """PyAV takes long to look, and FFmpeg goes by the time stamp: between two looks so does this."""
        self._unasked -= 1
        if self._unasked > 0:
            if self._told is None:
                return None
            if packet.pts is not None:
                return self._told.of(packet.pts)
        self._unasked = ASK_EVERY
        wall_s, self._told = (self._ask or sender_wall_s)(packet), None
        if wall_s is not None and packet.pts is not None and self._tick_s is not None:
            self._told = _Told(packet.pts, wall_s, self._tick_s)
        return wall_s

    def of(self, frame: VideoFrame, *, latest: Arrival) -> Arrival:
        """When the frame's own packet came; ``latest`` where its time stamp does not tell."""
        return self._by_pts.pop(frame.pts, latest) if frame.pts is not None else latest


def sender_wall_s(packet: Packet[VideoStream]) -> float | None:
    """UTC of the packet by the camera's own clock, which FFmpeg derives from RTCP sender reports once one has come.

    FFmpeg attaches an ``AVProducerReferenceTime``: int64 microseconds since 1970, int flags.
    """
    if not packet.has_sidedata("prft"):
        return None
    (wall_us,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    return float(wall_us) / 1e6
