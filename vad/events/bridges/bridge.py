"""What a bridge is: one place elsewhere that events are brought to, in order, each until it is there for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from vad.events.journal import StoredEvent


class Bridge(Protocol):
    """Used by one thread. Every method raises BridgeError when the other side cannot be reached or does not want to.

    After an error the bridge is closed and, later, opened anew; what was not known to be delivered is sent again.
    """

    def open(self) -> None:
        """Connect, log in, make ready what the other side needs."""

    def send(self, events: Sequence[StoredEvent]) -> Iterator[StoredEvent]:
        """Deliver events in order; gives each back once the other side has said that it has it.

        Raises for the first that it does not have: EventRefused when it will never take it, else BridgeError.
        """

    def idle(self, timeout_s: float) -> None:
        """Nothing to send for that long: keep the connection alive, and notice when it is not."""

    def close(self) -> None:
        """Say good-bye if there is anybody to say it to. Never raises."""
