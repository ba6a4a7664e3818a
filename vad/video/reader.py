"""One run of one stream: from opening it to whatever ends it.

``Reader`` yields an item for each frame and ends by raising a StreamError, the end of a file included: whether
to play it again, reconnect or give up is the supervisor's decision. Frames come from ``pictures``; here they are placed
in media time. Nothing starts a thread, waits for another camera or holds the GIL while FFmpeg works.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from vad.errors import StreamCode, StreamError
from vad.types import Frame, WallSource
from vad.video.arrival import Arrival
from vad.video.backlog import Backlog
from vad.video.description import describe, taped_format, with_decoder
from vad.video.faults import translate_av_errors
from vad.video.items import ABOVE_RATE, OVERRUN, Counts, Item, StreamInfo
from vad.video.luma import luma_of, visible
from vad.video.naps import Naps
from vad.video.pictures import OpenStream, Pictures, Received
from vad.video.source import Source, open_feed, resolve
from vad.video.sparing import Spared
from vad.video.spec import FrameReader, ReadEnv, ReadSpec
from vad.video.timing import (
    LONGEST_GAP_S,
    REORDER_S,
    MediaClock,
    RateMeter,
    Selector,
    is_jump,
    longest_gap_s,
)
from vad.video.turns import Turn

CONTINUABLE = frozenset({StreamCode.FORMAT_CHANGED, StreamCode.PTS_JUMP})
"""Codes after which the stream itself still flows: the next run may take it over (``continues=``)."""


class Reader:
    """Use as ``with Reader(...) as reader: for item in reader: ...``; once only, from one thread.

    Each item is a ``Frame`` to be analysed, or ``Passed`` for one above ``spec.config.analysis_fps``; of those, what no
    other picture refers to is not even decoded. Corrupt packets and frames are skipped; ``counts`` has them.
    Iteration returns when ``stop`` is set and otherwise ends by StreamError: ENDED at
    the end of a file (also with ``loop``: playing it again is a new run, hence a new Reader), FORMAT_CHANGED
    and PTS_JUMP where a new run must begin, TIMEOUT after ``read_timeout_s`` without a good frame, and so on.

    Frames of a live stream that come later and later, since the machine is too slow, are left out up to the key frame
    at which it has caught up (``Passed.overrun``).

    Between two clips a camera's packets may wait where TCP holds them and nobody looks at the ``tape`` meanwhile.
    Readers that share ``turns`` take them unless a GPU may decode. While ``is_behind`` the loop filter is off, which is
    turned off and on again at key frames.

    After FORMAT_CHANGED and PTS_JUMP the stream is still open: give this reader as ``continues=`` to the next one,
    which goes on with the very frame that ended this run (a file would otherwise start from its beginning again, a
    camera lose frames by reconnecting).
    """

    def __init__(self, spec: ReadSpec, *, run: int, env: ReadEnv, continues: FrameReader | None = None) -> None:
        if not (continues is None or isinstance(continues, Reader)):
            raise TypeError(f"a Reader goes on from a Reader; got {type(continues).__name__}")
        self.spec = spec
        self.run = run
        self._clock, self._stop, self._is_behind = env.clock, env.stop, env.is_behind
        self._tape = env.tape  # packets and pictures as they come, for whoever wants to see them later
        self._rate = RateMeter()
        self._selector = Selector(spec.config.analysis_fps)
        self._naps = Naps(spec.clip_length)
        shared = env.turns if spec.decoding.device is None else None
        self._turn = Turn(shared or threading.Lock())
        self._decoded_frames = 0
        self._next_index = 0
        self._info: StreamInfo | None = None
        self._mask: NDArray[np.uint8] | None = None
        self._last_counts = Counts()  # while nothing is open
        self._source: Source = resolve(spec.config) if continues is None else continues._source
        self._stream: OpenStream | None = None
        self._pictures: Pictures | None = None
        if continues is not None:
            self._stream = continues._hand_over()
            self._go_on_taping(continues)

    def __enter__(self) -> Self:
        if self._stream is None:
            spec, parallel = self.spec, not self.spec.config.realtime
            feed = open_feed(
                self._source, camera=spec.camera, parallel=parallel, decoding=spec.decoding, stop=self._stop
            )
            timeout_s, clockwise = spec.config.read_timeout_s, spec.config.rotate
            self._stream = OpenStream(feed, read_timeout_s=timeout_s, clockwise=clockwise)
        feed = self._stream.feed
        self._is_stamped = feed.stamped
        self._media = MediaClock(live=feed.live, announced_fps=feed.announced_fps)
        self._backlog = Backlog() if feed.live and feed.stamped else None  # nothing else tells how late it comes
        self._may_nap = self._source.is_tcp  # datagrams and devices would lose what waits
        self._is_held_back = self.spec.config.realtime and not feed.live
        self._started_s = self._clock.monotonic_s()
        self._started_wall_s = self._clock.wall_s()
        self._pictures = Pictures(
            self._stream,
            name=self._name,
            media=self._media,
            selector=self._selector,
            backlog=self._backlog,
            tape=self._tape,
            config=self.spec.config,
            clock=self._clock,
            stop=self._stop,
            is_behind=self._is_behind,
            turn=self._turn,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._turn.end()
        if isinstance(error, StreamError) and error.code in CONTINUABLE:
            return  # left open for the next run; without one, dropping this reader closes it
        self.close()

    def close(self) -> None:
        """Close the stream. Harmless when repeated, or when the next run has taken it over."""
        stream = self._hand_over()
        if stream is not None:
            stream.feed.close()

    @property
    def info(self) -> StreamInfo | None:
        """None until the first frame is decoded."""
        return self._info

    @property
    def counts(self) -> Counts:
        """Up to now."""
        pictures = self._pictures
        if pictures is None:
            return self._last_counts
        fps = self._rate.fps
        counts = pictures.counts._replace(measured_fps=fps)
        if self._is_held_back:
            return counts._replace(extra_timeout_s=longest_gap_s(fps or pictures.feed.announced_fps))
        return counts

    def __iter__(self) -> Iterator[Item]:
        try:
            with translate_av_errors(self.spec.camera, self._source.shown):
                yield from self._frames()
        except StreamError:
            if not self._stop.is_set():  # once stopped, how the stream ends is of no interest
                raise

    def _frames(self) -> Iterator[Item]:
        while (received := self._open_pictures.next()) is not None and not self._stop.is_set():
            item = self._take(received)
            yield item
            if self._may_nap and self._backlog is not None and isinstance(item, Frame):
                self._nap_after(item, self._backlog)
        if not self._decoded_frames and not self._stop.is_set():
            count = self._open_pictures.corrupt_packets
            raise self._error(StreamCode.BROKEN, f"ended without a single good frame ({count} corrupt packets)")
        if not self._stop.is_set():
            raise self._error(StreamCode.ENDED, "the end of the stream")

    def _take(self, received: Received) -> Item:
        """Place a frame in time; pool it if it is due for analysis."""
        frame, stamp_s, arrival = received
        if frame is None:
            return OVERRUN
        if isinstance(frame, Spared):
            self._pass(frame)
            return ABOVE_RATE
        try:
            info = self._checked_info(frame)
            step_s = self._checked_step_s(stamp_s, arrival)
        except StreamError:
            self._open_pictures.put_back(received)  # the next run's first frame
            raise
        if step_s <= 0.0 and self._decoded_frames:
            return ABOVE_RATE  # out of order or a repeat: at a time already seen there is nothing to analyse
        pts_s = self._media.accept(step_s, stamp_s, arrived_s=arrival.arrived_s)
        self._decoded_frames += 1
        self._rate.push(pts_s)
        at_s = stamp_s if self._is_stamped else arrival.arrived_s
        if self._backlog is not None:
            self._backlog.note(pts_s, arrived_s=arrival.read_s)
        elif self._is_held_back:
            arrival = self._await_due(pts_s)
        due = self._selector.wants(pts_s, step_s=step_s)
        analysed = self._analysed(frame, info, pts_s, arrival) if due else ABOVE_RATE
        if self._tape is not None:
            self._tape.show(frame, pts_s=pts_s, at_s=at_s)  # last: from here on it is for others to look at
        return analysed

    def _nap_after(self, frame: Frame, backlog: Backlog) -> None:
        bytes_read, now_s = self._open_pictures.bytes_read, self._clock.monotonic_s()
        if self._open_pictures.stands_still or not self._open_pictures.is_caught_up(now_s):
            return
        late_s = backlog.late_s(frame.pts_s, arrived_s=now_s)
        nap_s = self._naps.after(frame, bytes_read=bytes_read, now_s=now_s, late_s=late_s)
        is_watched = self._tape is not None and self._tape.is_watched
        if nap_s and not is_watched:
            self._turn.end()
            self._clock.wait(self._stop, timeout_s=nap_s)

    def _checked_step_s(self, stamp_s: float | None, arrival: Arrival) -> float:
        """From the frame before to one of that time stamp. Raises PTS_JUMP."""
        step_s = self._media.step_s(stamp_s, arrived_s=arrival.arrived_s)
        if step_s <= LONGEST_GAP_S and step_s >= -REORDER_S:
            return step_s  # without the rate, which takes longer to tell
        is_usual = 0.0 < step_s < self._open_pictures.longest_gap_s
        if not is_usual and is_jump(step_s, self._rate.fps or self._open_pictures.feed.announced_fps):
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

    def _analysed(self, frame: VideoFrame, info: StreamInfo, pts_s: float, arrival: Arrival) -> Frame:
        index, self._next_index = self._next_index, self._next_index + 1
        return Frame(
            camera=self.spec.camera,
            run=self.run,
            index=index,
            pts_s=pts_s,
            wall_s=arrival.wall_s if arrival.wall_s is not None else self._started_wall_s + pts_s,
            wall_source=arrival.wall_source,
            arrived_s=arrival.arrived_s,
            geometry=info.geometry,
            luma=luma_of(frame, info.geometry, self._mask, woven=info.interlaced),
        )

    def _checked_info(self, frame: VideoFrame) -> StreamInfo:
        """What the stream is, learnt from the run's first frame. Raises FORMAT_CHANGED when a later one differs."""
        view = self._open_pictures.view(frame)
        if self._info is None:
            self._info = describe(self._open_pictures.feed, frame, view, self.spec)
            self._mask = visible(self.spec.config.masks, self._info.geometry)
            if self._tape is not None:
                self._tape.format = taped_format(self._open_pictures.feed, self._info, self.spec.config)
        info = self._info
        codec = self._open_pictures.feed.codec
        if (view, codec) != (info.view, info.codec):
            was, now = info.view.words(info.codec), view.words(codec)
            raise self._error(StreamCode.FORMAT_CHANGED, f"the format changed from {was} to {now}")
        self._info = with_decoder(info, frame, self.spec)
        return self._info

    def _go_on_taping(self, before: Reader) -> None:
        if self._tape is not None and before._tape is not None and self._stream is not None and self._stream.pending:
            _, stamp_s, arrival = self._stream.pending[0]
            self._tape.go_on_from(before._tape, at_s=stamp_s if self._stream.feed.stamped else arrival.arrived_s)

    def _await_due(self, pts_s: float) -> Arrival:
        """Hold a recorded frame back until a camera would have sent it: that is its arrival."""
        wait_s = self._started_s + pts_s - self._clock.monotonic_s()
        if wait_s > 0.0:
            self._turn.end()
            self._clock.wait(self._stop, timeout_s=wait_s)
        now_s = self._clock.monotonic_s()
        return Arrival(now_s, None, WallSource.FILE, now_s)

    def _hand_over(self) -> OpenStream | None:
        """What is counted from now on is not this run's."""
        self._last_counts = self.counts._replace(extra_timeout_s=0.0)
        stream, self._stream, self._pictures = self._stream, None, None
        return stream

    @property
    def _open_pictures(self) -> Pictures:
        """In no variable of a method that may raise: the error's traceback would keep the decoder."""
        if self._pictures is None:
            raise RuntimeError("the reader is not open; allowed: iterate inside `with`")
        return self._pictures

    @property
    def _name(self) -> str:
        return f"{self.spec.camera}: {self._source.shown}"

    def _error(self, code: StreamCode, text: str) -> StreamError:
        return StreamError(code, f"{self._name}: {text}")
