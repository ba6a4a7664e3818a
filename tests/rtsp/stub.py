"""A small RTSP camera with faults to order, in plain Python: RTP over TCP, an Annex B file in real time for ever.

Tests have it as a fixture (``stub_camera``). By hand::

    python -m tests.rtsp.stub cam.h264 --port 8600 --fps 25 --quirk ts_outlier --quirk no_sprop

then rtsp://127.0.0.1:8600/cam.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tests.rtsp.footage import Footage
from tests.rtsp.quirks import Quirk
from tests.rtsp.stub_answers import Gate, content_base, description
from tests.rtsp.stub_sending import Rates, Sending, first_stamp

REAUTH_S = 3.0
"""Age at which a nonce expires, with ``REAUTH_KEEPALIVE``."""
BURST_S = 4
REPORT_S = 0.2
"""From one sender report to the next once there is no video any more."""

_SESSION = "12345678"


@dataclass(frozen=True)
class Request:
    """One request that a client made. Names of headers are in lower case."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Settings(Rates):
    """How the camera behaves, quirks apart. ``slow_s`` and ``redirect_to`` may be changed while it runs."""

    user: str | None = None
    password: str = ""
    timeout_s: int = 60  # of a session, as it tells clients
    is_timeout_enforced: bool = False
    slow_s: float = 3.0  # from picture to picture at night
    well_s: float = 3.0  # how long a session goes well before NIGHT_SLOW, RTCP_BYE and VIDEO_DIES
    begin_at: int = 0  # picture of the file with which each session begins
    redirect_to: str | None = None  # a URL; None: another path of this camera
    ipv6: bool = False


