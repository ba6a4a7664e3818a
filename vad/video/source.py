"""What a camera's URL means, and how it is opened.

``resolve`` reads the URL, ``open_feed`` opens it: ``rtsp`` for H.264 and HEVC over RTSP and TCP, which is what cameras
send; FFmpeg for whatever else it speaks; ``folder.FolderFeed`` for a folder of pictures. The time-outs are FFmpeg's own
there (PyAV's ``timeout=`` takes the GIL at every poll and slows all other streams).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote

import av
import av.error
from av import Packet, VideoFrame
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from vad.config import CameraConfig, redact_url
from vad.errors import StreamCode, StreamError
from vad.video.allowed import decoder_limits, http_limits, rtsp_limits
from vad.video.arrival import sender_wall_s
from vad.video.decoding import Decoder, DecoderLimits, aspect_of
from vad.video.faults import translate_av_errors
from vad.video.folder import FolderFeed
from vad.video.hardware import ON_CPU, DecodePolicy, accelerator
from vad.video.rtsp import feed as rtsp
from vad.video.rtsp.address import Address
from vad.video.view import Orientation, PixelAspect

FOLDER_FPS = 10.0
"""Rate of a folder of frames whose URL does not say ``?fps=``."""

MOST_DEMUX_FAULTS = 32
"""Unreadable stretches of a container in a row, after which it is given up."""

OPEN_TIMEOUT_S = 10.0

_OPEN_ANALYSIS_US = "2000000"
_LEAST_PROBE_BYTES = "32"
"""FFmpeg's least. An RTSP server describes its stream before it plays it; what the description lacks, the first whole
picture says. Looking for longer takes up to a group of pictures, all of which are then there at once: for a hundred
cameras that connect together as much work as there is in seconds of them."""
_INVENTED_STAMPS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "image2pipe"})  # formats without any time in them


class SourceKind(StrEnum):
    """What opens the URL."""

    RTSP = "rtsp"
    HTTP = "http"
    FILE = "file"
    FOLDER = "folder"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Source:
    """A URL understood. ``target`` may hold credentials and is for FFmpeg alone; ``shown`` is safe to print."""

    kind: SourceKind
    shown: str
    target: str = field(repr=False)
    options: dict[str, str] = field(default_factory=dict)
    format: str | None = None
    fps: float | None = None  # of a folder
    timeout_s: float | None = None  # of a network source

    @property
    def is_tcp(self) -> bool:
        """It comes through a connection that holds what is not read yet."""
        return self.kind is SourceKind.HTTP or self.options.get("rtsp_transport") == "tcp"


class Feed(Protocol):
    """Packets of one video stream, and their decoder. Raises av.FFmpegError; ``Reader`` translates."""

    live: bool  # cannot be read faster than it happens
    stamped: bool  # its time stamps are its own, not FFmpeg's invention
    duration_s: float | None  # of a recording, where it is known
    container: str

    @property
    def announced_fps(self) -> float | None: ...

    @property
    def faults(self) -> int:
        """Unreadable stretches skipped so far, apart from packets that do not decode."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What is unusual about the camera, for people."""
        ...

    @property
    def missing(self) -> str | None:
        """Without what nothing can be decoded, for people."""
        ...

    @property
    def unfiltered_frames(self) -> int:
        """Frames decoded without the loop filter so far."""
        ...

    @property
    def codec(self) -> str:
        """Of the last frame decoded."""
        ...

    @property
    def pixel_aspect(self) -> PixelAspect:
        """Of the last frame decoded."""
        ...

    @property
    def container_orientation(self) -> Orientation | None:
        """How pictures are to be turned, where the container says it and they themselves do not."""
        ...

    @property
    def profile(self) -> str | None: ...

    @property
    def extradata(self) -> bytes:
        """What a decoder must know before the first packet; empty where the packets say it."""
        ...

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """What is left of the stream: always the same iterator, so that a next reader goes on where one stopped."""
        ...

    def sender_wall_s(self, packet: Packet[VideoStream]) -> float | None:
        """UTC by the camera's clock of the packet that was given last; None where it does not tell."""
        ...

    def may_leave_out(self, packet: Packet[VideoStream]) -> bool:
        """Whether all other pictures come out the same if this packet is never decoded."""
        ...

    def filter_from(self, packet: Packet[VideoStream], *, is_filtered: bool) -> list[VideoFrame]:
        """Turn the codec's loop filter on or off where it has one and the packet allows it; frames held until now."""
        ...

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]: ...

    def close(self) -> None: ...


