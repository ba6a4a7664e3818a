"""RTSP messages: requests are made, answers (and the requests of cameras) are read.

Whoever answers may send anything: a head, a body or headers beyond the bounds below are refused, never stored.
Source: RFC 2326 sections 4 to 7, which RFC 7826 keeps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

MOST_HEAD_BYTES = 16 * 1024
MOST_HEADERS = 64
MOST_BODY_BYTES = 128 * 1024

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"RTSP/\d\.\d +(\d{3})(?: +(.*))?$")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class MessageError(ValueError):
    """What came is no RTSP message, or one beyond the bounds. The text says what was wrong."""


@dataclass(frozen=True, slots=True)
class Message:
    """An answer, or a request that the camera makes. ``headers`` are in order, their names in lower case."""

    start: str  # the first line
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def status(self) -> int | None:
        """None for a request."""
        found = _STATUS.match(self.start)
        return int(found[1]) if found else None

    @property
    def reason(self) -> str:
        """The words after the status, fit to be shown."""
        found = _STATUS.match(self.start)
        return _UNPRINTABLE.sub("?", (found[2] or "") if found else "")[:80].strip()

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start.split(" ", 1)[0]

    def all(self, name: str) -> list[str]:
        """The values of every header of that name."""
        return [value for key, value in self.headers if key == name]

    def header(self, name: str) -> str | None:
        """The first of them."""
        return next(iter(self.all(name)), None)


def escaped(url: str) -> str:
    """The URL as it may stand in a request: a camera's own words may be part of it."""
    return quote(url, safe=_PRINTABLE)


def request(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    """A request without a body."""
    return _head(f"{method} {escaped(url)} RTSP/1.0", headers)


def answer(status: str, headers: Mapping[str, str]) -> bytes:
    """An answer to a request of the camera."""
    return _head(f"RTSP/1.0 {status}", headers)


def _head(start: str, headers: Mapping[str, str]) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise MessageError("a line break in a header")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def parse(data: bytes, at: int = 0) -> tuple[Message, int] | None:
    """The message that begins at ``at``, and where it ends; None while it is not whole. Raises MessageError."""
    end = _END_OF_HEAD.search(data, at, at + MOST_HEAD_BYTES)
    if end is None:
        if len(data) - at >= MOST_HEAD_BYTES:
            raise MessageError(f"a head of more than {MOST_HEAD_BYTES} bytes")
        return None
    lines = data[at : end.start()].decode("utf-8", "replace").splitlines()
    if len(lines) - 1 > MOST_HEADERS:
        raise MessageError(f"{len(lines) - 1} headers; allowed: {MOST_HEADERS}")
    pairs = [line.partition(":") for line in lines[1:]]
    headers = tuple((name.strip().lower(), value.strip()) for name, colon, value in pairs if colon)
    message = Message(lines[0], headers)
    size = _body_size(message.header("content-length"))
    if len(data) < end.end() + size:
        return None
    return Message(message.start, headers, data[end.end() : end.end() + size]), end.end() + size


def _body_size(said: str | None) -> int:
    if said is None:
        return 0
    if not (said.isascii() and said.isdecimal() and len(said) <= 9 and int(said) <= MOST_BODY_BYTES):
        raise MessageError(f"Content-Length {_UNPRINTABLE.sub('?', said)[:40]!r}; allowed: 0 to {MOST_BODY_BYTES}")
    return int(said)
