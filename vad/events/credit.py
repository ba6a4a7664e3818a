"""Who has been sent a page and has not shown that it arrived: what a replay may cost in memory.

A page waits in memory until its peer reads it, and a peer need not. So each peer has credit for one page at a time,
until it returns the page's token, and all together for ``MAX_BYTES``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

MAX_BYTES = 32 * 2**20
PEER_BYTES = 2_048
"""Least that a peer is counted with, for its place in the table."""

EXPIRES_S = 30.0
"""A peer that has not come back by then reads no more (its connection is then cut off) or wants no more."""


@dataclass(frozen=True, slots=True)
class _Page:
    token: str
    cost: int
    sent_s: float


class Credit:
    """Used by one thread; times are monotonic seconds."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._pages: dict[bytes, _Page] = {}  # by peer; the oldest first
        self._max_bytes = max_bytes
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._pages)

    def returned(self, peer: bytes, token: str | None) -> bool:
        """Take back what the peer has read. False while it still has a page that this token is not of."""
        page = self._pages.get(peer)
        if page is None:
            return True
        if page.token != token:
            return False
        self._drop(peer)
        return True

    def has_room(self, size: int) -> bool:
        return self.bytes + size <= self._max_bytes

    def grant(self, peer: bytes, size: int, *, now_s: float) -> str:
        """A token for a page of that size, for a peer that has none."""
        cost = max(size, PEER_BYTES)
        token = secrets.token_hex(8)
        self._pages[peer] = _Page(token, cost, now_s)
        self.bytes += cost
        return token

    def expire(self, now_s: float) -> None:
        """Forget the peers that have not come back."""
        while self._pages:
            peer, page = next(iter(self._pages.items()))
            if now_s - page.sent_s < EXPIRES_S:
                return
            self._drop(peer)

    def _drop(self, peer: bytes) -> None:
        self.bytes -= self._pages.pop(peer).cost
