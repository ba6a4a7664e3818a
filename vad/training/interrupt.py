"""Ctrl-C as a question that the work answers when it stands at a good place."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Gives ``should_stop``: True once SIGINT or SIGTERM has come. A second signal raises KeyboardInterrupt at once.

    For the main thread alone, as signals are.
    """
    signalled = False

    def handle(_: int, __: FrameType | None) -> None:
        nonlocal signalled
        if signalled:
            raise KeyboardInterrupt
        signalled = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: signalled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
