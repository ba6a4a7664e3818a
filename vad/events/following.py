"""What a subscriber has heard, put in order: each durable event once, a gap filled before anything behind it.

No sockets here: the subscriber brings what it hears and what it is given back, and fills the ``gap`` there is.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from vad.errors import EventsLost, VadError, WireError
from vad.events.cursor import Position
from vad.events.schema import (
    AnomalyMessage,
    CameraMessage,
    DurableMessage,
    EngineMessage,
    HeartbeatMessage,
    JournalMessage,
    Message,
    OtherMessage,
    ScoreMessage,
    decode,
)

Heard: TypeAlias = tuple[Message, bytes]
"""A message, and its body as it came."""

WAITING_MESSAGES = 10_000
"""Heard and kept behind a gap; more than that are let go, and come from the replay in their turn."""

_DURABLE = (AnomalyMessage, CameraMessage, JournalMessage, EngineMessage, OtherMessage)

log = logging.getLogger(__name__)


class Following:
    """``ready`` holds what is to be handed out: messages that ``chosen`` takes, and errors to be told in their place.

    It begins with the first thing heard, or after ``since`` of whichever epoch that is, or after ``position``. A new
    epoch is followed from its first event; of the one before, those known to exist and not had are lost.
    """

    def __init__(
        self, *, chosen: Callable[[Message], bool], since: int | None = None, position: Position | None = None
    ) -> None:
        self.ready: deque[Heard | VadError] = deque()
        self.epoch = position.epoch if position else None
        self.last_sequence = position.sequence if position else since or 0  # the last one had, chosen or not
        self.gap: int | None = None  # the last one known to exist, while there are some to be asked for
        self.missed = 0
        self.unreadable = 0
        self.must_ask = position is not None or since is not None  # whether what was given lies within the epoch
        self._chosen = chosen
        self._known = 0  # the last one of this epoch known to exist
        self._left: tuple[str, int, int] | None = None  # epoch before, last had, last known
        self._heard: deque[Heard] = deque()

    @property
    def position(self) -> Position | None:
        """Everything up to here is in ``ready`` or was."""
        return None if self.epoch is None else Position(self.epoch, self.last_sequence)

    @property
    def is_up_to_date(self) -> bool:
        """Nothing is known to be missing, and nothing waits."""
        return self.epoch is not None and self.gap is None and not (self.must_ask or self._heard or self.ready)

    def hear(self, body: bytes) -> Message | None:
        """Take what came from the bus; the message, None if it cannot be read."""
        message = self._decoded(body)
        if message is not None and len(self._heard) < WAITING_MESSAGES:
            self._heard.append((message, body))
        return message

    def work(self) -> bool:
        """Put the next thing heard in its place. False when there is none, or a gap must be filled before."""
        if self.gap is not None or not self._heard:
            return False
        message, body = self._heard.popleft()
        match message:
            case ScoreMessage():
                self._keep(message, body)
            case HeartbeatMessage(data=data):
                self._learn(data.epoch, data.last_sequence)
            case _:
                self._learn(message.epoch, message.sequence - 1)
                if self.gap is not None:
                    self._heard.appendleft((message, body))
                elif message.sequence == self.last_sequence + 1:
                    self._accept(message, body)
        return True

    def fill(self, begin: int, bodies: Sequence[bytes]) -> None:
        """Events given back, the first with the sequence ``begin`` and the others without a hole."""
        for sequence, body in enumerate(bodies, start=begin):
            if sequence <= self.last_sequence:
                continue
            if sequence > self.last_sequence + 1:
                self.lose(until=sequence - 1)
            message = self._decoded(body)
            if isinstance(message, _DURABLE):
                self._accept(message, body)
            else:
                self.last_sequence = sequence  # whatever it is, it is not asked for again

    def show(self, bodies: Sequence[bytes]) -> int | None:
        """Camera states, in order: events from before the beginning. The sequence of the last one, None if none.

        One that was raised since will be heard in its turn.
        """
        last = None
        for body in bodies:
            message = self._decoded(body)
            if isinstance(message, CameraMessage):
                last = message.sequence
                if last <= self.last_sequence:
                    self._keep(message, body)
        return last

    def fail(self, error: VadError) -> None:
        """Tell an error in its place."""
        self.ready.append(error)

    def lose(self, *, until: int) -> None:
        """What is missing up to there cannot be had any more."""
        if until > self.last_sequence:
            self._settle(None)
            self._report(self.epoch or "", self.last_sequence + 1, until)
            self.last_sequence = until

    def close_gap(self) -> None:
        """All that could be had is had."""
        self.gap, self.must_ask = None, False

    def change_epoch(self, epoch: str) -> None:
        """Another journal: begin before its first event, which is not heard but asked for."""
        if self.epoch is not None:
            self._settle(None)
            self._left = (self.epoch, self.last_sequence, self._known)
        self.epoch, self.last_sequence, self._known = epoch, 0, 0
        self.gap, self.must_ask = 0, True

    def go_back(self, to: int) -> None:
        """The journal ends before what was had: what comes next is what comes after its end."""
        self.last_sequence = self._known = to
        self.close_gap()

    def _learn(self, epoch: str, last: int) -> None:
        """``last`` exists: what lies between it and the last one had is missing."""
        if self.epoch is None:
            self.epoch = epoch
            if not self.must_ask:
                self.last_sequence = last
        elif epoch != self.epoch:
            self.change_epoch(epoch)
        self._known = max(self._known, last)
        if last > self.last_sequence or self.must_ask:
            self.gap = max(last, self.last_sequence)

    def _accept(self, message: DurableMessage, body: bytes) -> None:
        self._settle(message)
        self.last_sequence = message.sequence
        self._keep(message, body)

    def _settle(self, first: DurableMessage | None) -> None:
        """Say what of the epoch before is lost; the first event of the new one may know best."""
        if self._left is None:
            return
        (epoch, last, known), self._left = self._left, None
        if isinstance(first, JournalMessage) and first.data.previous_epoch == epoch:
            known = max(known, first.data.previous_sequence or 0)
        if known > last:
            self._report(epoch, last + 1, known)

    def _report(self, epoch: str, first: int, last: int) -> None:
        self.missed += last - first + 1
        self.ready.append(EventsLost(epoch, first, last))

    def _keep(self, message: Message, body: bytes) -> None:
        if self._chosen(message):
            self.ready.append((message, body))

    def _decoded(self, body: bytes) -> Message | None:
        try:
            return decode(body)
        except WireError as exc:
            self.unreadable += 1
            log.warning("unreadable message: %s", exc)
            return None
