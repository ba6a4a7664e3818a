"""Connections to the journal for the threads that answer requests: as many as are needed at once, and no more."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vad.events.archive import Archive

MOST_IDLE = 8


class Readers:
    """Lends readers of a journal, one to a thread at a time. May be used from any thread.

    An engine may have set the file aside and begun another: what was opened before is not lent again.
    """

    def __init__(self, path: Path, *, verdicts: Path) -> None:
        self._path, self._verdicts = path, verdicts
        self._idle: queue.LifoQueue[tuple[object, Archive]] = queue.LifoQueue(MOST_IDLE)

    @contextmanager
    def lend(self) -> Iterator[Archive]:
        """A reader for the length of the context. Raises JournalError where there is no journal."""
        file, reader = self._take()
        try:
            yield reader
        except BaseException:
            reader.close()  # who knows what state it is in
            raise
        try:
            self._idle.put_nowait((file, reader))
        except queue.Full:
            reader.close()

    def close(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait()[1].close()

    def _take(self) -> tuple[object, Archive]:
        now = self._file()
        with suppress(queue.Empty):
            while True:
                file, reader = self._idle.get_nowait()
                if file == now:
                    return file, reader
                reader.close()
        return now, Archive(self._path, verdicts=self._verdicts)

    def _file(self) -> object:
        try:
            stat = os.stat(self._path)
        except OSError:
            return None
        return stat.st_dev, stat.st_ino
