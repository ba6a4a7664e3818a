"""The engine's end of a session: a reader whose work is done in another process."""

from __future__ import annotations

import dataclasses
import pickle
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

import msgspec
import numpy as np

from vad.errors import StreamCode, StreamError
from vad.pipeline.readers.checks import NotAReader, RunChecks, ending, picture_of
from vad.pipeline.readers.messages import (
    CHUNK_BYTES,
    MOST_BYTES,
    MOST_UNASKED_BYTES,
    SILENCE_S,
    Batch,
    Behind,
    Command,
    Inbox,
    Look,
    NextRun,
    Opening,
    Seen,
    SentFrame,
    TapeFormat,
    Told,
    send,
)
from vad.types import Frame
from vad.video.items import Counts, Item, StreamInfo
from vad.video.overlay import Picture
from vad.video.reader import CONTINUABLE
from vad.video.source import with_password_read
from vad.video.spec import ReadEnv, ReadSpec
from vad.video.tape import Format, Tape

LOOK_S = 2.0
"""How long a picture is waited for; then the one seen last must do."""
LET_GO_S = 1.25
"""How long a session that is closed is waited for; then it is given up."""
SAY_S = 5.0
"""How long the process may take until it hears what is said; then it counts as gone."""
MOST_ASKED = 32
"""Pictures that the process has been asked for and has not answered yet."""
MOST_DRAINED = 64
"""Pieces of what nobody wants any more that are taken from the socket at a time."""


class ProcessGone(Exception):
    """The process at the other end has ended."""


class SessionOwner(Protocol):
    """Has the process at a session's other end."""

    def end_of(self, session: Session) -> StreamError | None:
        """What is known of why it has ended."""
        ...

    def give_up(self, session: Session) -> None:
        """Its reader does not let go."""
        ...

    def distrust(self, session: Session, why: str) -> float | None:
        """It said what no reader says. When the camera may connect again, if that is known."""
        ...


