"""The state that a camera's stream is in, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from vad.clock import Clock
from vad.errors import StreamCode
from vad.pipeline.status import StreamStatus
from vad.pipeline.witness import Witness
from vad.types import CameraEvent, CameraState

log = structlog.get_logger(__name__)

UNANNOUNCED = frozenset({CameraState.CONNECTING})


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
        level(f"stream.{state}", camera=self._camera, run=self.status.run, code=code and code.value, detail=detail)
        self._notify(
            CameraEvent(
                camera=self._camera,
                run=self.status.run,
                state=state.value,
                wall_s=self._clock.wall_s(),
                code=code and code.value,
                detail=detail,
            )
        )
