"""The border to FFmpeg: its errors become StreamError here, once, and its words about URLs never get past it.

An FFmpeg error holds the URL it was given, credentials included, so its own ``str()`` is never used: the message is
made of the error's class, FFmpeg's generic text for it, and the redacted URL. FFmpeg's log, which repeats URLs too, is
off by PyAV's default; importing this module makes sure of it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import av
import av.error

from vad.errors import StreamCode, StreamError

av.logging.set_level(None)

_MEANINGS: tuple[tuple[type[av.FFmpegError], StreamCode, str], ...] = (
    (av.error.HTTPUnauthorizedError, StreamCode.AUTH_FAILED, "user name or password refused (401)"),
    (av.error.HTTPForbiddenError, StreamCode.AUTH_FAILED, "access forbidden (403)"),
    (av.error.HTTPNotFoundError, StreamCode.NOT_FOUND, "the server has no such stream (404)"),
    (av.error.FileNotFoundError, StreamCode.NOT_FOUND, "no such file or device"),
    (av.error.ConnectionRefusedError, StreamCode.REFUSED, "connection refused: nothing listens there"),
    (av.error.TimeoutError, StreamCode.TIMEOUT, "no answer within the time-out"),
    (av.error.DecoderNotFoundError, StreamCode.CODEC_UNSUPPORTED, "no decoder for this codec"),
    (av.error.PatchWelcomeError, StreamCode.CODEC_UNSUPPORTED, "a codec feature that FFmpeg does not know"),
    (av.error.InvalidDataError, StreamCode.BROKEN, "not a video that FFmpeg can read"),
    (av.error.EOFError, StreamCode.BROKEN, "closed before any video came"),
    (av.error.MemoryError, StreamCode.BROKEN, "asks for more memory than its reader may have"),
    (av.error.PermissionError, StreamCode.BROKEN, "permission denied"),
)
CORRUPT = (
    av.error.InvalidDataError,
    av.error.PatchWelcomeError,
    av.error.ExternalError,
    av.error.UnknownError,
    av.error.BugError,
)
"""What a decoder raises at a damaged packet. The stream itself goes on."""

_UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})


@contextmanager
def translate_av_errors(camera: str, url: str) -> Iterator[None]:
    """Turn any FFmpeg or file error inside into a StreamError. ``url`` must be redacted: the message shows it."""
    try:
        yield
    except av.FFmpegError as exc:
        code, text = _meaning(exc, url)
        raise StreamError(code, f"{camera}: {url}: {text}") from None
    except OSError as exc:  # a folder of pictures is read without FFmpeg
        code = StreamCode.NOT_FOUND if isinstance(exc, FileNotFoundError) else StreamCode.BROKEN
        raise StreamError(code, f"{camera}: {url}: {exc.strerror or type(exc).__name__}") from None


def _meaning(exc: av.FFmpegError, url: str) -> tuple[StreamCode, str]:
    for kind, code, text in _MEANINGS:
        if isinstance(exc, kind):
            return code, text
    if exc.errno in _UNREACHABLE:
        return StreamCode.REFUSED, "no route to the host"
    if exc.errno == errno.EIO and _unresolved(url):  # FFmpeg has no error of its own for this most common typo
        return StreamCode.NOT_FOUND, "the host name cannot be resolved"
    return StreamCode.BROKEN, exc.strerror or type(exc).__name__


def _unresolved(url: str) -> bool:
    host = urlsplit(url).hostname if "://" in url else None
    if not host:
        return False
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return True
    return False
