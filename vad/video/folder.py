"""A folder of pictures played as a camera: natural order, constant rate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av.error
from av import Packet, VideoCodecContext, VideoFrame
from av.video.stream import VideoStream

from vad.errors import StreamCode, StreamError
from vad.video.view import SQUARE, Orientation

_CODECS = {".jpg": "mjpeg", ".jpeg": "mjpeg", ".png": "png", ".bmp": "bmp", ".tif": "tiff", ".tiff": "tiff"}


class FolderFeed:
    """One packet a file, ``2.jpg`` before ``10.jpg``: see ``source.Feed``. Raises StreamError when there is none."""

    notes: Sequence[str] = ()
    missing: str | None = None

    def __init__(self, folder: Path, *, fps: float, camera: str) -> None:
        self.paths = pictures_in(folder)
        if not self.paths:
            kinds = ", ".join(_CODECS)
            raise StreamError(StreamCode.NO_VIDEO, f"{camera}: {folder}: no picture in this folder; looked for {kinds}")
        self.live = False
        self.stamped = True
        self.announced_fps: float | None = fps
        self.duration_s: float | None = len(self.paths) / fps
        self.profile: str | None = None
        self.extradata = b""
        self.pixel_aspect = SQUARE  # pictures that say otherwise speak of paper
        self.container_orientation: Orientation | None = None
        self.container = "folder"
        self.faults = self.unfiltered_frames = 0
        self.codec = _CODECS[self.paths[0].suffix.lower()]
        self._time_base = 1 / Fraction(fps).limit_denominator(1000)
        self._packets = self._read()

    def packets(self) -> Iterator[Packet[VideoStream]]:
        return self._packets

    def _read(self) -> Iterator[Packet[VideoStream]]:
        for index, file in enumerate(self.paths):
            packet = cast("Packet[VideoStream]", Packet(file.read_bytes()))
            packet.pts = packet.dts = index
            packet.time_base, packet.is_keyframe = self._time_base, True
            yield packet

    def sender_wall_s(self, packet: Packet[VideoStream]) -> float | None:
        return None

    def may_leave_out(self, packet: Packet[VideoStream]) -> bool:
        return False

    def filter_from(self, packet: Packet[VideoStream], *, is_filtered: bool) -> list[VideoFrame]:
        return []

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        if not packet.size or packet.pts is None:  # FFmpeg takes a packet without data for the end of the stream
            raise av.error.InvalidDataError(av.error.tag_to_code(b"INDA"), "an empty file")
        codec = _CODECS[self.paths[packet.pts].suffix.lower()]
        # A decoder of its own for each picture: FFmpeg 8's PNG decoder adds the last row of the previous one.
        decoder = cast(VideoCodecContext, VideoCodecContext.create(codec, "r"))
        decoder.thread_count = 1
        return decoder.decode(packet)

    def close(self) -> None:
        """Nothing is kept open."""


def pictures_in(folder: Path) -> list[Path]:
    """The folder's pictures in natural order of their names; hidden files are none."""
    files = (f for f in folder.iterdir() if f.suffix.lower() in _CODECS and not f.name.startswith("."))
    return sorted(files, key=natural_key)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts runs of digits by their value: ``frame2`` before ``frame10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", path.name)]
