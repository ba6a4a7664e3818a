"""Bridge threads: what the journal holds, brought elsewhere. None of them can slow or stop the engine.

Supervise outside (``run``: back-off, state, counts), fail inside (``_run_once``: raises). A bridge has a cursor of its
own beside the journal, moved only once the other side has said that it has an event: whatever is killed or away,
nothing is lost, and what was under way is sent again with the same id.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from vad.clock import Clock
from vad.config import BridgeSettings, bridge_name
from vad.errors import BridgeError, CursorError, EventRefused, JournalError
from vad.events.bridges import Bridge
from vad.events.cursor import CursorFile, Position
from vad.events.journal import JournalReader, StoredEvent
from vad.pipeline.status import BridgeStatus

log = structlog.get_logger(__name__)

FOLDER = "bridges"
BATCH = 64
POLL_S = 0.05
DRAIN_S = 2.0
"""At a stop: how long a bridge may still deliver. The rest is delivered after the next start."""
SETTLED_AFTER_S = 60.0
MAX_DEAD_LETTER_BYTES = 64 * 2**20


@dataclass(slots=True)
class BridgeCounts:
    """Written by the bridge's thread, read by anyone (each field alone is atomic); see ``BridgeStatus``."""

    up: bool = False
    sequence: int = 0  # the last event done
    sent: int = 0
    failed: int = 0
    dead_letters: int = 0
    lost: int = 0


