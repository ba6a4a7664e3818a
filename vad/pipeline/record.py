"""Journal thread: writes what is raised, in order, as many at once as are waiting; survives a disk that takes nothing.

A commit costs one wait for the disk however many events are in it, so that a slow disk makes larger commits and not a
longer queue. While it takes none, events wait in memory; when too many do, the oldest are given up, so that what is
kept says how things stand now. What was given up is counted, and an event in its place says so.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from vad.clock import Clock
from vad.config import StorageSettings
from vad.errors import JournalDamaged, JournalError
from vad.events.journal import FORGET_LIMIT, Journal
from vad.pipeline.mailbox import Mailbox
from vad.pipeline.metrics import StageMetrics
from vad.pipeline.publish import Outbound
from vad.pipeline.status import JournalStatus
from vad.types import AnomalyEvent, CameraEvent, JournalEvent, JournalState, RaisedEvent

log = structlog.get_logger(__name__)

EVENTS_A_COMMIT = 500
POLL_S = 0.5
RETRY_S = 0.5
REMIND_S = 60.0
FORGET_EVERY_S = 5.0
CLOSE_WITHIN_S = 2.0
"""How long a stop tries to write what is left when the disk takes none."""

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Lost:
    """Events that were given up: how many, and when the first and the last of them were raised."""

    count: int
    since_wall_s: float
    until_wall_s: float


class WaitingEvents:
    """Events on their way to the journal; never makes who raises them wait. The oldest give way when it is full."""

    def __init__(self, capacity: int) -> None:
        self._events: deque[RaisedEvent] = deque()
        self._capacity = capacity
        self._lost: Lost | None = None  # since the last take
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_closed(self) -> bool:
        return self._closed

    def put(self, events: Sequence[RaisedEvent]) -> None:
        with self._changed:
            self._events.extend(events)
            while len(self._events) > self._capacity:
                self._give_up(self._events.popleft())
            self._changed.notify_all()

    def take(self, limit: int, *, timeout_s: float) -> tuple[Lost | None, list[RaisedEvent]] | None:
        """At most ``limit``, oldest first, and what was lost right before them; None once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._events, timeout=timeout_s)
            if self._closed and not self._events:
                return None
            events = [self._events.popleft() for _ in range(min(limit, len(self._events)))]
            lost, self._lost = self._lost, None
            return lost, events

    def close(self) -> None:
        """No more puts. What is inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_closed(self, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout=timeout_s)

    def _give_up(self, event: RaisedEvent) -> None:
        before = self._lost
        self._lost = Lost(
            count=before.count + 1 if before else 1,
            since_wall_s=before.since_wall_s if before else event.wall_s,
            until_wall_s=event.wall_s,
        )


class Recorder:
    """The one who writes the journal. ``put`` may be called by anyone, ``run`` is its thread's."""

    def __init__(
        self,
        journal: Journal,
        *,
        storage: StorageSettings,
        outbox: Mailbox[Outbound],
        metrics: StageMetrics,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._storage = storage
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._waiting = WaitingEvents(storage.waiting_events)
        self._in_hand = 0
        self._blocked_since_s: float | None = None
        self._remind_s = 0.0
        self._forget_s = 0.0
        self._failures = self._lost = 0
        self._detail = ""
        self._first_sequence, self._used_bytes = journal.first_sequence, journal.used_bytes

    def put(self, events: Sequence[RaisedEvent]) -> None:
        """Have events written. Never waits."""
        self._waiting.put(events)

    def close(self) -> None:
        """Nothing more will be put: ``run`` writes what is left and ends."""
        self._waiting.close()

    @property
    def status(self) -> JournalStatus:
        """How the journal stands. May be read by anyone."""
        return JournalStatus(
            is_writable=self._blocked_since_s is None,
            detail=self._detail,
            waiting=len(self._waiting) + self._in_hand,
            lost=self._lost,
            failures=self._failures,
            first_sequence=self._first_sequence,
            used_bytes=self._used_bytes,
        )

    def run(self) -> None:
        """Until ``close``, and then what is left, for CLOSE_WITHIN_S at most. Raises JournalError if that fails."""
        try:
            while (taken := self._waiting.take(EVENTS_A_COMMIT, timeout_s=POLL_S)) is not None:
                lost, events = taken
                if lost is not None:
                    events.insert(0, self._overflowed(lost))
                self._in_hand = len(events)
                self._write(events)
                self._in_hand = 0
                self._forget()
        finally:
            self._outbox.close()

    def _write(self, events: list[RaisedEvent]) -> None:
        """Until it is written: nothing behind it can be before."""
        give_up_s: float | None = None
        while events:
            started_s = time.perf_counter()
            try:
                stored = self._journal.append(events)
            except JournalDamaged:
                raise  # no more waiting helps: the engine ends, and its next start sets the file aside
            except JournalError as exc:
                now_s = self._clock.monotonic_s()
                if self._waiting.is_closed and give_up_s is None:
                    give_up_s = now_s + CLOSE_WITHIN_S
                self._blocked(exc)
                if give_up_s is not None and now_s >= give_up_s:
                    raise JournalError(f"{len(events) + len(self._waiting)} events could not be stored: {exc}") from exc
                self._waiting.wait_closed(RETRY_S) if give_up_s is None else time.sleep(RETRY_S / 5)
                continue
            self._metrics.observe("journal", time.perf_counter() - started_s)
            self._written(events)
            self._outbox.put_or_drop_oldest(Outbound(stored))  # dropped, the publisher reads it back
            return

    def _written(self, events: Sequence[RaisedEvent]) -> None:
        for event in events:
            self._metrics.events.labels(type=kind_of(event)).inc()
        if self._blocked_since_s is not None:
            waited_s = self._clock.monotonic_s() - self._blocked_since_s
            log.warning("journal.writing_again", waited_s=round(waited_s, 1), lost=self._lost)
            self._blocked_since_s, self._detail = None, ""

    def _blocked(self, error: JournalError) -> None:
        self._failures += 1
        self._detail = str(error)
        now_s = self._clock.monotonic_s()
        if self._blocked_since_s is None:
            self._blocked_since_s, self._remind_s = now_s, now_s
        if now_s >= self._remind_s:
            self._remind_s = now_s + REMIND_S
            log.error("journal.blocked", detail=self._detail, waiting=self.status.waiting, lost=self._lost)

    def _overflowed(self, lost: Lost) -> JournalEvent:
        self._lost += lost.count
        return JournalEvent(
            JournalState.OVERFLOWED,
            wall_s=self._clock.wall_s(),
            detail=f"the journal could not be written; {self._storage.waiting_events} events may wait",
            lost=lost.count,
            since_wall_s=lost.since_wall_s,
            until_wall_s=lost.until_wall_s,
        )

    def _forget(self) -> None:
        """A few of the oldest events at a time, between two commits."""
        now_s = self._clock.monotonic_s()
        if now_s < self._forget_s:
            return
        try:
            forgotten = self._journal.forget(
                older_than_s=self._storage.journal_days * DAY_S, max_bytes=self._storage.journal_mib * 2**20
            )
            self._first_sequence, self._used_bytes = self._journal.first_sequence, self._journal.used_bytes
        except JournalDamaged:
            raise
        except JournalError as exc:
            log.warning("journal.not_shortened", detail=str(exc))
            forgotten = 0
        self._forget_s = now_s + (FORGET_EVERY_S if forgotten < FORGET_LIMIT else 0.0)


def kind_of(event: RaisedEvent) -> str:
    """The type an event has on the wire."""
    if isinstance(event, AnomalyEvent):
        return event.type.value
    about = "camera" if isinstance(event, CameraEvent) else "journal" if isinstance(event, JournalEvent) else "engine"
    return f"io.vad.{about}.{event.state}"
