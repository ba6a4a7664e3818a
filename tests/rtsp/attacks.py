"""Cameras that attack whoever reads them: each a server on loopback that answers every connection in its one way.

What is sent without end is sent slowly enough that the machine has time for others.

    python -m tests.rtsp.attacks NAME        prints the URL, and serves until it is killed
"""

from __future__ import annotations

import random
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

PIECE_BYTES, PAUSE_S = 1 << 16, 0.004
"""Sixteen megabytes a second."""

Attack = Callable[[bytes, str], Iterator[bytes]]
"""What is sent in a connection, given the first request and the server's own URL. Later requests are not looked at."""


def _without_end(piece: bytes) -> Iterator[bytes]:
    whole = piece * max(1, PIECE_BYTES // len(piece))
    while True:
        yield whole


def _answer(request: bytes, headers: str, body: bytes = b"") -> bytes:
    number = re.search(rb"CSeq: *(\d+)", request)
    sequence = f"CSeq: {number[1].decode()}\r\n" if number else ""
    return f"RTSP/1.0 200 OK\r\n{sequence}{headers}\r\n".encode() + body


def _described(request: bytes, sdp: bytes) -> bytes:
    headers = f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n"
    return _answer(request, headers, sdp)


def endless_headers(request: bytes, _: str) -> Iterator[bytes]:
    yield b"RTSP/1.0 200 OK\r\n"
    yield from _without_end(b"X-More: " + b"a" * 100 + b"\r\n")


def endless_line(request: bytes, _: str) -> Iterator[bytes]:
    yield b"RTSP/1.0 200 OK\r\nX-More: "
    yield from _without_end(b"a")


def endless_body(request: bytes, _: str) -> Iterator[bytes]:
    yield _answer(request, "Content-Type: application/sdp\r\nContent-Length: 2147483647\r\n")
    yield from _without_end(b"a=more:than anybody wants\r\n")


def endless_answers(request: bytes, _: str) -> Iterator[bytes]:
    yield from _without_end(_answer(request, "Public: OPTIONS, DESCRIBE\r\n"))


def redirects(request: bytes, url: str) -> Iterator[bytes]:
    number = random.Random(len(request)).randrange(10**6)
    yield f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: {url}/{number}\r\n\r\n".encode()


class Sessions:
    """An attack in the packets of a session that begins well. ``sdp`` describes it."""

    def __init__(self, sdp: str, packets: Callable[[], Iterator[bytes]]) -> None:
        self.sdp, self.packets = sdp.encode(), packets

    def answer(self, request: bytes) -> bytes:
        if request.startswith(b"DESCRIBE"):
            return _described(request, self.sdp)
        return _answer(
            request, "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nPublic: SETUP, PLAY\r\n"
        )


def _sdp(codec: str, more: str = "") -> str:
    return f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}\r\n{more}"


def _rtp(number: int, payload: bytes) -> bytes:
    packet = struct.pack(">BBHII", 0x80, 96, number & 0xFFFF, 3600, 7) + payload
    return struct.pack(">BBH", 0x24, 0, len(packet)) + packet


def _fragments() -> Iterator[bytes]:
    """A picture that begins and never ends."""
    for number in range(10**9):
        yield _rtp(number, bytes([0x7C, 0x85 if number == 0 else 0x05]) + b"\x55" * 60_000)


def _asf() -> Iterator[bytes]:
    """A chunk that is as long as nothing: whoever goes on by its length stays where he is."""
    for number in range(10**9):
        yield _rtp(number, b"\x40" + b"\0\0\0" + b"\0" * 60) * 100


def _av1() -> Iterator[bytes]:
    for number in range(10**9):
        yield _rtp(number, b"\x00" + b"\x12\x00" + b"\xff" * 150) * 100


def _noise() -> Iterator[bytes]:
    chance = random.Random(3)
    while True:
        yield chance.randbytes(PIECE_BYTES)


