"""What the engine and a process of readers say to each other over a session's socket.

One session reads one open stream: its first run, and the runs that go on from it. Each message is four bytes of length
and MessagePack. Only what the engine says may hold Python's own pickles: a decoder that a broken stream has taken over
must not be able to say anything that the engine would run.
"""

from __future__ import annotations

import socket
from typing import Annotated, TypeAlias

import msgspec

from vad.types import Frame, Geometry, WallSource
from vad.video.items import Counts, Passed, StreamInfo
from vad.video.samples import Rhythm, Sample
from vad.video.tape import TapedPacket
from vad.video.view import AS_CODED, Orientation

SESSION, SIGN = b"s", b"?"
"""What is said on the control socket of a process: here is a session, its socket with it; give a sign of life."""

HEAD_BYTES = 4
CHUNK_BYTES = 1 << 17
MOST_BYTES, MOST_UNASKED_BYTES = 1 << 27, 1 << 26
"""Of one message, and of one while no picture was asked for: that of 8K takes 100 MB. More is nothing that either side
would say."""
MOST_PICTURE_BYTES = MOST_BYTES - 1024
MOST_PACKETS, MOST_PACKET_BYTES = 1 << 16, 1 << 24
"""Of one batch, all its packets together. What is more than a list may hold is refused before any of it is decoded: a
packet of five bytes takes a hundred in memory."""
MOST_FRAMES, MOST_SAMPLES = 64, 64
"""Of one batch: no clip is longer than 64 frames."""
SILENCE_S = 0.25
"""How long the engine waits for a message before it looks whether it shall stop."""


class Opening(msgspec.Struct, array_like=True, tag=True):
    """The first thing said: which stream. ``spec`` is a pickled ReadSpec."""

    spec: bytes
    keeps_packets: bool
    samples: Rhythm | None


class NextRun(msgspec.Struct, array_like=True, tag=True):
    """Read a run, from the stream's opening or from where the last one ended."""

    run: int


class Behind(msgspec.Struct, array_like=True, tag=True):
    """Whether the machine cannot keep up."""

    is_behind: bool


class Look(msgspec.Struct, array_like=True, tag=True):
    """What is the last picture?"""

    number: int
    most_width: int | None


Command: TypeAlias = Opening | NextRun | Behind | Look


class SentFrame(msgspec.Struct, array_like=True):
    """A ``Frame`` without what both sides know."""

    index: int
    pts_s: float
    wall_s: float
    wall_source: WallSource
    arrived_s: float
    geometry: Geometry
    luma: bytearray

    @classmethod
    def of(cls, frame: Frame) -> SentFrame:
        return cls(
            frame.index,
            frame.pts_s,
            frame.wall_s,
            frame.wall_source,
            frame.arrived_s,
            frame.geometry,
            bytearray(frame.luma.tobytes()),
        )


class TapeFormat(msgspec.Struct, array_like=True):
    """``vad.video.tape.Format`` without what the engine knows."""

    codec: str
    extradata: bytes
    container: str
    pixel_format: str
    fps: float
    is_stamped: bool
    geometry: Geometry
    orientation: Orientation = AS_CODED


class Batch(msgspec.Struct, array_like=True, tag=True, omit_defaults=True):
    """What came since the last batch of the run: frames that are not analysed, and those that are.

    ``end`` is the code and the text of the StreamError that ended the run. ``info`` is told where it has changed,
    ``format`` once.
    """

    passed: Passed = Passed(0)
    frames: Annotated[list[SentFrame], msgspec.Meta(max_length=MOST_FRAMES)] = []
    counts: Counts = Counts()
    packets: Annotated[list[TapedPacket], msgspec.Meta(max_length=MOST_PACKETS)] = []
    origin_s: float | None = None
    info: StreamInfo | None = None
    format: TapeFormat | None = None
    goes_on_at_s: float | None = None
    samples: Annotated[list[Sample], msgspec.Meta(max_length=MOST_SAMPLES)] = []
    rhythm: Rhythm | None = None  # of the samples, where it has changed
    end: tuple[str, str] | None = None


class Seen(msgspec.Struct, array_like=True, tag=True):
    """The answer to ``Look``: (height, width, 3) BGR, or nothing."""

    number: int
    height: int = 0
    width: int = 0
    pixels: bytes = b""


Told: TypeAlias = Batch | Seen

_encoder = msgspec.msgpack.Encoder()


def framed(message: msgspec.Struct) -> bytes:
    """As it goes over a socket."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def send(to: socket.socket, message: msgspec.Struct) -> None:
    """Raises OSError when nobody is there any more. One thread at a time."""
    to.sendall(framed(message))


class Inbox:
    """Whole bodies out of what comes in pieces. ``take`` raises ValueError at what is no message."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, piece: bytes) -> None:
        self._bytes += piece

    def take(self, *, most_bytes: int = MOST_BYTES) -> bytes | None:
        """The next one, when it is all there."""
        if len(self._bytes) < HEAD_BYTES:
            return None
        end = HEAD_BYTES + int.from_bytes(self._bytes[:HEAD_BYTES], "big")
        if end > most_bytes:
            raise ValueError(f"a message of {end} bytes; allowed: {most_bytes}")
        if len(self._bytes) < end:
            return None
        with memoryview(self._bytes) as whole:
            body = bytes(whole[HEAD_BYTES:end])
        del self._bytes[:end]
        return body
