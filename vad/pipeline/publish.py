"""Publish thread: sends what the journal holds, the scores while they are fresh, and the heartbeat."""

from __future__ import annotations

from vad.events.bus import Publisher
from vad.pipeline.mailbox import Mailbox
from vad.pipeline.scoring import Outbound

POLL_S = 0.1
"""Longest wait before the heartbeat is looked at again."""


def run_publish(*, outbox: Mailbox[Outbound], publisher: Publisher) -> None:
    """Until ``outbox`` is closed and empty, then send what is left and close the sockets with a finite linger."""
    try:
        while (items := outbox.take(timeout_s=POLL_S)) is not None:
            for item in items:
                publisher.publish(item.stored)
                for score in item.scores:
                    publisher.publish_score(score)
            publisher.tick()
    finally:
        publisher.close()
