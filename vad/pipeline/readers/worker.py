"""A process of readers; its arguments are the descriptor of its control socket, the log's settings as JSON, how many of
its cameras may be read at a time, and the limits of its sandbox as JSON.

The main thread is the *ear*: it takes new sessions from the control socket and what the engine says in each; the own
thread of a session reads the stream and speaks. The process ends when the control socket does, however the engine did.
"""

from __future__ import annotations

import itertools
import os
import pickle
import queue
import selectors
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import structlog
from setproctitle import setproctitle

from vad.clock import SystemClock
from vad.config import LogSettings
from vad.errors import StreamCode, StreamError
from vad.log import configure_log
from vad.pipeline.readers.cutting import cut
from vad.pipeline.readers.messages import (
    CHUNK_BYTES,
    MOST_PICTURE_BYTES,
    SIGN,
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
    send,
)
from vad.pipeline.readers.relay import RelayedSamples, RelayedTape
from vad.pipeline.readers.sandbox import Limits, Sandbox, enter
from vad.pipeline.window import ends_clip
from vad.types import Frame
from vad.video.items import Item, Passed
from vad.video.luma import warm_luma
from vad.video.reader import CONTINUABLE, Reader
from vad.video.spec import ReadEnv, ReadSpec

log = structlog.get_logger(__name__)

CUT_AFTER_S = 0.4
CUTS = 3
"""A reader that has not heard by then that it shall stop has its connection cut, so many times."""
TELL_AFTER_S = 0.6
"""How long anything may wait to be told. Frames to be analysed wait for the clip that they are of: fewer messages cost
the engine less, and a clip is not looked at before its last frame."""


class NobodyListens(Exception):
    """The engine has let go of a session, or is gone."""


@dataclass(slots=True)
class Gathered:
    """Items of a run that the engine has not been told of yet."""

    frames: list[SentFrame] = field(default_factory=list)
    passed: int = 0
    overrun: int = 0

    def add(self, item: Item) -> None:
        if isinstance(item, Frame):
            self.frames.append(SentFrame.of(item))
        else:
            self.passed += item.frames
            self.overrun += item.overrun


