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


@dataclass(slots=True)
class _Books:
    """One camera's counts, each with its own lock: cameras do not wait for each other."""

    received: int = 0
    scored: int = 0
    in_flight: int = 0
    dropped: dict[DropReason, int] = field(default_factory=lambda: dict.fromkeys(DropReason, 0))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def account(self) -> Account:
        with self.lock:
            return Account(self.received, self.scored, self.in_flight, dict(self.dropped))


class Ledger:
    """Accounts of all cameras.

    ``in_flight`` is kept by the stages' own reports, not computed from the others: frames that are lost without a
    word stay in flight after the drain, and a frame that is counted twice makes it negative.
    """

    def __init__(self) -> None:
        self._books: dict[str, _Books] = {}

    def open(self, camera: str) -> None:
        """Start a camera's account at zero (an existing one goes on)."""
        self._books.setdefault(camera, _Books())

    def close(self, camera: str) -> None:
        """The camera is no more, and its account with it."""
        del self._books[camera]

    def received(self, camera: str, frames: int = 1, *, dropped: DropReason | None = None) -> None:
        """Frames came; ``dropped`` at once, if they go no further."""
        books = self._books[camera]
        with books.lock:
            books.received += frames
            if dropped is None:
                books.in_flight += frames
            else:
                books.dropped[dropped] += frames

    def dropped(self, camera: str, reason: DropReason, frames: int = 1) -> None:
        books = self._books[camera]
        with books.lock:
            books.dropped[reason] += frames
            books.in_flight -= frames

    def scored(self, camera: str, frames: int = 1) -> None:
        books = self._books[camera]
        with books.lock:
            books.scored += frames
            books.in_flight -= frames

    def lost_to(self, reason: DropReason) -> int:
        """Frames dropped for that reason, over all cameras that there are."""
        return sum(books.dropped[reason] for books in list(self._books.values()))

    def account(self, camera: str) -> Account:
        return self._books[camera].account()

    def accounts(self) -> dict[str, Account]:
        """All cameras, each at one instant."""
        return {camera: books.account() for camera, books in list(self._books.items())}


def total(accounts: dict[str, Account]) -> Account:
    """The sum over cameras."""
    dropped = {reason: sum(a.dropped.get(reason, 0) for a in accounts.values()) for reason in DropReason}
    return Account(
        received=sum(a.received for a in accounts.values()),
        scored=sum(a.scored for a in accounts.values()),
        in_flight=sum(a.in_flight for a in accounts.values()),
        dropped=dropped,
    )
