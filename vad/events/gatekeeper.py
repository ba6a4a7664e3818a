"""Who may connect to the bus: checks keys, bounds the connections, counts who was turned away and why.

One object for all sockets that are bound. ``guard`` is their ``secure`` hook; ``step`` is a stage's verb and has a
thread of its own, so that a storm of connections delays nobody but those who make it. It ends by itself once the
sockets it guards are closed.
"""

from __future__ import annotations

import logging
import resource
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from vad.clock import SystemClock
from vad.errors import KeyFileError
from vad.events.keys import KeyPair, folder_state, known_keys, load_pair
from vad.events.listener import Listener
from vad.events.talkers import Talkers

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.config import BusSettings
    from vad.events.sockets import Context, Socket

ZAP_ENDPOINT, ZAP_DOMAIN, ZAP_VERSION = "inproc://zeromq.zap.01", b"vad", b"1.0"
ZAP_FINE, ZAP_NOT_NOW = b"200", b"300"
"""A refused client is told "not now" and tries again: after a plain "no" (400, all that ``zmq.auth`` can say) ZeroMQ's
clients give up for good without a word, and would stay out when their key comes to be allowed."""

RELOAD_EVERY_S = 0.5
LISTEN_EVERY_S = 0.05
"""How often it is asked whether a socket can keep up."""
HANDSHAKE_MS = 5_000
"""Whoever has not proved by then who it is, or has not even spoken, is cut off."""
RESUME_SHARE = 0.9
MESSAGES_A_STEP = 1_000

_MISMATCH, _CRYPTOGRAPHIC = 0x11000002, 0x11000001
_PROTOCOL_REASONS = {_MISMATCH: "mechanism", _CRYPTOGRAPHIC: "server_key"}
_WATCHED = (
    zmq.EVENT_LISTENING
    | zmq.EVENT_CLOSED
    | zmq.EVENT_ACCEPTED
    | zmq.EVENT_ACCEPT_FAILED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_MONITOR_STOPPED
)

