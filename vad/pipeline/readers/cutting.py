"""Ends a network camera's connections under whoever reads it: a call into FFmpeg cannot be told to return."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import structlog

from vad.config import CameraConfig
from vad.config.camera import NETWORK_PORTS

log = structlog.get_logger(__name__)

MOST_FILES = 4096


def cut(config: CameraConfig) -> int:
    """Shut what this process has open to the camera's address; how many there were.

    Cameras of one recorder share an address: another of them that is read in this process connects again.
    """
    if not config.is_network:
        return 0
    parts = urlsplit(config.url)
    port = parts.port or NETWORK_PORTS[parts.scheme.lower()]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        log.warning("stream.not_cut", detail=str(exc))
        return 0
    peers: set[object] = {address[:2] for *_, address in found}
    return sum(_shut(descriptor, peers) for descriptor in _sockets())


def _sockets() -> Iterator[int]:
    """By trying: whoever is kept from most files may not read /proc."""
    for descriptor in range(MOST_FILES):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                yield descriptor


def _shut(descriptor: int, peers: set[object]) -> bool:
    # an error: it is another kind of socket, not connected, or closed by now
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        if connection.type == socket.SOCK_STREAM and connection.getpeername()[:2] in peers:
            connection.shutdown(socket.SHUT_RDWR)
            return True
    return False
