"""A process of readers as the engine sees it: who is read there, whether it lives, and what it takes."""

from __future__ import annotations

import math
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from os import sysconf
from pathlib import Path
from typing import NamedTuple

import msgspec

from vad.errors import StreamError
from vad.pipeline.readers.messages import SIGN
from vad.pipeline.readers.remote import Session
from vad.pipeline.readers.sandbox import Sandbox
from vad.pipeline.readers.suspects import POOL

END_S = 2.0
"""How long a process may take to end that was told to."""
FRESH_S = 5.0
"""A session has just begun for so long: what kills its reader mostly does so at once."""
ASK_EVERY_S = 2.0
MOST_UNANSWERED, MOST_UNANSWERED_AT_START = 8, 60
"""Times that a process may be asked for a sign of life in vain. What is busy in native code with Python's lock in hand,
or stopped, reads none of its cameras, and each of them alone could only be given up."""
MEMORY_SHARE = 0.75
"""A process that takes so much of what it may is ended: at the limit itself what needs memory next would fail, which
may be a good camera's."""


class Place(NamedTuple):
    """Who is read in a process: cameras of a group of suspects or of the pool, on the network or not."""

    group: int
    is_network: bool

    @property
    def is_pool(self) -> bool:
        return self.group == POOL


@dataclass(slots=True, eq=False)
class OpenSession:
    """A camera's session in a process. Once it is given up it hangs from ``hangs_at_s`` on."""

    camera: str
    session: Session
    patience_s: float
    since_s: float = field(default_factory=time.monotonic)
    hangs_at_s: float = math.inf

    @property
    def is_given_up(self) -> bool:
        return self.hangs_at_s < math.inf

    def is_open(self) -> bool:
        """Nobody else sees when one that was given up is let go of after all."""
        return self.session.is_open and not (self.is_given_up and self.session.has_let_go())

    def end(self, why: StreamError) -> None:
        """Its process is no more."""
        self.session.end = why
        if self.is_given_up:
            self.session.drop()


@dataclass(slots=True, eq=False)
class Worker:
    process: subprocess.Popen[bytes]
    control: socket.socket
    place: Place
    resolver: tuple[int, int] | None = None  # the file of name servers that it sees
    sandbox: Sandbox | None = None  # once it has told
    ended_for: str = ""  # why the engine has killed it
    heard: bytes = b""
    sessions: list[OpenSession] = field(default_factory=list)
    busy_s: float = field(default_factory=time.monotonic)
    asked_s: float = field(default_factory=time.monotonic)
    unanswered: int = 0
    has_answered: bool = False

    @property
    def open_sessions(self) -> list[OpenSession]:
        """Sessions that are open."""
        self.sessions = [held for held in self.sessions if held.is_open()]
        return self.sessions

    @property
    def load(self) -> int:
        """How many they are."""
        return len(self.open_sessions)

    def newcomer(self, now_s: float) -> str | None:
        """The camera of the only session that has just begun."""
        fresh = {held.camera for held in self.open_sessions if now_s - held.since_s < FRESH_S}
        return fresh.pop() if len(fresh) == 1 else None

    def find(self, session: Session) -> OpenSession | None:
        return next((held for held in self.sessions if held.session is session), None)

    def hung(self, now_s: float) -> OpenSession | None:
        """One that was given up and has not let go in time."""
        return next((held for held in self.open_sessions if now_s >= held.hangs_at_s), None)

    def has_lived(self) -> bool:
        """It has given a sign of life, as it does once it can read."""
        with suppress(OSError):
            if said := self.control.recv(4096, socket.MSG_DONTWAIT):
                self.has_answered, self.unanswered = True, 0
                self._take_report(said)
        return self.has_answered

    def _take_report(self, said: bytes) -> None:
        """The first line, told before any camera has been read there; signs of life follow it."""
        if self.sandbox is not None or len(self.heard) > 4096:
            return
        self.heard += said
        line, ended, _ = self.heard.partition(b"\n")
        if ended:
            with suppress(msgspec.DecodeError):
                self.sandbox = msgspec.json.decode(line, type=Sandbox)

    def excess(self) -> str:
        """What it takes of memory, where that is nearly all that it may; nothing otherwise."""
        if self.sandbox is None or not self.sandbox.memory_bytes:
            return ""
        grown = taken(self.process.pid)[1] - self.sandbox.begins_with_bytes
        if grown < MEMORY_SHARE * self.sandbox.memory_bytes:
            return ""
        return f"it took {grown >> 20} MiB of memory; allowed: {self.sandbox.memory_bytes >> 20} (readers.memory_mib)"

    def kill(self) -> None:
        """End it, and wait for that."""
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)

    def is_frozen(self) -> bool:
        """Asks for a sign of life; whether too many such questions had no answer. (Counted, not timed: the engine may
        have been asleep itself.)"""
        self.has_lived()
        if (now_s := time.monotonic()) - self.asked_s >= ASK_EVERY_S:
            self.asked_s, self.unanswered = now_s, self.unanswered + 1
            with suppress(OSError):
                self.control.send(SIGN, socket.MSG_DONTWAIT)
        return self.unanswered > (MOST_UNANSWERED if self.has_answered else MOST_UNANSWERED_AT_START)


def taken(pid: int) -> tuple[float, int]:
    """Seconds of CPU time and bytes of memory of a process; nothing where it cannot be told."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
        return ticks / sysconf("SC_CLK_TCK"), pages * sysconf("SC_PAGE_SIZE")
    return 0.0, 0
