"""When frames came, by this machine's clock and, where it says so, by the camera's."""

from __future__ import annotations

import struct
from typing import NamedTuple

from av import Packet, VideoFrame
from av.video.stream import VideoStream

from vad.clock import Clock
from vad.types import WallSource

_HELD_BACK = 64  # packets that a decoder may hold before it gives their frames (reordering, frame threads)
ASK_EVERY = 8
"""Packets from one look for the sender's time to the next."""
_OLDEST_BELIEVED_WALL_S = 1e9  # a camera whose clock was never set sends RTCP times in 1970 or 1900


class Arrival(NamedTuple):
    """When a packet came, before it was decoded. ``wall_s`` is None in a recording, where media time decides it."""

    arrived_s: float
    wall_s: float | None
    wall_source: WallSource


class _Told(NamedTuple):
    """The sender's time of a packet."""

    pts: int
    wall_s: float
    tick_s: float

    def at(self, pts: int) -> float:
        """Of another one."""
        return self.wall_s + (pts - self.pts) * self.tick_s


class Arrivals:
    """Remembers when packets came until the decoder gives their frames, which it may do later and reordered."""

    def __init__(self, clock: Clock, *, live: bool) -> None:
        self._clock = clock
        self._live = live
        self._by_pts: dict[int, Arrival] = {}
        self._unasked = 0  # packets until the next look for the sender's time
        self._told: _Told | None = None

    def note(self, packet: Packet[VideoStream]) -> Arrival:
        """A packet came just now."""
        arrived_s = self._clock.monotonic_s()
        if not self._live:
            return Arrival(arrived_s, None, WallSource.FILE)
        wall_s = self._sender_wall_s(packet)
        if wall_s is None:
            arrival = Arrival(arrived_s, self._clock.wall_s(), WallSource.ARRIVAL)
        else:
            arrival = Arrival(arrived_s, wall_s, WallSource.RTCP)
        if packet.pts is not None:
            self._by_pts[packet.pts] = arrival
            if len(self._by_pts) > _HELD_BACK:
                del self._by_pts[next(iter(self._by_pts))]
        return arrival

    def _sender_wall_s(self, packet: Packet[VideoStream]) -> float | None:
        """PyAV takes long to look, and FFmpeg goes by the time stamp: between two looks so does this."""
        self._unasked -= 1
        if self._unasked > 0:
            if self._told is None:
                return None
            if packet.pts is not None:
                return self._told.at(packet.pts)
        self._unasked = ASK_EVERY
        wall_s = sender_wall_s(packet)
        self._told = None
        if wall_s is not None and packet.pts is not None and packet.time_base is not None:
            self._told = _Told(packet.pts, wall_s, float(packet.time_base))
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
    wall_s: float = wall_us / 1e6
    return wall_s if wall_s > _OLDEST_BELIEVED_WALL_S else None
