"""Stream thread: one camera, supervised for ever.

The supervisor (``CameraStream``) knows states and back-off; a run of the stream (``Intake``) only fails. A reader that
hangs in C code cannot be killed: it belongs to a *generation*, which the watchdog abandons; whatever it still does
afterwards touches nothing.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import structlog

from vad.clock import Clock
from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.pipeline.generation import Generation
from vad.pipeline.intake import Intake
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import ClipMailbox
from vad.pipeline.states import States
from vad.pipeline.window import ClipWindow, Thinning
from vad.pipeline.witness import Witness
from vad.types import CameraEvent, CameraState, DropReason
from vad.video.reader import CONTINUABLE, Reader
from vad.video.spec import MakeReader, ReadSpec

log = structlog.get_logger(__name__)

MOST_HUNG_READERS = 3
"""Abandoned readers of one camera that may hang in this process at a time: each keeps its thread until the call that it
hangs in returns. Those of other processes keep none, and are not limited."""

LET_GO_S = 2.0
"""How long a next reader waits for a hung one to let go of the camera, of which there may be one session only."""

SLOW_FRAMES, MOST_TIMEOUTS = 2, 6.0
"""A run that times out after so few frames may be of a camera whose frames come further apart than that: the next one
waits twice as long, and at most so many times ``read_timeout_s``."""

SILENT = frozenset({StreamCode.TIMEOUT, StreamCode.NO_VIDEO_PACKETS})
"""The camera is there, and no picture comes."""

SETTLED_AFTER_S = 5.0
"""A run that gave frames for this long proves the camera well: the next back-off starts small again."""

DRAIN_S = 1.0
"""How long a run's last frames may take to be scored before its end is announced, so that events keep their order."""


