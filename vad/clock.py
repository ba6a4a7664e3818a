"""Time is injected, never read in passing: tests own it with ManualClock, everything else uses SystemClock."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks and a wait. ``monotonic_s`` never goes back, ``wall_s`` is UTC and may."""

    def monotonic_s(self) -> float: ...

    def wall_s(self) -> float: ...

    def wait(self, stop: threading.Event, *, timeout_s: float) -> bool:
        """Sleep until ``stop`` is set or ``timeout_s`` has passed; True if stopped."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()

    def wait(self, stop: threading.Event, *, timeout_s: float) -> bool:
        return stop.wait(max(0.0, timeout_s))


class ManualClock:
    """A clock that moves only when told to; waiting moves it by the whole time-out, at once."""

    def __init__(self, *, monotonic_s: float = 0.0, wall_s: float = 1_700_000_000.0) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def wall_s(self) -> float:
        return self._wall_s

    def advance(self, seconds: float) -> None:
        self._monotonic_s += seconds
        self._wall_s += seconds

    def wait(self, stop: threading.Event, *, timeout_s: float) -> bool:
        if not stop.is_set():
            self.advance(max(0.0, timeout_s))
        return stop.is_set()