def resolve(config: CameraConfig) -> Source:
    """Read the camera's URL. Opens nothing, except that a path is looked at to tell a folder from a file."""
    scheme, separator, rest = config.url.partition("://")
    scheme = scheme.lower() if separator else "file"
    timeout_us = str(int(config.read_timeout_s * 1e6))
    if scheme in ("rtsp", "rtsps"):
        options = {
            "rtsp_transport": config.transport,
            "timeout": timeout_us,
            "allowed_media_types": "video",  # never set up sound or metadata: less traffic, one clock
            "probesize": _LEAST_PROBE_BYTES,
            **rtsp_limits(is_encrypted=scheme == "rtsps", max_pixels=config.max_pixels),
        }
        return _network_source(SourceKind.RTSP, config, options)
    if scheme in ("http", "https"):
        limits = http_limits(max_pixels=config.max_pixels)
        options = {"rw_timeout": timeout_us, "analyzeduration": _OPEN_ANALYSIS_US, **limits}
        return _network_source(SourceKind.HTTP, config, options)
    if scheme == "v4l2":
        return Source(SourceKind.DEVICE, redact_url(config.url), rest, format="video4linux2")
    if scheme == "file":
        return _resolve_path(config.url, unquote(rest) if separator else config.url)
    raise StreamError(StreamCode.BROKEN, f"{redact_url(config.url)}: scheme {scheme!r} is not opened by vad.video")


def _network_source(kind: SourceKind, config: CameraConfig, options: dict[str, str]) -> Source:
    target = with_password_read(config).url_with_credentials()
    return Source(kind, redact_url(config.url), target, options, timeout_s=config.read_timeout_s)


def with_password_read(config: CameraConfig) -> CameraConfig:
    """The same with its ``password_file`` read, which may be gone by now. Raises StreamError."""
    try:
        return config.with_password_read()
    except (OSError, UnicodeDecodeError) as exc:
        text = f"{redact_url(config.url)}: password_file cannot be read ({type(exc).__name__})"
        raise StreamError(StreamCode.AUTH_FAILED, text) from None


def _resolve_path(url: str, path: str) -> Source:
    fps = None
    if "?" in path and not os.path.exists(path):  # Path.exists raises where a folder may not be read
        path, _, query = path.rpartition("?")
        fps = _fps(url, parse_qs(query))
    if os.path.isdir(path):
        return Source(SourceKind.FOLDER, path, path, fps=fps or FOLDER_FPS)
    return Source(SourceKind.FILE, path, f"file:{path}")  # "file:" because a bare name may hold a colon


def _fps(url: str, query: dict[str, list[str]]) -> float | None:
    if "fps" not in query:
        return None
    try:
        fps = float(query["fps"][-1])
    except ValueError:
        fps = 0.0
    if not 0.01 <= fps <= 1000.0:
        raise StreamError(StreamCode.BROKEN, f"{url}: fps={query['fps'][-1]}; allowed: 0.01 to 1000")
    return fps


def open_feed(
    source: Source,
    *,
    camera: str,
    parallel: bool,
    decoding: DecodePolicy = ON_CPU,
    stop: threading.Event | None = None,
) -> Feed:
    """Open it. ``parallel`` lets the decoder use every core: right for one recording, wrong for many live streams.

    ``decoding`` says who decodes; pictures in a folder are for the CPU alone. ``stop`` ends the packets of a camera
    that speaks RTSP over TCP.
    Raises StreamError. Blocks for as long as the read time-out, with the GIL released.
    """
    if source.kind is SourceKind.FOLDER:
        with translate_av_errors(camera, source.shown):
            return FolderFeed(Path(source.target), fps=source.fps or FOLDER_FPS, camera=camera)
    accel = accelerator(decoding, camera=camera)
    if source.kind is SourceKind.RTSP and source.is_tcp:
        name, timeout_s = f"{camera}: {source.shown}", source.timeout_s or OPEN_TIMEOUT_S
        address = Address.of(source.target)
        limits = DecoderLimits(name, decoder_limits(source.options))
        opening = rtsp.Opening(address, name, timeout_s, limits, accel, stop or threading.Event())
        found = rtsp.open_feed(opening)
        if isinstance(found, rtsp.RtspFeed):
            return found
        source = replace(source, target=found.with_credentials)  # of another codec
    container = _open_container(source, camera=camera, accel=accel)
    try:
        return ContainerFeed(container, source=source, camera=camera, parallel=parallel)
    except BaseException:
        container.close()
        raise


