"""The frame ledger: received = scored + dropped (by reason) + in flight, at every instant, per camera."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from vad.types import DropReason


@dataclass(frozen=True, slots=True)
class Account:
    """One camera's frames, read at one instant."""

    received: int = 0
    scored: int = 0
    in_flight: int = 0
    dropped: dict[DropReason, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Drops that nobody asked for: every reason but the analysis rate.

        Those of a lowered rate (``overload_rate``) are among them: evenly spread and announced, but not asked for.
        """
        return sum(n for reason, n in self.dropped.items() if reason is not DropReason.ANALYSIS_RATE)

    @property
    def is_balanced(self) -> bool:
        return self.received == self.scored + sum(self.dropped.values()) + self.in_flight and self.in_flight >= 0


class Ledger:
    """Accounts of all cameras under one lock.

    ``in_flight`` is kept by the stages' own reports, not computed from the others: frames that are lost without a
    word stay in flight after the drain, and a frame that is counted twice makes it negative.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received: dict[str, int] = {}
        self._scored: dict[str, int] = {}
        self._in_flight: dict[str, int] = {}
        self._dropped: dict[str, dict[DropReason, int]] = {}

    def open(self, camera: str) -> None:
        """Start a camera's account at zero (an existing one goes on)."""
        with self._lock:
            if camera not in self._received:
                self._received[camera] = self._scored[camera] = self._in_flight[camera] = 0
                self._dropped[camera] = dict.fromkeys(DropReason, 0)

    def close(self, camera: str) -> None:
        """The camera is no more, and its account with it."""
        with self._lock:
            for books in (self._received, self._scored, self._in_flight):
                del books[camera]
            del self._dropped[camera]

    def received(self, camera: str) -> None:
        """One frame was decoded."""
        with self._lock:
            self._received[camera] += 1
            self._in_flight[camera] += 1

    def dropped(self, camera: str, reason: DropReason, frames: int = 1) -> None:
        with self._lock:
            self._dropped[camera][reason] += frames
            self._in_flight[camera] -= frames

    def scored(self, camera: str, frames: int = 1) -> None:
        with self._lock:
            self._scored[camera] += frames
            self._in_flight[camera] -= frames

    def lost_to(self, reason: DropReason) -> int:
        """Frames dropped for that reason, over all cameras that there are."""
        with self._lock:
            return sum(dropped[reason] for dropped in self._dropped.values())

    def account(self, camera: str) -> Account:
        with self._lock:
            return self._account(camera)

    def accounts(self) -> dict[str, Account]:
        """All cameras at the same instant."""
        with self._lock:
            return {camera: self._account(camera) for camera in self._received}

    def _account(self, camera: str) -> Account:
        return Account(
            received=self._received[camera],
            scored=self._scored[camera],
            in_flight=self._in_flight[camera],
            dropped=dict(self._dropped[camera]),
        )


def total(accounts: dict[str, Account]) -> Account:
    """The sum over cameras."""
    dropped = {reason: sum(a.dropped.get(reason, 0) for a in accounts.values()) for reason in DropReason}
    return Account(
        received=sum(a.received for a in accounts.values()),
        scored=sum(a.scored for a in accounts.values()),
        in_flight=sum(a.in_flight for a in accounts.values()),
        dropped=dropped,
    )
