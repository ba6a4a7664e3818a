"""What comes out of an open stream, picture by picture, in the order of showing.

Here packets are taken in: when they came, which of them are taped, left out or spared, and what the decoder makes of
the others. Where a picture lies in media time, and whether it is analysed, is for the ``Reader``, whose clocks are
asked here which packets need not be decoded.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from av import Packet, VideoFrame
from av.video.stream import VideoStream

from vad.clock import Clock
from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.types import ClockFault
from vad.video.arrival import Arrival, Arrivals
from vad.video.backlog import Backlog
from vad.video.faults import CORRUPT
from vad.video.items import Counts
from vad.video.patience import Patience
from vad.video.source import Feed
from vad.video.sparing import Spared, Sparing
from vad.video.stamp_repair import FRESH_S, StampRepair
from vad.video.stamps import Stamps
from vad.video.tape import Tape
from vad.video.timing import MediaClock, Selector
from vad.video.turns import Turn
from vad.video.view import Sight, View

FRESH_FOR_S = 1.0
"""How long ago a packet may have been waited for while the reader counts as caught up."""


class Received(NamedTuple):
    """A frame in its place; None for one that came far too late, like those before it, and was not decoded."""

    frame: VideoFrame | Spared | None
    stamp_s: float | None
    arrival: Arrival


class OpenStream:
    """All that outlives a run: the next one, where it goes on with the stream, takes it over whole."""

    def __init__(self, feed: Feed, *, read_timeout_s: float, clockwise: int = 0) -> None:
        self.feed = feed
        self.patience = Patience(read_timeout_s)
        self.stamps = Stamps(stamped=feed.stamped)
        self.sparing = Sparing()
        self.repair = StampRepair() if feed.live and feed.stamped else None
        self.sight = Sight(clockwise)
        self.pending: list[Received] = []  # in order, not taken yet


class Pictures:
    """Those of one run, one at a time: ``next``.

    ``media``, ``selector`` and ``backlog`` (None where nothing comes too late) are as whoever takes the pictures keeps
    them; ``name`` begins the text of errors. Corrupt packets and frames are left out and counted. The loop filter is
    turned off and on again at key frames, as ``is_behind`` says.
    """

    def __init__(
        self,
        stream: OpenStream,
        *,
        name: str,
        media: MediaClock,
        selector: Selector,
        backlog: Backlog | None,
        tape: Tape | None,
        config: CameraConfig,
        clock: Clock,
        stop: threading.Event,
        is_behind: Callable[[], bool],
        turn: Turn,
    ) -> None:
        self.bytes_read = 0  # of the stream's packets
        self.feed, self._stamps, self._sparing = stream.feed, stream.stamps, stream.sparing
        self._pending, self._sight = stream.pending, stream.sight
        self._name = name
        self._media, self._selector, self._backlog = media, selector, backlog
        self._tape = tape  # packets as they come, for whoever wants to see them later
        self._patience = stream.patience
        self._clock = clock
        self._stop = stop
        self._is_behind = is_behind
        self._turn = turn  # taken while there are packets
        self._arrivals = Arrivals(
            clock,
            live=stream.feed.live,
            stamped=stream.feed.stamped,
            tolerance_s=config.clock_tolerance_s,
            ask=stream.feed.sender_wall_s,
        )
        self._repair = stream.repair
        self._outliers_before = stream.repair.outliers if stream.repair else 0
        self._fresh_s = -math.inf  # when a packet was last waited for
        self._corrupt = 0
        self._faults_before = self.feed.faults
        self._spared_before, self._unfiltered_before = self._sparing.count, self.feed.unfiltered_frames

    def view(self, frame: VideoFrame) -> View:
        """How this frame, the last one that was given, is to be seen."""
        return self._sight.of(frame, aspect=self.feed.pixel_aspect, otherwise=self.feed.container_orientation)

    @property
    def corrupt_packets(self) -> int:
        return self._corrupt + self.feed.faults - self._faults_before

    @property
    def counts(self) -> Counts:
        """What is known of the run so far, but for its rate."""
        repair = self._repair
        fault = repair.fault if repair else None
        return Counts(
            corrupt_packets=self.corrupt_packets,
            spared_frames=self._sparing.count - self._spared_before,
            unfiltered_frames=self.feed.unfiltered_frames - self._unfiltered_before,
            extra_timeout_s=self._patience.extra_s if self.feed.live else 0.0,
            outlier_stamps=repair.outliers - self._outliers_before if repair else 0,
            clock_fault=fault or (ClockFault.WRONG if self._arrivals.is_wrong else None),
            clock_skew_s=self._arrivals.skew_s,
            clock_ratio=repair.ratio if repair else None,
        )

    @property
    def stands_still(self) -> bool:
        """The stamps say nothing: packets must be read as they come."""
        return self._repair is not None and self._repair.stands_still

    def is_caught_up(self, now_s: float) -> bool:
        """A packet was waited for lately. By stamps that run too fast all would be read late, and none would be."""
        return now_s - self._fresh_s < FRESH_FOR_S

    @property
    def longest_gap_s(self) -> float:
        """The longest step between two pictures that is usual at present."""
        return self._patience.usual_gap_s

    def next(self) -> Received | None:
        """None at the end of the stream, and once stopped. Raises av.FFmpegError, and StreamError without a good frame
        for ``read_timeout_s``, or for as long as a slow camera may take."""
        if not self._pending and not self._stop.is_set():
            self._read_on()
        return self._pending.pop(0) if self._pending else None

    def put_back(self, received: Received) -> None:
        """It is the next one again, be it of this run or of one that goes on with the stream."""
        self._pending.insert(0, received)

    def _read_on(self) -> None:
        """Until there is something."""
        asked_s = self._clock.monotonic_s()
        for packet in self._packets():
            latest = self._arrivals.note(packet, has_clock=not self.stands_still)
            silent_s = latest.read_s - asked_s
            if silent_s > self._patience.timeout_s:
                raise self._stalled(silent_s)  # FFmpeg flushes its parser's packet before it reports a time-out
            self._take_in(packet, latest)
            if self._pending or self._stop.is_set():
                return
        self._pending += map(_spared, self._sparing.before(None))

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        packets = self.feed.packets()
        while True:
            self._turn.end()
            asked_s = self._clock.monotonic_s()
            packet = next(packets, None)
            read_s = self._clock.monotonic_s()
            self._turn.begin()
            if packet is None:
                return
            if packet.size:
                self._patience.note(read_s)
            if self._repair is not None:
                is_fresh = read_s - asked_s > FRESH_S
                if is_fresh:
                    self._fresh_s = read_s
                self._repair.mend(packet, read_s=read_s, is_fresh=is_fresh and not self._is_behind())
            yield packet

    def _take_in(self, packet: Packet[VideoStream], latest: Arrival) -> None:
        self.bytes_read += packet.size
        stamp_s = self._stamps.of_packet(packet)
        if self._tape is not None:
            self._tape.add(packet, self._stamps.on_tape(packet, stamp_s, arrived_s=latest.arrived_s))
        if self._comes_too_late(packet, stamp_s, latest):
            self._pending.append(Received(None, stamp_s, latest))
            return
        if self._sparing.spares(packet, stamp_s, latest, feed=self.feed, media=self._media, selector=self._selector):
            return
        for frame in self._decoded(packet):
            self._put_in_order(frame, latest)

    def _comes_too_late(self, packet: Packet[VideoStream], stamp_s: float | None, latest: Arrival) -> bool:
        if self._backlog is None or not packet.size:
            return False
        pts_s = self._media.at_s(stamp_s) if stamp_s is not None else None
        return self._backlog.leaves_out(pts_s, arrived_s=latest.read_s, is_key=packet.is_keyframe)

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """What comes out of the decoder as a packet goes in."""
        frames: list[VideoFrame] = []
        try:
            if packet.is_keyframe:
                frames = self.feed.filter_from(packet, is_filtered=not self._is_behind())
        except CORRUPT:  # among what the decoder before still held
            self._corrupt += 1
        try:
            frames += self.feed.decode(packet)
        except CORRUPT:
            self._corrupt += 1
        return frames

    def _put_in_order(self, frame: VideoFrame, latest: Arrival) -> None:
        """After the spared ones whose place is before it."""
        stamp_s = self._stamps.of_frame(frame)
        self._pending += map(_spared, self._sparing.before(stamp_s))
        if frame.is_corrupt:
            self._corrupt += 1
        else:
            self._pending.append(Received(frame, stamp_s, self._arrivals.of(frame, latest=latest)))

    def _stalled(self, silent_s: float) -> StreamError:
        """FFmpeg's socket time-out sees silence; this is of a stream that talks but never gives a good frame."""
        text = f"no good frame for {silent_s:.1f} s ({self.corrupt_packets} corrupt packets so far)"
        if self.feed.missing:
            text += f": {self.feed.missing}"
        return StreamError(StreamCode.TIMEOUT, f"{self._name}: {text}")


def _spared(spared: Spared) -> Received:
    return Received(spared, spared.stamp_s, spared.arrival)
