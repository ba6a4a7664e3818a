"""The processes of readers that an engine has: started when they are first needed, replaced when one dies."""

from __future__ import annotations

import math
import resource
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

import msgspec
import structlog

from vad.config import CameraConfig, LogSettings, ReaderSettings
from vad.errors import ConfigError, Fault, StreamCode, StreamError
from vad.pipeline.cores import usable_cores
from vad.pipeline.readers import landlock
from vad.pipeline.readers.messages import SESSION
from vad.pipeline.readers.remote import RemoteReader, Session
from vad.pipeline.readers.sandbox import Limits, command_of, resolver_file, start
from vad.pipeline.readers.suspects import LONGEST_PAUSE_S, POOL, Suspects
from vad.pipeline.readers.workers import END_S, OpenSession, Place, Worker, taken
from vad.pipeline.status import ReadersStatus
from vad.video.reader import Reader
from vad.video.spec import FrameReader, ReadEnv, ReadSpec

log = structlog.get_logger(__name__)

COMMAND = command_of("vad.pipeline.readers.worker")

CAMERAS_AT_HOME = 8
"""Recordings and devices that the engine's own process reads without them waiting for each other."""
CAMERAS_A_PROCESS = 16
DYING_S = 1.0
"""How long it may take, once its sockets are closed, until it is seen to have ended."""
IDLE_S = 60.0
"""A process of suspects that reads none of them for so long ends, until it is needed again."""


