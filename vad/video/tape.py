"""The last seconds of one run as they came, still encoded: what a clip is cut from.

A tape begins at a key frame and is bounded in bytes and in seconds; the oldest pictures go by whole groups, so that
what is left can be decoded. Packets are copied: some demuxers hand out slices of far larger buffers (an MPEG transport
stream's is 200 KiB for each), and a copy of 20 KB takes 4 microseconds.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from av import Packet, VideoFrame
from av.video.stream import VideoStream

from vad.config import Polygon
from vad.types import Geometry
from vad.video.overlay import Picture, colour_picture
from vad.video.samples import Samples
from vad.video.timing import longest_gap_s
from vad.video.view import AS_CODED, Orientation

PACKET_OVERHEAD_BYTES = 200
"""What Python takes for a packet beside its data."""


WATCHED_S = 1.0
"""Whoever looks twice in that time looks on, and wants to see what is new each time."""

REORDERED_S = 2.0
"""A picture decoded after another may be shown that much before it."""


class TapedPacket(NamedTuple):
    """``at_s`` is the packet's own time, or that of its arrival where it has none it could be trusted with."""

    data: bytes
    at_s: float | None
    is_key: bool


@dataclass(frozen=True, slots=True)
class Format:
    """What is on a tape, and what of its pictures nobody may see.

    ``orientation`` is what the stream says of its pictures; ``geometry`` has what the camera's settings add, too.
    """

    codec: str
    extradata: bytes
    container: str
    pixel_format: str
    fps: float
    is_stamped: bool
    geometry: Geometry
    masks: tuple[Polygon, ...]
    orientation: Orientation = AS_CODED


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A stretch of a tape that begins with a key frame. ``times_s``, one a packet, are media seconds of the run.

    ``wanted_s`` is what was asked for, which may lie partly before or behind what there is.
    """

    format: Format
    packets: tuple[bytes, ...]
    times_s: tuple[float, ...]
    keys: tuple[bool, ...]
    wanted_s: tuple[float, float]
    is_cut: bool  # pictures are missing because a group of them did not fit in memory

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.packets))

    @property
    def interval_s(self) -> float:
        """A typical step between two pictures."""
        span_s = max(self.times_s) - min(self.times_s)
        return span_s / (len(self.times_s) - 1) if span_s > 0.0 else 1.0 / self.format.fps


@dataclass(slots=True)
class _Group:
    """A key frame and what is decoded from it."""

    first: int  # number of its key frame among the packets of the run
    packets: list[TapedPacket] = field(default_factory=list)
    size_bytes: int = 0
    is_cut: bool = False


class Tape:
    """One run's packets. Written by the run's reader, read by anyone; an ended tape takes no more."""

    def __init__(self, *, run: int, seconds: float, max_bytes: int, samples: Samples | None = None) -> None:
        self.run = run
        self.format: Format | None = None
        self.picture: VideoFrame | None = None  # the last one decoded; to be looked at under ``_looking`` alone
        self.look_elsewhere: Callable[[int | None], Picture | None] | None = None  # where another process has it
        self._seconds, self._max_bytes, self._samples = seconds, max_bytes, samples
        self._groups: deque[_Group] = deque()
        self._size_bytes = 0
        self._count = 0
        self._origin_s: float | None = None  # ``at_s`` of media time 0
        self._ended = False
        self._looked_s = (-math.inf, -math.inf)  # the last two times
        self._lock = threading.Lock()
        self._looking = threading.Lock()

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    @property
    def origin_s(self) -> float | None:
        """A packet's ``at_s`` at media time 0; None until a picture has told it."""
        return self._origin_s

    @property
    def keeps_packets(self) -> bool:
        return self._max_bytes > 0

    @property
    def samples(self) -> Samples | None:
        """Where the run's samples go."""
        return self._samples

    @property
    def seconds(self) -> float:
        """From its first key frame to its last packet."""
        with self._lock:
            return self._length_s(0)

    @property
    def is_watched(self) -> bool:
        """Does somebody follow its pictures, not only look once in a while?"""
        return time.monotonic() - self._looked_s[0] < WATCHED_S

    def end(self, *, keep_picture: bool = False) -> None:
        """Take nothing any more; what is on it stays, its last picture only where asked for."""
        self._ended = True
        if not keep_picture:
            self.picture = self.look_elsewhere = None

    def add(self, packet: Packet[VideoStream], at_s: float | None) -> None:
        """A packet in the order of decoding, from the demuxer."""
        if self._ended or not packet.size or not self._max_bytes:
            return
        self._add(TapedPacket(bytes(packet), at_s, packet.is_keyframe))

    def take_over(self, packets: Sequence[TapedPacket], *, origin_s: float | None) -> None:
        """Packets that another process has read, in the order of decoding; ``origin_s`` is the last one known there."""
        if self._ended:
            return
        self._origin_s = origin_s
        if self._max_bytes:
            for packet in packets:
                self._add(packet)

    def show(self, frame: VideoFrame, *, pts_s: float, at_s: float | None) -> None:
        """A picture was decoded: it has media time ``pts_s``, and ``at_s`` by its packet's clock.

        Who shows it must not look at it again: a conversion changes a frame's description while it lasts.
        """
        if self._ended:
            return
        if at_s is not None:
            self._origin_s = at_s - pts_s
        if self._samples is not None and self._samples.is_due(self.run, pts_s) and self.format is not None:
            grid, masks = self.format.geometry, self.format.masks
            self._samples.take(frame, run=self.run, pts_s=pts_s, grid=grid, masks=masks)
        self.picture = frame

    def look(self, *, most_width: int | None) -> tuple[Picture, Format] | None:
        """The last picture, converted now, by one thread at a time; None when there is none. A new array."""
        self._looked_s = (self._looked_s[1], time.monotonic())
        with self._looking:
            frame, elsewhere, shape = self.picture, self.look_elsewhere, self.format
            if shape is None:
                return None
            if elsewhere is not None:
                picture = elsewhere(most_width)
                return None if picture is None else (picture, shape)
            return (colour_picture(frame, shape.geometry, most_width=most_width), shape) if frame else None

    def go_on_from(self, before: Tape, *, at_s: float | None) -> None:
        """The run before ended with the frame of ``at_s``, this one's first: the packets from there on move here.

        Unless it is a key frame there is nothing to decode it from, and this tape begins with the next one.
        """
        with before._lock:
            last = before._groups[-1] if before._groups else None
            if last is None or at_s is None or not last.packets or last.packets[0].at_s != at_s:
                return
            before._size_bytes -= before._groups.pop().size_bytes
        for packet in last.packets:
            self._add(packet)

    def excerpt(self, from_s: float, to_s: float) -> Excerpt | None:
        """From the last key frame at or before media time ``from_s`` (or the first there is) to ``to_s``."""
        with self._lock:
            groups, shape = list(self._groups), self.format
            packets = [packet for group in groups for packet in group.packets]
            first = groups[0].first if groups else 0
        if shape is None or not packets:
            return None
        times_s = _media_times(packets, first=first, origin_s=self._origin_s, interval_s=1.0 / shape.fps)
        packets = packets[: _unbroken(times_s, fps=shape.fps)]
        keys = [i for i, packet in enumerate(packets) if packet.is_key]
        begin = max([i for i in keys if times_s[i] <= from_s + 1e-6], default=keys[0])
        end = max([i for i in range(begin, len(packets)) if times_s[i] <= to_s + 1e-6], default=begin)
        # pictures that are shown before the key frame they come after refer to what is not there
        kept = [i for i in range(begin, end + 1) if times_s[i] >= times_s[begin]]
        return Excerpt(
            format=shape,
            packets=tuple(packets[i].data for i in kept),
            times_s=tuple(times_s[i] for i in kept),
            keys=tuple(packets[i].is_key for i in kept),
            wanted_s=(from_s, to_s),
            is_cut=any(group.is_cut for group in groups),
        )

    def _add(self, packet: TapedPacket) -> None:
        size = len(packet.data) + PACKET_OVERHEAD_BYTES
        with self._lock:
            number, self._count = self._count, self._count + 1
            groups = self._groups
            if packet.is_key:
                groups.append(_Group(number))
            elif not groups or groups[-1].is_cut:
                return  # nothing to decode it from
            while self._size_bytes + size > self._max_bytes and len(groups) > 1:
                self._size_bytes -= groups.popleft().size_bytes
            group = groups[-1]
            if self._size_bytes + size > self._max_bytes:
                group.is_cut = True
                return
            group.packets.append(packet)
            group.size_bytes += size
            self._size_bytes += size
            while packet.is_key and len(groups) > 1 and self._length_s(1) >= self._seconds:
                self._size_bytes -= groups.popleft().size_bytes

    def _length_s(self, index: int) -> float:
        """From that group's key frame to the newest packet."""
        if len(self._groups) <= index or not (first := self._groups[index].packets):
            return 0.0
        newest = self._groups[-1].packets or self._groups[-2].packets
        start_s, end_s = first[0].at_s, newest[-1].at_s
        return end_s - start_s if start_s is not None and end_s is not None else 0.0


def _media_times(
    packets: Sequence[TapedPacket], *, first: int, origin_s: float | None, interval_s: float
) -> list[float]:
    """Media time of each packet; those without a time of their own lie an interval from their neighbour."""
    known = [i for i, packet in enumerate(packets) if packet.at_s is not None]
    if not known:
        return [(first + i) * interval_s for i in range(len(packets))]
    start_s = packets[known[0]].at_s or 0.0
    zero_s = start_s if origin_s is None else origin_s
    times_s: list[float] = []
    for i, packet in enumerate(packets):
        if packet.at_s is not None:
            times_s.append(packet.at_s - zero_s)
        else:
            times_s.append(times_s[-1] + interval_s if times_s else start_s - (known[0] - i) * interval_s - zero_s)
    return times_s


def _unbroken(times_s: Sequence[float], *, fps: float) -> int:
    """How many packets there are before their times jump: what follows a jump belongs to the next run."""
    latest_s = -math.inf
    for i, time_s in enumerate(times_s):
        if i and (time_s < latest_s - REORDERED_S or time_s > latest_s + longest_gap_s(fps)):
            return i
        latest_s = max(latest_s, time_s)
    return len(times_s)
