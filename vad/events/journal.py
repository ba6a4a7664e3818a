"""The event journal: what every durable event is written to before it is sent.

One SQLite file in WAL mode with ``synchronous=FULL``: each commit is on the disk before ``append`` returns. The cheaper
``NORMAL`` survives a killed process too, but a power loss could take back the last commits, and their sequence numbers
with them; these would then be given to other events although subscribers have seen them. The price of FULL is one fsync
a call, which is why ``append`` takes many events at once.

The sequence lives in SQLite's AUTOINCREMENT counter, so that it goes on after old rows are gone: ``forget`` takes them
away from the old end alone, so that what is left has no hole.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeGuard

from vad.clock import SystemClock
from vad.errors import JournalError
from vad.events import journal_file, journal_listing, journal_rows
from vad.events.journal_file import sqlite_errors
from vad.events.journal_rows import transaction
from vad.events.lock import WriterLock
from vad.events.messages import durable_message
from vad.events.schema import DurableMessage, encode, topic_of
from vad.types import PICTURE_STATES, CameraEvent, CameraState, JournalEvent, JournalState

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.types import RaisedEvent

JOURNAL_NAME = "events.sqlite"
"""The journal's file name inside the storage directory."""

MAX_SEQUENCE = 2**31 - 1  # the largest Integer that CloudEvents knows
READ_LIMIT = 1_000
READ_BYTES = 16 * 2**20
FORGET_LIMIT = 2_000
"""Events that one ``forget`` deletes at most: some 70 ms where the journal is large."""

STREAM_STATES = frozenset(state.value for state in CameraState)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that is on the disk: only such are sent."""

    epoch: str
    sequence: int
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Stored events in order, and what the journal held at the moment they were read.

    ``first`` is the oldest sequence still there (``last`` + 1 when none is), ``last`` the last ever given.
    """

    epoch: str
    first: int
    last: int
    events: list[StoredEvent]


