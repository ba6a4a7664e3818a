"""The replay: gives back what the journal holds, page by page, to whoever missed it. Owned by one thread.

It keeps no conversation: a request says all that is needed to answer it, one page answers it, and the next is the
client's to ask for. Requests of many clients are taken in turn (ZeroMQ's ROUTER does that), so that a greedy one waits
like the others; what unread pages may cost is bounded by ``Credit``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import msgspec
import zmq

from vad.clock import SystemClock
from vad.errors import JournalError, WireError
from vad.events.credit import Credit
from vad.events.journal import MAX_SEQUENCE
from vad.events.requests import (
    MAX_PAGE_EVENTS,
    MAX_REQUEST_BYTES,
    PAGE_BYTES,
    DoneRequest,
    Head,
    Refusal,
    ReplayHead,
    ReplayRequest,
    Request,
    SnapshotHead,
    SnapshotRequest,
    decode_request,
    encode_reply,
)
from vad.events.sockets import Limits, bound_socket, drop_connections, end_context, real_address

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.config import BusSettings
    from vad.events.journal import Journal, StoredEvent
    from vad.events.sockets import Context, Secure

LIMITS = Limits(frame_bytes=MAX_REQUEST_BYTES, send_queue=16, receive_queue=16, unread_ms=20_000)
"""A peer that takes nothing for ``unread_ms`` is cut off, and its page forgotten, before its credit expires."""

REQUESTS_A_STEP = 64


class ReplayServer:
    """Answers replay and snapshot requests on a ROUTER socket. ``answers`` counts them by outcome.

    Raises BindError when the address is taken or is not one of this machine.
    """

    def __init__(
        self,
        settings: BusSettings,
        *,
        journal: Journal,
        context: Context | None = None,
        clock: Clock | None = None,
        secure: Secure | None = None,
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.events = 0
        self._clock: Clock = clock or SystemClock()
        self._credit = Credit()
        self._own_context = None if context is not None else zmq.Context()
        self._journal = journal.reader()
        try:
            self._socket = bound_socket(
                context or self._own_context or zmq.Context(),
                zmq.ROUTER,
                settings.replay_address,
                what="bus.replay_bind",
                limits=LIMITS,
                secure=secure,
            )
        except BaseException:
            if self._own_context is not None:
                self._own_context.destroy(linger=0)
            self._journal.close()
            raise

    @property
    def address(self) -> str:
        """The real endpoint, also where the port was left open."""
        return real_address(self._socket)

    @property
    def unread_bytes(self) -> int:
        """Pages sent of which nobody has said that they arrived."""
        return self._credit.bytes

    def step(self, timeout_s: float) -> None:
        """Answer what has been asked; wait at most that long for something to be."""
        self._credit.expire(self._clock.monotonic_s())
        if not self._socket.poll(round(timeout_s * 1000)):
            return
        for _ in range(REQUESTS_A_STEP):
            try:
                peer, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            reply = self.answer(peer, frames)
            if reply:
                self._socket.send_multipart([peer, *reply], zmq.NOBLOCK)  # to a peer that is gone it goes nowhere

    def answer(self, peer: bytes, frames: Sequence[bytes]) -> list[bytes]:
        """The frames that answer a request; none where it wants no answer."""
        envelope = [b""] if len(frames) == 2 and frames[0] == b"" else []  # a REQ socket's, and wanted back
        body = frames[-1] if len(frames) == 1 + len(envelope) else b""
        try:
            request = decode_request(body)
            if not self._credit.returned(peer, request.received):
                answer = self._refuse("unread", "the token of the page before must come back as `received`")
            else:
                answer = self._answer(peer, request)
        except WireError as exc:
            answer = self._refuse("malformed", str(exc))
        except JournalError as exc:
            answer = self._refuse("unavailable", str(exc))
        return [*envelope, *answer] if answer else []

    def drop_connections(self) -> None:
        """End all connections; clients that may still connect come back and ask again."""
        drop_connections(self._socket, what="bus.replay_bind")

    def close(self) -> None:
        if self._socket.closed:
            return
        self._socket.close()
        if self._own_context is not None:
            end_context(self._own_context)
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, peer: bytes, request: Request) -> list[bytes]:
        if isinstance(request, DoneRequest):
            self.answers["done"] += 1
            return []
        if isinstance(request, ReplayRequest) and request.epoch not in (None, self._journal.epoch):
            return self._refuse("epoch", f"this journal is of epoch {self._journal.epoch}")
        if not self._credit.has_room(PAGE_BYTES):
            return self._refuse("busy", "too many pages wait for others to read them; ask again in half a second")
        head, page = self._replay(request) if isinstance(request, ReplayRequest) else self._snapshot(request)
        lines = b"\n".join([event.body for event in page])
        token = self._credit.grant(peer, len(lines), now_s=self._clock.monotonic_s())
        self.answers["page"] += 1
        self.events += len(page)
        return [encode_reply(msgspec.structs.replace(head, token=token)), lines]

    def _replay(self, request: ReplayRequest) -> tuple[Head, list[StoredEvent]]:
        after, until = request.after, MAX_SEQUENCE if request.until is None else request.until
        limit = max(min(request.limit, MAX_PAGE_EVENTS, until - after), 0)
        page = self._journal.page(after, limit=limit, max_bytes=PAGE_BYTES)
        wanted_last = min(until, page.last)
        lost_last = min(wanted_last, page.first - 1)
        events = [event for event in page.events if event.sequence <= until]
        reached = events[-1].sequence if events else max(after, lost_last)
        head = ReplayHead(
            epoch=page.epoch,
            first_sequence=page.first,
            last_sequence=page.last,
            count=len(events),
            more=reached < wanted_last,
            token="",
            begin=events[0].sequence if events else reached + 1,
            lost=(after + 1, lost_last) if after < lost_last else None,
        )
        return head, events

    def _snapshot(self, request: SnapshotRequest) -> tuple[Head, list[StoredEvent]]:
        limit = min(request.limit, MAX_PAGE_EVENTS)
        page = self._journal.states(request.after, limit=limit, max_bytes=PAGE_BYTES)
        size = sum(len(event.body) for event in page.events)
        head = SnapshotHead(
            epoch=page.epoch,
            first_sequence=page.first,
            last_sequence=page.last,
            count=len(page.events),
            more=len(page.events) == limit or size >= PAGE_BYTES,
            token="",
        )
        return head, page.events

    def _refuse(self, error: str, detail: str) -> list[bytes]:
        self.answers[error] += 1
        return [encode_reply(Refusal(error=error, epoch=self._journal.epoch, detail=detail))]