class CameraStream:
    """Supervises one camera.

    ``notify`` is called from the stream thread with each change worth an event. ``model_width`` and ``clip_length``
    shape what is put into ``clips``. Without ``retry`` the first failure ends the stream. ``witness`` is shown all.
    ``network_device`` is what ``decoder: auto`` goes by.
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
        make_reader: MakeReader = Reader,
        network_device: str = "cpu",
    ) -> None:
        self.camera = camera
        self.config = config
        self.model_width = model_width  # of what is read next
        self.failure: StreamError | None = None  # the last one
        self._states = States(camera, notify=notify, clock=clock, witness=witness)
        self.status = self._states.status
        self._clip_length = clip_length
        self._network_device = network_device
        self._ledger = ledger
        self._clock = clock
        self._jitter = jitter or random.Random()
        self._retry = retry
        self._timeouts = 1.0  # times read_timeout_s
        self.witness = witness  # of what comes, for evidence and snapshots
        self._lock = threading.Lock()
        self._generation = self._new_generation()
        self._hung: list[threading.Thread] = []  # the watchdog's alone
        self._let_go_until_s = 0.0
        self._stopped = False
        self.analysis_ratio = 1.0  # of the frames to be analysed, while the machine is overloaded
        self._state_at_rest, self._why_at_rest = CameraState.STOPPED, ""
        self._intake = Intake(
            camera,
            clips=clips,
            ledger=ledger,
            states=self._states,
            witness=witness,
            clock=clock,
            make_reader=make_reader,
            ratio=lambda: self.analysis_ratio,
        )
        ledger.open(camera)

    def start(self, *, model_width: int | None = None) -> None:
        """``model_width``: the width from now on. Raises RuntimeError when there is no thread to be had."""
        if model_width is not None:
            self.model_width = model_width
            self._generation.spec = self._spec()
        self._start(self._generation)

    def stop(self, state: CameraState = CameraState.STOPPED, *, why: str = "") -> None:
        """Ask the thread to end in ``state``; does not wait."""
        with self._lock:  # or the watchdog might start a next generation that nobody has asked to end
            self._stopped = True
            self._state_at_rest, self._why_at_rest = state, why
            self._generation.stop.set()

    def restart(self, config: CameraConfig, *, model_width: int | None = None) -> None:
        """After ``stop`` and ``join``: go on, as a new run, with these settings. What was counted goes on too.

        ``model_width``: another than before.

        Raises RuntimeError when there is no thread to be had; ``check`` then tries again.
        """
        with self._lock:
            self.config, self._stopped, self._timeouts = config, False, 1.0
            self.model_width = model_width or self.model_width
            self._begin_generation()

    def rest(self) -> None:
        """After ``stop`` and ``join``: be in the state that ``stop`` was given, also where the source had ended."""
        if self.status.state is not self._state_at_rest:
            self._states.enter(self._state_at_rest, None, self._why_at_rest)

    def join(self, *, deadline_s: float) -> bool:
        """Wait for the thread until the monotonic ``deadline_s``; a hung one is abandoned then. True if it ended."""
        generation = self._generation
        if generation.thread is None:
            return True
        if not generation.abandoned:
            generation.thread.join(max(0.0, deadline_s - self._clock.monotonic_s()))
        if generation.thread.is_alive():
            self._abandon(generation)
        if generation.abandoned and self.status.state is not self._state_at_rest:
            self._states.enter(self._state_at_rest, None, "the reader hung and was abandoned")
        return not generation.thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """The stream thread still runs."""
        thread = self._generation.thread
        return thread is not None and thread.is_alive()

    @property
    def can_wait(self) -> bool:
        """A recording that is not paced: it waits for room, and nothing of it is lost by being slow."""
        return self._generation.can_wait

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
            self._let_go_until_s = self._clock.monotonic_s() + LET_GO_S
            self._adapt_timeout(generation, StreamCode.TIMEOUT)
            _add(self.status.errors, StreamCode.TIMEOUT)
            _add(self.status.reconnects, StreamCode.TIMEOUT)
            self._states.enter(CameraState.STALLED, StreamCode.TIMEOUT, "the reader hung and was abandoned")
        self._hung = [thread for thread in self._hung if thread.is_alive()]
        if self._hung and self._clock.monotonic_s() < self._let_go_until_s:
            return
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
        self._generation = self._new_generation()
        try:
            self._start(self._generation)
        except RuntimeError:
            self._generation.abandoned = True
            raise

    def _new_generation(self) -> Generation:
        return Generation(self._spec(), ClipWindow(self._clip_length), Thinning(self._clip_length))

    def _spec(self) -> ReadSpec:
        config = self.config
        if self._timeouts > 1.0:
            config = config.model_copy(update={"read_timeout_s": self._timeouts * config.read_timeout_s})
        return ReadSpec(self.camera, config, self.model_width, self._clip_length, self._network_device)

    def _adapt_timeout(self, generation: Generation, code: StreamCode) -> None:
        """A camera whose frames come further apart than its time-out would be opened anew for ever."""
        frames = self.status.frames_decoded - generation.frames_before
        if frames > SLOW_FRAMES:
            self._timeouts = 1.0
        elif frames and code in SILENT:
            self._timeouts = min(MOST_TIMEOUTS, 2.0 * self._timeouts)

    def _start(self, generation: Generation) -> None:
        name = f"vad-stream-{self.camera}"
        thread = threading.Thread(target=self._supervise, args=(generation,), name=name, daemon=True)
        thread.start()
        generation.thread = thread

    def _abandon(self, generation: Generation) -> bool:
        """False when the other of watchdog and ``join`` was first."""
        if not generation.abandon():
            return False
        with self._lock:
            self.status.abandoned_readers += 1
        if generation.window:
            self._ledger.dropped(self.camera, DropReason.RUN_ENDED, len(generation.window))
        log.warning("stream.reader_abandoned", camera=self.camera, run=self.status.run)
        return True

    # Everything below runs in the generation's own thread.

    def _supervise(self, generation: Generation) -> None:
        try:
            self._run_until_stopped(generation)
        finally:
            if generation.continues is not None:  # stopped between two runs of one open stream
                generation.continues.close()

    def _run_until_stopped(self, generation: Generation) -> None:
        failures = 0
        while not generation.stop.is_set():
            started_s = self._clock.monotonic_s()
            generation.frames_before = self.status.frames_decoded
            try:
                self._intake.run(generation)
                break  # stopped
            except StreamError as exc:
                error = exc
            except Exception as exc:
                log.exception("stream.defect", camera=self.camera, run=self.status.run)
                error = StreamError(StreamCode.BROKEN, f"unexpected {type(exc).__name__} while reading")
            if generation.abandoned:
                return
            ran_s = self._clock.monotonic_s() - started_s
            if ran_s >= SETTLED_AFTER_S and self.status.frames_decoded > generation.frames_before:
                failures = 0
            self._adapt_timeout(generation, error.code)
            generation.spec = self._spec()
            if not self._after_failure(generation, error, failures, ran_s=ran_s):
                return
            if error.retry_s is None:
                failures += 1
        if not generation.abandoned:
            self._states.enter(self._state_at_rest, None, self._why_at_rest)

    def _after_failure(self, generation: Generation, error: StreamError, failures: int, *, ran_s: float) -> bool:
        """Say what happened and wait as long as it deserves. False when the stream is over for good."""
        code = error.code
        self.failure = error
        _add(self.status.errors, code)
        self.status.reader_deaths += code is StreamCode.READER_DIED
        if code in CONTINUABLE:
            self._begin_next_run(error)
            return True
        self._drain(generation)
        if not self._retry or (code is StreamCode.ENDED and self.config.is_file and not self.config.loop):
            self._states.enter(CameraState.ENDED, code, str(error))
            return False
        if code is StreamCode.ENDED and self.config.loop:
            self._begin_next_run(error)
            self._clock.wait(generation.stop, timeout_s=self.config.backoff_min_s - ran_s)  # a very short recording
            return True
        _add(self.status.reconnects, code)
        state = CameraState.STALLED if code in SILENT else CameraState.BACKOFF
        self._states.enter(state, code, str(error))
        wait_s = error.retry_s if error.retry_s is not None else self._backoff_s(failures)
        self._clock.wait(generation.stop, timeout_s=wait_s)
        return True

    def _begin_next_run(self, error: StreamError) -> None:
        _add(self.status.reconnects, error.code)
        log.info("stream.new_run", camera=self.camera, run=self.status.run, code=error.code.value, detail=str(error))

    def _drain(self, generation: Generation) -> None:
        """Let the frames of the run that is over be scored first, for DRAIN_S at most."""
        until_s = self._clock.monotonic_s() + DRAIN_S
        while self._ledger.account(self.camera).in_flight > 0 and self._clock.monotonic_s() < until_s:
            if self._clock.wait(generation.stop, timeout_s=0.02):
                return

    def _backoff_s(self, failures: int) -> float:
        """Capped exponential back-off with jitter: half to the whole of min * 2^failures, at most max."""
        whole = min(self.config.backoff_max_s, self.config.backoff_min_s * 2.0 ** min(failures, 30))
        return whole * self._jitter.uniform(0.5, 1.0)


def _add(counts: dict[StreamCode, int], code: StreamCode) -> None:
    counts[code] = counts.get(code, 0) + 1
