"""The processes of readers that an engine has: started when they are first needed, replaced when one dies."""

from __future__ import annotations

import math
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from os import sysconf
from pathlib import Path
from typing import Literal

import structlog

import vad
from vad.config import CameraConfig, LogSettings, ReaderSettings
from vad.errors import StreamCode, StreamError
from vad.pipeline.cores import usable_cores
from vad.pipeline.readers.messages import SESSION, SIGN
from vad.pipeline.readers.remote import RemoteReader, Session
from vad.pipeline.readers.suspects import LONGEST_PAUSE_S, POOL, Suspects
from vad.pipeline.status import ReadersStatus
from vad.video.reader import Reader
from vad.video.spec import FrameReader, ReadEnv, ReadSpec

log = structlog.get_logger(__name__)

_ROOT = str(Path(vad.__file__).parents[1])
_BODY = f"import sys; sys.path.append({_ROOT!r}); from vad.pipeline.readers.worker import main; main()"
COMMAND = (sys.executable, "-P", "-c", _BODY)  # -P: nothing is imported from wherever the engine was started

CAMERAS_AT_HOME = 8
"""Recordings and devices that the engine's own process reads without them waiting for each other."""
CAMERAS_A_PROCESS = 16
END_S = 2.0
"""How long a process may take to end that was told to."""
DYING_S = 1.0
"""How long it may take, once its sockets are closed, until it is seen to have ended."""
FRESH_S = 5.0
"""A session has just begun for so long: what kills its reader mostly does so at once."""
IDLE_S = 60.0
"""A process of suspects that reads none of them for so long ends, until it is needed again."""
ASK_EVERY_S = 2.0
MOST_UNANSWERED, MOST_UNANSWERED_AT_START = 8, 60
"""Times that a process may be asked for a sign of life in vain. What is busy in native code with Python's lock in hand,
or stopped, reads none of its cameras, and each of them alone could only be given up."""


