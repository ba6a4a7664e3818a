"""The processes of readers that an engine has: started when they are first needed, replaced when one dies."""

from __future__ import annotations

import math
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from os import sysconf
from pathlib import Path
from typing import Literal

import structlog

import vad
from vad.config import CameraConfig, LogSettings, ReaderSettings
from vad.pipeline.cores import usable_cores
from vad.pipeline.readers.messages import SESSION, SIGN
from vad.pipeline.readers.remote import Ending, RemoteReader, Session
from vad.pipeline.readers.suspects import Suspects
from vad.pipeline.status import ReadersStatus
from vad.video.reader import Reader
from vad.video.spec import FrameReader, ReadEnv, ReadSpec

log = structlog.get_logger(__name__)

_ROOT = str(Path(vad.__file__).parents[1])
_BODY = f"import sys; sys.path.append({_ROOT!r}); from vad.pipeline.readers.worker import main; main()"
COMMAND = (sys.executable, "-P", "-c", _BODY)  # -P: nothing is imported from wherever the engine was started

CAMERAS_AT_HOME = 8
"""Cameras that the engine's own process reads without them waiting for each other."""
CAMERAS_A_PROCESS = 16
END_S = 2.0
"""How long a process may take to end that was told to."""
DIES_S = 0.5
"""How long a process may take to be found dead once its sessions have ended."""
QUIET_S = 60.0
"""A process that lived for so long says nothing against starting the next one at once."""
LONGEST_PAUSE_S = 30.0
IDLE_S = 60.0
"""After which a process of suspects is ended that reads nobody."""
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


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    control: socket.socket
    group: int  # of suspects, 0 for all others
    started_s: float = field(default_factory=time.monotonic)
    cameras: list[str] = field(default_factory=list)  # of the sessions that are open
    idle_since_s: float = field(default_factory=time.monotonic)
    is_retired: bool = False  # a reader hangs in it: it takes no new session, and ends with its last one
    asked_s: float = field(default_factory=time.monotonic)
    unanswered: int = 0
    has_answered: bool = False

    @property
    def load(self) -> int:
        """Sessions that are open."""
        return len(self.cameras)

    def hear(self) -> None:
        """Take in signs of life: one at its start, and the answers to questions."""
        with suppress(OSError):
            if self.control.recv(64, socket.MSG_DONTWAIT):
                self.has_answered, self.unanswered = True, 0

    def is_frozen(self) -> bool:
        """Asks for a sign of life; whether too many such questions had no answer. (Counted, not timed: the engine may
        have been asleep itself.)"""
        self.hear()
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
        self._wanted = self._died = self._died_young = 0
        self._all_apart = False  # recordings too are read in processes
        self._pause_until_s = 0.0
        self._before_s = _ended_children_s()
        self._closed = False

    def expect(self, cameras: Collection[CameraConfig]) -> None:
        """These cameras from now on. What is missing is started; processes too many go on until the end."""
        with self._lock:
            processes, network = self._settings.processes, sum(camera.is_network for camera in cameras)
            self._wanted = wanted(processes, cameras=len(cameras), from_network=network, cores=usable_cores())
            self._all_apart = processes != "auto" or len(cameras) > CAMERAS_AT_HOME
            try:
                self._bury_all()
                while len(self._workers) < self._wanted and self._may_start:
                    self._workers.append(self._start(0))
            except OSError as exc:  # tried again as each camera is opened
                log.error("readers.not_started", detail=str(exc))

    def reader(self, spec: ReadSpec, *, run: int, env: ReadEnv, continues: FrameReader | None = None) -> FrameReader:
        """A reader of the next run, where the last one was read, or where there is most room."""
        open_session = partial(self._open, spec.camera)
        if isinstance(continues, RemoteReader):
            return RemoteReader(spec, run=run, env=env, continues=continues, open_session=open_session)
        if continues is None and self._wanted > 0 and (self._all_apart or spec.config.is_network):
            return RemoteReader(spec, run=run, env=env, open_session=open_session)
        return Reader(spec, run=run, env=env, continues=continues)

    def check(self) -> None:
        """Watchdog's visit: a process that gives no sign of life is killed, so that its cameras connect again; one that
        is not needed any more is ended."""
        with self._lock:
            for worker in self._workers:
                if worker.is_frozen():
                    log.error("readers.frozen", pid=worker.process.pid, unanswered=worker.unanswered)
                    _kill(worker)
                elif worker.group and not worker.cameras and time.monotonic() - worker.idle_since_s > IDLE_S:
                    self._workers.remove(worker)
                    _kill(worker)
                    return  # the next visit looks at the others

    def close(self) -> None:
        """End all, with whatever they still read."""
        with self._lock:
            self._closed = True
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.control.close()
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
            isolated = self._suspects.alone(time.monotonic())
        taken = [_taken(pid) for pid in pids]
        return ReadersStatus(
            processes=len(pids),
            died=self._died,
            cpu_s=sum(cpu_s for cpu_s, _ in taken) + _ended_children_s() - self._before_s,
            resident_bytes=sum(size for _, size in taken),
            isolated_cameras=isolated,
        )

    def _open(self, camera: str) -> Session:
        """A session where the camera is to be read: in the process that has the fewest, or in that of its suspects.

        Raises OSError.
        """
        with self._lock:
            while True:
                self._bury_all()
                worker = self._worker_for(camera)
                ours, theirs = socket.socketpair()
                with theirs:
                    try:
                        socket.send_fds(worker.control, [SESSION], [theirs.fileno()])
                    except OSError:  # it has died just now
                        ours.close()
                        _kill(worker)
                        continue
                worker.cameras.append(camera)
                return Session(ours, closed=partial(self._session_closed, worker, camera))

    def _worker_for(self, camera: str) -> _Worker:
        """Under the lock. Raises OSError where it must wait, or where there is none."""
        if self._closed:
            raise OSError("the engine is stopping")
        now_s = time.monotonic()
        group, pause_s = self._suspects.group_of(camera, now_s), self._suspects.pause_s(camera, now_s)
        if pause_s > 0.0:
            deaths = self._suspects.deaths(camera)
            raise OSError(f"its reader has died or hung {deaths} times and is tried again in {pause_s:.0f} s")
        workers = [worker for worker in self._workers if worker.group == group and not worker.is_retired]
        if (group and not workers) or (not group and len(workers) < self._wanted and self._may_start):
            workers.append(self._start(group))
            self._workers.append(workers[-1])
        if not workers:
            raise OSError("they end as soon as they are started")
        return min(workers, key=lambda one: one.load)

    def _session_closed(self, worker: _Worker, camera: str, ending: Ending) -> None:
        """A session has ended. Where the process went with it, its burial needs to know which cameras it read."""
        if ending is Ending.GONE:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(DIES_S)
        with self._lock:
            if ending is Ending.GONE and worker.process.poll() is not None:
                return
            worker.cameras.remove(camera)
            worker.idle_since_s = time.monotonic()
            worker.hear()
            if ending is Ending.STUCK and worker.has_answered:  # it had begun
                log.warning("readers.hung", camera=camera, pid=worker.process.pid, cameras=worker.load)
                worker.is_retired = True
                self._suspects.hung(camera, time.monotonic())
            if worker.is_retired and not worker.cameras and worker in self._workers:
                self._workers.remove(worker)
                _kill(worker)

    def _bury_all(self) -> None:
        """Under the lock."""
        for worker in [one for one in self._workers if one.process.poll() is not None]:
            self._workers.remove(worker)
            worker.hear()
            worker.control.close()
            self._bury(worker)

    @property
    def _may_start(self) -> bool:
        return not self._closed and time.monotonic() >= self._pause_until_s

    def _bury(self, worker: _Worker) -> None:
        """Suspect those that it read. One that has not even begun may be unable to live here, which is no camera's
        fault; it is not replaced at once."""
        now_s, pause_s = time.monotonic(), 0.0
        self._died += 1
        if worker.has_answered:
            self._suspects.died(set(worker.cameras), now_s)
        if not (worker.has_answered and worker.cameras) and not worker.group:
            self._died_young = self._died_young + 1 if now_s - worker.started_s < QUIET_S else 0
            pause_s = min(LONGEST_PAUSE_S, 2.0 ** (self._died_young - 2)) if self._died_young > 1 else 0.0
            self._pause_until_s = now_s + pause_s
        pid, code = worker.process.pid, worker.process.returncode
        log.error("readers.died", pid=pid, returncode=code, cameras=",".join(sorted(worker.cameras)), pause_s=pause_s)

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


def _kill(worker: _Worker) -> None:
    worker.process.kill()
    with suppress(subprocess.TimeoutExpired):
        worker.process.wait(END_S)


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
