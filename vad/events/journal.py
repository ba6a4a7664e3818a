"""The event journal: what every durable event is written to before it is sent.

One SQLite file in WAL mode with ``synchronous=FULL``: each commit is on the disk before ``append`` returns. The cheaper
``NORMAL`` survives a killed process too, but a power loss could take back the last commits, and their sequence numbers
with them; these would then be given to other events although subscribers have seen them. The price of FULL is one fsync
a call, which is why ``append`` takes many events at once.

The sequence lives in SQLite's AUTOINCREMENT counter, so that it goes on after old rows are gone.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vad.clock import SystemClock
from vad.errors import JournalError
from vad.events import journal_file
from vad.events.journal_file import sqlite_errors, transaction
from vad.events.lock import WriterLock
from vad.events.messages import durable_message
from vad.events.schema import encode, topic_of

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.types import AnomalyEvent, CameraEvent

JOURNAL_NAME = "events.sqlite"
"""The journal's file name inside the storage directory."""

MAX_SEQUENCE = 2**31 - 1  # the largest Integer that CloudEvents knows
READ_LIMIT = 1_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that is on the disk: only such are sent."""

    epoch: str
    sequence: int
    topic: str
    body: bytes


class JournalReader:
    """Reads a journal that may be written meanwhile, through a connection of its own. Used by one thread at a time."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._db = journal_file.open_for_reading(self.path)
        with sqlite_errors(self.path):
            self.epoch = journal_file.epoch(self._db)

    @property
    def last_sequence(self) -> int:
        with sqlite_errors(self.path):
            return journal_file.last_sequence(self._db)

    def read(self, after: int, limit: int = READ_LIMIT) -> list[StoredEvent]:
        """At most ``limit`` events with a sequence above ``after``, in order."""
        with sqlite_errors(self.path):
            return _read(self._db, self.epoch, after, limit)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Journal:
    """The one writer of a journal. Used by one thread at a time; others read through ``reader()``.

    A file that is not a whole journal is set aside next to it (``set_aside`` names it) and a new epoch begins. Raises
    JournalError when another engine writes the same journal, when it was made by a newer version, or when it cannot be
    opened.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self.set_aside: Path | None = None
        self._clock: Clock = clock or SystemClock()
        self._lock = WriterLock(self.path)
        try:
            with sqlite_errors(self.path):
                self._set_aside_if_not_whole()
                self._db = journal_file.open_for_writing(self.path, wall_s=self._clock.wall_s())
                self.epoch = journal_file.epoch(self._db)
                self.last_sequence = journal_file.last_sequence(self._db)
            self._lock.note(self.epoch, self.last_sequence)
        except BaseException:
            self._lock.close()
            raise

    def append(self, events: Sequence[AnomalyEvent | CameraEvent]) -> list[StoredEvent]:
        """Write events in one transaction and return them with their sequence; on the disk when this returns.

        All or nothing: after a JournalError (no room, no disk) or a WireError (an event that has no wire form) nothing
        was written and the sequence stands where it stood, so that the same call may be tried again.
        """
        if not events:
            return []
        if self.last_sequence + len(events) > MAX_SEQUENCE:
            raise JournalError(f"{self.path}: sequence {MAX_SEQUENCE} is reached; move the file away to begin an epoch")
        stored = [self._stored(event, self.last_sequence + i) for i, event in enumerate(events, start=1)]
        at = self._clock.wall_s()
        with sqlite_errors(self.path), transaction(self._db):
            self._db.executemany(
                "INSERT INTO events (sequence, stored_wall_s, topic, body) VALUES (?, ?, ?, ?)",
                [(s.sequence, at, s.topic, s.body) for s in stored],
            )
        self.last_sequence = stored[-1].sequence
        self._lock.note(self.epoch, self.last_sequence)
        return stored

    def read(self, after: int, limit: int = READ_LIMIT) -> list[StoredEvent]:
        """At most ``limit`` events with a sequence above ``after``, in order."""
        with sqlite_errors(self.path):
            return _read(self._db, self.epoch, after, limit)

    def reader(self) -> JournalReader:
        """A second connection, for another thread."""
        return JournalReader(self.path)

    def close(self) -> None:
        """Release the file and the lock. Nothing is pending: every append was already on the disk."""
        self._db.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_aside_if_not_whole(self) -> None:
        fault = journal_file.fault(self.path, mark=self._lock.mark)
        if fault is not None:
            self.set_aside = journal_file.set_aside(self.path, wall_s=self._clock.wall_s())
            log.warning("%s is not a whole journal (%s): kept as %s, new epoch", self.path, fault, self.set_aside)

    def _stored(self, event: AnomalyEvent | CameraEvent, sequence: int) -> StoredEvent:
        message = durable_message(event, epoch=self.epoch, sequence=sequence)
        return StoredEvent(self.epoch, sequence, topic_of(message), encode(message))


def read_journal(path: str | Path, *, after: int = 0) -> Iterator[StoredEvent]:
    """All events of a journal file after a sequence, in order, page by page; also while an engine writes it."""
    with JournalReader(path) as reader:
        while page := reader.read(after):
            yield from page
            after = page[-1].sequence


def _read(db: sqlite3.Connection, epoch: str, after: int, limit: int) -> list[StoredEvent]:
    rows = db.execute(
        "SELECT sequence, topic, body FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, limit)
    )
    return [StoredEvent(epoch, sequence, topic, body) for sequence, topic, body in rows]