def wanted(processes: int | Literal["auto"], *, cameras: int, from_network: int, cores: float) -> int:
    """How many processes shall read that many cameras, of which so many are ``from_network``."""
    if processes != "auto":
        return processes if cameras else 0
    if not from_network and cameras <= CAMERAS_AT_HOME:
        return 0
    return max(1, min(int(cores), 1 + cameras // CAMERAS_A_PROCESS))


@dataclass(slots=True, eq=False)
class _OpenSession:
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
class _Worker:
    process: subprocess.Popen[bytes]
    control: socket.socket
    group: int
    sessions: list[_OpenSession] = field(default_factory=list)
    busy_s: float = field(default_factory=time.monotonic)
    asked_s: float = field(default_factory=time.monotonic)
    unanswered: int = 0
    has_answered: bool = False

    @property
    def open_sessions(self) -> list[_OpenSession]:
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

    def find(self, session: Session) -> _OpenSession | None:
        return next((held for held in self.sessions if held.session is session), None)

    def hung(self, now_s: float) -> _OpenSession | None:
        """One that was given up and has not let go in time."""
        return next((held for held in self.open_sessions if now_s >= held.hangs_at_s), None)

    def has_lived(self) -> bool:
        """It has given a sign of life, as it does once it can read."""
        with suppress(OSError):
            if self.control.recv(64, socket.MSG_DONTWAIT):
                self.has_answered, self.unanswered = True, 0
        return self.has_answered

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


class ReaderProcesses:
    """Makes the readers of cameras, in this process or in one of its own. Any thread may ask.

    ``expect`` says which cameras there are.
    """

    def __init__(
        self,
        settings: ReaderSettings,
        *,
        log_settings: LogSettings,
        command: Sequence[str] | None = None,
    ) -> None:
        self._settings, self._log_settings, self._command = settings, log_settings, command or COMMAND
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._suspects = Suspects()
        self._wanted = self._died = self._failed_starts = 0
        self._all_apart = False  # recordings and devices too are read in processes
        self._pause_until_s = 0.0
        self._before_s = _ended_children_s()
        self._closed = False

    def expect(self, cameras: Collection[CameraConfig]) -> None:
        """These cameras from now on. What is missing is started; processes too many go on until the end."""
        with self._lock:
            network = sum(camera.is_network for camera in cameras)
            setting, cores = self._settings.processes, usable_cores()
            self._all_apart = setting != "auto" or len(cameras) > CAMERAS_AT_HOME
            self._wanted = wanted(setting, cameras=len(cameras), from_network=network, cores=cores)
            try:
                self._bury_dead()
                self._fill(POOL)
            except OSError as exc:  # tried again as each camera is opened
                log.error("readers.not_started", detail=str(exc))

    def reader(self, spec: ReadSpec, *, run: int, env: ReadEnv, continues: FrameReader | None = None) -> FrameReader:
        """A reader of the next run, where the last one was read, or where there is most room."""
        open_session = partial(self._open, spec)
        if isinstance(continues, RemoteReader):
            return RemoteReader(spec, run=run, env=env, continues=continues, open_session=open_session)
        if continues is None and self._wanted > 0 and (self._all_apart or spec.config.is_network):
            return RemoteReader(spec, run=run, env=env, open_session=open_session)
        return Reader(spec, run=run, env=env, continues=continues)

    def check(self) -> None:
        """Watchdog's visit: a process that gives no sign of life, or holds a reader that hangs, is killed, so that its
        cameras connect again; and what nobody needs any more ends."""
        with self._lock:
            self._bury_dead()
            now_s = time.monotonic()
            for worker in list(self._workers):
                if worker.is_frozen():
                    log.error("readers.frozen", pid=worker.process.pid, unanswered=worker.unanswered)
                    worker.kill()
                elif (hung := worker.hung(now_s)) is not None:
                    self._suspects.hung(hung.camera, now_s)
                    self._end(worker, why=f"the reader of {hung.camera} hung in it")
            self._suspects.forgive(now_s)
            for worker in list(self._workers):
                self._release(worker, now_s)

    def close(self) -> None:
        """End all, with whatever they still read."""
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.control.close()
            for held in worker.open_sessions:
                held.end(StreamError(StreamCode.BROKEN, f"{held.camera}: the process that read it has ended"))
        for worker in workers:
            try:
                worker.process.wait(END_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    @property
    def status(self) -> ReadersStatus:
        """What they are and take; memory and time as Linux tells them, elsewhere zero."""
        with self._lock:
            pids = [worker.process.pid for worker in self._workers if worker.process.poll() is None]
            isolated = tuple(self._suspects.alone)
        taken = [_taken(pid) for pid in pids]
        return ReadersStatus(
            processes=len(pids),
            died=self._died,
            isolated=isolated,
            cpu_s=sum(cpu_s for cpu_s, _ in taken) + _ended_children_s() - self._before_s,
            resident_bytes=sum(size for _, size in taken),
        )

    def _open(self, spec: ReadSpec) -> Session:
        """A session in the camera's own process, or in the one of all that has the fewest. Raises OSError."""
        with self._lock:
            while True:
                self._bury_dead()
                worker = self._worker_of(self._suspects.group(spec.camera))
                if worker is None:
                    raise OSError("the engine is stopping" if self._closed else "they end as soon as they are started")
                ours, theirs = socket.socketpair()
                with theirs:
                    try:
                        socket.send_fds(worker.control, [SESSION], [theirs.fileno()])
                    except OSError:  # it has died just now
                        ours.close()
                        worker.kill()
                        continue
                session = Session(ours, owner=self)
                worker.sessions.append(
                    _OpenSession(spec.camera, session, patience_s=2 * spec.config.read_timeout_s + END_S)
                )
                return session

    def end_of(self, session: Session) -> StreamError | None:
        """What is known of why a session has ended, with its process or before it."""
        with self._lock:
            for worker in self._workers:
                if any(held.session is session for held in worker.sessions):
                    with suppress(subprocess.TimeoutExpired):
                        worker.process.wait(DYING_S)
            self._bury_dead()
        return session.end

    def give_up(self, session: Session) -> None:
        """Its process is killed at once if it reads nothing else, and otherwise if the reader goes on hanging.

        One that has not come to life yet will find that nobody wants the session any more.
        """
        with self._lock:
            for worker in self._workers:
                if (held := worker.find(session)) is not None and worker.has_lived():
                    if worker.load > 1:
                        held.hangs_at_s = time.monotonic() + held.patience_s
                        return
                    log.warning("readers.given_up", pid=worker.process.pid, cameras=held.camera)
                    self._end(worker, why="its reader did not let go")
                    break
        session.drop()

    def distrust(self, session: Session, why: str) -> float | None:
        """Its process said what no reader says, in this session: who is heard there may be anybody. It is killed; the
        camera is read alone from now on, and the others connect again at once."""
        with self._lock:
            for worker in self._workers:
                if (held := worker.find(session)) is not None:
                    camera, cameras = held.camera, {each.camera for each in worker.open_sessions}
                    log.error("readers.distrusted", pid=worker.process.pid, camera=camera, detail=why)
                    self._suspects.died(cameras, time.monotonic(), likely=camera)
                    self._end(worker, why=f"it said of {camera} what no reader says")
                    self._start_for(cameras)
                    return self._suspects.pause_s(camera)
        return session.end.retry_s if session.end is not None else None

    def forget(self, camera: str) -> None:
        """It was removed: whoever comes under its name is no suspect."""
        with self._lock:
            self._suspects.forget(camera)

    def _worker_of(self, group: int) -> _Worker | None:
        """Under the lock: the one of the group's processes that has the fewest sessions. What is missing is started."""
        try:
            self._fill(group)
        except OSError:
            if not self._of(group):
                raise
        return min(self._of(group), key=lambda worker: worker.load, default=None)

    def _of(self, group: int) -> list[_Worker]:
        return [worker for worker in self._workers if worker.group == group]

    def _fill(self, group: int) -> None:
        missing = (self._wanted if group == POOL else 1) - len(self._of(group))
        for _ in range(missing):
            if self._closed or time.monotonic() < self._pause_until_s:
                return
            self._workers.append(self._start(group))

    def _bury_dead(self) -> None:
        """Under the lock."""
        for worker in [one for one in self._workers if one.process.poll() is not None]:
            self._workers.remove(worker)
            self._bury(worker)
            worker.control.close()

    def _bury(self, worker: _Worker) -> None:
        """Say who may have killed it. What never came to life was killed by no camera: it shall not take all the
        machine's time for being started again."""
        now_s = time.monotonic()
        self._died += 1
        cameras = sorted({held.camera for held in worker.open_sessions})
        if worker.has_lived():
            self._failed_starts, pause_s = 0, 0.0
            self._suspects.died(cameras, now_s, likely=worker.newcomer(now_s))
            for held in worker.open_sessions:
                held.end(self._death(held.camera, is_alone=len(cameras) == 1))
            if len(cameras) > 1:
                self._start_for(cameras)
        else:
            self._failed_starts += 1
            pause_s = min(LONGEST_PAUSE_S, 2.0 ** (self._failed_starts - 2)) if self._failed_starts > 1 else 0.0
            self._pause_until_s = now_s + pause_s
        pid, code = worker.process.pid, worker.process.returncode
        log.error("readers.died", pid=pid, returncode=code, pause_s=pause_s, cameras=",".join(cameras))

    def _start_for(self, cameras: Iterable[str]) -> None:
        """Under the lock: what they are read by next, so that it is ready when they connect."""
        try:
            for group in {self._suspects.group(camera) for camera in cameras}:
                self._fill(group)
        except OSError as exc:  # tried again as each camera is opened
            log.error("readers.not_started", detail=str(exc))

    def _death(self, camera: str, *, is_alone: bool) -> StreamError:
        pause_s = self._suspects.pause_s(camera)
        if not is_alone:
            return StreamError(StreamCode.BROKEN, f"{camera}: the process that read it has ended", retry_s=pause_s)
        deaths = self._suspects.deaths(camera)
        times = "once" if deaths == 1 else f"{deaths} times"
        text = f"its reader process has died {times}; it is read in a process of its own, again in {pause_s:.1f} s"
        return StreamError(StreamCode.READER_DIED, f"{camera}: {text}", retry_s=pause_s)

    def _end(self, worker: _Worker, *, why: str) -> None:
        """Under the lock: end a process; whoever is still read there connects again at once."""
        for held in worker.open_sessions:
            text = f"{held.camera}: the process that read it was ended: {why}"
            held.end(StreamError(StreamCode.BROKEN, text, retry_s=0.0))
        self._workers.remove(worker)
        log.info("readers.ended", pid=worker.process.pid, cameras=worker.load, why=why)
        worker.kill()
        worker.control.close()

    def _release(self, worker: _Worker, now_s: float) -> None:
        """Under the lock: a group's process is the pool's where one is missing there, once its cameras are forgiven."""
        worker.busy_s = now_s if worker.load else worker.busy_s
        if worker.group == POOL:
            return
        if self._suspects.has(worker.group):
            if now_s - worker.busy_s >= IDLE_S:
                self._end(worker, why="its cameras are not read")
        elif worker.load and len(self._of(POOL)) < self._wanted:
            worker.group = POOL
        else:
            self._end(worker, why="its cameras are forgiven, and read with the others")

    def _start(self, group: int) -> _Worker:
        ours, theirs = socket.socketpair()
        lanes = math.ceil(usable_cores() / max(1, self._wanted))  # all processes together keep all cores busy
        with theirs:
            process = subprocess.Popen(
                [*self._command, str(theirs.fileno()), self._log_settings.model_dump_json(), str(lanes)],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        log.debug("readers.started", pid=process.pid)
        return _Worker(process, ours, group)


def _ended_children_s() -> float:
    """CPU time of this process's children that have ended and were waited for: the engine has no others."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _taken(pid: int) -> tuple[float, int]:
    """Seconds of CPU time and bytes of memory of a process; nothing where it cannot be told."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
        return ticks / sysconf("SC_CLK_TCK"), pages * sysconf("SC_PAGE_SIZE")
    return 0.0, 0
