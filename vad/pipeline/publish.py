"""Publish thread: sends what the journal holds, the scores while they are fresh, and the heartbeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from vad.errors import JournalDamaged, JournalError
from vad.events.bus import Publisher
from vad.events.journal import StoredEvent
from vad.pipeline.mailbox import Mailbox
from vad.types import FrameScore

log = structlog.get_logger(__name__)

POLL_S = 0.1
"""Longest wait before the heartbeat is looked at again."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """What is handed to the publisher at a time."""

    stored: Sequence[StoredEvent] = ()
    scores: Sequence[FrameScore] = ()


def run_publish(*, outbox: Mailbox[Outbound], publisher: Publisher, revocations: Callable[[], int] = lambda: 0) -> None:
    """Until ``outbox`` is closed and empty, then send what is left and close the sockets with a finite linger.

    Whenever ``revocations`` has gone up all connections end, and only keys that are still good come back.
    """
    seen = revocations()
    try:
        while (items := outbox.take(timeout_s=POLL_S)) is not None:
            if (now := revocations()) != seen:
                seen = now
                publisher.drop_connections()
            try:
                for item in items:
                    publisher.publish(item.stored)
                    for score in item.scores:
                        publisher.publish_score(score)
                publisher.tick()
            except JournalDamaged:
                raise
            except JournalError as exc:  # what could not be read back is sent, or replayed, once it can be
                log.warning("publish.journal_not_read", detail=str(exc))
    finally:
        publisher.close()