def wanted(processes: int | Literal["auto"], *, cameras: int, is_network: bool, cores: float) -> int:
    """How many processes shall read that many cameras of one kind, on the network or not."""
    if not cameras or (processes == "auto" and not is_network and cameras <= CAMERAS_AT_HOME):
        return 0
    if processes != "auto":
        return processes
    return max(1, min(int(cores), 1 + cameras // CAMERAS_A_PROCESS))


class ReaderProcesses:
    """Makes the readers of cameras, in this process or in one of its own. Any thread may ask.

    ``expect`` says which cameras there are. Cameras on the network and other sources never share a process: the former
    are read in a sandbox (``vad.pipeline.readers.sandbox``). Raises ConfigError where that is required and not there.

    ``others_cpu_s`` tells what ended processes of the engine took that read no camera.
    """

    def __init__(
        self,
        settings: ReaderSettings,
        *,
        log_settings: LogSettings,
        command: Sequence[str] | None = None,
        others_cpu_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        if settings.sandbox == "required" and not landlock.version():
            text = "required, and this kernel, or container, has no Landlock; allowed: auto or off"
            raise ConfigError("readers", [Fault("readers.sandbox", text)])
        self._settings, self._log_settings, self._command = settings, log_settings, command or COMMAND
        self._others_cpu_s = others_cpu_s
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._suspects = Suspects()
        self._wanted = {True: 0, False: 0}  # by whether cameras are on the network
        self._died = self._failed_starts = 0
        self._told_missing: set[str] = set()
        self._pause_until_s = 0.0
        self._before_s = self._ended_s()
        self._closed = False

    def expect(self, cameras: Collection[CameraConfig]) -> None:
        """These cameras from now on. What is missing is started; processes too many go on until the end."""
        with self._lock:
            setting, cores = self._settings.processes, usable_cores()
            for kind in self._wanted:
                count = sum(camera.is_network is kind for camera in cameras)
                self._wanted[kind] = wanted(setting, cameras=count, is_network=kind, cores=cores)
            try:
                self._bury_dead()
                for kind in self._wanted:
                    self._fill(Place(POOL, kind))
            except OSError as exc:  # tried again as each camera is opened
                log.error("readers.not_started", detail=str(exc))

    def reader(self, spec: ReadSpec, *, run: int, env: ReadEnv, continues: FrameReader | None = None) -> FrameReader:
        """A reader of the next run, where the last one was read, or where there is most room."""
        open_session = partial(self._open, spec)
        if isinstance(continues, RemoteReader):
            return RemoteReader(spec, run=run, env=env, continues=continues, open_session=open_session)
        if continues is None and self._wanted[spec.config.is_network]:
            return RemoteReader(spec, run=run, env=env, open_session=open_session)
        return Reader(spec, run=run, env=env, continues=continues)

    def check(self) -> None:
        """Watchdog's visit: a process that gives no sign of life, or holds a reader that hangs, is killed, so that its
        cameras connect again; and what nobody needs any more ends."""
        with self._lock:
            self._bury_dead()
            now_s = time.monotonic()
            for worker in list(self._workers):
                self._tell_missing(worker)
                if worker.is_frozen():
                    log.error("readers.frozen", pid=worker.process.pid, unanswered=worker.unanswered)
                    worker.kill()
                elif excess := worker.excess():
                    worker.ended_for = excess
                    worker.kill()
                elif worker.resolver not in (None, resolver_file()):
                    self._end(worker, why="it does not see the machine's new name servers")
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
            boxes = [worker.sandbox for worker in self._workers if worker.sandbox is not None]
        takes = [taken(pid) for pid in pids]
        return ReadersStatus(
            processes=len(pids),
            died=self._died,
            isolated=isolated,
            cpu_s=sum(cpu_s for cpu_s, _ in takes) + self._ended_s() - self._before_s,
            resident_bytes=sum(size for _, size in takes),
            not_sandboxed=tuple(sorted({what for box in boxes for what in box.missing})),
        )

    def _open(self, spec: ReadSpec) -> Session:
        """A session in the camera's own process, or in the one of all that has the fewest. Raises OSError."""
        with self._lock:
            while True:
                self._bury_dead()
                worker = self._worker_of(Place(self._suspects.group(spec.camera), spec.config.is_network))
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
                    OpenSession(spec.camera, session, patience_s=2 * spec.config.read_timeout_s + END_S)
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
                    self._start_for(cameras, is_network=worker.place.is_network)
                    return self._suspects.pause_s(camera)
        return session.end.retry_s if session.end is not None else None

    def forget(self, camera: str) -> None:
        """It was removed: whoever comes under its name is no suspect."""
        with self._lock:
            self._suspects.forget(camera)

    def _tell_missing(self, worker: Worker) -> None:
        """Once each: it is the machine's, not the process's."""
        for what in worker.sandbox.missing if worker.sandbox is not None else ():
            if what not in self._told_missing:
                self._told_missing.add(what)
                log.warning("readers.not_sandboxed", detail=what)

    def _worker_of(self, place: Place) -> Worker | None:
        """Under the lock: the one of a place's processes that has the fewest sessions. What is missing is started."""
        try:
            self._fill(place)
        except OSError:
            if not self._of(place):
                raise
        return min(self._of(place), key=lambda worker: worker.load, default=None)

    def _of(self, place: Place) -> list[Worker]:
        return [worker for worker in self._workers if worker.place == place]

    def _fill(self, place: Place) -> None:
        missing = (self._wanted[place.is_network] if place.is_pool else 1) - len(self._of(place))
        for _ in range(missing):
            if self._closed or time.monotonic() < self._pause_until_s:
                return
            self._workers.append(self._start(place))

    def _bury_dead(self) -> None:
        """Under the lock."""
        for worker in [one for one in self._workers if one.process.poll() is not None]:
            self._workers.remove(worker)
            self._bury(worker)
            worker.control.close()

    def _bury(self, worker: Worker) -> None:
        """Say who may have killed it. What never came to life was killed by no camera: it shall not take all the
        machine's time for being started again."""
        now_s = time.monotonic()
        self._died += 1
        cameras = sorted({held.camera for held in worker.open_sessions})
        if worker.has_lived():
            self._failed_starts, pause_s = 0, 0.0
            self._suspects.died(cameras, now_s, likely=worker.newcomer(now_s))
            for held in worker.open_sessions:
                held.end(self._death(held.camera, is_alone=len(cameras) == 1, ended_for=worker.ended_for))
            if len(cameras) > 1:
                self._start_for(cameras, is_network=worker.place.is_network)
        else:
            self._failed_starts += 1
            pause_s = min(LONGEST_PAUSE_S, 2.0 ** (self._failed_starts - 2)) if self._failed_starts > 1 else 0.0
            self._pause_until_s = now_s + pause_s
        pid, code = worker.process.pid, worker.process.returncode
        why = {"why": worker.ended_for} if worker.ended_for else {}
        log.error("readers.died", pid=pid, returncode=code, pause_s=pause_s, cameras=",".join(cameras), **why)

    def _start_for(self, cameras: Iterable[str], *, is_network: bool) -> None:
        """Under the lock: what they are read by next, so that it is ready when they connect."""
        try:
            for group in {self._suspects.group(camera) for camera in cameras}:
                self._fill(Place(group, is_network))
        except OSError as exc:  # tried again as each camera is opened
            log.error("readers.not_started", detail=str(exc))

    def _death(self, camera: str, *, is_alone: bool, ended_for: str) -> StreamError:
        pause_s = self._suspects.pause_s(camera)
        if not is_alone:
            return StreamError(StreamCode.BROKEN, f"{camera}: the process that read it has ended", retry_s=pause_s)
        deaths = self._suspects.deaths(camera)
        times = "once" if deaths == 1 else f"{deaths} times"
        text = f"its reader process has died {times}; it is read in a process of its own, again in {pause_s:.1f} s"
        text += f" ({ended_for})" if ended_for else ""
        return StreamError(StreamCode.READER_DIED, f"{camera}: {text}", retry_s=pause_s)

    def _end(self, worker: Worker, *, why: str) -> None:
        """Under the lock: end a process; whoever is still read there connects again at once."""
        for held in worker.open_sessions:
            text = f"{held.camera}: the process that read it was ended: {why}"
            held.end(StreamError(StreamCode.BROKEN, text, retry_s=0.0))
        self._workers.remove(worker)
        log.info("readers.ended", pid=worker.process.pid, cameras=worker.load, why=why)
        worker.kill()
        worker.control.close()

    def _release(self, worker: Worker, now_s: float) -> None:
        """Under the lock: a group's process is the pool's where one is missing there, once its cameras are forgiven."""
        worker.busy_s = now_s if worker.load else worker.busy_s
        if worker.place.is_pool:
            return
        pool = Place(POOL, worker.place.is_network)
        if self._suspects.has(worker.place.group):
            if now_s - worker.busy_s >= IDLE_S:
                self._end(worker, why="its cameras are not read")
        elif worker.load and len(self._of(pool)) < self._wanted[pool.is_network]:
            worker.place = pool
        else:
            self._end(worker, why="its cameras are forgiven, and read with the others")

    def _start(self, place: Place) -> Worker:
        lanes = math.ceil(usable_cores() / max(1, sum(self._wanted.values())))  # all together keep all cores busy
        has_files = not place.is_network or self._settings.sandbox == "off"
        limits = Limits(self._settings.memory_mib << 20, has_files)
        arguments = (self._log_settings.model_dump_json(), str(lanes), msgspec.json.encode(limits).decode())
        process, control = start(self._command, *arguments)
        log.debug("readers.started", pid=process.pid)
        return Worker(process, control, place, resolver=None if has_files else resolver_file())

    def _ended_s(self) -> float:
        """CPU time of this process's children that have ended and were waited for."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime - self._others_cpu_s()
