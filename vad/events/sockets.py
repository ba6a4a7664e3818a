"""Every ZeroMQ socket of vad is made here: one place for its limits, its keep-alive and who may speak.

``secure`` is called with each socket before it is bound or connected; keys are set there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import zmq

from vad.errors import BindError

Context: TypeAlias = zmq.Context[zmq.Socket[bytes]]
Socket: TypeAlias = zmq.Socket[bytes]
Secure: TypeAlias = Callable[[Socket], None]

RECONNECT_MS = 100
RECONNECT_MAX_MS = 5_000
PEER_SILENT_MS = 15_000
REBIND_S = 5.0
TERM_S = 5.0
"""How long libzmq may take to end sockets that are closed and have no more to send, and their context: milliseconds,
else."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may cost: the longest frame it may send, and the messages kept for it and from it.

    A peer that takes nothing of what is sent to it for ``unread_ms`` is cut off; 0 = it never is. What one that leaves
    has not taken is kept for ``linger_s``. That is set before anybody connects: by libzmq's default, for ever, a peer
    that leaves at the moment in which a watched socket is closed kept it from ending, one in twelve on a busy machine.
    """

    frame_bytes: int
    send_queue: int = 1_000
    receive_queue: int = 1_000
    unread_ms: int = 0
    linger_s: float = 0.0


def bound_socket(
    context: Context, kind: int, address: str, *, what: str, limits: Limits, secure: Secure | None = None
) -> Socket:
    """A socket that others connect to. A peer that sends too long a frame is cut off.

    Raises BindError, which names the setting ``what``, when the address is taken or is not one of this machine.
    """
    socket = _configured(context, kind, address, limits=limits, secure=secure)
    try:
        socket.bind(address.replace("tcp://localhost:", "tcp://127.0.0.1:"))  # ZeroMQ binds no names
    except zmq.ZMQError as exc:
        socket.close(linger=0)
        raise BindError(
            f"{what}: {zmq.strerror(exc.errno or 0)}; got {address}, allowed: a free port (or * for any) of an "
            "address of this machine"
        ) from None
    return socket


def connected_socket(
    context: Context, kind: int, address: str, *, limits: Limits, secure: Secure | None = None
) -> Socket:
    """A socket that connects and, when it must, reconnects for ever. Raises ValueError for what is no address."""
    socket = _configured(context, kind, address, limits=limits, secure=secure)
    socket.reconnect_ivl = RECONNECT_MS
    socket.reconnect_ivl_max = RECONNECT_MAX_MS
    try:
        socket.connect(address)
    except zmq.ZMQError as exc:
        socket.close(linger=0)
        raise ValueError(f"{address!r} is not an address ({exc}); allowed: tcp://HOST:PORT") from None
    return socket


def drop_connections(socket: Socket, *, what: str) -> None:
    """End every connection to a bound socket. Whoever may still connect does so again by itself.

    Raises BindError, which names the setting ``what``, when somebody else takes the address in that moment.
    """
    address = real_address(socket)
    socket.unbind(address)
    give_up_s = time.monotonic() + REBIND_S
    while True:
        try:
            socket.bind(address)
            return
        except zmq.ZMQError as exc:  # the old listener ends a moment later
            if time.monotonic() > give_up_s:
                raise BindError(f"{what}: {address} cannot be bound again: {zmq.strerror(exc.errno or 0)}") from None
            time.sleep(0.002)


def end_context(context: Context, *, linger_s: float = 0.0) -> bool:
    """Wait until the context's sockets, closed with that linger at most, have ended. False when libzmq never says so.

    That has been seen now and then (libzmq's issue 2586), and must not keep an engine from ending: a thread of its own
    goes on waiting then, and what is held is the process's to give back.
    """
    thread = threading.Thread(target=context.term, name="vad-zmq-term", daemon=True)
    thread.start()
    thread.join(linger_s + TERM_S)
    if thread.is_alive():
        log.warning("bus: a ZeroMQ context does not end, %.0f s after its sockets were closed", linger_s + TERM_S)
    return not thread.is_alive()


def real_address(socket: Socket) -> str:
    """The endpoint last bound, with the port that ``*`` became."""
    return socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


def _configured(context: Context, kind: int, address: str, *, limits: Limits, secure: Secure | None) -> Socket:
    socket = context.socket(kind)
    try:
        socket.maxmsgsize = limits.frame_bytes
        socket.linger = round(limits.linger_s * 1000)
        socket.sndhwm, socket.rcvhwm = limits.send_queue, limits.receive_queue
        socket.ipv6 = "[" in address
        if kind == zmq.XPUB:  # a subscriber that reads nothing answers no ping, and is the high-water mark's business
            socket.tcp_keepalive, socket.tcp_keepalive_idle = 1, PEER_SILENT_MS // 1_000
            socket.tcp_keepalive_intvl, socket.tcp_keepalive_cnt = PEER_SILENT_MS // 3_000, 3
        else:
            socket.heartbeat_ivl = PEER_SILENT_MS // 3  # ZeroMQ's own ping: finds a peer that vanished without a word
            socket.heartbeat_timeout = PEER_SILENT_MS
        if limits.unread_ms:
            socket.setsockopt(zmq.TCP_MAXRT, limits.unread_ms)
        if secure is not None:
            secure(socket)
    except BaseException:
        socket.close(linger=0)
        raise
    return socket