class JournalReader:
    """Reads a journal that may be written meanwhile, through a connection of its own. Used by one thread at a time."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._db = journal_file.open_for_reading(self.path)
        with sqlite_errors(self.path):
            self.epoch = journal_rows.epoch(self._db)

    @property
    def last_sequence(self) -> int:
        with sqlite_errors(self.path):
            return journal_rows.last_sequence(self._db)

    @property
    def first_sequence(self) -> int:
        """The oldest that is still there; the one after the last when none is."""
        with sqlite_errors(self.path):
            return journal_rows.first_sequence(self._db)

    def read(self, after: int, limit: int = READ_LIMIT) -> list[StoredEvent]:
        """At most ``limit`` events with a sequence above ``after``, in order."""
        with sqlite_errors(self.path):
            return _read(self._db, self.epoch, after, limit)

    def page(self, after: int, *, limit: int = READ_LIMIT, max_bytes: int = READ_BYTES) -> Page:
        """Events after a sequence, at most ``limit``, and no more of them once they are ``max_bytes`` long."""
        return self._page(journal_rows.read, after, limit, max_bytes)

    def states(self, after: int, *, limit: int = READ_LIMIT, max_bytes: int = READ_BYTES) -> Page:
        """Like ``page``, but of each camera only the last event of its stream and the last of its picture."""
        return self._page(journal_rows.read_states, after, limit, max_bytes)

    def _page(self, read: Callable[..., list[journal_rows.Row]], after: int, limit: int, max_bytes: int) -> Page:
        with sqlite_errors(self.path), journal_rows.snapshot(self._db):
            rows = read(self._db, after=after, limit=limit, max_bytes=max_bytes)
            first, last = journal_rows.first_sequence(self._db), journal_rows.last_sequence(self._db)
        return Page(self.epoch, first, last, [StoredEvent(self.epoch, *row) for row in rows])

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Journal:
    """The one writer of a journal. Used by one thread at a time; others read through ``reader()``.

    A file that is not a whole journal is set aside next to it (``set_aside`` names it) and a new epoch begins, as it
    does when the journal last written is gone; the first event of that epoch then says so.

    Raises JournalError when another engine writes the same journal, when it was made by a newer version, or when it
    cannot be opened.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self.set_aside: Path | None = None
        self._clock: Clock = clock or SystemClock()
        self._lock = WriterLock(self.path)
        try:
            with sqlite_errors(self.path):
                self._set_aside_if_not_whole()
                self._db = journal_file.open_for_writing(self.path, wall_s=self._clock.wall_s(), first=self._first_row)
                self.epoch = journal_rows.epoch(self._db)
                self.last_sequence = journal_rows.last_sequence(self._db)
            self._lock.note(self.epoch, self.last_sequence)
        except BaseException:
            self._lock.close()
            raise

    def append(self, events: Sequence[RaisedEvent]) -> list[StoredEvent]:
        """Write events in one transaction and return them with their sequence; on the disk when this returns.

        All or nothing: after a JournalError (no room, no disk) or a WireError (an event that has no wire form) nothing
        was written and the sequence stands where it stood, so that the same call may be tried again.
        """
        if not events:
            return []
        if self.last_sequence + len(events) > MAX_SEQUENCE:
            raise JournalError(f"{self.path}: sequence {MAX_SEQUENCE} is reached; move the file away to begin an epoch")
        messages = [
            durable_message(event, epoch=self.epoch, sequence=self.last_sequence + i)
            for i, event in enumerate(events, start=1)
        ]
        stored = [_stored(message) for message in messages]
        rows = [(s.sequence, s.topic, s.body) for s in stored]
        states = [(*_place_of(e), *row) for e, row in zip(events, rows, strict=True) if _is_state(e)]
        with sqlite_errors(self.path), transaction(self._db):
            journal_rows.insert(self._db, rows, wall_s=self._clock.wall_s())
            journal_listing.add(self._db, messages)
            if states:
                journal_rows.replace_states(self._db, states)
        self.last_sequence = stored[-1].sequence
        self._lock.note(self.epoch, self.last_sequence)
        return stored

    def forget(self, *, older_than_s: float, max_bytes: int) -> int:
        """Delete events older than that, and the oldest of a journal larger than that; how many.

        At most FORGET_LIMIT at a time, so that nothing waits for long: call it again while it deletes as many.
        """
        before_wall_s = self._clock.wall_s() - older_than_s
        with sqlite_errors(self.path):
            return journal_rows.forget(self._db, before_wall_s=before_wall_s, max_bytes=max_bytes, limit=FORGET_LIMIT)

    @property
    def used_bytes(self) -> int:
        """What the content takes of the file."""
        with sqlite_errors(self.path):
            return journal_rows.used_bytes(self._db)

    @property
    def first_sequence(self) -> int:
        """The oldest that is still there; the one after the last when none is."""
        with sqlite_errors(self.path):
            return journal_rows.first_sequence(self._db)

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
        self._fault = journal_file.fault(self.path, mark=self._lock.mark)
        if self._fault is not None:
            self.set_aside = journal_file.set_aside(self.path, wall_s=self._clock.wall_s())
            log.warning("%s is not a whole journal (%s): kept as %s, new epoch", self.path, self._fault, self.set_aside)

    def _first_row(self, epoch: str) -> journal_rows.Row | None:
        """A new epoch begins with a word on what became of the one before, if there was one."""
        mark = self._lock.mark
        if self.set_aside is not None:
            detail = f"kept as {self.set_aside.name}: {self._fault}"
        elif mark is not None:
            detail = "it was gone"
        else:
            return None
        event = JournalEvent(
            JournalState.REPLACED,
            wall_s=self._clock.wall_s(),
            detail=detail,
            previous_epoch=mark.epoch if mark else None,
            previous_sequence=mark.sequence if mark else None,
        )
        stored = _stored(durable_message(event, epoch=epoch, sequence=1))
        return stored.sequence, stored.topic, stored.body


def _stored(message: DurableMessage) -> StoredEvent:
    return StoredEvent(message.epoch, message.sequence, topic_of(message), encode(message))


def _is_state(event: object) -> TypeGuard[CameraEvent]:
    """Does it say how a stream or a picture stands from now on? A nuisance does not."""
    return isinstance(event, CameraEvent) and (event.state in STREAM_STATES or event.state in PICTURE_STATES)


def _place_of(event: CameraEvent) -> tuple[str, str]:
    """Camera and which of its two states an event changes: its stream's or its picture's."""
    return event.camera, "stream" if event.state in STREAM_STATES else "picture"


def read_journal(path: str | Path, *, after: int = 0) -> Iterator[StoredEvent]:
    """All events of a journal file after a sequence, in order, page by page; also while an engine writes it."""
    with JournalReader(path) as reader:
        while page := reader.read(after):
            yield from page
            after = page[-1].sequence


def _read(db: sqlite3.Connection, epoch: str, after: int, limit: int) -> list[StoredEvent]:
    rows = journal_rows.read(db, after=after, limit=limit, max_bytes=READ_BYTES)
    return [StoredEvent(epoch, *row) for row in rows]