class BridgeWorker:
    """One bridge. ``run`` is its thread's body, ``stop`` ends it soon.

    A bridge that has never run begins at the journal's end as it is when this is made. Raises CursorError and
    JournalError where cursor or journal cannot be used.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        *,
        bridge: Bridge,
        reader: JournalReader,
        last_sequence: Callable[[], int],
        storage: Path,
        clock: Clock,
    ) -> None:
        self.name = bridge_name(settings)
        self.status = BridgeCounts()
        self._settings = settings
        self._bridge = bridge
        self._reader = reader
        self._last_sequence = last_sequence
        self._clock = clock
        self._jitter = random.Random()
        self._stopping = threading.Event()
        self._drain_until_s = 0.0
        self._refused_since: tuple[int, float] | None = None  # sequence, monotonic
        folder = storage / FOLDER
        self._dead_letters = folder / f"{self.name}.dead.jsonl"
        self._cursor = CursorFile(folder / f"{self.name}.cursor")
        self.status.sequence = self._begin(folder)

    def run(self) -> None:
        """Until ``stop``; survives everything but the journal's end."""
        failures = 0
        while not self._stopping.is_set():
            started_s, sent_before = self._clock.monotonic_s(), self.status.sent
            try:
                self._run_once()
                break
            except (BridgeError, JournalError) as exc:
                error: Exception = exc
            except Exception as exc:
                log.exception("bridge.defect", bridge=self.name)
                error = exc
            finally:
                self.status.up = False
                self._bridge.close()
            self.status.failed += 1
            if self.status.sent > sent_before or self._clock.monotonic_s() - started_s > SETTLED_AFTER_S:
                failures = 0
            wait_s = self._backoff_s(failures, error)
            log.warning("bridge.failed", bridge=self.name, detail=str(error), retry_in_s=round(wait_s, 1))
            self._clock.wait(self._stopping, timeout_s=wait_s)
            failures += 1
        self.close()

    def close(self) -> None:
        self._reader.close()

    def told(self, last_sequence: int) -> BridgeStatus:
        counts = self.status
        return BridgeStatus(
            up=counts.up,
            behind=max(0, last_sequence - counts.sequence),
            sent=counts.sent,
            failed=counts.failed,
            dead_letters=counts.dead_letters,
            lost=counts.lost,
        )

    def stop(self) -> None:
        """Deliver for DRAIN_S at most, then end. Everything that will ever be stored has been."""
        self._drain_until_s = self._clock.monotonic_s() + DRAIN_S
        self._stopping.set()

    def _run_once(self) -> None:
        """Deliver until stopped, or raise."""
        self._bridge.open()
        self.status.up = True
        log.info("bridge.up", bridge=self.name, behind=self._last_sequence() - self.status.sequence)
        while not self._stopping.is_set() or self._clock.monotonic_s() < self._drain_until_s:
            if self._last_sequence() > self.status.sequence:
                self._deliver_page()
            elif self._stopping.is_set():
                return
            else:
                self._bridge.idle(POLL_S)

    def _deliver_page(self) -> None:
        page = self._reader.page(self.status.sequence, limit=BATCH)
        if page.first > self.status.sequence + 1:
            lost = page.first - 1 - self.status.sequence
            self.status.lost += lost
            log.error("bridge.events_lost", bridge=self.name, first=self.status.sequence + 1, last=page.first - 1)
            self._advance(page.first - 1)
        wanted = [event for event in page.events if self._wants(event)]
        while wanted and not self._is_out_of_time():
            wanted = wanted[self._deliver(wanted) :]
        if not wanted and page.events:
            self._advance(page.events[-1].sequence)

    def _deliver(self, events: Sequence[StoredEvent]) -> int:
        """How many are done: delivered, and perhaps one given up. Raises when the next could not be."""
        done = 0
        try:
            for _ in self._bridge.send(events):
                done += 1
                self.status.sent += 1
        except BridgeError as exc:
            if isinstance(exc, EventRefused) or self._is_given_up(events[done], exc):
                self._bury(events[done], str(exc))
                done += 1
            else:
                raise
        finally:
            if done:
                self._advance(events[done - 1].sequence)
        return done

    def _is_given_up(self, event: StoredEvent, error: BridgeError) -> bool:
        """Refused, by somebody who answers, for as long as we are told to try."""
        if not error.answered:
            return False
        now_s = self._clock.monotonic_s()
        if self._refused_since is None or self._refused_since[0] != event.sequence:
            self._refused_since = (event.sequence, now_s)
        return now_s - self._refused_since[1] >= self._settings.give_up_after_s

    def _bury(self, event: StoredEvent, reason: str) -> None:
        """Keep an event that nobody takes where a person can find it. Raises BridgeError when that is impossible."""
        letter = {"reason": reason, "given_up_wall_s": self._clock.wall_s(), "event": json.loads(event.body)}
        path = self._dead_letters
        try:
            if path.exists() and path.stat().st_size > MAX_DEAD_LETTER_BYTES:
                path.replace(path.with_name(path.name + ".1"))
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(letter) + "\n")
        except OSError as exc:
            raise BridgeError(f"{path}: {exc.strerror}") from None
        self.status.dead_letters += 1
        log.error("bridge.dead_letter", bridge=self.name, sequence=event.sequence, reason=reason, file=str(path))

    def _wants(self, event: StoredEvent) -> bool:
        settings = self._settings
        if settings.cameras is not None and event.topic.split("/")[3] not in settings.cameras:
            return False
        if settings.types is None:
            return True
        kind = str(json.loads(event.body)["type"])
        return any(kind == name or kind.startswith(name + ".") for name in settings.types)

    def _advance(self, sequence: int) -> None:
        self.status.sequence = sequence
        try:
            self._cursor.write(Position(self._reader.epoch, sequence))
        except CursorError as exc:  # a full disk: after a kill, what was delivered since is delivered again
            log.warning("bridge.cursor_not_written", bridge=self.name, detail=str(exc))

    def _begin(self, folder: Path) -> int:
        """Where to go on; noted at once, so that nothing is missed if this ends before its first event."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise CursorError(f"{folder}: {exc.strerror}; allowed: a folder that can be made") from None
        position = self._cursor.read()
        if position is None:
            position = Position(self._reader.epoch, self._reader.last_sequence)
            self._cursor.write(position)
        return position.sequence if position.epoch == self._reader.epoch else 0

    def _is_out_of_time(self) -> bool:
        return self._stopping.is_set() and self._clock.monotonic_s() >= self._drain_until_s

    def _backoff_s(self, failures: int, error: Exception) -> float:
        """Doubles up to ``retry_max_s``, jittered; not before the other side said to come back."""
        settings = self._settings
        whole_s = min(settings.retry_max_s, settings.retry_min_s * 2.0 ** min(failures, 30))
        asked_s = error.wait_s if isinstance(error, BridgeError) and error.wait_s is not None else 0.0
        return max(whole_s * self._jitter.uniform(0.5, 1.0), min(asked_s, settings.retry_max_s))
