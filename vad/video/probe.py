"""What a stream is: opened, watched for a few seconds, described. Or, as a StreamError, why not."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit

from av import Packet, VideoFrame
from av.video.stream import VideoStream

from vad.clock import Clock, SystemClock
from vad.config import MODEL_WIDTHS, PANORAMA_WIDTHS, CameraConfig
from vad.config.camera import NETWORK_PORTS
from vad.errors import StreamCode, StreamError
from vad.types import LEAST_SIDE_PX, PERSON_PX, Geometry, WallSource
from vad.video.faults import CORRUPT, translate_av_errors
from vad.video.luma import geometry_of
from vad.video.source import Feed, SourceKind, open_feed, resolve
from vad.video.timing import MediaClock
from vad.video.view import AS_CODED, SQUARE, Orientation, PixelAspect, Sight, View

MODEL_WIDTH = 160
"""Width of the bundled model's input, for the pooling that the report shows."""


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was found. Rates and intervals are measured on the stream, except the announced one."""

    url: str  # redacted
    container: str
    transport: str  # tcp, udp, http, file, folder or device
    live: bool
    codec: str
    profile: str | None
    pixel_format: str
    width: int
    height: int
    announced_fps: float | None
    measured_fps: float | None
    watched_s: float  # media time
    key_frame_interval_frames: float | None  # None: no second key frame was seen
    key_frame_interval_s: float | None
    wall_source: WallSource
    clock_skew_s: float | None  # the camera's time of day less this machine's; None where it reports none
    round_trip_s: float | None  # TCP connect; None for anything local
    bitrate_bps: float | None
    corrupt_packets: int
    geometry: Geometry
    orientation: Orientation = AS_CODED  # what the camera's settings add is in it
    pixel_aspect: PixelAspect = SQUARE
    interlaced: bool = False
    notes: tuple[str, ...] = ()  # what is unusual about the camera

    def lines(self) -> list[str]:
        """One fact a line, for people."""
        grid = self.geometry
        profile = f" {self.profile}" if self.profile else ""
        facts = {
            "stream": f"{self.url} ({'live' if self.live else 'recording'}, {self.container} over {self.transport})",
            "video": f"{self.codec}{profile}, {self.width}x{self.height} {self.pixel_format}",
            "picture": self._picture(),
            "frame rate": f"{_said(self.measured_fps, 'fps')} measured, {_said(self.announced_fps, 'fps')} announced",
            "key frames": self._key_frames(),
            "bit rate": _said(self.bitrate_bps and self.bitrate_bps / 1e3, "kbit/s"),
            "wall clock": self._wall_clock(),
            "round trip": _said(self.round_trip_s and self.round_trip_s * 1e3, "ms") if self.live else "none",
            "damage": f"{self.corrupt_packets} corrupt packets in {self.watched_s:.1f} s",
            "model sees": f"{grid.valid_width}x{grid.valid_height} px, pooled {grid.pool}x{grid.pool}{self._warning()}",
            "people": self._people(),
        }
        if self.notes:
            facts["camera"] = "; ".join(self.notes)
        return [f"{name:<11} {fact}" for name, fact in facts.items()]

    def _picture(self) -> str:
        """How what is coded is seen."""
        grid, (rotation, mirrored), (across, down) = self.geometry, self.orientation, self.pixel_aspect
        turned = f"turned by {rotation} degrees clockwise" if rotation else "not turned"
        pixels = "square pixels" if self.pixel_aspect == SQUARE else f"pixel aspect {across}:{down}"
        fields = "interlaced" if self.interlaced else "progressive"
        mirror = ", mirrored" if mirrored else ""
        return f"{grid.source_width}x{grid.source_height} as seen: {turned}{mirror}, {pixels}, {fields}"

    def _warning(self) -> str:
        if not self.geometry.is_too_small:
            return ""
        return f": the picture is too small to judge, less than {LEAST_SIDE_PX} px on its longer side"

    def _people(self) -> str:
        """How tall they must be in the picture as seen, for each width at which it may be analysed."""
        widths = sorted({*MODEL_WIDTHS, *(PANORAMA_WIDTHS if self.geometry.is_panorama else ())})
        least_px = {width: round(PERSON_PX * self.geometry.pooled_for(width).pool) for width in widths}
        told = ", ".join(f"{height} px analysed {width} px wide" for width, height in least_px.items())
        return f"seen from a height of {told}"

    def _wall_clock(self) -> str:
        if self.wall_source is WallSource.ARRIVAL and self.clock_skew_s is not None:
            return f"this machine's, at arrival: the camera's is {self.clock_skew_s:+.1f} s off, and is not believed"
        return _CLOCKS[self.wall_source]

    def _key_frames(self) -> str:
        if self.key_frame_interval_frames is None:
            return f"no second one within {self.watched_s:.1f} s"
        return f"each {self.key_frame_interval_frames:g} frames, {_said(self.key_frame_interval_s, 's')}"


_CLOCKS = {
    WallSource.RTCP: "the camera's own, from its RTCP sender reports",
    WallSource.ARRIVAL: "this machine's, at arrival (no RTCP sender report yet)",
    WallSource.FILE: "none in a recording: media time",
}


def probe(
    config: CameraConfig,
    *,
    duration_s: float = 5.0,
    model_width: int = MODEL_WIDTH,
    camera: str = "probe",
    clock: Clock | None = None,
    see: Callable[[VideoFrame, float, Geometry], None] = lambda picture, at_s, grid: None,
) -> ProbeReport:
    """Open the camera's stream, decode ``duration_s`` of it and describe it.

    Takes about that long on a live stream. ``see`` is shown each good frame, its media time and its geometry. Raises
    StreamError (see ``Reader``), also when no frame could be decoded.
    """
    clock, source = clock or SystemClock(), resolve(config)
    feed = open_feed(source, camera=camera, parallel=False)
    try:
        round_trip_s = _round_trip_s(config)
        with translate_av_errors(camera, source.shown):
            seen = _watch(feed, _Seen(Sight(config.rotate), model_width), duration_s=duration_s, clock=clock, see=see)
        notes, missing = tuple(feed.notes), feed.missing
    finally:
        feed.close()
    first, view = seen.first, seen.view
    if first is None or view is None:
        text = f"no frame could be decoded ({seen.corrupt} corrupt packets)" + (f": {missing}" if missing else "")
        raise StreamError(StreamCode.BROKEN, f"{camera}: {source.shown}: {text}")
    gaps, gaps_s = seen.key_frame_gaps()
    watched_s = seen.media_s[-1]
    return ProbeReport(
        url=source.shown,
        container=feed.container,
        transport=config.transport if source.kind is SourceKind.RTSP else source.kind.value,
        live=feed.live,
        codec=feed.codec,
        profile=feed.profile,
        pixel_format=first.format.name,
        width=first.width,
        height=first.height,
        announced_fps=feed.announced_fps,
        measured_fps=(len(seen.media_s) - 1) / watched_s if watched_s else None,
        watched_s=watched_s,
        key_frame_interval_frames=median(gaps) if gaps else None,
        key_frame_interval_s=median(gaps_s) if gaps_s else None,
        wall_source=_wall_source(seen, config) if feed.live else WallSource.FILE,
        clock_skew_s=seen.clock_skew_s,
        round_trip_s=round_trip_s,
        bitrate_bps=seen.size_bytes * 8 / watched_s if watched_s else None,
        corrupt_packets=seen.corrupt + feed.faults,
        geometry=geometry_of(view, model_width=model_width),
        orientation=view.orientation,
        pixel_aspect=view.aspect,
        interlaced=view.is_woven,
        notes=notes,
    )


def _wall_source(seen: _Seen, config: CameraConfig) -> WallSource:
    is_believed = seen.clock_skew_s is not None and abs(seen.clock_skew_s) <= config.clock_tolerance_s
    return WallSource.RTCP if is_believed else WallSource.ARRIVAL


@dataclass(slots=True)
class _Seen:
    """What was gathered while watching."""

    sight: Sight
    model_width: int
    view: View | None = None  # of the last good frame
    first: VideoFrame | None = None
    media_s: list[float] = field(default_factory=list)  # of each good frame
    key_frames: list[int] = field(default_factory=list)  # indices into media_s
    size_bytes: int = 0
    corrupt: int = 0
    clock_skew_s: float | None = None  # of the sender's time of day

    def key_frame_gaps(self) -> tuple[list[int], list[float]]:
        pairs = list(zip(self.key_frames, self.key_frames[1:], strict=False))
        return [b - a for a, b in pairs], [self.media_s[b] - self.media_s[a] for a, b in pairs]


def _watch(
    feed: Feed, seen: _Seen, *, duration_s: float, clock: Clock, see: Callable[[VideoFrame, float, Geometry], None]
) -> _Seen:
    """Decode until that much media time has passed (or, where nothing decodes, twice that by the clock)."""
    media = MediaClock(live=feed.live, announced_fps=feed.announced_fps)
    began_s = clock.monotonic_s()
    for packet in feed.packets():
        arrived_s = clock.monotonic_s()
        seen.size_bytes += packet.size
        if (senders_s := feed.sender_wall_s(packet)) is not None:
            seen.clock_skew_s = senders_s - clock.wall_s()
        for frame in _decoded(feed, packet, seen):
            stamp_s = frame.time if feed.stamped else None
            step_s = media.step_s(stamp_s, arrived_s=arrived_s)
            if step_s < 0.0 or (step_s == 0.0 and seen.media_s):
                continue
            seen.first = seen.first or frame
            if frame.key_frame:
                seen.key_frames.append(len(seen.media_s))
            seen.media_s.append(media.accept(step_s, stamp_s, arrived_s=arrived_s))
            seen.view = seen.sight.of(frame, aspect=feed.pixel_aspect, otherwise=feed.container_orientation)
            see(frame, seen.media_s[-1], geometry_of(seen.view, model_width=seen.model_width))
        if media.pts_s >= duration_s or arrived_s - began_s > 2 * duration_s:
            break
    return seen


def _decoded(feed: Feed, packet: Packet[VideoStream], seen: _Seen) -> list[VideoFrame]:
    try:
        frames = feed.decode(packet)
    except CORRUPT:
        seen.corrupt += 1
        return []
    seen.corrupt += sum(frame.is_corrupt for frame in frames)
    return [frame for frame in frames if not frame.is_corrupt]


def _round_trip_s(config: CameraConfig) -> float | None:
    """Time of a TCP connect to the camera: one round trip. None for anything local, or if it cannot be told."""
    parts = urlsplit(config.url)
    if not config.is_network or parts.hostname is None:
        return None
    began_s = time.perf_counter()
    try:
        with socket.create_connection((parts.hostname, parts.port or NETWORK_PORTS[parts.scheme.lower()]), timeout=2.0):
            return time.perf_counter() - began_s
    except OSError:
        return None


def _said(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.4g} {unit}"
