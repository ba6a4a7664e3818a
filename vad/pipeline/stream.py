"""Stream thread: one camera, supervised for ever.

Data flow: ``Reader`` (decode, pool) -> ``ClipWindow`` -> ``ClipMailbox``. The supervisor outside (``_supervise``) knows
states and back-off, the run inside (``_run_once``) only fails. A reader that hangs in C code cannot be killed: it
belongs to a *generation*, which the watchdog abandons; whatever it still does afterwards touches nothing.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from vad.clock import Clock
from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import ClipMailbox
from vad.pipeline.readers.processes import AnyReader
from vad.pipeline.status import StreamStatus
from vad.pipeline.window import ClipWindow, Thinning
from vad.pipeline.witness import Witness
from vad.types import CameraEvent, CameraState, Clip, DropReason, Frame
from vad.video.items import Counts, Item, Passed
from vad.video.reader import CONTINUABLE, Reader
from vad.video.tape import Tape

log = structlog.get_logger(__name__)

HANG_GRACE_S = 1.5
"""A reader silent for read_timeout_s and this much more hangs in C: FFmpeg's own time-out should have ended it."""

MOST_HUNG_READERS = 3
"""Abandoned readers of one camera that may hang at a time: each keeps its thread until the call it hangs in returns."""

SETTLED_AFTER_S = 5.0
"""A run that gave frames for this long proves the camera well: the next back-off starts small again."""

DRAIN_S = 1.0
"""How long a run's last frames may take to be scored before its end is announced, so that events keep their order."""

UNANNOUNCED = frozenset({CameraState.CONNECTING})


@dataclass(slots=True)
class _Generation:
    """One life of the stream thread. Fields are guarded by the stream's lock once the thread runs."""

    number: int
    window: ClipWindow
    thinning: Thinning = field(default_factory=Thinning)
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    abandoned: bool = False
    deadline_s: float | None = None  # monotonic; None while waiting on purpose
    continues: AnyReader | None = None  # still open, for the next run to go on with


