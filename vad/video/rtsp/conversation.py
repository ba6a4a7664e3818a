"""The conversation with a camera over one TCP connection: from OPTIONS to TEARDOWN, RTP and RTCP in between.

Source: RFC 2326 section 10 (methods), 10.12 (interleaved data), 12 (headers); RFC 7826 where it says the same better.
All is in the thread that calls it, which waits with the GIL released.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
import threading
import time
from contextlib import suppress

from vad import __version__
from vad.errors import StreamCode, StreamError
from vad.video.rtsp.address import Address, track_url, usable_base
from vad.video.rtsp.description import Description, Track, read
from vad.video.rtsp.digest import Authenticator, challenges
from vad.video.rtsp.messages import Message, MessageError, answer, escaped, request
from vad.video.rtsp.wire import Interleaved, Splitter

SLICE_S = 0.25
"""How long is waited at a time: what the thread has to do meanwhile, as to end, it does so soon."""

MOST_REDIRECTS = 3
MOST_EARLY_PACKETS = 4096
"""Packets that may come before the answer to PLAY."""
MOST_REPEATS = 8
"""How often one request may be made: each way to authenticate once, and with new nonces."""

_RECEIVED_BYTES = 64 * 1024
_SESSION_TIMEOUT_S = 60.0  # RFC 2326 section 12.37
_LEAST_KEEP_ALIVE_S = 0.5
_MEANINGS = {
    403: (StreamCode.AUTH_FAILED, "access forbidden (403)"),
    404: (StreamCode.NOT_FOUND, "the server has no such stream (404)"),
    461: (StreamCode.BROKEN, "does not send video over TCP (461); allowed: transport: udp"),
}
_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})


class Conversation:
    """Leads one session. ``name`` begins the text of errors; every method but ``close`` raises StreamError.

    Each answer is waited for ``timeout_s`` at most, and not once ``stop`` is set.
    """

    def __init__(self, address: Address, *, name: str, timeout_s: float, stop: threading.Event) -> None:
        self.address, self._name, self._timeout_s, self._stop = address, name, timeout_s, stop
        self.authenticator = Authenticator(address.user, address.password)
        self.splitter = Splitter()
        self._sequence = 0
        self._public = ""
        self._base = address.url
        self._session_url = address.url
        self._session = ""
        self._keep_alive_s = _SESSION_TIMEOUT_S / 2
        self._asked_s = 0.0
        self._early: list[Interleaved] = []
        self._answers: list[Message] = []
        self._repeats = 0  # of the keep-alive that was sent last
        self._is_over = False
        self._socket = self._connect()

    def describe(self) -> Description | Address:
        """What the camera has, or where else it says that is."""
        url = self.address.url
        self._public = self._asked("OPTIONS", url, is_tolerant=True).header("public") or ""
        said = self._asked("DESCRIBE", url, {"Accept": "application/sdp"}, is_tolerant=True)
        if said.status in (301, 302, 303, 305, 307, 308):
            return self._moved(said)
        self._check(said)
        self._base = usable_base(said.header("content-base") or said.header("content-location"), url)
        description = read(said.body.decode("utf-8", "replace"))
        control = description.control
        self._session_url = control if "://" in control else self._base
        return description

    def set_up(self, track: Track) -> None:
        """Have its packets come through this connection, from ``play`` on."""
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        said = self._asked("SETUP", track_url(self._base, track.control), transport)
        found = re.search(r"interleaved\s*=\s*(\d{1,3})(?:-(\d{1,3}))?", said.header("transport") or "")
        first = int(found[1]) if found else 0
        self._take_session(said)
        self.splitter.types = frozenset(known.payload_type for known in track.formats)
        self.splitter.channels = (first, int(found[2]) if found and found[2] else first + 1)

    def play(self) -> None:
        self._take_session(self._asked("PLAY", self._session_url, {"Range": "npt=0.000-"}))

    def receive(self) -> list[Interleaved] | None:
        """The packets that came within SLICE_S, if any; None once the camera has ended the session."""
        if self._early:
            early, self._early = self._early, []
            return early
        if self._is_over or not self._read():
            return None
        self._answers.clear()
        if time.monotonic() - self._asked_s > self._keep_alive_s:
            self._repeats = 0
            self._keep_alive()
        early, self._early = self._early, []
        return early

    def send(self, channel: int, packet: bytes) -> None:
        """A packet to the camera."""
        self._write(bytes([0x24, channel]) + len(packet).to_bytes(2, "big") + packet)

    def close(self) -> None:
        """Take leave, without waiting for an answer."""
        if self._session and not self._is_over:
            with suppress(StreamError, MessageError):  # a camera that has gone needs no farewell
                self._send("TEARDOWN", self._session_url, {})
        self._socket.close()

    def _connect(self) -> socket.socket:
        address, began_s = self.address, time.monotonic()
        try:
            plain = socket.create_connection((address.host, address.port), timeout=self._timeout_s)
            self._peer = str(plain.getpeername()[0])
        except TimeoutError:
            raise self._error(StreamCode.TIMEOUT, f"no answer within {time.monotonic() - began_s:.1f} s") from None
        except (socket.gaierror, UnicodeError):
            raise self._error(StreamCode.NOT_FOUND, "the host name cannot be resolved") from None
        except ConnectionRefusedError:
            raise self._error(StreamCode.REFUSED, "connection refused: nothing listens there") from None
        except OSError as exc:
            code = StreamCode.REFUSED if exc.errno in _UNREACHABLE else StreamCode.BROKEN
            text = "no route to the host" if exc.errno in _UNREACHABLE else exc.strerror or type(exc).__name__
            raise self._error(code, text) from None
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._encrypted(plain) if address.is_encrypted else plain
        connection.settimeout(SLICE_S)
        return connection

    def _encrypted(self, plain: socket.socket) -> socket.socket:
        """Cameras make their certificates themselves: it is not verified, as FFmpeg does not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            return context.wrap_socket(plain, server_hostname=self.address.host)
        except TimeoutError:
            plain.close()
            raise self._error(StreamCode.TIMEOUT, f"no TLS within {self._timeout_s:.1f} s") from None
        except (OSError, ValueError) as exc:
            plain.close()
            reason = getattr(exc, "reason", None) or type(exc).__name__
            raise self._error(StreamCode.BROKEN, f"no TLS connection ({reason})") from None

    def _moved(self, said: Message) -> Address:
        location = said.header("location") or ""
        there = self.address.moved(location, peer=self._peer)
        if there is None:
            raise self._error(
                StreamCode.BROKEN,
                f"redirects to {_host_of(location)} ({said.status}), which is not followed; allowed: the same host",
            )
        return there

    def _asked(
        self, method: str, url: str, headers: dict[str, str] | None = None, *, is_tolerant: bool = False
    ) -> Message:
        """The answer, once the camera lets us in. ``is_tolerant``: it may be a refusal of another kind."""
        for _ in range(MOST_REPEATS):
            number = self._send(method, url, headers or {})
            said = self._answer_to(number)
            if said.status != 401:
                if not is_tolerant:
                    self._check(said)
                return said
            offered = challenges(said.all("www-authenticate"))
            if not self.authenticator.take(offered):
                raise self._error(StreamCode.AUTH_FAILED, self.authenticator.why_not(offered))
        raise self._error(StreamCode.AUTH_FAILED, f"asks for the password again and again (401), at {method}")

    def _check(self, said: Message) -> None:
        status = said.status or 0
        if not 200 <= status < 300:
            code, text = _MEANINGS.get(status, (StreamCode.BROKEN, f"answers {status} {said.reason}"))
            raise self._error(code, text)

    def _send(self, method: str, url: str, headers: dict[str, str]) -> int:
        self._sequence += 1
        self._asked_s = time.monotonic()
        lines = {"CSeq": str(self._sequence), "User-Agent": f"vad/{__version__}", **headers}
        if self._session:
            lines["Session"] = self._session
        shown = self.authenticator.authorization(method, escaped(url))
        if shown is not None:
            lines["Authorization"] = shown
        self._write(request(method, url, lines))
        return self._sequence

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as exc:
            raise self._error(StreamCode.BROKEN, f"cannot be told anything ({type(exc).__name__})") from None

    def _answer_to(self, number: int) -> Message:
        """Cameras that do not repeat the number are believed to answer in order."""
        began_s = time.monotonic()
        while True:
            for said in self._answers:
                if said.header("cseq") in (None, str(number)):
                    self._answers.clear()
                    return said
            self._answers.clear()
            waited_s = time.monotonic() - began_s
            if waited_s > self._timeout_s:
                raise self._error(StreamCode.TIMEOUT, f"no answer within {waited_s:.1f} s")
            if self._stop.is_set():
                raise self._error(StreamCode.ENDED, "stopped")
            if not self._read() or self._is_over:
                raise self._error(StreamCode.BROKEN, "closed before any video came")

    def _read(self) -> bool:
        """What has come is sorted into packets and answers, requests are answered; False where there is no more."""
        try:
            data = self._socket.recv(_RECEIVED_BYTES)
        except TimeoutError:
            return True
        except OSError:  # reset by the camera, or shut by whoever wants this to end
            return False
        if not data:
            return False
        try:
            items = self.splitter.push(data)
        except MessageError as exc:
            raise self._error(StreamCode.BROKEN, str(exc)) from None
        for item in items:
            if isinstance(item, Message):
                self._hear(item)
            elif len(self._early) < MOST_EARLY_PACKETS:
                self._early.append(item)
        return True

    def _hear(self, said: Message) -> None:
        if said.start.startswith("RTSP/"):
            if said.status != 401:
                self.authenticator.accepted()
            elif self._repeats and said.header("cseq") == str(self._sequence):
                self._repeat_keep_alive(said)
            self._answers.append(said)
        elif said.method in ("TEARDOWN", "REDIRECT"):
            self._is_over = True
        elif said.header("cseq") is not None:
            is_known = said.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER")
            status = "200 OK" if is_known else "501 Not Implemented"
            self._write(answer(status, {"CSeq": said.header("cseq") or "0"}))
        else:
            raise self._error(StreamCode.BROKEN, "what it says is no RTSP")

    def _keep_alive(self) -> None:
        """A session ends where its client is silent for too long (RFC 2326 section 10.8, RFC 7826 section 18.49)."""
        self._repeats += 1
        self._send("GET_PARAMETER" if "GET_PARAMETER" in self._public else "OPTIONS", self._session_url, {})

    def _repeat_keep_alive(self, said: Message) -> None:
        """The nonce has expired meanwhile (Axis M5525; SharpRTSP issue 126)."""
        if self._repeats < MOST_REPEATS and self.authenticator.take(challenges(said.all("www-authenticate"))):
            self._keep_alive()

    def _take_session(self, said: Message) -> None:
        identity, _, rest = (said.header("session") or "").partition(";")
        self._session = identity.strip() or self._session
        found = re.search(r"timeout\s*=\s*(\d{1,6})", rest)
        if found:
            self._keep_alive_s = max(_LEAST_KEEP_ALIVE_S, int(found[1]) / 2)

    def _error(self, code: StreamCode, text: str) -> StreamError:
        return StreamError(code, f"{self._name}: {text}")


def _host_of(location: str) -> str:
    try:
        return Address.of(location).host
    except ValueError:
        return "what is no URL"


def begin(address: Address, *, name: str, timeout_s: float, stop: threading.Event) -> tuple[Conversation, Description]:
    """Connect and have the camera describe what it has, wherever on its host that is. Raises StreamError."""
    for _ in range(MOST_REDIRECTS + 1):
        conversation = Conversation(address, name=name, timeout_s=timeout_s, stop=stop)
        try:
            said = conversation.describe()
        except BaseException:
            conversation.close()
            raise
        if isinstance(said, Description):
            return conversation, said
        conversation.close()
        address = said
    raise StreamError(StreamCode.BROKEN, f"{name}: redirects more than {MOST_REDIRECTS} times")
