"""The bus: publishes what the journal holds, and a heartbeat. Owned by one thread, as every ZeroMQ socket is.

A subscriber that does not read loses messages at its high-water mark and slows nobody (``XPUB_NODROP`` was measured to
starve the others, so it is not used); the sequence and the heartbeat tell it what it lost.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import zmq

from vad.clock import SystemClock
from vad.events.messages import heartbeat_message, score_message
from vad.events.schema import HEARTBEAT_TOPIC, SCORE_TOPIC, encode
from vad.events.sockets import Limits, bound_socket, drop_connections, end_context, real_address
from vad.events.subscriptions import Subscriptions

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.config import BusSettings
    from vad.events.journal import Journal, StoredEvent
    from vad.events.sockets import Context, Secure
    from vad.types import FrameScore

MAX_SUBSCRIPTION_BYTES = 512
"""A subscriber that sends a longer frame than this is cut off: topics are short, and so is a handshake."""

SUBSCRIPTIONS_WAITING = 10
"""Of one subscriber. ZeroMQ takes them in for as long as more come, before anybody can say that it is enough."""

log = logging.getLogger(__name__)


class Publisher:
    """Sends stored events in order, each once, and scores as they come.

    ``publish`` is handed what ``Journal.append`` returned, but what counts is the journal: the publisher keeps a cursor
    there, skips what it has sent, and reads what was never handed over (a full mailbox, a failed hand-over). It starts
    at the end of the journal; what an earlier engine stored and did not send, subscribers see from the heartbeat.

    ``context`` is the caller's to end, after ``close``; without it the publisher has its own. The heartbeat tells
    ``replay_port``. Raises BindError when the address is taken or is not one of this machine.
    """

    def __init__(
        self,
        settings: BusSettings,
        *,
        journal: Journal,
        clock: Clock | None = None,
        context: Context | None = None,
        secure: Secure | None = None,
        replay_port: int | None = None,
    ) -> None:
        self._settings = settings
        self._clock: Clock = clock or SystemClock()
        self._journal = journal.reader()
        self._cursor = self._journal.last_sequence
        self._session = uuid.uuid4().hex[:12]  # scores and heartbeats of two engines never share an id
        self._unstored = 0
        self._next_heartbeat_s = self._clock.monotonic_s()
        self._replay_port = replay_port
        self._subscriptions = Subscriptions(watched=SCORE_TOPIC.encode())
        self._excesses = 0
        self._hears_since_s: float | None = None
        self._own_context = None if context is not None else zmq.Context()
        try:
            self._socket = bound_socket(
                context or self._own_context or zmq.Context(),
                zmq.XPUB,  # a PUB that tells what is subscribed to
                settings.bind,
                what="bus.bind",
                limits=Limits(
                    frame_bytes=MAX_SUBSCRIPTION_BYTES,
                    send_queue=settings.high_water_mark,
                    receive_queue=SUBSCRIPTIONS_WAITING,
                    linger_s=settings.linger_s,
                ),
                secure=secure,
            )
            self._socket.xpub_verboser = True
        except BaseException:
            if self._own_context is not None:
                self._own_context.destroy(linger=0)
            self._journal.close()
            raise

    @property
    def address(self) -> str:
        """The real endpoint, also where ``bind`` left the port open."""
        return real_address(self._socket)

    @property
    def last_sequence(self) -> int:
        """The last sequence sent: what the heartbeat says."""
        return self._cursor

    @property
    def wants_scores(self) -> bool:
        """Whether somebody would get some. Any thread may ask."""
        return self._settings.scores and self._subscriptions.watchers > 0

    @property
    def hears_for_s(self) -> float:
        """How long it has been taking in what subscribers ask for; 0 = it is not at it. Any thread may ask."""
        since_s = self._hears_since_s
        return 0.0 if since_s is None else self._clock.monotonic_s() - since_s

    @property
    def excesses(self) -> int:
        """How often all connections were ended because subscribers asked for too much."""
        return self._excesses

    def publish(self, stored: Sequence[StoredEvent]) -> None:
        """Send stored events, and before them whatever the journal holds between the last one sent and these."""
        self._hear_subscriptions()
        for event in stored:
            if event.epoch != self._journal.epoch:
                raise ValueError(f"event of epoch {event.epoch}; this publisher sends epoch {self._journal.epoch}")
            if event.sequence > self._cursor + 1:
                self._send_from_journal(until=event.sequence - 1)
            if event.sequence == self._cursor + 1:
                self._send_stored(event)

    def publish_score(self, score: FrameScore) -> None:
        """Send one frame's score, unless ``bus.scores`` is off or nobody would get it. Kept nowhere."""
        if not self._settings.scores:
            return
        self._hear_subscriptions()
        topic = f"{SCORE_TOPIC}{score.frame.camera}/".encode()
        if self._subscriptions.want(topic):
            message = score_message(score, id=self._unstored_id())
            self._socket.send_multipart((topic, encode(message)))

    def tick(self) -> float:
        """Send the heartbeat if it is due, after whatever the journal holds unsent. Returns seconds to the next one."""
        self._hear_subscriptions()
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_heartbeat_s:
            self._send_from_journal()
            self._send_heartbeat()
            self._next_heartbeat_s = now_s + self._settings.heartbeat_s
        return self._next_heartbeat_s - now_s

    def drop_connections(self) -> None:
        """End all connections; subscribers that may still connect come back and ask for what they missed."""
        drop_connections(self._socket, what="bus.bind")
        self._subscriptions.clear()

    def close(self) -> None:
        """Send what is unsent and a last heartbeat, then wait ``bus.linger_s`` at most for slow subscribers."""
        if self._socket.closed:
            return
        try:
            self._send_from_journal()
            self._send_heartbeat()
        finally:
            self._socket.close()
            if self._own_context is not None:
                end_context(self._own_context, linger_s=self._settings.linger_s)
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hear_subscriptions(self) -> None:
        """What is asked for is bounded: beyond that all connections end, as nobody can tell whose it was."""
        self._hears_since_s = self._clock.monotonic_s()
        try:
            self._hear_all()
        finally:
            self._hears_since_s = None

    def _hear_all(self) -> None:
        while True:
            try:
                frame = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self._subscriptions.hear(frame.bytes)
            if self._subscriptions.are_too_many:
                self._excesses += 1
                log.warning("bus: too many subscriptions, the last of them from %s: all connections end", _peer(frame))
                self.drop_connections()
                while self._socket.poll(0):
                    self._socket.recv()

    def _send_from_journal(self, *, until: int | None = None) -> None:
        while page := self._journal.read(self._cursor):
            for event in page:
                if until is not None and event.sequence > until:
                    return
                self._send_stored(event)

    def _send_stored(self, event: StoredEvent) -> None:
        self._socket.send_multipart((event.topic.encode(), event.body))
        self._cursor = event.sequence

    def _send_heartbeat(self) -> None:
        message = heartbeat_message(
            epoch=self._journal.epoch,
            last_sequence=self._cursor,
            first_sequence=self._journal.first_sequence,
            replay_port=self._replay_port,
            wall_s=self._clock.wall_s(),
            id=self._unstored_id(),
        )
        self._socket.send_multipart((HEARTBEAT_TOPIC.encode(), encode(message)))

    def _unstored_id(self) -> str:
        self._unstored += 1
        return f"{self._session}-{self._unstored}"


def _peer(frame: zmq.Frame) -> str:
    """The address from which a subscription came, and the name of its key."""
    told = []
    for name in ("Peer-Address", "User-Id"):
        try:
            told.append(str(frame.get(name)))
        except zmq.ZMQError:
            told.append("")
    return " ".join(told).strip()
