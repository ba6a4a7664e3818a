"""The subscriber: typed events from the bus, in order, none twice, and a clear word when some are missing.

It listens to the durable events of all cameras whatever is asked for, and picks from them here: sequence numbers run
through all cameras, so only who hears every one knows that none is missing. They are few. Scores are many, and only
those asked for are sent.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import zmq

from vad.clock import SystemClock
from vad.errors import EventsLost, JournalError, WireError
from vad.events.journal import JournalReader
from vad.events.schema import (
    EVENT_TOPIC,
    HEALTH_TOPIC,
    HEARTBEAT_TOPIC,
    MAX_BODY_BYTES,
    SCORE_TOPIC,
    SCORE_TYPE,
    DurableMessage,
    HeartbeatMessage,
    Message,
    ScoreMessage,
    decode,
)
from vad.events.sockets import Limits, connected_socket

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.events.sockets import Secure

HIGH_WATER_MARK = 10_000

log = logging.getLogger(__name__)


class Subscriber:
    """Iterate to get ``AnomalyMessage`` and ``CameraMessage`` (and ``ScoreMessage`` if asked for) as they are raised.

    ``cameras`` and ``types`` choose; None means all cameras, all durable types. A type names itself and what is below
    it: ``io.vad.anomaly`` gives opened, updated and closed; ``io.vad.score`` gives the scores.

    ``journal`` is the engine's journal file where this process can read it (``events.sqlite`` in the storage
    directory): from it gaps are filled, and ``since=N`` begins with what is stored after sequence N.

    Events that cannot be had any more are counted in ``missed`` and told to ``on_lost``, or without it raised as
    EventsLost; either way the next call goes on behind the loss. An engine that comes back is found again by itself.
    ``timeout_s`` ends the iteration when nothing asked for has come for that long. Used by one thread.
    """

    def __init__(
        self,
        address: str,
        *,
        cameras: Iterable[str] | None = None,
        types: Iterable[str] | None = None,
        since: int | None = None,
        journal: str | Path | None = None,
        timeout_s: float | None = None,
        on_lost: Callable[[EventsLost], None] | None = None,
        clock: Clock | None = None,
        secure: Secure | None = None,
    ) -> None:
        self.missed = 0
        self.unreadable = 0
        self.epoch: str | None = None
        self.last_sequence = 0  # the last durable event heard of in this epoch, chosen or not
        self._target = 0  # the last one known to exist; above last_sequence while the journal has more for us
        self._cameras = None if cameras is None else frozenset(cameras)
        self._types = None if types is None else tuple(types)
        self._journal = None if journal is None else Path(journal)
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._clock: Clock = clock or SystemClock()
        self._heard_s = self._clock.monotonic_s()
        self._ready: deque[Message | EventsLost] = deque()
        if since is not None:
            self._begin_after(since)
        self._context = zmq.Context()
        try:
            limits = Limits(frame_bytes=MAX_BODY_BYTES, receive_queue=HIGH_WATER_MARK)
            self._socket = connected_socket(self._context, zmq.SUB, address, limits=limits, secure=secure)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        for topic in self._topics():
            self._socket.subscribe(topic)

    @property
    def silence_s(self) -> float:
        """Since when nothing has come, not even a heartbeat: above a few seconds no engine is there."""
        return self._clock.monotonic_s() - self._heard_s

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message asked for, or None after ``timeout_s`` (None = wait for ever)."""
        deadline_s = None if timeout_s is None else self._clock.monotonic_s() + timeout_s
        while True:
            if self._ready:
                item = self._ready.popleft()
                if not isinstance(item, EventsLost):
                    return item
                if self._on_lost is None:
                    raise item
                self._on_lost(item)
            elif self.last_sequence < self._target:
                self._fill_from_journal()
            elif self._poll(deadline_s):
                self._take(self._socket.recv_multipart())
            else:
                return None

    def close(self) -> None:
        self._socket.close(linger=0)
        self._context.term()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        message = None if self._socket.closed else self.receive(self._timeout_s)
        if message is None:
            raise StopIteration
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin_after(self, since: int) -> None:
        if self._journal is None:
            raise ValueError("since needs journal=, the engine's journal file to read the past from; got None")
        with JournalReader(self._journal) as reader:
            self.epoch, self._target = reader.epoch, reader.last_sequence
        if not 0 <= since <= self._target:
            raise ValueError(f"since {since} is not in the journal; allowed: 0 to {self._target}")
        self.last_sequence = since

    def _topics(self) -> list[str]:
        topics = [EVENT_TOPIC, HEALTH_TOPIC, HEARTBEAT_TOPIC]
        if self._types is not None and SCORE_TYPE in self._types:
            topics += [SCORE_TOPIC] if self._cameras is None else [f"{SCORE_TOPIC}{name}/" for name in self._cameras]
        return topics

    def _poll(self, deadline_s: float | None) -> bool:
        wait_ms = None if deadline_s is None else max(0, round((deadline_s - self._clock.monotonic_s()) * 1000))
        return bool(self._socket.poll(wait_ms))

    def _take(self, frames: list[bytes]) -> None:
        self._heard_s = self._clock.monotonic_s()
        match self._decoded(frames[1] if len(frames) == 2 else b""):
            case None:
                return
            case HeartbeatMessage(data=data):
                self._heard_of(data.epoch, data.last_sequence)
            case ScoreMessage() as score:
                self._keep(score)
            case durable:
                self._take_durable(durable)

    def _take_durable(self, message: DurableMessage) -> None:
        self._heard_of(message.epoch, message.sequence - 1)
        if message.sequence <= self.last_sequence:
            return  # seen
        if self.last_sequence < self._target:
            self._target = max(self._target, message.sequence)  # in the journal too: comes from there, in its turn
            return
        self.last_sequence = self._target = message.sequence
        self._keep(message)

    def _heard_of(self, epoch: str, last: int) -> None:
        """``last`` exists: what lies between it and the last one seen is missing."""
        if self.epoch is None:
            self.epoch, self.last_sequence, self._target = epoch, last, last
        elif epoch != self.epoch:
            self.epoch, self.last_sequence, self._target = epoch, 0, 0
        if last > self._target:
            self._target = last
            if self._journal is None:
                self._lose(until=last)

    def _lose(self, *, until: int) -> None:
        assert self.epoch is not None
        self.missed += until - self.last_sequence
        self._ready.append(EventsLost(self.epoch, self.last_sequence + 1, until))
        self.last_sequence = until

    def _fill_from_journal(self) -> None:
        """One page of what is missing; what the journal does not have is lost."""
        assert self._journal is not None
        try:
            with JournalReader(self._journal) as reader:
                page = reader.read(self.last_sequence) if reader.epoch == self.epoch else []
        except JournalError as exc:
            log.warning("missing events cannot be read back: %s", exc)
            page = []
        page = [stored for stored in page if stored.sequence <= self._target]
        if not page:
            self._lose(until=self._target)
        for stored in page:
            if stored.sequence > self.last_sequence + 1:
                self._lose(until=stored.sequence - 1)
            self.last_sequence = stored.sequence
            if (message := self._decoded(stored.body)) is not None:
                self._keep(message)

    def _decoded(self, body: bytes) -> Message | None:
        try:
            return decode(body)
        except WireError as exc:
            self.unreadable += 1
            log.warning("unreadable message: %s", exc)
            return None

    def _keep(self, message: Message) -> None:
        if self._is_wanted(message):
            self._ready.append(message)

    def _is_wanted(self, message: Message) -> bool:
        if isinstance(message, HeartbeatMessage):
            return False
        if self._cameras is not None and message.camera not in self._cameras:
            return False
        if self._types is None:
            return not isinstance(message, ScoreMessage)
        return any(message.type == name or message.type.startswith(name + ".") for name in self._types)