REASONS = (
    "unknown_key",
    "revoked_key",
    "server_key",
    "mechanism",
    "malformed",
    "no_handshake",
    "too_many",
    "descriptors",
    "subscriptions",
)
"""Why a connection was refused: a key nobody knows, or one that was revoked; made for another server's key; no key
where one is needed (or one where none is); not ZeroMQ; silent; beyond ``max_connections``; no file descriptor left;
asks for too many topics (also counted when all connections end because together they did)."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Door:
    """One guarded socket, as its monitor tells of it."""

    monitor: Socket
    context: Context
    connections: set[int] = field(default_factory=set)  # descriptors
    talkers: Talkers = field(default_factory=Talkers)
    listener: Listener | None = None


class Gatekeeper:
    """Lets in whoever has a key in the clients' folder; without keys, everybody, up to ``max_connections`` a socket.

    ``guard`` is called before the thread starts, ``step`` and ``close`` by one thread; the counts may be read by any.
    ``revocations`` goes up whenever a key that was good no longer is: connections made with it are still open, and
    whoever owns the sockets ends them by binding anew.

    Raises KeyFileError for a server key or a clients' folder that cannot be read.
    """

    def __init__(
        self,
        *,
        server: KeyPair | None = None,
        clients_dir: Path | None = None,
        max_connections: int = 1_000,
        clock: Clock | None = None,
    ) -> None:
        if server is not None and not zmq.has("curve"):
            raise KeyFileError("this ZeroMQ was built without CURVE; keys cannot be used with it")
        self.refused: Counter[str] = Counter()
        self.accepted = 0
        self.revocations = 0
        self._server = server
        self._clients_dir = clients_dir
        self._max = min(max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        if self._max < max_connections:
            log.warning("bus: %d connections at a time, not %d: few file descriptors", self._max, max_connections)
        self._clock: Clock = clock or SystemClock()
        self._doors: dict[Socket, _Door] = {}  # by monitor
        self._zap: dict[Context, Socket] = {}
        self._poller = zmq.Poller()
        self._allowed: frozenset[bytes] = frozenset()
        self._revoked: frozenset[bytes] = frozenset()
        self._folder_state: object = None
        self._folder_is_readable = True
        self._next_reload_s = 0.0
        self._turned_away = 0
        if clients_dir is not None:
            self._load(clients_dir)

    @classmethod
    def from_settings(cls, settings: BusSettings, *, clock: Clock | None = None) -> Self:
        keys = settings.keys
        if keys is None:
            return cls(max_connections=settings.max_connections, clock=clock)
        return cls(
            server=load_pair(keys.server_secret_file),
            clients_dir=keys.clients_dir,
            max_connections=settings.max_connections,
            clock=clock,
        )

    def guard(self, socket: Socket) -> None:
        """Set up a socket that is not bound yet: its keys, and the monitor that tells who comes and goes."""
        socket.handshake_ivl = HANDSHAKE_MS
        context = socket.context
        if self._server is not None:
            socket.curve_server = True
            socket.curve_secretkey = self._server.secret
            socket.zap_domain = ZAP_DOMAIN
            socket.zap_enforce_domain = True  # nobody gets in while nobody answers
            if context not in self._zap:
                self._zap[context] = self._asked(context)
        endpoint = f"inproc://vad-monitor-{id(self)}-{len(self._doors)}"
        socket.monitor(endpoint, _WATCHED)
        monitor = context.socket(zmq.PAIR)
        monitor.rcvhwm = 0  # ZeroMQ's own thread would wait for a reader that is behind
        monitor.connect(endpoint)
        self._doors[monitor] = _Door(monitor, context)
        self._poller.register(monitor, zmq.POLLIN)

    @property
    def connections(self) -> int:
        """Open now, handshake done or not."""
        return sum(len(door.connections) for door in list(self._doors.values()))

    @property
    def is_done(self) -> bool:
        """Every socket guarded has been closed."""
        return not self._doors

    def step(self, timeout_s: float = 0.0) -> None:
        """Answer who asks to come in, count who came and went; wait at most that long for something to do."""
        for socket, _ in self._poller.poll(round(min(timeout_s, RELOAD_EVERY_S) * 1000)):
            self._read(socket)
        self._hold_the_limit()
        if self._clients_dir is not None and self._clock.monotonic_s() >= self._next_reload_s:
            self._reload(self._clients_dir)

    def run(
        self, *, is_swamped: Callable[[], bool] = lambda: False, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        """Until every socket guarded has ended, or their context, or ``is_over`` says that nobody need wait for it.

        While ``is_swamped`` says that some socket cannot keep up with what it is sent, whoever sends most is cut off.
        """
        try:
            while not self.is_done:
                if is_over():
                    log.warning("bus: a ZeroMQ socket does not end, long after it was closed")
                    return
                self.step(LISTEN_EVERY_S)
                self._hold_talkers(are_heard=not is_swamped())
        except zmq.ContextTerminated:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Let go of everything, at once; nobody is let in after that."""
        for door in list(self._doors.values()):
            self._close_door(door)

    def _asked(self, context: Context) -> Socket:
        """Where ZeroMQ asks about each client that has proved to have a key (RFC 27, ZAP)."""
        socket = context.socket(zmq.REP)
        socket.bind(ZAP_ENDPOINT)
        self._poller.register(socket, zmq.POLLIN)
        return socket

    def _read(self, socket: Socket) -> None:
        door = self._doors.get(socket)
        for _ in range(MESSAGES_A_STEP):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if door is None:
                socket.send_multipart(self._answer(frames))
                continue
            self._note(door, frames)
            if door.monitor.closed:
                return

    def _answer(self, frames: list[bytes]) -> list[bytes]:
        """Version, request, domain, address, routing id, mechanism, client key; to version, request, code and words."""
        fine = frames[5:6] == [b"CURVE"] and self._may_enter(z85.encode(frames[6]), address=frames[3].decode())
        return [ZAP_VERSION, frames[1], ZAP_FINE if fine else ZAP_NOT_NOW, b"", b"", b""]

    def _may_enter(self, key: bytes, *, address: str) -> bool:
        if key in self._revoked:
            self._refuse("revoked_key", f" {key.decode()} from {address}")
        elif key not in self._allowed or not self._folder_is_readable:
            self._refuse("unknown_key", f" {key.decode()} from {address}")
        else:
            return True
        self._turned_away += 1
        return False

    def _note(self, door: _Door, frames: list[bytes]) -> None:
        message = parse_monitor_message(frames)
        event, value = message["event"], message["value"]
        if event == zmq.EVENT_ACCEPTED:
            self.accepted += 1
            door.connections.add(value)
        elif event == zmq.EVENT_DISCONNECTED:
            door.connections.discard(value)
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._refuse(_PROTOCOL_REASONS.get(value, "malformed"))
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            if self._turned_away > 0:  # counted when its key was seen; it hears nothing and ends with its time
                self._turned_away -= 1
            else:
                self._refuse("no_handshake")
        elif event == zmq.EVENT_ACCEPT_FAILED:
            self._refuse("descriptors")
        elif event == zmq.EVENT_LISTENING:
            self._close_listener(door)
            with suppress(OSError):  # closed meanwhile
                door.listener = Listener(value)
        elif event == zmq.EVENT_CLOSED:
            self._close_listener(door)
        elif event == zmq.EVENT_MONITOR_STOPPED:
            self._close_door(door)

    def _hold_the_limit(self) -> None:
        for door in self._doors.values():
            if door.listener is None:
                continue
            if len(door.connections) >= self._max and not door.listener.is_paused:
                door.listener.pause()
                log.warning("bus: %d connections, no more are taken", len(door.connections))
            elif len(door.connections) < self._max * RESUME_SHARE:
                door.listener.resume()
            if drops := door.listener.new_drops():
                self._refuse("too_many", times=drops)

    def _hold_talkers(self, *, are_heard: bool) -> None:
        for door in self._doors.values():
            if are_heard:
                door.talkers.forget()
            elif door.listener is not None:
                peer = door.talkers.cut_off_loudest(door.connections, port=door.listener.port)
                if peer is not None:
                    self._refuse("subscriptions", f" from {peer}")

    def _refuse(self, reason: str, who: str = "", *, times: int = 1) -> None:
        before, after = self.refused[reason], self.refused[reason] + times
        self.refused[reason] = after
        if len(str(after)) > len(str(before)) or (before == 0 < after):  # the 1st, the 10th, the 100th ...
            log.warning("bus: connection refused: %s%s (%d so far)", reason, who, after)

    def _load(self, clients_dir: Path) -> None:
        state = folder_state(clients_dir)
        if state is not None and state == self._folder_state:
            return
        known = list(known_keys(clients_dir))
        self._revoked = frozenset(key.public for key in known if key.is_revoked)
        self._allowed = frozenset(key.public for key in known) - self._revoked
        self._folder_state = state

    def _reload(self, clients_dir: Path) -> None:
        """The folder as it is now. While it cannot be read nobody new is let in, and nobody is cut off."""
        self._next_reload_s = self._clock.monotonic_s() + RELOAD_EVERY_S
        before = self._allowed
        try:
            self._load(clients_dir)
        except KeyFileError as exc:
            if self._folder_is_readable:
                log.error("bus: nobody new is let in: %s", exc)
            self._folder_is_readable, self._folder_state = False, None
            return
        self._folder_is_readable = True
        if gone := before - self._allowed:
            log.warning("bus: %d key%s revoked", len(gone), "s" * (len(gone) != 1))
            self.revocations += 1
        if fresh := self._allowed - before:
            log.info("bus: %d new key%s", len(fresh), "s" * (len(fresh) != 1))

    def _close_listener(self, door: _Door) -> None:
        if door.listener is not None:
            door.listener.close()
            door.listener = None

    def _close_door(self, door: _Door) -> None:
        """With the last door of a context goes where ZeroMQ asks: the context can end then."""
        self._close_listener(door)
        self._poller.unregister(door.monitor)
        door.monitor.close(linger=0)
        del self._doors[door.monitor]
        if all(other.context is not door.context for other in self._doors.values()):
            asked = self._zap.pop(door.context, None)
            if asked is not None:
                self._poller.unregister(asked)
                asked.close(linger=0)