def _open_container(source: Source, *, camera: str, accel: HWAccel | None) -> InputContainer:
    began_s = time.monotonic()  # real time whatever the clock: FFmpeg waits in it
    options = dict(source.options)
    try:
        with translate_av_errors(camera, source.shown):
            return av.open(
                source.target,
                mode="r",
                format=source.format,
                options=options,
                metadata_errors="replace",
                hwaccel=accel,
            )
    except StreamError as exc:
        formats = options.get("format_whitelist")
        if isinstance(exc.__context__, av.error.ArgumentError) and formats:
            text = f"sends a format that is not taken from a camera (a playlist, perhaps); allowed: {formats}"
            raise StreamError(StreamCode.BROKEN, f"{camera}: {source.shown}: {text}") from None
        waited_s = time.monotonic() - began_s
        # FFmpeg says "invalid data" of an RTSP server that does not answer in time
        if exc.code is not StreamCode.BROKEN or source.timeout_s is None or waited_s < 0.9 * source.timeout_s:
            raise
    raise StreamError(StreamCode.TIMEOUT, f"{camera}: {source.shown}: no answer within {waited_s:.1f} s")


class ContainerFeed:
    """A stream that FFmpeg demuxes: see ``Feed``."""

    notes: Sequence[str] = ()
    missing: str | None = None

    def __init__(self, container: InputContainer, *, source: Source, camera: str, parallel: bool) -> None:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise StreamError(StreamCode.NO_VIDEO, f"{camera}: {source.shown}: holds {kinds}; needed: video")
        self._name = f"{camera}: {source.shown}"
        codec, codecs = stream.codec_context, source.options.get("codec_whitelist")
        if codec is None:
            raise StreamError(StreamCode.CODEC_UNSUPPORTED, f"{self._name}: no decoder for its codec")
        if codecs and codec.name not in codecs.split(","):
            text = f"sends {codec.name}, which is not taken from a camera; allowed: {codecs}"
            raise StreamError(StreamCode.CODEC_UNSUPPORTED, f"{self._name}: {text}")
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        aspect, coded_aspect = aspect_of(stream), aspect_of(codec)
        limits = DecoderLimits(self._name, decoder_limits(source.options))
        self._decoder = Decoder(codec, parallel=parallel, aspect=aspect, coded_aspect=coded_aspect, limits=limits)
        self._container = container
        self._stream = stream
        self.container = container.format.name
        recorded = source.kind is SourceKind.FILE or (source.kind is SourceKind.HTTP and container.duration is not None)
        self.live = not recorded
        self.stamped = recorded or self.container not in _INVENTED_STAMPS
        rate = stream.average_rate or stream.guessed_rate
        self.announced_fps = float(rate) if rate else None
        self.duration_s = container.duration / av.time_base if recorded and container.duration else None
        self.faults = 0
        self._packets = self._demux()

    def packets(self) -> Iterator[Packet[VideoStream]]:
        return self._packets

    def _demux(self) -> Generator[Packet[VideoStream], None, None]:
        in_a_row = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    in_a_row = 0
                    yield packet
                return
            except (av.error.InvalidDataError, av.error.BlockingIOError):  # the latter from MPEG-TS out of step
                in_a_row += 1
                self.faults += 1
                if in_a_row > MOST_DEMUX_FAULTS:
                    raise

    @property
    def unfiltered_frames(self) -> int:
        return self._decoder.unfiltered_frames

    @property
    def codec(self) -> str:
        return self._decoder.codec

    @property
    def pixel_aspect(self) -> PixelAspect:
        return self._decoder.pixel_aspect

    @property
    def container_orientation(self) -> Orientation | None:
        return self._decoder.container_orientation

    @property
    def profile(self) -> str | None:
        return self._decoder.profile

    @property
    def extradata(self) -> bytes:
        return self._decoder.extradata

    def sender_wall_s(self, packet: Packet[VideoStream]) -> float | None:
        return sender_wall_s(packet)

    def may_leave_out(self, packet: Packet[VideoStream]) -> bool:
        return self._decoder.may_leave_out(packet)

    def filter_from(self, packet: Packet[VideoStream], *, is_filtered: bool) -> list[VideoFrame]:
        return self._decoder.filter_from(packet, is_filtered=is_filtered)

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        return self._decoder.decode(packet)

    def close(self) -> None:
        self._packets.close()  # it refers to this feed as the feed to it: the decoder would stay until a collection
        self._container.close()