def _bomb() -> str:
    return _sdp("H264/90000") + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:x\r\n" * 60_000


def http_endless_headers(request: bytes, _: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from _without_end(b"X-More: " + b"a" * 100 + b"\r\n")


def http_redirects(request: bytes, url: str) -> Iterator[bytes]:
    yield f"HTTP/1.1 302 Found\r\nLocation: {url}/again\r\nContent-Length: 0\r\n\r\n".encode()


def _multipart() -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


def http_endless_part(request: bytes, _: str) -> Iterator[bytes]:
    yield _multipart() + b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 2147483647\r\n\r\n"
    yield from _without_end(b"\xff\xd8\xff\xe0" + b"a" * 60)


def _jpegs(pictures: Callable[[int], bytes]) -> Iterator[bytes]:
    yield _multipart()
    for number in range(10**9):
        data = pictures(number)
        yield f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n"
        time.sleep(0.05)


def http_huge_picture(request: bytes, _: str) -> Iterator[bytes]:
    """Its header says 16000x16000."""
    plain = cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()
    at = plain.index(b"\xff\xc0") + 5
    yield from _jpegs(lambda _: plain[:at] + struct.pack(">HH", 16_000, 16_000) + plain[at + 4 :])


def http_flipped_bits(request: bytes, _: str) -> Iterator[bytes]:
    plain = cv2.imencode(".jpg", np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8))[1].tobytes()
    chance = random.Random(1)
    yield from _jpegs(lambda _: flipped(plain, chance))


def http_endless_playlist(request: bytes, url: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n"
    yield from _without_end(f"#EXTINF:2,\n{url}/segment.ts\n".encode())


def flipped(data: bytes, chance: random.Random, *, every: int = 400) -> bytes:
    """The same with one bit in about so many bytes turned."""
    changed = bytearray(data)
    for _ in range(max(1, len(data) // every)):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flipped_clip(clip: Path, to: Path) -> Path:
    """A clip with bits turned in all but its first four kilobytes, which hold what a decoder begins with."""
    data = clip.read_bytes()
    to.write_bytes(data[:4096] + flipped(data[4096:], random.Random(2)))
    return to


ATTACKS: dict[str, Attack | Sessions] = {
    "endless headers": endless_headers,
    "endless line": endless_line,
    "endless body": endless_body,
    "endless answers": endless_answers,
    "redirects": redirects,
    "sdp bomb": Sessions(_bomb(), _noise),
    "endless fragments": Sessions(_sdp("H264/90000"), _fragments),
    "asf chunk of no size": Sessions(_sdp("x-asf-pf/1000"), _asf),
    "av1": Sessions(_sdp("AV1/90000"), _av1),
    "noise": Sessions(_sdp("H265/90000"), _noise),
    "http endless headers": http_endless_headers,
    "http endless part": http_endless_part,
    "http redirects": http_redirects,
    "http huge picture": http_huge_picture,
    "http flipped bits": http_flipped_bits,
    "http endless playlist": http_endless_playlist,
}


class Attacker:
    """A server that does it, on a free port."""

    def __init__(self, name: str) -> None:
        self._attack = ATTACKS[name]
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "http" if name.startswith("http") else "rtsp"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/x"
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._meet, args=(peer,), daemon=True).start()

    def _meet(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            request = peer.recv(PIECE_BYTES)
            if isinstance(self._attack, Sessions):
                while request and not request.startswith(b"PLAY"):
                    peer.sendall(self._attack.answer(request))
                    request = peer.recv(PIECE_BYTES)
                peer.sendall(self._attack.answer(request))
                pieces = self._attack.packets()
            else:
                pieces = self._attack(request, self.url)
            for piece in pieces:
                peer.sendall(piece)
                time.sleep(PAUSE_S)


def main() -> None:
    with Attacker(sys.argv[1]) as attacker:
        print(attacker.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
