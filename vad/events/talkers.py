"""Who sends a bound socket more than it can take in, and how that one connection is ended.

ZeroMQ takes in subscriptions for as long as more come, within one call, and says meanwhile neither how many nor whose.
Linux tells how much each connection has sent. Elsewhere nobody is found.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

LOUD_BYTES = 2 * 2**20
"""Sent since the first look: fewer are no reason to end a connection. All topics together may have 1 MiB
(``subscriptions``), and short ones take as much again on the wire, with keys."""

_TCP_INFO_BYTES, _BYTES_RECEIVED = 136, 128  # linux/tcp.h: struct tcp_info, tcpi_bytes_received


class Talkers:
    """Looked at every moment while a socket cannot keep up, and forgotten once it can."""

    def __init__(self) -> None:
        self._at_first: dict[int, int] | None = None  # bytes received of each connection by then

    def cut_off_loudest(self, descriptors: Iterable[int], *, port: int) -> str | None:
        """End the one connection to ``port`` that has sent most since the first look, and return its peer's address.

        None at the first look, and when nobody has sent ``LOUD_BYTES``.
        """
        received = {each: _bytes_received(each, port) for each in descriptors}
        if self._at_first is None:
            self._at_first = received
        sent = {each: count - self._at_first.get(each, 0) for each, count in received.items()}
        loudest = max(sent, key=lambda each: sent[each], default=-1)
        if sent.get(loudest, 0) < LOUD_BYTES:
            return None
        self._at_first.pop(loudest, None)  # the next connection may have its number
        return _end(loudest, port)

    def forget(self) -> None:
        """The next look is a first one."""
        self._at_first = None


@contextmanager
def _connection(descriptor: int, port: int) -> Iterator[socket.socket]:
    """The connection by a descriptor of our own: at any time ZeroMQ may close its own, and its number be another's.

    Raises OSError for what is no connection to the port (any more).
    """
    copy = os.dup(descriptor)
    try:
        connection = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with connection:
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getsockname()[1] != port:
            raise OSError(f"no connection to port {port}")
        yield connection


def _bytes_received(descriptor: int, port: int) -> int:
    """Over the connection's whole life."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, struct.error), _connection(descriptor, port) as connection:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            return int(struct.unpack_from("Q", info, _BYTES_RECEIVED)[0])
    return 0


def _end(descriptor: int, port: int) -> str | None:
    with suppress(OSError), _connection(descriptor, port) as connection:
        host, peer_port = connection.getpeername()[:2]
        connection.shutdown(socket.SHUT_RDWR)
        return f"{host}:{peer_port}"
    return None