class Session:
    """One open stream. ``hear`` and ``hang_up`` are the ear's; the socket closes once both it and the thread let go."""

    def __init__(self, peer: socket.socket, *, turns: threading.Lock) -> None:
        self._peer = peer
        self._turns = turns
        self._inbox = Inbox()
        self._decoder = msgspec.msgpack.Decoder(Command)
        self._stop, self._over = threading.Event(), threading.Event()
        self._spec: ReadSpec | None = None
        self._runs: queue.SimpleQueue[NextRun | None] = queue.SimpleQueue()
        self._is_behind = False
        self._speaking = threading.Lock()
        self._holders = 1
        self._tape: RelayedTape | None = None
        self._samples: RelayedSamples | None = None
        self._told = Batch()  # what was told of the run, for what is told once or where it has changed
        self._told_s = 0.0
        self._gathered = Gathered()

    def hear(self) -> bool:
        """Take in what the engine says. False once it says no more."""
        try:
            piece = self._peer.recv(CHUNK_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not piece:
            return False
        self._inbox.add(piece)
        while (body := self._inbox.take()) is not None:
            self._obey(self._decoder.decode(body))
        return True

    def hang_up(self) -> None:
        """The engine wants no more of it."""
        self._stop.set()
        self._runs.put(None)
        if self._spec is not None and not self._over.is_set():
            threading.Thread(target=self._cut, args=(self._spec,), name="vad-cut", daemon=True).start()
        self._let_go()

    def _cut(self, spec: ReadSpec) -> None:
        """FFmpeg waits for video for as long as anything comes, and hears nothing."""
        for _ in range(CUTS):
            if self._over.wait(CUT_AFTER_S):
                return
            cut(spec.config)

    def _let_go(self) -> None:
        with self._speaking:
            self._holders -= 1
            if not self._holders:
                self._peer.close()

    def _obey(self, command: Command) -> None:
        if isinstance(command, Opening):
            self._holders += 1
            self._spec = spec = pickle.loads(command.spec)
            threading.Thread(target=self._live, args=(command, spec), name=f"vad-stream-{spec.camera}").start()
        elif isinstance(command, NextRun):
            self._runs.put(command)
        elif isinstance(command, Behind):
            self._is_behind = command.is_behind
        else:  # not in this thread: nobody may take what it says for a while
            threading.Thread(target=self._show, args=(command,), name="vad-look").start()

    def _show(self, command: Look) -> None:
        tape = self._tape
        seen = tape.look(most_width=command.most_width) if tape is not None else None
        answer = Seen(command.number)
        if seen is not None and seen[0].nbytes <= MOST_PICTURE_BYTES:
            height, width = seen[0].shape[:2]
            answer = Seen(command.number, height, width, seen[0].tobytes())
        with suppress(NobodyListens):
            self._speak(answer)

    def _speak(self, told: Batch | Seen) -> None:
        try:
            with self._speaking:
                send(self._peer, told)
        except OSError as exc:
            raise NobodyListens from exc

    # Everything below runs in the session's own thread.

    def _live(self, opening: Opening, spec: ReadSpec) -> None:
        if opening.samples is not None:
            self._samples = RelayedSamples(opening.samples)
        last: Reader | None = None
        with suppress(NobodyListens):
            while (command := self._runs.get()) is not None and not self._stop.is_set():
                structlog.contextvars.bind_contextvars(camera=spec.camera, run=command.run)
                tape = RelayedTape(run=command.run, keeps_packets=opening.keeps_packets, samples=self._samples)
                last = self._run(spec, tape, continues=last)
                if last is None:
                    break
        if last is not None:
            last.close()
        self._over.set()
        self._tape = None  # and with its picture the decoder
        with suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)  # tells the engine, and the ear
        self._let_go()

    def _run(self, spec: ReadSpec, tape: RelayedTape, *, continues: Reader | None) -> Reader | None:
        """One run; its reader if another may go on from it. Raises NobodyListens."""
        self._tape = tape
        self._told, self._told_s, self._gathered = Batch(), time.monotonic(), Gathered()
        env = ReadEnv(self._stop, SystemClock(), tape, lambda: self._is_behind, self._turns)
        reader = Reader(spec, run=tape.run, env=env, continues=continues)
        try:
            with reader:
                for item in reader:
                    self._gathered.add(item)
                    if self._is_due(item, spec.clip_length):
                        self._tell(reader, tape)
            return None
        except NobodyListens:
            raise
        except StreamError as exc:
            end = exc
        except Exception as exc:
            log.exception("stream.defect")
            end = StreamError(StreamCode.BROKEN, f"unexpected {type(exc).__name__} while reading")
        self._tell(reader, tape, end=end)
        return reader if end.code in CONTINUABLE else None

    def _is_due(self, item: Item, clip_length: int) -> bool:
        if isinstance(item, Frame):
            is_first = self._told.info is None
            if is_first or ends_clip(item.index, clip_length):
                return True
        return time.monotonic() - self._told_s >= TELL_AFTER_S

    def _tell(self, reader: Reader, tape: RelayedTape, *, end: StreamError | None = None) -> None:
        told, shape = self._told, tape.format
        gathered, self._gathered = self._gathered, Gathered()
        samples, rhythm = self._samples.fetch() if self._samples is not None else ([], None)
        batch = Batch(
            passed=Passed(gathered.passed, gathered.overrun),
            frames=gathered.frames,
            counts=reader.counts,
            packets=tape.fetch(),
            origin_s=tape.origin_s,
            info=reader.info if reader.info is not told.info else None,
            format=TapeFormat(*(getattr(shape, name) for name in TapeFormat.__struct_fields__))
            if shape is not None and told.format is None
            else None,
            goes_on_at_s=tape.goes_on_at_s,
            samples=samples,
            rhythm=rhythm,
            end=(end.code.value, str(end)) if end is not None else None,
        )
        tape.goes_on_at_s = None
        told.info, told.format = batch.info or told.info, told.format or batch.format
        self._speak(batch)
        self._told_s = time.monotonic()


class Ear:
    """Hears what is said on every socket of the process. Of its sessions ``lanes`` read at a time."""

    def __init__(self, control: socket.socket, *, lanes: int) -> None:
        self._control = control
        self._turns = itertools.cycle([threading.Lock() for _ in range(lanes)])
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def listen(self, sandbox: Sandbox) -> None:
        """Until the engine is gone. The first it says is what the process is held to, in a line of JSON."""
        with suppress(OSError):
            self._control.sendall(msgspec.json.encode(sandbox) + b"\n")
        self._give_sign()  # what happens from here on may be a camera's doing
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._hear_control():
                        return
                elif not key.data.hear():
                    self._selector.unregister(key.fileobj)
                    key.data.hang_up()

    def _hear_control(self) -> bool:
        """A new session, or a question whether this process lives. False when the control socket has ended."""
        try:
            said, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        except ConnectionResetError:  # the engine did not read the last sign
            return False
        if said == SIGN:
            self._give_sign()
        for descriptor in descriptors:
            peer = socket.socket(fileno=descriptor)
            self._selector.register(peer, selectors.EVENT_READ, Session(peer, turns=next(self._turns)))
        return bool(said)

    def _give_sign(self) -> None:
        with suppress(OSError):  # nobody hears; the next look at the socket says why
            self._control.send(SIGN, socket.MSG_DONTWAIT)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    configure_log(LogSettings.model_validate_json(sys.argv[2]))
    setproctitle("vad readers")
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or a service manager may send them to all processes
        signal.signal(number, signal.SIG_IGN)
    warm_luma()
    try:
        sandbox = enter(msgspec.json.decode(sys.argv[4], type=Limits))
        Ear(control, lanes=int(sys.argv[3])).listen(sandbox)
    finally:
        os._exit(0)  # whatever hangs in native code
