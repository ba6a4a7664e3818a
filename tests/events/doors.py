"""A guarded PUB socket, and those who knock at it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import zmq

from vad.events.gatekeeper import Gatekeeper
from vad.events.keys import ClientKeys, client_secure
from vad.events.sockets import Context, Limits, Socket, bound_socket, connected_socket, real_address

LIMITS = Limits(frame_bytes=4_096)
DEADLINE_S = 20.0


@dataclass(slots=True)
class Door:
    """``send`` publishes; a thread of its own keeps the gate."""

    gatekeeper: Gatekeeper
    context: Context
    socket: Socket
    address: str

    def lets_in(self, secure: Callable[[Socket], None] | None, *, timeout_s: float = 2.0) -> bool:
        """Whether a subscriber hears something in that time."""
        with zmq.Context() as context:
            subscriber = connected_socket(context, zmq.SUB, self.address, limits=LIMITS, secure=secure)
            subscriber.subscribe("")
            heard = self.reaches(subscriber, timeout_s=timeout_s)
            subscriber.close(linger=0)
        return heard

    def reaches(self, subscriber: Socket, *, timeout_s: float = DEADLINE_S) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            self.socket.send(b"hello")
            if subscriber.poll(20):
                while subscriber.poll(0):
                    subscriber.recv()
                return True
        return False

    def knock(self, *, timeout_s: float = DEADLINE_S) -> socket.socket:
        """A bare TCP connection."""
        host, port = self.address.removeprefix("tcp://").split(":")
        return socket.create_connection((host, int(port)), timeout=timeout_s)

    def refuses(self, *reasons: str) -> None:
        """For one of them: where both sides see that they do not fit, either may be the first to hang up."""
        refused = self.gatekeeper.refused
        wait_until(lambda: any(refused[reason] for reason in reasons), what=f"{reasons}: {refused}")


@contextmanager
def guarded(gatekeeper: Gatekeeper, *, is_swamped: Callable[[], bool] = lambda: False) -> Iterator[Door]:
    with zmq.Context() as context:
        pub = bound_socket(context, zmq.PUB, "tcp://127.0.0.1:*", what="test", limits=LIMITS, secure=gatekeeper.guard)
        thread = threading.Thread(target=gatekeeper.run, kwargs={"is_swamped": is_swamped})
        thread.start()
        try:
            yield Door(gatekeeper, context, pub, real_address(pub))
        finally:
            pub.close(linger=0)
            thread.join(DEADLINE_S)
    assert not thread.is_alive()


def with_keys(keys: ClientKeys) -> Callable[[Socket], None]:
    return client_secure(keys)


def wait_until(condition: Callable[[], bool], *, what: str, timeout_s: float = DEADLINE_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain for {what}"
        time.sleep(0.01)


def is_cut_off(connection: socket.socket) -> bool:
    """The other side has ended the connection (whatever it said before)."""
    with suppress(ConnectionError):
        while connection.recv(65_536):
            pass
    return True