class CameraStream:
    """Supervises one camera.

    ``notify`` is called from the stream thread with each change worth an event. ``model_width`` and ``clip_length``
    shape what is put into ``clips``. Without ``retry`` the first failure ends the stream. ``witness`` is shown all.
    ``make_reader`` is called like ``Reader``.
    """

    def __init__(
        self,
        camera: str,
        *,
        config: CameraConfig,
        model_width: int,
        clip_length: int,
        clips: ClipMailbox,
        ledger: Ledger,
        notify: Callable[[CameraEvent], None],
        clock: Clock,
        jitter: random.Random | None = None,
        retry: bool = True,
        witness: Witness | None = None,
        make_reader: Callable[..., AnyReader] = Reader,
    ) -> None:
        self.camera = camera
        self.config = config
        self.status = StreamStatus()
        self.failure: StreamError | None = None  # the last one
        self._model_width = model_width
        self._clip_length = clip_length
        self._clips = clips
        self._ledger = ledger
        self._notify = notify
        self._clock = clock
        self._jitter = jitter or random.Random()
        self._retry = retry
        self._make_reader = make_reader
        self.witness = witness  # of what comes, for evidence and snapshots
        self._lock = threading.Lock()
        self._generation = _Generation(0, ClipWindow(clip_length))
        self._hung: list[threading.Thread] = []  # the watchdog's alone
        self._stopped = False
        self.analysis_ratio = 1.0  # of the frames to be analysed, while the machine is overloaded
        self._state_at_rest, self._why_at_rest = CameraState.STOPPED, ""
        self._announced: tuple[CameraState, StreamCode | None] | None = None
        ledger.open(camera)

    def start(self) -> None:
        """Raises RuntimeError when there is no thread to be had."""
        self._start(self._generation)

    def stop(self, state: CameraState = CameraState.STOPPED, *, why: str = "") -> None:
        """Ask the thread to end in ``state``; does not wait."""
        with self._lock:  # or the watchdog might start a next generation that nobody has asked to end
            self._stopped = True
            self._state_at_rest, self._why_at_rest = state, why
            self._generation.stop.set()

    def restart(self, config: CameraConfig) -> None:
        """After ``stop`` and ``join``: go on, as a new run, with these settings. What was counted goes on too.

        Raises RuntimeError when there is no thread to be had; ``check`` then tries again.
        """
        with self._lock:
            self.config, self._stopped = config, False
            self._begin_generation()

    def rest(self) -> None:
        """After ``stop`` and ``join``: be in the state that ``stop`` was given, also where the source had ended."""
        if self.status.state is not self._state_at_rest:
            self._enter(self._state_at_rest, None, self._why_at_rest)

    def join(self, *, deadline_s: float) -> bool:
        """Wait for the thread until the monotonic ``deadline_s``; a hung one is abandoned then. True if it ended."""
        generation = self._generation
        if generation.thread is None:
            return True
        if not generation.abandoned:
            generation.thread.join(max(0.0, deadline_s - self._clock.monotonic_s()))
        if generation.thread.is_alive() and self._abandon(generation):
            self._enter(self._state_at_rest, None, "the reader hung and was abandoned")
        return not generation.thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """The stream thread still runs."""
        thread = self._generation.thread
        return thread is not None and thread.is_alive()

    @property
    def can_wait(self) -> bool:
        """A recording that is not paced: it waits for room, and nothing of it is lost by being slow."""
        return self.config.is_file and not self.config.realtime

    @property
    def has_ended(self) -> bool:
        """The source is over for good (a file that does not loop)."""
        return self.status.state is CameraState.ENDED

    def check(self) -> None:
        """Watchdog's visit: abandon a reader that hangs, and start the next generation unless too many hang."""
        generation = self._generation
        if not generation.abandoned:
            deadline_s = generation.deadline_s
            if deadline_s is None or self._stopped or self._clock.monotonic_s() < deadline_s:
                return
            if not self._abandon(generation):
                return
            self._hung += [generation.thread] if generation.thread is not None else []
            _add(self.status.errors, StreamCode.TIMEOUT)
            _add(self.status.reconnects, StreamCode.TIMEOUT)
            self._enter(CameraState.STALLED, StreamCode.TIMEOUT, "the reader hung and was abandoned")
        self._hung = [thread for thread in self._hung if thread.is_alive()]
        if len(self._hung) < MOST_HUNG_READERS:
            self._replace()

    def _replace(self) -> None:
        with self._lock:
            if self._stopped:
                return
            try:
                self._begin_generation()
            except RuntimeError as exc:  # the machine or the container limits them; the next visit tries again
                log.warning("stream.no_thread", camera=self.camera, run=self.status.run, detail=str(exc))

    def _begin_generation(self) -> None:
        """Under the lock."""
        self._generation = _Generation(self._generation.number + 1, ClipWindow(self._clip_length))
        try:
            self._start(self._generation)
        except RuntimeError:
            self._generation.abandoned = True
            raise

    def _start(self, generation: _Generation) -> None:
        name = f"vad-stream-{self.camera}"
        thread = threading.Thread(target=self._supervise, args=(generation,), name=name, daemon=True)
        thread.start()
        generation.thread = thread

    def _abandon(self, generation: _Generation) -> bool:
        """False when the other of watchdog and ``join`` was first."""
        with self._lock:
            if generation.abandoned:
                return False
            generation.abandoned = True
            generation.stop.set()
            lost = len(generation.window)
            self.status.abandoned_readers += 1
        if lost:
            self._ledger.dropped(self.camera, DropReason.RUN_ENDED, lost)
        log.warning("stream.reader_abandoned", camera=self.camera, run=self.status.run)
        return True

    # Everything below runs in the generation's own thread.

    def _supervise(self, generation: _Generation) -> None:
        try:
            self._run_until_stopped(generation)
        finally:
            if generation.continues is not None:  # stopped between two runs of one open stream
                generation.continues.close()

    def _run_until_stopped(self, generation: _Generation) -> None:
        failures = 0
        while not generation.stop.is_set():
            started_s = self._clock.monotonic_s()
            frames_before = self.status.frames_decoded
            try:
                self._run_once(generation)
                break  # stopped
            except StreamError as exc:
                error = exc
            except Exception as exc:
                log.exception("stream.defect", camera=self.camera, run=self.status.run)
                error = StreamError(StreamCode.BROKEN, f"unexpected {type(exc).__name__} while reading")
            if generation.abandoned:
                return
            ran_s = self._clock.monotonic_s() - started_s
            if ran_s >= SETTLED_AFTER_S and self.status.frames_decoded > frames_before:
                failures = 0
            if not self._after_failure(generation, error, failures, ran_s=ran_s):
                return
            failures += 1
        if not generation.abandoned:
            self._enter(self._state_at_rest, None, self._why_at_rest)

    def _run_once(self, generation: _Generation) -> None:
        """One run of the stream: returns when stopped or abandoned, raises StreamError otherwise."""
        self.status.run += 1
        structlog.contextvars.bind_contextvars(camera=self.camera, run=self.status.run)  # for whoever logs in here
        self.status.state = CameraState.CONNECTING
        self._expect_progress(generation, within_s=2 * self.config.read_timeout_s)  # several round trips
        before = replace(self.status)
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

    def _follow(self, generation: _Generation, reader: AnyReader, before: StreamStatus) -> None:
        hold_s = 0.0
        for item in reader:
            generation.deadline_s = None  # the time until the next item is asked for is not the camera's
            if not self._admit(generation, item):
                return
            if isinstance(item, Frame):  # often enough: what is not analysed must cost next to nothing
                hold_s = self._tell(reader, before).longest_hold_s
            self._expect_progress(generation, within_s=self.config.read_timeout_s + hold_s)

    def _tell(self, reader: AnyReader, before: StreamStatus) -> Counts:
        """Let the status say what the reader knows. ``before``: as it was when the run began."""
        counts = reader.counts
        self.status.fps = counts.measured_fps
        self.status.decoder = reader.info.decoder if reader.info else ""
        self.status.corrupt_packets = before.corrupt_packets + counts.corrupt_packets
        self.status.frames_spared = before.frames_spared + counts.spared_frames
        self.status.frames_unfiltered = before.frames_unfiltered + counts.unfiltered_frames
        return counts

    def _reader(self, generation: _Generation) -> AnyReader:
        """The next run's reader, on the stream that the last one left open or on a new one."""
        continues, generation.continues = generation.continues, None
        return self._make_reader(
            self.camera,
            config=self.config,
            run=self.status.run,
            model_width=self._model_width,
            clock=self._clock,
            stop=generation.stop,
            continues=continues,
            tape=self._tape(generation),
            clip_length=self._clip_length,
            is_behind=lambda: self.analysis_ratio < 1.0,
        )

    def _tape(self, generation: _Generation) -> Tape | None:
        with self._lock:
            if self.witness is None or generation.abandoned:
                return None
            return self.witness.begin(self.status.run, masks=self.config.masks)

    def _admit(self, generation: _Generation, item: Item) -> bool:
        """Book an item and gather it if it is to be analysed; False when this generation was abandoned meanwhile."""
        clip, count, size = None, 1, ""
        with self._lock:
            if generation.abandoned:
                return False
            if isinstance(item, Frame):
                clip = self._gather(generation, item)
            else:
                count = item.frames
                self._pass(item)
        self.status.frames_decoded += count
        if clip is not None:
            self._hand_over(clip)
        if self.status.state is not CameraState.UP:
            if isinstance(item, Frame):
                size = f"{item.geometry.source_width}x{item.geometry.source_height}"
            self._enter(CameraState.UP, None, size)
        return True

    def _gather(self, generation: _Generation, frame: Frame) -> Clip | None:
        """Clips become shorter as their frames become fewer: they take the same time to gather."""
        ratio = self.analysis_ratio
        generation.window.length = max(1, math.ceil(self._clip_length * ratio))
        if not generation.thinning.keeps(ratio):
            self._ledger.received(self.camera, dropped=DropReason.OVERLOAD_RATE)
            return None
        self._ledger.received(self.camera)
        return generation.window.push(frame)

    def _pass(self, passed: Passed) -> None:
        self._ledger.received(self.camera, passed.frames - passed.overrun, dropped=DropReason.ANALYSIS_RATE)
        if passed.overrun:
            self._ledger.received(self.camera, passed.overrun, dropped=DropReason.OVERLOAD)

    def _flush(self, generation: _Generation) -> None:
        """The run is over: its last frames are scored too, as a shorter clip."""
        with self._lock:
            clip = None if generation.abandoned else generation.window.flush()
        if clip is not None:
            self._hand_over(clip)

    def _hand_over(self, clip: Clip) -> None:
        lost = self._clips.put(clip, wait=self.can_wait)
        if lost is not None:
            reason = DropReason.SHUTDOWN if lost is clip else DropReason.OVERLOAD
            self._ledger.dropped(self.camera, reason, len(lost.frames))

    def _expect_progress(self, generation: _Generation, *, within_s: float) -> None:
        generation.deadline_s = self._clock.monotonic_s() + within_s + HANG_GRACE_S

    def _after_failure(self, generation: _Generation, error: StreamError, failures: int, *, ran_s: float) -> bool:
        """Say what happened and wait as long as it deserves. False when the stream is over for good."""
        code = error.code
        self.failure = error
        _add(self.status.errors, code)
        if code in CONTINUABLE:
            self._begin_next_run(error)
            return True
        self._drain(generation)
        if not self._retry or (code is StreamCode.ENDED and self.config.is_file and not self.config.loop):
            self._enter(CameraState.ENDED, code, str(error))
            return False
        if code is StreamCode.ENDED and self.config.loop:
            self._begin_next_run(error)
            self._clock.wait(generation.stop, timeout_s=self.config.backoff_min_s - ran_s)  # a very short recording
            return True
        _add(self.status.reconnects, code)
        state = CameraState.STALLED if code is StreamCode.TIMEOUT else CameraState.BACKOFF
        self._enter(state, code, str(error))
        self._clock.wait(generation.stop, timeout_s=self._backoff_s(failures))
        return True

    def _begin_next_run(self, error: StreamError) -> None:
        _add(self.status.reconnects, error.code)
        log.info("stream.new_run", camera=self.camera, run=self.status.run, code=error.code.value, detail=str(error))

    def _drain(self, generation: _Generation) -> None:
        """Let the frames of the run that is over be scored first, for DRAIN_S at most."""
        until_s = self._clock.monotonic_s() + DRAIN_S
        while self._ledger.account(self.camera).in_flight > 0 and self._clock.monotonic_s() < until_s:
            if self._clock.wait(generation.stop, timeout_s=0.02):
                return

    def _backoff_s(self, failures: int) -> float:
        """Capped exponential back-off with jitter: half to the whole of min * 2^failures, at most max."""
        whole = min(self.config.backoff_max_s, self.config.backoff_min_s * 2.0 ** min(failures, 30))
        return whole * self._jitter.uniform(0.5, 1.0)

    def _enter(self, state: CameraState, code: StreamCode | None, detail: str) -> None:
        """Change state; each change is logged and announced once, however often a retry confirms it."""
        self.status.state, self.status.code, self.status.detail = state, code, detail
        if self.witness is not None and state is not CameraState.UP:
            self.witness.rest()
        if state in UNANNOUNCED or (state, code) == self._announced:
            return
        self._announced = (state, code)
        level = log.info if code is None or state is CameraState.ENDED else log.warning
        level(f"stream.{state}", camera=self.camera, run=self.status.run, code=code and code.value, detail=detail)
        self._notify(
            CameraEvent(
                camera=self.camera,
                run=self.status.run,
                state=state.value,
                wall_s=self._clock.wall_s(),
                code=code and code.value,
                detail=detail,
            )
        )


def _add(counts: dict[StreamCode, int], code: StreamCode) -> None:
    counts[code] = counts.get(code, 0) + 1
