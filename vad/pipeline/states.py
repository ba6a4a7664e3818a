"""The state that a camera's stream is in, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from vad.clock import Clock
from vad.errors import StreamCode
from vad.pipeline.status import StreamStatus
from vad.pipeline.witness import Witness
from vad.types import CameraEvent, CameraState, ClockFault

log = structlog.get_logger(__name__)

UNANNOUNCED = frozenset({CameraState.CONNECTING})
CLOCK_DETAILS = {
    ClockFault.NO_CLOCK: "its time stamps stand still: its frames are dated by their arrival",
    ClockFault.RATE: "its time stamps run faster or slower than time does: they are scaled",
    ClockFault.WRONG: "the time of day that it reports is not this machine's: this machine's is taken",
    None: "its clock is believed again",
}

CLOCK_RIGHT_AFTER_S = 60.0


class States:
    """One camera's. ``notify`` is called with each change worth an event, in the thread that makes it."""

    def __init__(
        self, camera: str, *, notify: Callable[[CameraEvent], None], clock: Clock, witness: Witness | None
    ) -> None:
        self.status = StreamStatus()
        self._camera = camera
        self._notify = notify
        self._clock = clock
        self._witness = witness
        self._clock_wrong_s = 0.0  # when it was last found so
        self._announced: tuple[CameraState, StreamCode | None] | None = None

    def enter(self, state: CameraState, code: StreamCode | None, detail: str) -> None:
        """Change state; each change is logged and announced once, however often a retry confirms it."""
        self.status.state, self.status.code, self.status.detail = state, code, detail
        if self._witness is not None and state is not CameraState.UP:
            self._witness.rest()
        if state in UNANNOUNCED or (state, code) == self._announced:
            return
        self._announced = (state, code)
        level = log.info if code is None or state is CameraState.ENDED else log.warning
        self._announce(level, state.value, code and code.value, detail)

    def note_clock(self, fault: ClockFault | None) -> None:
        """What is wrong with the camera's clock; each change is logged and announced. It changes no state.

        A connection takes a while to tell, so that a clock counts as right only once it has been for a minute.
        """
        now_s = self._clock.monotonic_s()
        if fault is self.status.clock_fault:
            self._clock_wrong_s = now_s
            return
        if fault is None and now_s - self._clock_wrong_s < CLOCK_RIGHT_AFTER_S:
            return
        self.status.clock_fault = fault
        level = log.info if fault is None else log.warning
        self._announce(level, "clock", fault and fault.value, CLOCK_DETAILS[fault])

    def _announce(self, level: Callable[..., object], state: str, code: str | None, detail: str) -> None:
        run = self.status.run
        level(f"stream.{state}", camera=self._camera, run=run, code=code, detail=detail)
        wall_s = self._clock.wall_s()
        self._notify(CameraEvent(self._camera, run=run, state=state, wall_s=wall_s, code=code, detail=detail))
