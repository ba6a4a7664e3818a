"""The newest events, read from the journal once for all who follow them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import anyio.to_thread
import structlog

from vad.errors import JournalError
from vad.events.journal import Page, StoredEvent
from vad.service.api.readers import Readers

POLL_S = 0.25
KEPT = 1_000
PAGE_EVENTS = 200
PAGE_BYTES = 2**20

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """After which event of which epoch."""

    epoch: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Events ``first`` to ``last`` of an epoch are kept no more; ``last`` is None where nobody knows it any more."""

    epoch: str
    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class News:
    """What comes after a place: events in order, what is lost before them, and the place after them."""

    events: list[StoredEvent]
    lost: Lost | None
    place: Place


class Tail:
    """Follows the journal while anybody listens. Used by one event loop; the journal is read in worker threads.

    The last KEPT events stay in memory, shared by all. Who is further behind reads pages of the journal.
    """

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._newest: deque[StoredEvent] = deque(maxlen=KEPT)
        self._end: Place | None = None
        self._changed = asyncio.Event()
        self._listeners = 0
        self._poller: asyncio.Task[None] | None = None

    async def start(self) -> Place:
        """Begin to listen: the place after the newest event. Raises JournalError. ``stop`` must follow."""
        end = await anyio.to_thread.run_sync(self._read_end)
        self._listeners += 1
        if self._poller is None:
            self._newest.clear()
            self._end = end
            self._poller = asyncio.create_task(self._poll())
        return end

    def stop(self) -> None:
        self._listeners -= 1
        if self._listeners == 0 and self._poller is not None:
            self._poller.cancel()
            self._poller = None

    async def after(self, place: Place, *, timeout_s: float) -> News:
        """What comes after a place, none if nothing does within the time. Raises JournalError."""
        if self._ahead_of(place) == 0:
            changed = self._changed
            try:
                async with asyncio.timeout(timeout_s):
                    await changed.wait()
            except TimeoutError:
                return News([], None, place)
        ahead = self._ahead_of(place)
        if ahead is None or ahead > len(self._newest):
            return await anyio.to_thread.run_sync(self._read_news, place)
        events = list(self._newest)[len(self._newest) - ahead :][:PAGE_EVENTS]
        return News(events, None, Place(place.epoch, events[-1].sequence) if events else place)

    def _ahead_of(self, place: Place) -> int | None:
        """How many events are known to come after a place; None where it is of another epoch."""
        if self._end is None or self._end.epoch != place.epoch:
            return None
        return max(0, self._end.sequence - place.sequence)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            assert self._end is not None
            try:
                page = await anyio.to_thread.run_sync(self._read, self._end.sequence)
            except JournalError as exc:
                log.warning("http.journal_not_read", detail=str(exc))
                continue
            if page.epoch != self._end.epoch:
                self._newest.clear()
                self._end = Place(page.epoch, 0)
                page = Page(page.epoch, page.first, 0, [])
            elif not page.events:
                continue
            self._newest.extend(page.events)
            if page.events:
                self._end = Place(page.epoch, page.events[-1].sequence)
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    def _read_end(self) -> Place:
        with self._readers.lend() as reader:
            return Place(reader.epoch, reader.last_sequence)

    def _read(self, after: int) -> Page:
        with self._readers.lend() as reader:
            return reader.page(after, limit=PAGE_EVENTS, max_bytes=PAGE_BYTES)

    def _read_news(self, place: Place) -> News:
        with self._readers.lend() as reader:
            is_of_former = reader.epoch != place.epoch
            page = reader.page(0 if is_of_former else place.sequence, limit=PAGE_EVENTS, max_bytes=PAGE_BYTES)
        lost = None
        if is_of_former:
            lost = Lost(place.epoch, place.sequence + 1, None)
        elif page.first > place.sequence + 1:
            lost = Lost(place.epoch, place.sequence + 1, page.first - 1)
        if page.events:
            return News(page.events, lost, Place(page.epoch, page.events[-1].sequence))
        return News([], lost, Place(page.epoch, page.last if not is_of_former else 0))
