"""One run of one stream: from opening it to whatever ends it.

``Reader`` yields an item for each frame and ends by raising a StreamError, the end of a file included: whether
to play it again, reconnect or give up is the supervisor's decision. Nothing here starts a thread, waits for another
camera or holds the GIL while FFmpeg works.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from av import Packet, VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vad.clock import Clock
from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.types import Frame, Geometry, WallSource
from vad.video.arrival import Arrival, Arrivals
from vad.video.backlog import Backlog
from vad.video.faults import CORRUPT, translate_av_errors
from vad.video.hardware import check, pixel_format
from vad.video.items import ABOVE_RATE, OVERRUN, Counts, Item, StreamInfo
from vad.video.luma import geometry, luma_of, visible
from vad.video.naps import Naps
from vad.video.source import Feed, Source, open_feed, resolve
from vad.video.sparing import Spared, Sparing
from vad.video.stamps import Stamps
from vad.video.tape import Format, Tape
from vad.video.timing import (
    ASSUMED_FPS,
    LONGEST_GAP_S,
    REORDER_S,
    MediaClock,
    RateMeter,
    Selector,
    is_jump,
    longest_gap_s,
)

CONTINUABLE = frozenset({StreamCode.FORMAT_CHANGED, StreamCode.PTS_JUMP})
"""Codes after which the stream itself still flows: the next run may take it over (``continues=``)."""


class _Good(NamedTuple):
    """A frame in its place; None for one that came far too late, like those before it, and was not decoded."""

    frame: VideoFrame | Spared | None
    stamp_s: float | None
    arrival: Arrival


def _spared(spared: Spared) -> _Good:
    return _Good(spared, spared.stamp_s, spared.arrival)


class Reader:
    """Use as ``with Reader(...) as reader: for item in reader: ...``; once only, from one thread.

    Each item is a ``Frame`` to be analysed, or ``Passed`` for one above ``config.analysis_fps``; of those, what no
    other picture refers to is not even decoded. Corrupt packets and frames are skipped; ``counts`` has them.
    Iteration returns when ``stop`` is set and otherwise ends by StreamError: ENDED at
    the end of a file (also with ``config.loop``: playing it again is a new run, hence a new Reader), FORMAT_CHANGED
    and PTS_JUMP where a new run must begin, TIMEOUT after ``config.read_timeout_s`` without a good frame, and so on.

    Frames of a live stream that come later and later, since the machine is too slow, are left out up to the key frame
    at which it has caught up (``Passed.overrun``).

    Frames are wanted ``clip_length`` at a time: what a camera sends may wait until a clip is nearly whole, where TCP
    holds it and nobody looks at the ``tape`` meanwhile.

    ``is_behind`` says whether the machine cannot keep up. The loop filter is turned off and on again at key frames.

    After FORMAT_CHANGED and PTS_JUMP the stream is still open: give this reader as ``continues=`` to the next one,
    which goes on with the very frame that ended this run (a file would otherwise start from its beginning again, a
    camera lose frames by reconnecting).
    """

    def __init__(
        self,
        camera: str,
        *,
        config: CameraConfig,
        run: int,
        model_width: int,
        clock: Clock,
        stop: threading.Event,
        continues: Reader | None = None,
        tape: Tape | None = None,
        clip_length: int = 1,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self.camera = camera
        self.config = config
        self.run = run
        self._model_width = model_width
        self._clock = clock
        self._stop = stop
        self._rate = RateMeter()
        self._selector = Selector(config.analysis_fps)
        self._naps = Naps(clip_length)
        self._is_behind = is_behind
        self._corrupt = self._unfiltered = 0
        self._decoded_frames = 0
        self._bytes_read = 0  # of the stream's packets
        self._next_index = 0
        self._info: StreamInfo | None = None
        self._mask: NDArray[np.uint8] | None = None
        self._source: Source = resolve(config) if continues is None else continues._source
        self._feed: Feed | None = None
        self._stamps: Stamps
        self._pending: list[_Good] = []
        self._backlog = Backlog()
        self._sparing: Sparing = Sparing() if continues is None else continues._sparing
        self._spared_before = self._sparing.count
        self._tape = tape  # packets and pictures as they come, for whoever wants to see them later
        if continues is not None:
            self._feed, self._pending = continues._hand_over(), continues._pending
            self._stamps = continues._stamps
            self._go_on_taping(continues)

    def __enter__(self) -> Self:
        if self._feed is None:
            decoder, parallel = self.config.decoder, not self.config.realtime
            self._feed = open_feed(self._source, camera=self.camera, parallel=parallel, decoder=decoder)
            self._stamps = Stamps(stamped=self._feed.stamped)
        self._media = MediaClock(live=self._feed.live, announced_fps=self._feed.announced_fps)
        self._is_stamped = self._feed.stamped
        self._arrivals = Arrivals(self._clock, live=self._feed.live, stamped=self._is_stamped)
        self._may_be_late = self._feed.live and self._is_stamped
        self._may_nap = self._may_be_late and self._source.is_tcp  # datagrams and devices would lose what waits
        self._is_held_back = self.config.realtime and not self._feed.live
        self._faults_before, self._unfiltered_before = self._feed.faults, self._feed.unfiltered_frames
        self._started_s = self._last_good_s = self._clock.monotonic_s()
        self._started_wall_s = self._clock.wall_s()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, StreamError) and error.code in CONTINUABLE:
            return  # left open for the next run; without one, dropping this reader closes it
        self.close()

    def close(self) -> None:
        """Close the stream. Harmless when repeated, or when the next run has taken it over."""
        feed = self._hand_over()
        if feed is not None:
            feed.close()

    @property
    def info(self) -> StreamInfo | None:
        """None until the first frame is decoded."""
        return self._info

    @property
    def counts(self) -> Counts:
        """Up to now."""
        return Counts(
            measured_fps=self._rate.fps,
            corrupt_packets=self._corrupt_packets,
            spared_frames=self._sparing.count - self._spared_before,
            unfiltered_frames=self._unfiltered_frames,
            longest_hold_s=self._longest_hold_s,
        )

    @property
    def _corrupt_packets(self) -> int:
        return self._corrupt + (self._feed.faults - self._faults_before if self._feed else 0)

    @property
    def _unfiltered_frames(self) -> int:
        return self._unfiltered + (self._feed.unfiltered_frames - self._unfiltered_before if self._feed else 0)

    @property
    def _longest_hold_s(self) -> float:
        feed = self._feed
        return longest_gap_s(self._rate.fps or feed.announced_fps) if feed is not None and self._is_held_back else 0.0

    def __iter__(self) -> Iterator[Item]:
        try:
            with translate_av_errors(self.camera, self._source.shown):
                yield from self._frames()
        except StreamError:
            if not self._stop.is_set():  # once stopped, how the stream ends is of no interest
                raise

    def _frames(self) -> Iterator[Item]:
        for good in self._decoded():
            if self._stop.is_set():
                return
            item = self._take(good)
            yield item
            if self._may_nap and isinstance(item, Frame):
                self._nap_after(item)
            self._last_good_s = self._clock.monotonic_s()  # after the consumer is done: its time is not the camera's
        if not self._decoded_frames and not self._stop.is_set():
            count = self._corrupt_packets
            raise self._error(StreamCode.BROKEN, f"ended without a single good frame ({count} corrupt packets)")
        if not self._stop.is_set():
            raise self._error(StreamCode.ENDED, "the end of the stream")

    def _decoded(self) -> Iterator[_Good]:
        """Good frames in order, corrupt ones counted and left out."""
        feed = self._open_feed
        while self._pending:
            yield self._pending.pop(0)
        for packet in feed.packets():
            latest = self._arrivals.note(packet)
            self._bytes_read += packet.size
            if latest.read_s - self._last_good_s > self.config.read_timeout_s:
                raise self._stalled(latest.read_s)  # FFmpeg flushes its parser's packet before it reports a time-out
            stamp_s = self._stamps.of_packet(packet)
            if self._tape is not None:
                self._tape.add(packet, self._stamps.on_tape(packet, stamp_s, arrived_s=latest.arrived_s))
            if self._may_be_late and self._comes_too_late(packet, stamp_s, latest):
                yield _Good(None, stamp_s, latest)
                continue
            if self._sparing.spares(packet, stamp_s, latest, feed=feed, media=self._media, selector=self._selector):
                continue
            for frame in self._frames_at(packet, feed):
                self._put_in_order(frame, latest)
            while self._pending:
                yield self._pending.pop(0)
            if self._stop.is_set():
                return
        self._pending += map(_spared, self._sparing.before(None))
        while self._pending:
            yield self._pending.pop(0)

    def _put_in_order(self, frame: VideoFrame, latest: Arrival) -> None:
        """After the spared ones whose place is before it."""
        stamp_s = self._stamps.of_frame(frame)
        self._pending += map(_spared, self._sparing.before(stamp_s))
        if frame.is_corrupt:
            self._corrupt += 1
        else:
            self._pending.append(_Good(frame, stamp_s, self._arrivals.of(frame, latest=latest)))

    def _comes_too_late(self, packet: Packet[VideoStream], stamp_s: float | None, latest: Arrival) -> bool:
        if not packet.size:
            return False
        pts_s = self._media.at_s(stamp_s) if stamp_s is not None else None
        return self._backlog.leaves_out(pts_s, arrived_s=latest.read_s, is_key=packet.is_keyframe)

    def _frames_at(self, packet: Packet[VideoStream], feed: Feed) -> list[VideoFrame]:
        """What comes out of the decoder as a packet goes in."""
        frames: list[VideoFrame] = []
        try:
            if packet.is_keyframe:
                frames = feed.filter_from(packet, is_filtered=not self._is_behind())
        except CORRUPT:  # among what the decoder before still held
            self._corrupt += 1
        try:
            frames += feed.decode(packet)
        except CORRUPT:
            self._corrupt += 1
        return frames

    def _take(self, good: _Good) -> Item:
        """Place a good frame in time; pool it if it is due for analysis."""
        frame, stamp_s, arrival = good
        if frame is None:
            return OVERRUN
        if isinstance(frame, Spared):
            self._pass(frame)
            return ABOVE_RATE
        try:
            info = self._checked_info(frame)
            step_s = self._checked_step_s(stamp_s, arrival)
        except StreamError:
            self._pending.insert(0, good)  # the next run's first frame
            raise
        if step_s <= 0.0 and self._decoded_frames:
            return ABOVE_RATE  # out of order or a repeat: at a time already seen there is nothing to analyse
        pts_s = self._media.accept(step_s, stamp_s, arrived_s=arrival.arrived_s)
        self._decoded_frames += 1
        self._rate.push(pts_s)
        at_s = stamp_s if self._is_stamped else arrival.arrived_s
        if self._may_be_late:
            self._backlog.note(pts_s, arrived_s=arrival.read_s)
        elif self._is_held_back:
            arrival = self._await_due(pts_s)
        due = self._selector.wants(pts_s, step_s=step_s)
        analysed = self._analysed(frame, info.geometry, pts_s, arrival) if due else ABOVE_RATE
        if self._tape is not None:
            self._tape.show(frame, pts_s=pts_s, at_s=at_s)  # last: from here on it is for others to look at
        return analysed

    def _nap_after(self, frame: Frame) -> None:
        nap_s = self._naps.after(frame, bytes_read=self._bytes_read, now_s=self._clock.monotonic_s())
        is_watched = self._tape is not None and self._tape.is_watched
        if nap_s and not is_watched and not self._is_behind():
            self._clock.wait(self._stop, timeout_s=nap_s)

    def _checked_step_s(self, stamp_s: float | None, arrival: Arrival) -> float:
        """From the frame before to one of that time stamp. Raises PTS_JUMP."""
        step_s = self._media.step_s(stamp_s, arrived_s=arrival.arrived_s)
        if step_s <= LONGEST_GAP_S and step_s >= -REORDER_S:
            return step_s  # without the rate, which takes longer to tell
        if is_jump(step_s, self._rate.fps or self._open_feed.announced_fps):
            raise self._error(StreamCode.PTS_JUMP, f"media time jumped by {step_s:+.3f} s")
        return step_s

    def _pass(self, spared: Spared) -> None:
        """Let the clocks see a frame that was not decoded. One that is due after all leaves that to the next frame."""
        step_s = self._media.step_s(spared.stamp_s, arrived_s=spared.arrival.arrived_s)
        if step_s <= 0.0 or self._info is None:
            return
        pts_s = self._media.accept(step_s, spared.stamp_s, arrived_s=spared.arrival.arrived_s)
        self._rate.push(pts_s)
        if self._is_held_back:
            self._await_due(pts_s)

    def _analysed(self, frame: VideoFrame, grid: Geometry, pts_s: float, arrival: Arrival) -> Frame:
        index, self._next_index = self._next_index, self._next_index + 1
        return Frame(
            camera=self.camera,
            run=self.run,
            index=index,
            pts_s=pts_s,
            wall_s=arrival.wall_s if arrival.wall_s is not None else self._started_wall_s + pts_s,
            wall_source=arrival.wall_source,
            arrived_s=arrival.arrived_s,
            geometry=grid,
            luma=luma_of(frame, grid, self._mask),
        )

    def _checked_info(self, frame: VideoFrame) -> StreamInfo:
        """What the stream is, learnt from the run's first frame. Raises FORMAT_CHANGED when a later one differs."""
        if self._info is None:
            self._info = self._describe(frame)
            self._mask = visible(self.config.masks, self._info.geometry)
            if self._tape is not None:
                self._tape.format = self._taped_format(self._info)
        info = self._info
        codec = self._open_feed.codec
        if (frame.width, frame.height, codec) != (info.width, info.height, info.codec):
            was, now = f"{info.codec} {info.width}x{info.height}", f"{codec} {frame.width}x{frame.height}"
            raise self._error(StreamCode.FORMAT_CHANGED, f"the format changed from {was} to {now}")
        return info

    def _describe(self, frame: VideoFrame) -> StreamInfo:
        feed = self._open_feed
        return StreamInfo(
            codec=feed.codec,
            profile=feed.profile,
            container=feed.container,
            width=frame.width,
            height=frame.height,
            pixel_format=pixel_format(frame),
            decoder=check(frame, decoder=self.config.decoder, camera=self.camera, codec=feed.codec),
            announced_fps=feed.announced_fps,
            live=feed.live,
            geometry=geometry(frame.width, frame.height, model_width=self._model_width),
        )

    def _go_on_taping(self, before: Reader) -> None:
        if self._tape is not None and before._tape is not None and self._pending and self._feed is not None:
            _, stamp_s, arrival = self._pending[0]
            self._tape.go_on_from(before._tape, at_s=stamp_s if self._feed.stamped else arrival.arrived_s)

    def _taped_format(self, info: StreamInfo) -> Format:
        return Format(
            codec=info.codec,
            extradata=self._open_feed.extradata,
            container=info.container,
            pixel_format=info.pixel_format,
            fps=info.announced_fps or ASSUMED_FPS,
            is_stamped=self._open_feed.stamped,
            geometry=info.geometry,
            masks=tuple(self.config.masks),
        )

    def _await_due(self, pts_s: float) -> Arrival:
        """Hold a recorded frame back until a camera would have sent it: that is its arrival."""
        wait_s = self._started_s + pts_s - self._clock.monotonic_s()
        if wait_s > 0.0:
            self._clock.wait(self._stop, timeout_s=wait_s)
        now_s = self._clock.monotonic_s()
        return Arrival(now_s, None, WallSource.FILE, now_s)

    def _stalled(self, now_s: float) -> StreamError:
        """FFmpeg's socket time-out sees silence; this is of a stream that talks but never gives a good frame."""
        silent_s = now_s - self._last_good_s
        text = f"no good frame for {silent_s:.1f} s ({self._corrupt_packets} corrupt packets so far)"
        return self._error(StreamCode.TIMEOUT, text)

    def _hand_over(self) -> Feed | None:
        self._corrupt, self._unfiltered = self._corrupt_packets, self._unfiltered_frames  # the feed takes its own along
        feed, self._feed = self._feed, None
        return feed

    @property
    def _open_feed(self) -> Feed:
        if self._feed is None:
            raise RuntimeError("the reader is not open; allowed: iterate inside `with`")
        return self._feed

    def _error(self, code: StreamCode, text: str) -> StreamError:
        return StreamError(code, f"{self.camera}: {self._source.shown}: {text}")