class StubCamera:
    """Use as ``with StubCamera(path, Quirk.NO_FMTP, fps=100) as camera: read(camera.url)``.

    Any number of clients are served at a time, each from the file's beginning. ``quirks`` may be changed at any time.
    """

    def __init__(self, clip: Path, *quirks: Quirk, port: int = 0, settings: Settings | None = None) -> None:
        self.quirks, self.settings = set(quirks), settings or Settings()
        self.footage = Footage.read(clip)
        self.gate = Gate(self.settings.user, self.settings.password, self.quirks)
        self._asked_port = port
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._clients: list[_Client] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> Self:
        """Returns once the camera listens."""
        family, address = (socket.AF_INET6, "::1") if self.settings.ipv6 else (socket.AF_INET, "127.0.0.1")
        self._listener = socket.create_server((address, self._asked_port), family=family)
        self.start_thread(self._serve, self._listener)
        return self

    def stop(self) -> None:
        """Hang up on everybody; returns once all threads have ended."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # ``accept`` returns
        listener.close()
        while alive := [thread for thread in self._threads if thread.is_alive()]:
            for client in list(self._clients):
                client.hang_up()
            alive[0].join(timeout=0.1)

    @property
    def host(self) -> str:
        """Address and port, as a URL has them."""
        if self._listener is None:
            raise RuntimeError("the stub camera is not running")
        address, port = self._listener.getsockname()[:2]
        return f"[{address}]:{port}" if self.settings.ipv6 else f"{address}:{port}"

    @property
    def url(self) -> str:
        """Without credentials."""
        return f"rtsp://{self.host}/cam"

    @property
    def requests(self) -> list[Request]:
        """All so far, in the order in which they came."""
        with self._lock:
            return list(self._requests)

    def asked(self, method: str) -> list[str]:
        """The URLs of all requests of that method so far."""
        return [request.url for request in self.requests if request.method == method]

    @property
    def sessions_ever(self) -> int:
        """Connections in which a track was set up."""
        return sum(client.has_session for client in list(self._clients))

    @property
    def sessions_open(self) -> int:
        """Those of them that neither side has ended."""
        return sum(client.has_session and not client.ended.is_set() for client in list(self._clients))

    @property
    def pictures_sent(self) -> int:
        """In all sessions together."""
        return sum(client.pictures_sent for client in list(self._clients))

    def note(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def start_thread(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name="stub-camera", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # stopped
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = _Client(self, connection)
            self._clients.append(client)
            self.start_thread(client.serve)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()


@dataclass
class _Answer:
    """What a request is answered."""

    status: str = "200 OK"
    headers: list[str] = field(default_factory=list)
    body: str = ""


class _Client:
    """One connection: a thread that answers and, once there is something to play, one that sends."""

    def __init__(self, camera: StubCamera, connection: socket.socket) -> None:
        self._camera, self._connection = camera, connection
        self._quirks, self._settings = camera.quirks, camera.settings
        self._lock = threading.Lock()  # answers and packets share the connection
        self.ended = threading.Event()
        self.pictures_sent = 0
        self._setups = 0
        self._is_mute = False
        self._channel = 0
        self._alive_s = self._nonce_s = time.monotonic()
        self._is_playing = False

    @property
    def has_session(self) -> bool:
        return self._setups > 0

    def hang_up(self) -> None:
        self.ended.set()
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Until either side ends the connection."""
        try:
            with self._connection.makefile("rb") as stream:
                for request in _requests(stream):
                    self._camera.note(request)
                    self._take(request)
                    if request.method == "TEARDOWN":
                        return
        except OSError:
            pass  # the client has hung up
        finally:
            self.hang_up()
            self._connection.close()

    def _take(self, request: Request) -> None:
        is_counted = request.method != "OPTIONS" or Quirk.KEEPALIVE_OPTIONS_DO_NOT_COUNT not in self._quirks
        if is_counted:
            self._alive_s = time.monotonic()
        answer = self._answer(request)
        lines = [f"RTSP/1.0 {answer.status}", f"CSeq: {request.headers.get('cseq', '0')}", *answer.headers]
        if answer.body:
            lines.append(f"Content-Length: {len(answer.body)}")
        self._send(("\r\n".join(lines) + "\r\n\r\n" + answer.body).encode())
        if request.method == "PLAY" and answer.status == "200 OK" and not self._is_playing:
            self._is_playing = True
            self._nonce_s = time.monotonic()
            self._camera.start_thread(self._play)

    def _answer(self, request: Request) -> _Answer:
        quirks, gate, method = self._quirks, self._camera.gate, request.method
        refusal = _Answer("401 Unauthorized", gate.challenges)
        if method in ("GET_PARAMETER", "OPTIONS") and self._is_nonce_old():
            gate.renew_nonce()
            self._nonce_s = time.monotonic()
            return _Answer("401 Unauthorized", gate.challenges)
        if method == "OPTIONS":
            parameter = "" if Quirk.NO_GET_PARAMETER in quirks else ", GET_PARAMETER"
            return _Answer(headers=[f"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN{parameter}"])
        if method == "DESCRIBE" and Quirk.UA_NEEDED in quirks and "user-agent" not in request.headers:
            return refusal
        if not gate.lets_in(method, request.headers.get("authorization", "")):
            return refusal
        if method == "DESCRIBE":
            return self._describe(request)
        if method == "SETUP":
            return self._set_up(request)
        if method == "PLAY":
            stamp = 4_000_000_000 if Quirk.BAD_RTPTIME in quirks else first_stamp(quirks)
            info = f"RTP-Info: url=rtsp://{self._camera.host}/cam/trackID=1;seq=1;rtptime={stamp}"
            return _Answer(headers=[f"Session: {_SESSION}", info + ";" * (Quirk.RTPINFO_SEMICOLON in quirks)])
        if method in ("GET_PARAMETER", "SET_PARAMETER") and Quirk.NO_GET_PARAMETER in quirks:
            return _Answer("501 Not Implemented")
        return _Answer()

    def _is_nonce_old(self) -> bool:
        is_due = self._is_playing and time.monotonic() - self._nonce_s > REAUTH_S
        return is_due and Quirk.REAUTH_KEEPALIVE in self._quirks

    def _describe(self, request: Request) -> _Answer:
        quirks, host = self._quirks, self._camera.host
        if Quirk.REDIRECT in quirks and "/moved" not in request.url:
            return _Answer("302 Moved", [f"Location: {self._settings.redirect_to or f'rtsp://{host}/moved/cam'}"])
        headers = [] if Quirk.NO_CONTENT_TYPE in quirks else ["Content-Type: application/sdp"]
        base = content_base(quirks, host=host)
        if base is not None:
            headers.append(f"Content-Base: {base}")
        return _Answer(headers=headers, body=description(self._camera.footage, quirks, host=host))

    def _set_up(self, request: Request) -> _Answer:
        quirks = self._quirks
        if Quirk.TRACKS_STRICT in quirks and not request.url.endswith("/cam/trackID=1"):
            return _Answer("404 Not Found")
        asked = re.search(r"interleaved=(\d+)-\d+", request.headers.get("transport", ""))
        if asked is None:
            return _Answer("461 Unsupported Transport")
        self._setups += 1
        self._is_mute = Quirk.MUTE_FIRST_TRACK in quirks and request.url.endswith("trackID=1")
        channel = int(asked[1])
        if Quirk.OTHER_CHANNEL in quirks and self._setups == 1:
            channel = 10
        if self._setups == 1 or Quirk.DATA_ON_LAST_TRACK in quirks:
            self._channel = channel
        transport = "Transport: RTP/AVP/TCP;unicast"
        if Quirk.NO_INTERLEAVED_ANSWER not in quirks:
            transport += f";interleaved={channel}-{channel + 1}"
        if Quirk.SSRC_SPACE in quirks:
            transport += ";ssrc= 0A0B0C0D"
        session = f"{_SESSION}{self._setups if Quirk.NEW_SESSION_ID in quirks else ''}"
        return _Answer(headers=[transport, f"Session: {session};timeout={self._settings.timeout_s}"])

    def _play(self) -> None:
        try:
            self._send_pictures(Sending(self._camera.footage, self._quirks, self._settings))
        except OSError:
            pass  # the client has hung up
        finally:
            self.hang_up()

    def _send_pictures(self, sending: Sending) -> None:
        settings, quirks, began_s = self._settings, self._quirks, time.monotonic()
        footage, index, due_s = self._camera.footage, 0, 0.0
        while True:
            even_s = index / settings.fps
            is_over = even_s > settings.well_s
            is_slow = is_over and Quirk.NIGHT_SLOW in quirks
            sent_s = (even_s // BURST_S + 1) * BURST_S if Quirk.STALL_BURST in quirks else due_s
            if self.ended.wait(max(0.0, began_s + sent_s - time.monotonic())):
                return
            if settings.is_timeout_enforced and time.monotonic() - self._alive_s > settings.timeout_s:
                return
            media_s = due_s if Quirk.NIGHT_SLOW in quirks else even_s
            if is_over and Quirk.RTCP_BYE in quirks:
                self._send(sending.goodbye(channel=self._channel))
                self.ended.wait()
            elif is_over and Quirk.PACKETS_EMPTY in quirks:
                self._send(sending.empty(index, media_s, channel=self._channel))
            elif self._is_mute or (is_over and Quirk.VIDEO_DIES in quirks):
                if index % max(1, round(REPORT_S * settings.fps)) == 0:
                    self._send(sending.late_report(index, media_s, channel=self._channel))
            else:
                number = (index + settings.begin_at) % len(footage.pictures)
                self._send(sending.picture(index, number, media_s, channel=self._channel))
                self.pictures_sent += 1
            index += 1
            due_s = due_s + settings.slow_s if is_slow else index / settings.fps

    def _send(self, blob: bytes) -> None:
        with self._lock:
            self._connection.sendall(blob)


def _requests(stream: BinaryIO) -> Iterator[Request]:
    """Those of one connection; interleaved packets (RTCP receiver reports) are left out."""
    while first := stream.read(1):
        if first == b"$":
            head = stream.read(3)
            stream.read(int.from_bytes(head[1:], "big"))
            continue
        words = (first + stream.readline()).decode("latin1").split()
        if len(words) < 2:
            continue  # an empty line between two requests
        headers = {}
        while line := stream.readline().decode("latin1").strip():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        stream.read(int(headers.get("content-length", "0")))
        yield Request(words[0], words[1], headers)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="an Annex B file: .h264, .hevc or .h265")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--quirk", type=Quirk, action="append", default=[], help=f"any of {', '.join(Quirk)}")
    parser.add_argument("--user", metavar="USER:PASSWORD")
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--stamp-fps", type=float, help="rate by the time stamps, where it differs")
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets left out")
    parser.add_argument("--slow-s", type=float, default=3.0, help="night_slow: seconds from picture to picture")
    parser.add_argument("--well-s", type=float, default=3.0, help="seconds before night_slow, rtcp_bye and video_dies")
    parser.add_argument("--begin-at", type=int, default=0, help="picture of the file with which sessions begin")
    parser.add_argument("--timeout", type=int, default=60, help="of a session, in seconds")
    parser.add_argument("--timeout-enforced", action="store_true", help="end sessions that are not kept alive")
    parser.add_argument("--ipv6", action="store_true")
    options = parser.parse_args()
    user, _, password = (options.user or "").partition(":")
    settings = Settings(
        fps=options.fps,
        stamp_fps=options.stamp_fps,
        loss=options.loss,
        user=user or None,
        password=password,
        timeout_s=options.timeout,
        is_timeout_enforced=options.timeout_enforced,
        slow_s=options.slow_s,
        well_s=options.well_s,
        begin_at=options.begin_at,
        ipv6=options.ipv6,
    )
    with StubCamera(options.file, *options.quirk, port=options.port, settings=settings) as camera:
        print(camera.url, flush=True)
        shown = 0
        with suppress(KeyboardInterrupt):
            while True:
                requests = camera.requests
                for request in requests[shown:]:
                    print(f"{time.strftime('%T')} {request.method} {request.url}", file=sys.stderr, flush=True)
                shown = len(requests)
                time.sleep(0.2)


if __name__ == "__main__":
    main()
