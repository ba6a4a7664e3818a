"""The process that renders evidence; its arguments are the descriptor of its control socket, the log's settings and the
limits of its sandbox, both as JSON.

The main thread hears what is to be made, another one makes it: the process ends when the control socket does, whatever
native code is busy with.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import sys
import threading

import av.error
import msgspec
import structlog
from setproctitle import setproctitle

from vad.config import LogSettings
from vad.log import configure_log
from vad.pipeline.readers.messages import CHUNK_BYTES, Inbox, send
from vad.pipeline.readers.sandbox import Limits, enter
from vad.pipeline.render_messages import (
    MOST_JOB_BYTES,
    NICENESS,
    Answer,
    ClipJob,
    Failed,
    Job,
    MadeClip,
    MadePicture,
    Nothing,
    Ready,
)
from vad.video.clip import make_clip, picture_at

log = structlog.get_logger(__name__)

Jobs = queue.SimpleQueue[Job]


def answer(job: Job) -> Answer:
    """What becomes of a job, whatever its packets are."""
    try:
        return _made(job)
    except (av.error.FFmpegError, ValueError, MemoryError) as exc:  # a stream may be damaged in any way
        why = str(exc) or type(exc).__name__
    except Exception as exc:
        log.exception("evidence.defect")
        why = f"unexpected {type(exc).__name__}"
    return Failed(job.number, why[:1000])


def _made(job: Job) -> Answer:
    excerpt, masks = pickle.loads(job.excerpt)
    if isinstance(job, ClipJob):
        clip = make_clip(excerpt, masks=masks)
        return Nothing(job.number) if clip is None else MadeClip.of(job.number, clip)
    picture = picture_at(excerpt, job.at_s, masks=masks, most_width=job.most_width)
    if picture is None:
        return Nothing(job.number)
    height, width = picture.shape[:2]
    return MadePicture(job.number, height, width, picture.tobytes())


def _render(control: socket.socket, jobs: Jobs) -> None:
    try:
        while True:
            send(control, answer(jobs.get()))
    except OSError:  # nobody listens any more
        os._exit(0)
    except BaseException:
        log.exception("evidence.defect")
        os._exit(1)


def _hear(control: socket.socket, jobs: Jobs) -> None:
    """Until the engine is gone."""
    inbox, decoder = Inbox(), msgspec.msgpack.Decoder(Job)
    while piece := control.recv(CHUNK_BYTES):
        inbox.add(piece)
        while (body := inbox.take(most_bytes=MOST_JOB_BYTES)) is not None:
            jobs.put(decoder.decode(body))


def main() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    control = socket.socket(fileno=int(sys.argv[1]))
    configure_log(LogSettings.model_validate_json(sys.argv[2]))
    setproctitle("vad evidence")
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or a service manager may send them to all processes
        signal.signal(number, signal.SIG_IGN)
    try:
        held = enter(msgspec.json.decode(sys.argv[3], type=Limits))
        send(control, Ready(held.missing))
        jobs: Jobs = queue.SimpleQueue()
        threading.Thread(target=_render, args=(control, jobs), name="vad-render", daemon=True).start()
        _hear(control, jobs)
    except OSError:  # nobody speaks any more
        os._exit(0)
    except BaseException:
        log.exception("evidence.defect")
        os._exit(1)
    os._exit(0)  # whatever hangs in native code
