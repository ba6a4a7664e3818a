"""Clips and pictures of incidents, made where what strangers sent can do little: in a process of its own.

The packets that they are made of are decoded a second time, and a stream may be made to take over what decodes it. So
they go to a sandboxed process (``vad.pipeline.render_worker``), and what it answers is checked before it is used. A
process that dies, hangs or answers anything else is killed; the next one is started for the next incident.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

import av.error
import msgspec
import numpy as np
import structlog

from vad.config import LogSettings, Polygon, ReaderSettings
from vad.pipeline.readers.checks import MOST_WHY_CHARS, printable
from vad.pipeline.readers.messages import CHUNK_BYTES, MOST_PICTURE_BYTES, Inbox, framed
from vad.pipeline.readers.sandbox import Limits, command_of, start
from vad.pipeline.readers.workers import taken
from vad.pipeline.render_messages import (
    MOST_BESIDE_BYTES,
    Answer,
    ClipJob,
    Failed,
    Job,
    MadeClip,
    MadePicture,
    Nothing,
    PictureJob,
    Ready,
    Told,
)
from vad.video.clip import Clip, make_clip, picture_at
from vad.video.overlay import Picture, scaled_size
from vad.video.tape import Excerpt

log = structlog.get_logger(__name__)

COMMAND = command_of("vad.pipeline.render_worker")
PATIENCE_S = 120.0
"""How long one clip or picture may take, the start of the process included."""
STOP_WITHIN_S = 15.0
"""How long after the engine began to stop anything is rendered."""
IDLE_S = 60.0
"""A process that has had nothing to do for so long ends, until it is needed again."""
POLL_S = 0.25
SLACK_S = 1.0
CODECS = ("h264", "mpeg4")

_Given = TypeVar("_Given")


class NotRendered(Exception):
    """Why there is no clip or picture."""


class RendererLost(NotRendered):
    """The process that was to render it is no more: what it was given shall not be given to the next one."""


class Rendering(Protocol):
    """Makes clips and pictures, for one thread. ``hurry`` is for any."""

    def clip(self, excerpt: Excerpt, *, masks: Sequence[Polygon]) -> Clip | None:
        """``vad.video.clip.make_clip``. Raises NotRendered."""
        ...

    def picture(self, excerpt: Excerpt, at_s: float, *, masks: Sequence[Polygon], most_width: int) -> Picture | None:
        """``vad.video.clip.picture_at``, a new array. Raises NotRendered."""
        ...

    def rest(self) -> None:
        """Nothing is to be made just now."""
        ...

    def hurry(self) -> None:
        """The engine stops: what is being made shall soon be there."""
        ...

    def close(self) -> None:
        """Leave nothing behind."""
        ...


class InEngine:
    """Renders in the calling thread."""

    def clip(self, excerpt: Excerpt, *, masks: Sequence[Polygon]) -> Clip | None:
        try:
            return make_clip(excerpt, masks=masks)
        except (av.error.FFmpegError, ValueError) as exc:  # a stream may be damaged in any way
            raise NotRendered(str(exc)) from exc

    def picture(self, excerpt: Excerpt, at_s: float, *, masks: Sequence[Polygon], most_width: int) -> Picture | None:
        try:
            return picture_at(excerpt, at_s, masks=masks, most_width=most_width)
        except (av.error.FFmpegError, ValueError) as exc:
            raise NotRendered(str(exc)) from exc

    def rest(self) -> None:
        pass

    def hurry(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(slots=True, eq=False)
class _Process:
    process: subprocess.Popen[bytes]
    control: socket.socket
    inbox: Inbox = field(default_factory=Inbox)
    is_ready: bool = False

    def has_ended(self) -> bool:
        """Without waiting for it: what it took is told until then."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Renderer:
    """Renders in a sandboxed process, started when it is first needed."""

    def __init__(
        self, settings: ReaderSettings, *, log_settings: LogSettings, command: Sequence[str] | None = None
    ) -> None:
        self._settings, self._log_settings, self._command = settings, log_settings, command or COMMAND
        self._decoder = msgspec.msgpack.Decoder(Told)
        self._held: _Process | None = None
        self._number = 0
        self._used_s = 0.0
        self._over_s = math.inf
        self._told_missing: set[str] = set()
        self._ended_cpu_s = 0.0

    @property
    def ended_cpu_s(self) -> float:
        """CPU time that the processes which have ended took."""
        return self._ended_cpu_s

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._held.process.pid if self._held is not None else None

    def clip(self, excerpt: Excerpt, *, masks: Sequence[Polygon]) -> Clip | None:
        job = ClipJob(self._next_number(), pickle.dumps((excerpt, tuple(masks))))
        most_bytes = 2 * excerpt.size_bytes + MOST_BESIDE_BYTES
        return self._made(job, lambda answer: _clip_of(answer, excerpt), most_bytes=most_bytes)

    def picture(self, excerpt: Excerpt, at_s: float, *, masks: Sequence[Polygon], most_width: int) -> Picture | None:
        job = PictureJob(self._next_number(), pickle.dumps((excerpt, tuple(masks))), at_s, most_width)
        grid = excerpt.format.geometry
        size = scaled_size(grid.source_width, grid.source_height, most_width=most_width)
        return self._made(job, lambda answer: _picture_of(answer, *size), most_bytes=MOST_PICTURE_BYTES)

    def rest(self) -> None:
        if self._held is not None and time.monotonic() - self._used_s >= IDLE_S:
            self._end()

    def hurry(self) -> None:
        self._over_s = min(self._over_s, time.monotonic() + STOP_WITHIN_S)

    def close(self) -> None:
        self._end()

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _made(self, job: Job, taken_as: Callable[[Answer], _Given], *, most_bytes: int) -> _Given | None:
        """What the process makes of a job. Raises NotRendered."""
        try:
            answer = self._answer(job, most_bytes=most_bytes, until_s=time.monotonic() + PATIENCE_S)
            made = None if isinstance(answer, Nothing | Failed) else taken_as(answer)
        except RendererLost:
            self._end()
            raise
        except (ValueError, RecursionError, MemoryError) as exc:
            self._end()
            why = printable(str(exc) or type(exc).__name__, most=MOST_WHY_CHARS)
            raise RendererLost(f"the process that renders said what it may not: {why}") from None
        self._used_s = time.monotonic()
        if isinstance(answer, Failed):
            raise NotRendered(printable(answer.why, most=MOST_WHY_CHARS))
        return made

    def _answer(self, job: Job, *, most_bytes: int, until_s: float) -> Answer:
        if self._held is not None and self._held.has_ended():  # with nothing in hand: that was no packet's doing
            self._end()
        held = self._held = self._held or self._start()
        self._say(held, framed(job), until_s)
        while True:
            told = self._told(held, most_bytes=most_bytes, until_s=until_s)
            if not isinstance(told, Ready):
                _must(told.number == job.number, "the answer to a job that it was not given")
                return told
            _must(not held.is_ready, "twice that it is ready")
            held.is_ready = True
            self._tell_missing(told.missing)

    def _say(self, held: _Process, message: bytes, until_s: float) -> None:
        left = memoryview(message)
        while left:
            left = left[self._patiently(partial(held.control.send, left), until_s) :]

    def _told(self, held: _Process, *, most_bytes: int, until_s: float) -> Told:
        while (body := held.inbox.take(most_bytes=most_bytes)) is None:
            piece = self._patiently(partial(held.control.recv, CHUNK_BYTES), until_s)
            if not piece:
                raise self._gone()
            held.inbox.add(piece)
        return self._decoder.decode(body)

    def _patiently(self, step: Callable[[], _Given], until_s: float) -> _Given:
        """What a step on the process's socket gives. Raises RendererLost where it gives nothing in time."""
        while True:
            now_s = time.monotonic()
            if now_s >= self._over_s:
                raise RendererLost("the engine stops")
            if now_s >= until_s:
                raise RendererLost(f"the process that renders has not answered for {PATIENCE_S:.0f} s")
            try:
                return step()
            except TimeoutError:
                continue
            except OSError:
                raise self._gone() from None

    def _gone(self) -> RendererLost:
        return RendererLost(f"the process that renders has ended ({self._end()})")

    def _start(self) -> _Process:
        """Raises RendererLost."""
        if time.monotonic() >= self._over_s:
            raise RendererLost("the engine stops")
        limits = Limits(self._settings.memory_mib << 20, has_files=self._settings.sandbox == "off")
        arguments = (self._log_settings.model_dump_json(), msgspec.json.encode(limits).decode())
        try:
            process, control = start(self._command, *arguments)
        except OSError as exc:
            raise RendererLost(f"the process that renders cannot be started: {exc.strerror}") from exc
        control.settimeout(POLL_S)
        log.debug("evidence.process_started", pid=process.pid)
        return _Process(process, control)

    def _end(self) -> int | None:
        """Kill the process, if there is one, and wait for that. How it ended; it may have before."""
        held, self._held = self._held, None
        if held is None:
            return None
        held.control.close()
        pid = held.process.pid
        os.kill(pid, signal.SIGKILL)  # nobody has waited for it, so that the number is still its own
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self._ended_cpu_s += taken(pid)[0]
        returncode = held.process.wait()
        log.debug("evidence.process_ended", pid=pid, returncode=returncode)
        return returncode

    def _tell_missing(self, missing: Sequence[str]) -> None:
        """Once each: it is the machine's, not the process's."""
        for what in missing:
            if what not in self._told_missing:
                self._told_missing.add(what)
                log.warning("evidence.not_sandboxed", detail=what)


