"""Readers of one process take turns: what each does between two waits for its camera is done by one at a time.

Left to Python's lock, readers that all have something to do hand it to each other at every packet and picture. While
most cameras were late so that nobody waited for packets (after a start, or once the machine had been too slow for a
while), reading took so much more time that they never caught up. Whoever has its turn keeps it for as long as packets
wait for it.
"""

from __future__ import annotations

import threading

PATIENCE_S = 1.0
"""After which a reader goes on out of turn: another may hang in native code."""


class Turn:
    """One reader's, of a ``lock`` that it shares with others. Used from the reader's thread alone."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._is_ours = False

    def begin(self) -> None:
        if not self._is_ours:
            self._is_ours = self._lock.acquire(timeout=PATIENCE_S)

    def end(self) -> None:
        """Harmless when repeated. Before anything that may wait."""
        if self._is_ours:
            self._is_ours = False
            self._lock.release()
