"""The subscriber: typed events from the bus, in order, none twice, and a clear word when some are lost.

It listens to the durable events of all cameras whatever is asked for, and picks from them here: sequence numbers run
through all cameras, so only who hears every one knows that none is missing. They are few. Scores are many, and only
those asked for are sent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import zmq

from vad.clock import SystemClock
from vad.errors import EventsLost
from vad.events.catch_up import CatchUp
from vad.events.cursor import CursorFile, Position, Progress
from vad.events.following import Following
from vad.events.journal import JournalReader
from vad.events.keys import client_hook
from vad.events.replayer import Replayer
from vad.events.schema import (
    EVENT_TOPIC,
    HEALTH_TOPIC,
    HEARTBEAT_TOPIC,
    MAX_BODY_BYTES,
    SCORE_TOPIC,
    SCORE_TYPE,
    DurableMessage,
    EngineMessage,
    HeartbeatMessage,
    JournalMessage,
    Message,
    ScoreMessage,
)
from vad.events.sockets import Limits, connected_socket, end_context

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.events.sockets import Socket

HIGH_WATER_MARK = 10_000
_PASSING = (ScoreMessage, HeartbeatMessage)


class Subscriber:
    """Iterate, with ``for`` or ``async for``, to get typed messages as they are raised.

    ``cameras`` and ``types`` choose; None means all cameras, all durable types. A type names itself and what is below
    it: ``io.vad.anomaly`` gives opened, updated and closed; ``io.vad.score`` gives the scores.

    It begins with what is raised from now on, or after sequence ``since``; ``snapshot=True`` gives the last event of
    each camera's stream and of its picture first. With a ``cursor_file`` it begins where ``ack`` said that all is done
    (as if there were none while that file does not exist): what was not acknowledged comes again, with the same ``id``.

    What it missed it asks the engine for, which says where in its heartbeat (``replay`` says it instead), or reads from
    ``journal``, the engine's file, where that is at hand. Events that cannot be had any more are counted in ``missed``
    and told to ``on_lost``, or without it raised as EventsLost; either way the next call goes on behind the loss. An
    engine that comes back is found again by itself; when its journal is new, so is the epoch, which is followed from
    its first event.

    ``timeout_s`` ends the iteration when nothing asked for has come for that long. Used by one thread. Raises
    ReplayError when the engine does not replay what was asked for, CursorError when the cursor cannot be read or kept.

    A bus with keys wants ``keys``, the file that ``vad keys new`` made for this client, or ``client_secret`` and the
    engine's public ``server_key`` in Z85. Raises KeyFileError for what is no key. An engine that does not know the key
    stays silent; it is asked again until it does.
    """

    def __init__(
        self,
        address: str,
        *,
        cameras: Iterable[str] | None = None,
        types: Iterable[str] | None = None,
        since: int | None = None,
        cursor_file: str | Path | None = None,
        snapshot: bool = False,
        journal: str | Path | None = None,
        replay: str | None = None,
        timeout_s: float | None = None,
        on_lost: Callable[[EventsLost], None] | None = None,
        clock: Clock | None = None,
        keys: str | Path | None = None,
        client_secret: str | bytes | None = None,
        server_key: str | bytes | Path | None = None,
    ) -> None:
        if since is not None and since < 0:
            raise ValueError(f"since {since} is no sequence; allowed: 0 or more")
        self.body = b""  # of the message handed out last, as it came
        self._cameras = None if cameras is None else frozenset(cameras)
        self._types = None if types is None else tuple(types)
        self._snapshot = snapshot
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._clock: Clock = clock or SystemClock()
        self._heard_s = self._clock.monotonic_s()
        self._progress = Progress(None if cursor_file is None else CursorFile(Path(cursor_file)), clock=self._clock)
        file = None if journal is None else Path(journal)
        self._following = self._begin(since, file)
        secure = client_hook(keys, client_secret=client_secret, server_key=server_key)
        self._context = zmq.Context()
        try:
            limits = Limits(frame_bytes=MAX_BODY_BYTES, receive_queue=HIGH_WATER_MARK)
            self._socket = connected_socket(self._context, zmq.SUB, address, limits=limits, secure=secure)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        for topic in self._topics():
            self._socket.subscribe(topic)
        self._replayer = Replayer(self._context, clock=self._clock, secure=secure)
        host = address.rpartition(":")[0]
        self._catch_up = CatchUp(self._following, self._replayer, host=host, address=replay, journal=file)

    @property
    def missed(self) -> int:
        """Durable events lost for good."""
        return self._following.missed

    @property
    def unreadable(self) -> int:
        """Messages that were none."""
        return self._following.unreadable

    @property
    def epoch(self) -> str | None:
        return self._following.epoch

    @property
    def last_sequence(self) -> int:
        """The last durable event heard of in this epoch, chosen or not."""
        return self._following.last_sequence

    @property
    def is_up_to_date(self) -> bool:
        """Everything known to exist has been handed out."""
        return self._following.is_up_to_date and not self._catch_up.is_needed

    @property
    def silence_s(self) -> float:
        """Since when nothing has come, not even a heartbeat: above a few seconds no engine is there."""
        return self._clock.monotonic_s() - self._heard_s

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message asked for, or None after ``timeout_s`` (None = wait for ever)."""
        deadline_s = None if timeout_s is None else self._clock.monotonic_s() + timeout_s
        while (message := self._hand_out()) is None:
            if self._work():
                continue
            wait_ms, sockets = self._what_to_wait_for(deadline_s)
            if wait_ms == 0:
                return None
            _poll(sockets, wait_ms)
        return message

    async def receive_async(self, timeout_s: float | None = None) -> Message | None:
        """Like ``receive``, for asyncio. A call that is cancelled loses nothing."""
        deadline_s = None if timeout_s is None else self._clock.monotonic_s() + timeout_s
        while (message := self._hand_out()) is None:
            if self._work():
                continue
            wait_ms, sockets = self._what_to_wait_for(deadline_s)
            if wait_ms == 0:
                return None
            await _poll_async(sockets, wait_ms)
        return message

    def ack(self, message: DurableMessage | None = None) -> None:
        """All that was handed out, or all up to ``message``, is done: the cursor file says so when this returns."""
        self._progress.acknowledge(None if message is None else Position(message.epoch, message.sequence))

    def close(self) -> None:
        """Close the sockets; also writes how far what was passed over has come."""
        if self._socket.closed:
            return
        self._socket.close(linger=0)
        self._replayer.close()
        end_context(self._context)
        self._progress.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        message = None if self._socket.closed else self.receive(self._timeout_s)
        if message is None:
            raise StopIteration
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        message = None if self._socket.closed else await self.receive_async(self._timeout_s)
        if message is None:
            raise StopAsyncIteration
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, since: int | None, journal: Path | None) -> Following:
        position = self._progress.position
        if position is not None or since is None or journal is None:
            return Following(chosen=self._is_chosen, since=since, position=position)
        with JournalReader(journal) as reader:
            epoch, last = reader.epoch, reader.last_sequence
        if since > last:
            raise ValueError(f"since {since} is not in the journal; allowed: 0 to {last}")
        following = Following(chosen=self._is_chosen, position=Position(epoch, since))
        following.gap = last
        return following

    def _topics(self) -> list[str]:
        topics = [EVENT_TOPIC, HEALTH_TOPIC, HEARTBEAT_TOPIC]
        if self._types is not None and SCORE_TYPE in self._types:
            topics += [SCORE_TOPIC] if self._cameras is None else [f"{SCORE_TOPIC}{name}/" for name in self._cameras]
        return topics

    def _hand_out(self) -> Message | None:
        """The next message that is ready. Raises what is to be told in its place."""
        ready = self._following.ready
        while ready:
            item = ready.popleft()
            if isinstance(item, tuple):
                message, self.body = item
                if not isinstance(message, _PASSING):
                    self._progress.hand_out(message.epoch, message.sequence)
                return message
            if not isinstance(item, EventsLost):
                raise item
            self._progress.hand_out(item.epoch, item.last)
            if self._on_lost is None:
                raise item
            self._on_lost(item)
        return None

    def _work(self) -> bool:
        """Do what can be done without waiting; False when there is nothing."""
        if self._catch_up.is_needed:
            return self._catch_up.work() or (self._catch_up.needs_a_heartbeat and self._listen())
        begins = self._following.epoch is None
        if self._following.work():
            if begins and self._following.epoch is not None and self._following.gap is None:
                self._progress_quietly()  # the beginning is remembered before anything is handed out
                if self._snapshot:
                    self._catch_up.begin_snapshot()
            return True
        self._progress_quietly()
        return self._listen()

    def _listen(self) -> bool:
        """Take one message from the bus; False when there is none."""
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._heard_s = self._clock.monotonic_s()
        message = self._following.hear(frames[1] if len(frames) == 2 else b"")
        if isinstance(message, HeartbeatMessage):
            self._catch_up.learn(message.data)
        return True

    def _progress_quietly(self) -> None:
        if self._following.position is not None:
            self._progress.pass_over(self._following.position)

    def _what_to_wait_for(self, deadline_s: float | None) -> tuple[int | None, list[Socket]]:
        """Milliseconds (None = for ever, 0 = the deadline has passed) and the sockets that end the wait."""
        waits_s = [] if deadline_s is None else [deadline_s - self._clock.monotonic_s()]
        if waits_s and waits_s[0] <= 0.0:
            return 0, []
        if not self._catch_up.is_needed or self._catch_up.needs_a_heartbeat:
            sockets = [self._socket]
        else:
            sockets = [] if self._replayer.socket is None else [self._replayer.socket]
            waits_s.append(self._replayer.wait_s)
        return (max(1, math.ceil(min(waits_s) * 1000)) if waits_s else None), sockets

    def _is_chosen(self, message: Message) -> bool:
        if self._cameras is None and self._types is None:
            return not isinstance(message, _PASSING)
        if isinstance(message, HeartbeatMessage):
            return False
        if self._cameras is not None and message.camera not in self._cameras:
            return isinstance(message, JournalMessage | EngineMessage) and self._types is None
        if self._types is None:
            return not isinstance(message, ScoreMessage)
        return any(message.type == name or message.type.startswith(name + ".") for name in self._types)


def _poll(sockets: list[Socket], wait_ms: int | None) -> None:
    """Until one of them has something to say, or the time is over."""
    if not sockets:
        time.sleep((wait_ms or 0) / 1000)
        return
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    poller.poll(wait_ms)


async def _poll_async(sockets: list[Socket], wait_ms: int | None) -> None:
    import asyncio

    from zmq.asyncio import Poller

    if not sockets:
        await asyncio.sleep((wait_ms or 0) / 1000)
        return
    poller = Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    await poller.poll(-1 if wait_ms is None else wait_ms)
