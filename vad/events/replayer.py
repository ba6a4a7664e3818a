"""The client's side of the replay: one request at a time, one page for each, asked again when no answer comes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import zmq

from vad.events.requests import (
    PAGE_BYTES,
    DoneRequest,
    Head,
    Refusal,
    ReplayRequest,
    Reply,
    SnapshotRequest,
    decode_reply,
    encode_request,
)
from vad.events.schema import MAX_BODY_BYTES
from vad.events.sockets import Limits, connected_socket

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.events.sockets import Context, Secure, Socket

ANSWER_S = 5.0
"""An engine that has not answered by then has not heard, or is not there."""

BUSY_S = 0.5
LIMITS = Limits(frame_bytes=PAGE_BYTES + 2 * MAX_BODY_BYTES)


class Replayer:
    """Asks the engine at ``address`` for pages. Never waits; used by one thread."""

    def __init__(self, context: Context, *, clock: Clock, secure: Secure | None) -> None:
        self.address: str | None = None
        self._context = context
        self._clock = clock
        self._secure = secure
        self._socket: Socket | None = None
        self._token: str | None = None
        self._asked_s: float | None = None  # when the answer awaited was asked for
        self._not_before_s = 0.0

    @property
    def socket(self) -> Socket | None:
        """What to poll while an answer is awaited."""
        return self._socket if self.is_waiting else None

    @property
    def is_waiting(self) -> bool:
        return self._asked_s is not None

    def go_to(self, address: str | None) -> None:
        """Another address, or None when it is not known any more."""
        if address != self.address:
            self.reset()
            self.address = address

    def ask(self, request: ReplayRequest | SnapshotRequest) -> bool:
        """Send a request, unless one is under way or it is too early after a refusal; True if it was sent."""
        now_s = self._clock.monotonic_s()
        if self.is_waiting or now_s < self._not_before_s or self.address is None:
            return False
        if self._socket is None:
            self._socket = connected_socket(self._context, zmq.DEALER, self.address, limits=LIMITS, secure=self._secure)
        self._socket.send(encode_request(msgspec.structs.replace(request, received=self._token)), zmq.NOBLOCK)
        self._asked_s = now_s
        return True

    def take(self) -> tuple[Reply, list[bytes]] | None:
        """The answer and its events' bodies, if it is there. Raises WireError for one that cannot be read."""
        if self._socket is None or not self.is_waiting:
            return None
        try:
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        self._asked_s = None
        reply = decode_reply(frames[0])
        if isinstance(reply, Refusal):
            self._not_before_s = self._clock.monotonic_s() + BUSY_S * random.uniform(1.0, 2.0)
            return reply, []
        self._token = reply.token
        return reply, _bodies(reply, frames)

    @property
    def wait_s(self) -> float:
        """How long nothing need be done unless an answer comes."""
        if self._asked_s is not None:
            return max(0.0, self._asked_s + ANSWER_S - self._clock.monotonic_s())
        return max(0.0, self._not_before_s - self._clock.monotonic_s())

    @property
    def is_overdue(self) -> bool:
        return self.is_waiting and self.wait_s == 0.0

    def finish(self) -> None:
        """Say that the last page arrived and no other is wanted."""
        if self._socket is not None and self._token is not None and not self.is_waiting:
            self._socket.send(encode_request(DoneRequest(received=self._token)), zmq.NOBLOCK)
        self._token = None

    def hurry(self) -> None:
        """The next request need not wait, although the last was refused."""
        self._not_before_s = 0.0

    def reset(self) -> None:
        """Forget the connection, and with it an answer that is still awaited."""
        if self._socket is not None:
            self._socket.close(linger=0)
        self._socket = self._token = self._asked_s = None
        self._not_before_s = 0.0

    def close(self) -> None:
        self.reset()


def _bodies(head: Head, frames: list[bytes]) -> list[bytes]:
    return frames[1].split(b"\n") if head.count and len(frames) > 1 else []
