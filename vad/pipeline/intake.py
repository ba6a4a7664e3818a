"""One run of a camera's stream after another: its frames are booked in the ledger and become clips.

Data flow: ``Reader`` (decode, pool) -> ``ClipWindow`` -> ``ClipMailbox``. A run only fails; what its failure deserves
is for ``CameraStream``, in whose thread all this happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from vad.clock import Clock
from vad.errors import StreamError
from vad.pipeline.generation import Generation
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import ClipMailbox
from vad.pipeline.states import States
from vad.pipeline.status import StreamStatus
from vad.pipeline.witness import Witness
from vad.types import LEAST_SIDE_PX, CameraState, Clip, DropReason, Frame, Geometry
from vad.video.items import Counts, Item, Passed
from vad.video.reader import CONTINUABLE
from vad.video.spec import FrameReader, MakeReader, ReadEnv
from vad.video.tape import Tape

log = structlog.get_logger(__name__)

HANG_GRACE_S = 1.5
"""A reader silent for read_timeout_s and this much more hangs in C: FFmpeg's own time-out should have ended it."""


class Intake:
    """One camera's. ``ratio`` says which share of the frames to be analysed shall be: below 1 while the machine is
    overloaded."""

    def __init__(
        self,
        camera: str,
        *,
        clips: ClipMailbox,
        ledger: Ledger,
        states: States,
        witness: Witness | None,
        clock: Clock,
        make_reader: MakeReader,
        ratio: Callable[[], float],
    ) -> None:
        self._camera = camera
        self._clips = clips
        self._ledger = ledger
        self._states, self._status = states, states.status
        self._witness = witness
        self._clock = clock
        self._make_reader = make_reader
        self._ratio = ratio

    def run(self, generation: Generation) -> None:
        """Returns when stopped or abandoned, raises StreamError otherwise."""
        self._status.run += 1
        structlog.contextvars.bind_contextvars(camera=self._camera, run=self._status.run)  # for whoever logs in here
        self._status.state = CameraState.CONNECTING
        self._expect_progress(generation, within_s=2 * generation.config.read_timeout_s)  # several round trips
        before = replace(self._status)
        try:
            with self._reader(generation) as reader:
                try:
                    self._follow(generation, reader, before)
                finally:
                    if not generation.abandoned:
                        self._tell(reader, before)
        except StreamError as exc:
            generation.continues = reader if exc.code in CONTINUABLE else None
            raise
        finally:
            generation.deadline_s = None
            self._flush(generation)

    def _follow(self, generation: Generation, reader: FrameReader, before: StreamStatus) -> None:
        read_timeout_s, extra_s = generation.config.read_timeout_s, 0.0
        for item in reader:
            generation.deadline_s = None  # the time until the next item is asked for is not the camera's
            if not self._admit(generation, item):
                return
            if isinstance(item, Frame):  # often enough: what is not analysed must cost next to nothing
                extra_s = self._tell(reader, before).extra_timeout_s
            self._expect_progress(generation, within_s=read_timeout_s + extra_s)

    def _expect_progress(self, generation: Generation, *, within_s: float) -> None:
        generation.deadline_s = self._clock.monotonic_s() + within_s + HANG_GRACE_S

    def _tell(self, reader: FrameReader, before: StreamStatus) -> Counts:
        """Let the status say what the reader knows. ``before``: as it was when the run began."""
        counts = reader.counts
        self._status.fps = counts.measured_fps
        self._status.decoder = reader.info.decoder if reader.info else ""
        self._status.corrupt_packets = before.corrupt_packets + counts.corrupt_packets
        self._status.frames_spared = before.frames_spared + counts.spared_frames
        self._status.frames_unfiltered = before.frames_unfiltered + counts.unfiltered_frames
        self._status.outlier_stamps = before.outlier_stamps + counts.outlier_stamps
        self._status.clock_skew_s, self._status.clock_ratio = counts.clock_skew_s, counts.clock_ratio
        self._states.note_clock(counts.clock_fault)
        return counts

    def _reader(self, generation: Generation) -> FrameReader:
        """The next run's reader, on the stream that the last one left open or on a new one."""
        continues, generation.continues = generation.continues, None
        return self._make_reader(
            generation.spec,
            run=self._status.run,
            env=ReadEnv(generation.stop, self._clock, self._tape(generation), lambda: self._ratio() < 1.0),
            continues=continues,
        )

    def _tape(self, generation: Generation) -> Tape | None:
        with generation.lock:
            if self._witness is None or generation.abandoned:
                return None
            return self._witness.begin(self._status.run, masks=generation.config.masks)

    def _admit(self, generation: Generation, item: Item) -> bool:
        """Book an item and gather it if it is to be analysed; False when this generation was abandoned meanwhile."""
        clip, count, size = None, 1, ""
        with generation.lock:
            if generation.abandoned:
                return False
            if isinstance(item, Frame):
                clip = self._gather(generation, item)
            else:
                count = item.frames
                self._pass(item)
        self._status.frames_decoded += count
        if clip is not None:
            self._hand_over(clip, wait=generation.can_wait)
        if self._status.state is not CameraState.UP:
            if isinstance(item, Frame):
                size = self._size(item.geometry)
            self._states.enter(CameraState.UP, None, size)
        return True

    def _size(self, grid: Geometry) -> str:
        size = f"{grid.source_width}x{grid.source_height}"
        if not grid.is_too_small:
            return size
        detail = f"{size}, too small to judge: less than {LEAST_SIDE_PX} px on its longer side"
        log.warning("stream.too_small", camera=self._camera, run=self._status.run, detail=detail)
        return detail

    def _gather(self, generation: Generation, frame: Frame) -> Clip | None:
        if not generation.thinning.keeps(frame.index, self._ratio()):
            self._ledger.received(self._camera, dropped=DropReason.OVERLOAD_RATE)
            return None
        self._ledger.received(self._camera)
        return generation.window.push(frame)

    def _pass(self, passed: Passed) -> None:
        self._ledger.received(self._camera, passed.frames - passed.overrun, dropped=DropReason.ANALYSIS_RATE)
        if passed.overrun:
            self._ledger.received(self._camera, passed.overrun, dropped=DropReason.OVERLOAD)

    def _flush(self, generation: Generation) -> None:
        """The run is over: its last frames are scored too, as a shorter clip."""
        with generation.lock:
            clip = None if generation.abandoned else generation.window.flush()
        if clip is not None:
            self._hand_over(clip, wait=generation.can_wait)

    def _hand_over(self, clip: Clip, *, wait: bool) -> None:
        lost = self._clips.put(clip, wait=wait)
        if lost is not None:
            reason = DropReason.SHUTDOWN if lost is clip else DropReason.OVERLOAD
            self._ledger.dropped(self._camera, reason, len(lost.frames))
