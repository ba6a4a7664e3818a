"""Events for whoever reads them in the engine's own process."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import suppress

from vad.types import AnomalyEvent, CameraEvent

CAPACITY = 10_000
POLL_S = 0.25


class EventTap:
    """A queue that never makes who raises events wait: a reader that falls CAPACITY behind loses the oldest."""

    def __init__(self) -> None:
        self._events: queue.Queue[AnomalyEvent | CameraEvent] = queue.Queue(CAPACITY)

    def put(self, event: AnomalyEvent | CameraEvent) -> None:
        """Called by one thread."""
        if self._events.full():
            with suppress(queue.Empty):
                self._events.get_nowait()
        self._events.put_nowait(event)

    def read(self, *, timeout_s: float | None, is_over: Callable[[], bool]) -> Iterator[AnomalyEvent | CameraEvent]:
        """Until ``is_over`` and nothing is left, or ``timeout_s`` passes without an event."""
        waited_s = 0.0
        while timeout_s is None or waited_s < timeout_s:
            step_s = POLL_S if timeout_s is None else min(POLL_S, timeout_s - waited_s)
            try:
                yield self._events.get(timeout=step_s)
                waited_s = 0.0
            except queue.Empty:
                waited_s += step_s
                if is_over():
                    return