class Session:
    """The socket. ``receive`` is one thread's, ``look`` anyone's."""

    def __init__(self, peer: socket.socket, *, owner: SessionOwner | None = None) -> None:
        for option, limit_s in ((socket.SO_RCVTIMEO, SILENCE_S), (socket.SO_SNDTIMEO, SAY_S)):
            whole, fraction = divmod(limit_s, 1.0)
            peer.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(whole), int(fraction * 1e6)))
        self.opened_s = time.monotonic()
        self._peer = peer
        self._owner = owner
        self._inbox = Inbox()
        self._decoder: msgspec.msgpack.Decoder[Told] = msgspec.msgpack.Decoder(Told)
        self._speaking = threading.Lock()
        self._answered = threading.Condition()
        self._looks = 0
        self._asked: dict[int, int | None] = {}  # not answered yet: the number of the look, and its width
        self._seen: tuple[int, Picture | None] = (0, None)
        self.end: StreamError | None = None  # why it is no more, where the other end could not say

    @property
    def is_open(self) -> bool:
        """Nobody has let go of it for good."""
        return self._peer.fileno() >= 0

    def say(self, command: Command) -> None:
        """Raises ProcessGone."""
        try:
            with self._speaking:
                send(self._peer, command)
        except OSError as exc:
            raise ProcessGone from exc

    def receive(self) -> Batch | None:
        """The next batch, or None after SILENCE_S without a whole one. Raises ProcessGone and NotAReader."""
        until_s = time.monotonic() + SILENCE_S
        while True:
            told = self._take()
            if isinstance(told, Batch):
                return told
            if told is not None:
                self._take_answer(told)
            elif time.monotonic() >= until_s or not self._listen():
                return None

    def look(self, most_width: int | None) -> Picture | None:
        """The last picture decoded, or, where none comes in time, the one looked at last. A new array."""
        number = self._ask(most_width)
        with self._answered:
            self._answered.wait_for(lambda: self._seen[0] >= number, timeout=LOOK_S)
            picture = self._seen[1]
            return None if picture is None else picture.copy()

    def _ask(self, most_width: int | None) -> int:
        """Ask for a picture: the number of its answer, or 0 where none is to be waited for."""
        with self._answered:
            if len(self._asked) >= MOST_ASKED:
                return 0
            self._looks += 1
            number = self._looks
            self._asked[number] = most_width
        try:
            self.say(Look(number, most_width))
        except ProcessGone:
            return 0
        return number

    def why_it_ended(self) -> StreamError | None:
        """Where more is known than that it did."""
        return self._owner.end_of(self) if self._owner is not None else None

    def close(self) -> None:
        """Say no more, and wait until the other end has let go. Where it does not its reader hangs, and is given up."""
        if not self.has_let_go(within_s=LET_GO_S) and self._owner is not None:
            self._owner.give_up(self)

    def distrust(self, why: str) -> float | None:
        """It said what no reader says: nothing of it is heard any more. When the camera may connect again, if known."""
        retry_s = self._owner.distrust(self, why) if self._owner is not None else None
        self.drop()
        return retry_s

    def has_let_go(self, *, within_s: float = 0.0) -> bool:
        """Say no more; whether the other end has let go by then. What it still says is not kept."""
        until_s = time.monotonic() + within_s
        try:
            self._peer.shutdown(socket.SHUT_WR)
            while time.monotonic() < until_s:
                self._hear()
            for _ in range(MOST_DRAINED):
                if not self._hear(socket.MSG_DONTWAIT):
                    break
        except (OSError, ProcessGone):
            self._peer.close()
        return not self.is_open

    def drop(self) -> None:
        """Let go of it, whatever the other end does."""
        self._peer.close()

    def _take(self) -> Told | None:
        """The next message, when it is all there."""
        try:
            body = self._inbox.take(most_bytes=MOST_BYTES if self._asked else MOST_UNASKED_BYTES)
            return None if body is None else self._decoder.decode(body)
        except (ValueError, RecursionError, MemoryError) as exc:
            raise NotAReader(f"no message of a reader: {exc}") from None

    def _listen(self) -> bool:
        """Take in what comes. False after SILENCE_S without anything."""
        piece = self._hear()
        self._inbox.add(piece)
        return bool(piece)

    def _hear(self, flags: int = 0) -> bytes:
        """What comes next; nothing where nothing comes. Raises ProcessGone."""
        try:
            piece = self._peer.recv(CHUNK_BYTES, flags)
        except BlockingIOError:
            return b""
        except OSError as exc:
            raise ProcessGone from exc
        if not piece:
            raise ProcessGone
        return piece

    def _take_answer(self, seen: Seen) -> None:
        with self._answered:
            if seen.number not in self._asked:
                raise NotAReader("a picture that nobody has asked for")
            picture = picture_of(seen, most_width=self._asked.pop(seen.number))
            if seen.number > self._seen[0]:
                self._seen = (seen.number, picture)
            self._answered.notify_all()