def _clip_of(answer: Answer, excerpt: Excerpt) -> Clip:
    """Raises ValueError at what no clip of the excerpt is."""
    if not isinstance(answer, MadeClip):
        raise ValueError(f"{type(answer).__name__} where a clip was asked for")
    grid, begin_s, end_s = excerpt.format.geometry, min(excerpt.times_s), max(excerpt.times_s)
    span_s = end_s - begin_s + excerpt.interval_s
    _must(answer.data[4:8] == b"ftyp", "a clip that is no MP4")
    _must(begin_s - SLACK_S <= answer.start_s <= end_s + span_s + SLACK_S, "a clip that begins elsewhere")
    _must(0.0 <= answer.duration_s <= 2.0 * span_s + SLACK_S, "a clip that lasts longer than its packets")
    _must(1 <= answer.width <= max(2, grid.source_width), "a clip wider than its pictures")
    _must(1 <= answer.height <= max(2, grid.source_height), "a clip higher than its pictures")
    _must(answer.codec in CODECS, "a clip of a codec that nobody encodes here")
    return answer.clip


def _picture_of(answer: Answer, width: int, height: int) -> Picture:
    """Raises ValueError at what no picture of that size is."""
    if not isinstance(answer, MadePicture):
        raise ValueError(f"{type(answer).__name__} where a picture was asked for")
    _must((answer.width, answer.height) == (width, height), "a picture of another size than it has")
    _must(len(answer.pixels) == height * width * 3, "a picture of more or fewer pixels than its size has")
    return np.frombuffer(answer.pixels, np.uint8).reshape(height, width, 3).copy()


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
