"""The writer's lock: one engine a journal, and a note of how far it came.

``<journal>.lock`` is locked while a journal is open for writing; the kernel lets go when the process dies, however it
dies. It also holds the last sequence given: SQLite takes a damaged write-ahead log for a short one and opens the
journal as it was before, and the note tells the two apart, so that no sequence is given twice. It is not synced: after
a power loss it may lag behind the journal, never run ahead of it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vad.errors import JournalError


@dataclass(frozen=True, slots=True)
class Mark:
    """The last sequence that was given in an epoch."""

    epoch: str
    sequence: int


class WriterLock:
    """Held from construction to ``close``. Raises JournalError when another engine holds it or it cannot be made.

    ``mark`` is what the last holder noted, None where there is no note.
    """

    def __init__(self, journal: Path) -> None:
        path = journal.with_name(journal.name + ".lock")
        try:
            journal.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise JournalError(f"{journal}: cannot be opened: {exc}") from exc
        process, self.mark = _parse(os.read(self._file, 200))
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise JournalError(
                f"{journal} is being written by another engine (process {process}); allowed: one"
            ) from None

    def note(self, epoch: str, sequence: int) -> None:
        """Remember the last sequence; of fixed width, so that each note covers the one before.

        What is noted has been committed: where the disk takes no note, the note lags behind, and nothing else is wrong.
        """
        with suppress(OSError):
            os.pwrite(self._file, f"{os.getpid():>10} {epoch:>36} {sequence:>10}\n".encode(), 0)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _parse(text: bytes) -> tuple[str, Mark | None]:
    """Process and mark; a note that is none is no reason to refuse anything."""
    words = text.decode(errors="replace").split()
    if len(words) != 3 or not words[2].isdecimal():
        return "unknown", None
    return words[0], Mark(words[1], int(words[2]))
