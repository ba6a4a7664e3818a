"""What a process of readers says, true or not, and what an engine makes of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np

from vad.config import CameraConfig
from vad.errors import StreamError
from vad.pipeline.readers.messages import HEAD_BYTES, Batch, SentFrame, TapeFormat
from vad.pipeline.readers.remote import RemoteReader, Session
from vad.types import WallSource
from vad.video.items import Counts, Item, Passed, StreamInfo
from vad.video.luma import geometry
from vad.video.overlay import jpeg
from vad.video.samples import Rhythm, Sample, Samples
from vad.video.spec import ReadEnv, ReadSpec
from vad.video.tape import Tape, TapedPacket

SPEC = ReadSpec("cam", CameraConfig(url="rtsp://192.0.2.1/cam"), 160, clip_length=4)
RUN = 3
GRID = geometry(640, 360, model_width=160)
INFO = StreamInfo("h264", "High", "rtsp", 640, 360, "yuv420p", "cpu", 25.0, True, GRID)
FORMAT = TapeFormat("h264", b"", "rtsp", "yuv420p", 25.0, True, GRID)
JPEG = jpeg(np.full((180, 320, 3), 90, np.uint8))
SAMPLE = Sample(RUN, 0.04, GRID, JPEG)


def sent(index: int = 0, **changes: Any) -> SentFrame:
    """A frame that a reader may send."""
    frame = SentFrame(
        index=index,
        pts_s=index / 8,
        wall_s=1.8e9 + index / 8,
        wall_source=WallSource.ARRIVAL,
        arrived_s=time.monotonic(),
        geometry=GRID,
        luma=bytearray(GRID.height * GRID.width),
    )
    return msgspec.structs.replace(frame, **changes)


def first(**changes: Any) -> Batch:
    """The first batch of a run, with something of everything."""
    batch = Batch(
        passed=Passed(2, 1),
        frames=[sent()],
        counts=Counts(measured_fps=25.0, corrupt_packets=1, clock_skew_s=-0.2, clock_ratio=1.001),
        packets=[TapedPacket(b"key", 0.0, True), TapedPacket(b"other", None, False)],
        origin_s=0.0,
        info=INFO,
        format=FORMAT,
        samples=[SAMPLE],
        rhythm=Rhythm(RUN, 1.04, 1.5),
    )
    return msgspec.structs.replace(batch, **changes)


def described(**changes: Any) -> Batch:
    """The first batch of a stream that is described otherwise."""
    info = replace(INFO, **changes)
    return first(info=info)


def framed(body: bytes) -> bytes:
    """A body with its length before it."""
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def message(told: object) -> bytes:
    """As it is on the socket."""
    return framed(msgspec.msgpack.encode(told))


@dataclass
class Heard:
    """What came of it."""

    items: list[Item] = field(default_factory=list)
    error: StreamError | None = None
    reader: Any = None
    tape: Any = None


def hear(*told: object, run: int = RUN, while_open: Callable[[Session], object] | None = None) -> Heard:
    """What a reader makes of a process that says this and ends. Bytes are said as they are.

    Anything but a StreamError that comes out of the reader is raised here.
    """
    ours, theirs = socket.socketpair()
    said = b"".join(one if isinstance(one, bytes) else message(one) for one in told)
    speaker = threading.Thread(target=_say, args=(theirs, said))
    session = Session(ours)
    session.opened_s = 0.0  # what was recorded before is of this session
    tape = Tape(run=run, seconds=60.0, max_bytes=1 << 24, samples=Samples())
    reader = RemoteReader(SPEC, run=run, env=ReadEnv(tape=tape), open_session=lambda: session)
    heard = Heard(reader=reader, tape=tape)
    speaker.start()
    try:
        with reader:
            if while_open is not None:
                while_open(session)
            heard.items.extend(reader)
    except StreamError as exc:
        heard.error = exc
    finally:
        session.drop()
        speaker.join()
        theirs.close()
    return heard


def _say(peer: socket.socket, said: bytes) -> None:
    with suppress(OSError):  # nobody listens any more
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
