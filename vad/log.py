"""The log: structlog and standard logging through one handler; human lines on a terminal, JSON otherwise.

A module has ``log = structlog.get_logger(__name__)`` and writes ``log.warning("stream.stalled", camera=...)``: an event
name that does not vary, everything else in keys. Credentials are taken out of every line, and a line that repeats for
the same camera is written a few times a minute and then counted. What a camera's own thread logs, libraries included,
bears the camera and its run without being told.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from structlog.typing import Processor

from vad.clock import SystemClock

if TYPE_CHECKING:
    from vad.clock import Clock
    from vad.config import LogSettings

LINES_PER_MINUTE = 20
"""How often the same event of the same camera is written in a minute; the next line says how many were not."""

_WINDOW_S = 60.0
_MOST_KEYS = 4_096
_HIDDEN = "***"

_USERINFO = re.compile(r"://(?:(?!://)[^\s\"'<>])*@")  # up to the last @: passwords hold @ and / though they should not
_QUERY = re.compile(r"([?&][\w.~%\[\]-]+=)[^&\s\"'#<>]+")
_SECRET_WORDS = r"pass(?:word|wd|phrase)?|pwd|secret|token|authorization|credentials?|api[_-]?key"
_SECRET_KEY = re.compile(rf"(?:^|[_.-])(?:{_SECRET_WORDS})$", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"\b((?:\w+[_-])?(?:{_SECRET_WORDS})[\"']?\s*[=:]\s*)((?:basic|bearer|digest)\s+)?[^\s,;&]+", re.IGNORECASE
)


def configure_log(settings: LogSettings, *, stream: TextIO | None = None, clock: Clock | None = None) -> None:
    """Send everything, from structlog and from standard logging, to ``stream`` (stderr). May be called again."""
    stream = sys.stderr if stream is None else stream
    human = settings.format == "human" or (settings.format == "auto" and stream.isatty())
    shared = _shared_processors()
    renderer: Processor = structlog.processors.JSONRenderer()
    if human:
        colors = stream.isatty() and "NO_COLOR" not in os.environ
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
        )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact_event,
            renderer,
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(RepeatFilter(clock=clock or SystemClock()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def use_standard_logging() -> None:
    """For vad as a library: lines become standard logging records, redacted; where they go is the program's choice.

    Does nothing when structlog is configured already, by ``configure_log`` or by the program.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            redact_event,
            structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def redact(text: str) -> str:
    """Text without what looks like a credential: in URLs, in their queries, and after words such as ``password=``.

    Takes away too much rather than too little.
    """
    text = _USERINFO.sub(f"://{_HIDDEN}@", text)
    text = _QUERY.sub(rf"\1{_HIDDEN}", text)
    return _ASSIGNED.sub(rf"\1{_HIDDEN}", text)


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: every value of every depth, and whole values under keys that name a secret."""
    return {key: _redact_value(key, value) for key, value in event.items()}


class RepeatFilter(logging.Filter):
    """Lets the same line (event name and camera) pass ``per_minute`` times a minute.

    The first line let through in a later minute carries ``suppressed``, the number that were not. Any thread.
    """

    def __init__(self, *, clock: Clock, per_minute: int = LINES_PER_MINUTE) -> None:
        super().__init__()
        self._clock = clock
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._windows: dict[tuple[object, ...], tuple[float, int]] = {}  # key -> (start of its minute, lines in it)

    def filter(self, record: logging.LogRecord) -> bool:
        fields = record.msg if isinstance(record.msg, dict) else None
        if fields is None:
            camera = structlog.contextvars.get_contextvars().get("camera")
            key: tuple[object, ...] = (record.name, str(record.msg), camera)
        else:
            key = (fields.get("event"), fields.get("camera"))
        passes, suppressed = self._count(key)
        if passes and suppressed and fields is not None:
            fields["suppressed"] = suppressed
        elif passes and suppressed:
            record.msg = f"{record.msg} ({suppressed} such lines suppressed)"
        return passes

    def _count(self, key: tuple[object, ...]) -> tuple[bool, int]:
        now_s = self._clock.monotonic_s()
        with self._lock:
            start_s, lines = self._windows.get(key, (-_WINDOW_S, 0))
            if now_s - start_s < _WINDOW_S:
                self._windows[key] = (start_s, lines + 1)
                return lines < self._per_minute, 0
            if len(self._windows) >= _MOST_KEYS:
                self._windows.clear()
            self._windows[key] = (now_s, 1)
            return True, max(0, lines - self._per_minute)


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _redact_value(key: object, value: Any) -> Any:
    if isinstance(key, str) and value is not None and _SECRET_KEY.search(key):
        return _HIDDEN
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {_redact_value(None, k): _redact_value(k, v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(None, item) for item in value]
    return redact(str(value))