class RemoteReader:
    """Like ``vad.video.reader.Reader``, whose docstring holds for it; but whoever closes it never waits for long.

    ``open_session`` raises OSError.
    """

    def __init__(
        self,
        spec: ReadSpec,
        *,
        run: int,
        env: ReadEnv,
        open_session: Callable[[], Session],
        continues: RemoteReader | None = None,
    ) -> None:
        self.spec = spec
        self.run = run
        self.info: StreamInfo | None = None
        self.counts = Counts()
        self._stop, self._tape, self._is_behind = env.stop, env.tape, env.is_behind
        self._open_session = open_session
        self._session: Session | None = None
        self._before = continues._tape if continues is not None else None
        self._told_behind = False
        if continues is not None:
            self._session, continues._session = continues._session, None
            self._told_behind = continues._told_behind

    def __enter__(self) -> Self:
        try:
            if self._session is None:
                opening = self._opening()
                self._session = self._open_session()
                self._session.say(opening)
            if self._tape is not None:
                self._tape.look_elsewhere = self._session.look
            self._session.say(NextRun(self.run))
        except (OSError, ProcessGone) as exc:
            error = self._gone(exc, self._session)
            self.close()
            raise error from exc
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, StreamError) and error.code in CONTINUABLE:
            return
        self.close()

    def close(self) -> None:
        """Harmless when repeated, or when the next run has taken the stream over. A reader that hangs is given up."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __iter__(self) -> Iterator[Item]:
        session = self._session
        if session is None:
            raise RuntimeError("the reader is not open; allowed: iterate inside `with`")
        checks, why = RunChecks(self.spec, run=self.run, opened_s=session.opened_s), ""
        try:
            while not self._stop.is_set():
                self._say_if_behind(session)
                batch = session.receive()
                if batch is not None:
                    checks.check(batch)
                    yield from self._taken(batch)
        except ProcessGone as exc:
            if not self._stop.is_set():
                raise self._gone(exc, session) from exc
        except NotAReader as exc:
            batch, why = None, str(exc)  # whoever keeps the error raised below must not keep what was said
        if why:
            self._distrust(session, why)

    def _distrust(self, session: Session, why: str) -> None:
        retry_s = session.distrust(why)
        if not self._stop.is_set():
            text = f"{self.spec.camera}: its reader process said what no reader says: {why}"
            raise StreamError(StreamCode.BROKEN, text, retry_s=retry_s)

    def _taken(self, batch: Batch) -> Iterator[Item]:
        self.counts, self.info = batch.counts, batch.info or self.info
        if self._tape is not None:
            self._put_on_tape(self._tape, batch)
        if batch.passed.frames:
            yield batch.passed
        for frame in batch.frames:
            if self._stop.is_set():
                return
            yield self._frame(frame)
        if batch.end is not None and not self._stop.is_set():
            raise ending(batch.end)

    def _put_on_tape(self, tape: Tape, batch: Batch) -> None:
        if batch.format is not None:
            shape = {name: getattr(batch.format, name) for name in TapeFormat.__struct_fields__}
            tape.format = Format(**shape, masks=tuple(self.spec.config.masks))
        if batch.goes_on_at_s is not None and self._before is not None:
            tape.go_on_from(self._before, at_s=batch.goes_on_at_s)
        tape.take_over(batch.packets, origin_s=batch.origin_s)
        if tape.samples is not None:
            tape.samples.rhythm = batch.rhythm or tape.samples.rhythm
            for sample in batch.samples:
                tape.samples.keep(sample)

    def _frame(self, sent: SentFrame) -> Frame:
        grid = sent.geometry
        return Frame(
            camera=self.spec.camera,
            run=self.run,
            index=sent.index,
            pts_s=sent.pts_s,
            wall_s=sent.wall_s,
            wall_source=sent.wall_source,
            arrived_s=sent.arrived_s,
            geometry=grid,
            luma=np.frombuffer(sent.luma, np.uint8).reshape(grid.height, grid.width),
        )

    def _opening(self) -> Opening:
        """Raises StreamError where the password cannot be read: the other process may open no file."""
        tape, spec = self._tape, self.spec
        spec = dataclasses.replace(spec, config=with_password_read(spec.config))
        samples = tape.samples.rhythm if tape is not None and tape.samples is not None else None
        return Opening(
            spec=pickle.dumps(spec),
            keeps_packets=tape is not None and tape.keeps_packets,
            samples=samples,
        )

    def _say_if_behind(self, session: Session) -> None:
        if (is_behind := self._is_behind()) is not self._told_behind:
            session.say(Behind(is_behind))
            self._told_behind = is_behind

    def _gone(self, exc: OSError | ProcessGone, session: Session | None) -> StreamError:
        known = session.why_it_ended() if session is not None else None
        if known is not None:
            return known
        why = f"no process to read it: {exc}" if isinstance(exc, OSError) else "the process that read it has ended"
        return StreamError(StreamCode.BROKEN, f"{self.spec.camera}: {why}")
