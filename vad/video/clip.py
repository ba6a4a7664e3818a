"""An excerpt of a tape as a small MP4 that a browser plays, and single pictures of it.

What can be kept as it is, is kept: H.264 of 8 bits and 4:2:0 without masks is only wrapped anew. Everything else is
decoded and encoded as H.264, masks burnt in (MPEG-4 where this FFmpeg has no H.264 encoder). The index stands before
the pictures, so that playing begins before the whole file is there.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np
from av import Packet, VideoCodecContext, VideoFrame
from numpy.typing import NDArray

from vad.config import Polygon
from vad.types import Geometry
from vad.video.annexb import Annexed
from vad.video.faults import CORRUPT
from vad.video.overlay import Picture, colour_picture
from vad.video.privacy import black_out, black_out_planes, chroma_of, hidden
from vad.video.tape import Excerpt
from vad.video.view import AS_CODED, SQUARE, Orientation, Sight, said_by, upright

TICK = Fraction(1, 90_000)
MOST_WIDTH = 1280
"""Of what is encoded anew, which at 1080p would take seven seconds of CPU for ten of video. What is kept as it is keeps
its size."""

_PLAYABLE = frozenset({"yuv420p", "yuvj420p"})
_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": "25", "maxrate": "6M", "bufsize": "12M", "profile": "high"}),
    ("mpeg4", {"qscale": "4"}),
)
_STILLS = ((b"\xff\xd8", "mjpeg"), (b"\x89PNG", "png"), (b"BM", "bmp"), (b"II", "tiff"), (b"MM", "tiff"))


@dataclass(frozen=True, slots=True)
class Clip:
    """``start_s`` is the media time of its first picture; ``codec`` as FFmpeg names it."""

    data: bytes
    start_s: float
    duration_s: float
    width: int
    height: int
    codec: str
    reencoded: bool


def make_clip(excerpt: Excerpt, *, masks: Sequence[Polygon]) -> Clip | None:
    """None when nothing of it can be decoded. Raises av.FFmpegError for what FFmpeg will not write.

    It shows the picture as it is seen: what is turned or stretched for that is encoded anew, too.

    ``masks`` are burnt in, and those that were in force when it was filmed. Wrapped anew it begins with the key frame
    before ``wanted_s``, encoded anew with the first picture wanted.
    """
    shape, masks = excerpt.format, (*excerpt.format.masks, *masks)
    as_it_is = shape.codec == "h264" and shape.pixel_format in _PLAYABLE and shape.geometry.is_as_coded
    if as_it_is and shape.is_stamped and not masks:
        clip = _wrapped(excerpt)
        if clip is not None:
            return clip
    return _encoded(excerpt, masks)


def picture_at(excerpt: Excerpt, at_s: float, *, masks: Sequence[Polygon], most_width: int) -> Picture | None:
    """The picture shown at media time ``at_s``, masked as in ``make_clip``; None when there is none."""
    if not min(excerpt.times_s) - 1e-3 <= at_s <= max(excerpt.times_s) + 2.0 * excerpt.interval_s:
        return None
    masks = (*excerpt.format.masks, *masks)
    earlier = [i for i, key in enumerate(excerpt.keys) if key and excerpt.times_s[i] <= at_s + 1e-6]
    best: VideoFrame | None = None
    for time_s, frame in decoded(excerpt, first=max(earlier, default=0)):
        if best is not None and time_s > at_s + 0.5 * excerpt.interval_s:
            break
        best = frame
    if best is None:
        return None
    picture = colour_picture(best, excerpt.format.geometry, most_width=most_width)
    height, width = picture.shape[:2]
    return black_out(picture, hidden(masks, excerpt.format.geometry, width=width, height=height))


def decoded(excerpt: Excerpt, *, first: int = 0) -> Iterator[tuple[float, VideoFrame]]:
    """The excerpt's good frames in the order in which they are shown, each with its media time; times rise.

    Begins with packet ``first``, a key frame. What is damaged is left out, and so is what is to be turned otherwise
    than the run's pictures were: nothing is known of what may be seen of it.
    """
    decode, is_turned_alike = _decoder(excerpt), _turned_as(excerpt.format.orientation)
    latest_s = -float("inf")
    for number in range(first, len(excerpt.packets) + 1):
        packet = None
        if number < len(excerpt.packets):
            packet = Packet(excerpt.packets[number])
            packet.pts = packet.dts = round(excerpt.times_s[number] / TICK)
            packet.time_base = TICK
        try:
            frames = decode(packet)
        except CORRUPT:
            continue
        for frame in frames:
            if frame.is_corrupt or not is_turned_alike(frame):
                continue
            time_s = float(frame.pts * TICK) if frame.pts is not None else latest_s + excerpt.interval_s
            if time_s > latest_s:
                yield time_s, frame
                latest_s = time_s


def _turned_as(orientation: Orientation) -> Callable[[VideoFrame], bool]:
    """Whether a frame, of those in order, is to be turned so. Where the first does not say it, the container did."""
    sight, otherwise = Sight(), orientation
    is_first = True

    def is_turned_alike(frame: VideoFrame) -> bool:
        nonlocal otherwise, is_first
        if is_first and said_by(frame) is not None:
            otherwise = AS_CODED
        is_first = False
        return sight.of(frame, aspect=SQUARE, otherwise=otherwise).orientation == orientation

    return is_turned_alike


def _decoder(excerpt: Excerpt) -> Any:
    """What gives the frames of a packet, and of None those that it held back."""
    shape = excerpt.format
    if shape.container == "folder":
        return lambda packet: [] if packet is None else _context(_still_codec(bytes(packet))).decode(packet)
    context = _context(shape.codec)
    context.width, context.height = shape.geometry.coded_size  # not all packets say
    context.pix_fmt = shape.pixel_format
    if shape.extradata:
        context.extradata = shape.extradata
    return context.decode


def _context(codec: str) -> VideoCodecContext:
    context: VideoCodecContext = VideoCodecContext.create(codec, "r")  # type: ignore[assignment]
    context.thread_count, context.thread_type = 1, "NONE"
    return context


def _still_codec(data: bytes) -> str:
    return next((codec for magic, codec in _STILLS if data.startswith(magic)), "mjpeg")


def _wrapped(excerpt: Excerpt) -> Clip | None:
    """The packets as they are, in MP4; None when they are not laid out as H.264 is."""
    shape, grid = excerpt.format, excerpt.format.geometry
    annexed = Annexed.of(shape.extradata)
    packets = [annexed.convert(data, is_key=key) for data, key in zip(excerpt.packets, excerpt.keys, strict=True)]
    if not annexed.is_sound:
        return None
    start_s = excerpt.times_s[0]
    shown = _rising([round((time_s - start_s) / TICK) for time_s in excerpt.times_s])
    in_order = sorted(shown)
    held = max(a - b for a, b in zip(in_order, shown, strict=True))  # how far decoding runs ahead of showing
    step = max(1, round(excerpt.interval_s / TICK))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", container_options=_index_first(len(packets))) as output:
        stream: Any = output.add_mux_stream("h264", width=grid.source_width, height=grid.source_height, time_base=TICK)
        for data, pts, due, key in zip(packets, shown, in_order, excerpt.keys, strict=True):
            packet = Packet(data)
            packet.stream, packet.time_base = stream, TICK
            packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, due - held, step, key
            output.mux(packet)
    return Clip(
        data=buffer.getvalue(),
        start_s=start_s,
        duration_s=float((in_order[-1] + step) * TICK),
        width=grid.source_width,
        height=grid.source_height,
        codec="h264",
        reencoded=False,
    )


def _rising(ticks: list[int]) -> list[int]:
    """No two pictures at the same tick: a muxer takes none of them for the other."""
    taken: set[int] = set()
    for i, tick in enumerate(ticks):
        while tick in taken:
            tick += 1
        taken.add(tick)
        ticks[i] = tick
    return ticks


def _encoded(excerpt: Excerpt, masks: Sequence[Polygon]) -> Clip | None:
    from_s = excerpt.wanted_s[0] - 0.5 * excerpt.interval_s
    frames = ((time_s, frame) for time_s, frame in decoded(excerpt) if time_s >= from_s)
    begun = next(frames, None)
    if begun is None:
        return None
    start_s, grid = begun[0], excerpt.format.geometry
    width, height = _even_size(grid.source_width, grid.source_height)
    codec, options = _encoder()
    where = hidden(masks, grid, width=width, height=height)
    chroma = None if where is None else chroma_of(where)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", container_options=_index_first(len(excerpt.packets))) as output:
        rate = Fraction(1 / excerpt.interval_s).limit_denominator(1001)
        stream: Any = output.add_stream(codec, rate=rate, width=width, height=height, time_base=TICK, options=options)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = max(1, round(2.0 / excerpt.interval_s))
        tick = -1
        for time_s, frame in _chain(begun, frames):
            planes = _planes(frame, grid, width, height)
            if where is not None and chroma is not None:
                black_out_planes(planes, where, chroma)
            picture = VideoFrame.from_ndarray(planes, format="yuv420p")
            tick = max(tick + 1, round((time_s - start_s) / TICK))
            picture.pts, picture.time_base, picture.color_range = tick, TICK, 1
            output.mux(_lasting(stream.encode(picture), excerpt.interval_s))
        output.mux(_lasting(stream.encode(None), excerpt.interval_s))
    name = "h264" if codec == "libx264" else codec
    duration_s = float(tick * TICK) + excerpt.interval_s
    return Clip(buffer.getvalue(), start_s, duration_s, width, height, codec=name, reencoded=True)


def _chain(first: tuple[float, VideoFrame], rest: Iterator[tuple[float, VideoFrame]]) -> Iterator[Any]:
    yield first
    yield from rest


def _lasting(packets: list[Packet[Any]], seconds: float) -> list[Packet[Any]]:
    """Encoders say nothing of how long the last picture is shown."""
    for packet in packets:
        packet.duration = packet.duration or max(1, round(seconds / packet.time_base))
    return packets


def _planes(frame: VideoFrame, grid: Geometry, width: int, height: int) -> NDArray[np.uint8]:
    """4:2:0 planes of that size, upright, limited range; a copy: the decoder still refers to its own."""
    coded = (height, width) if grid.is_sideways else (width, height)
    fitted = frame.reformat(width=coded[0], height=coded[1], format="yuv420p", dst_color_range=1, threads=1)
    planes = fitted.to_ndarray().astype(np.uint8, copy=True)
    if grid.rotation == 0 and not grid.mirrored:
        return planes
    luma, chroma = planes[: coded[1]], planes[coded[1] :].reshape(2, coded[1] // 2, coded[0] // 2)
    turned = np.empty((height * 3 // 2, width), np.uint8)
    turned[:height] = upright(luma, grid)
    turned[height:] = np.stack([upright(plane, grid) for plane in chroma]).reshape(height // 2, width)
    return turned


def _even_size(width: int, height: int) -> tuple[int, int]:
    """No wider than MOST_WIDTH, and even, as 4:2:0 is."""
    scale = min(1.0, MOST_WIDTH / width)
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def _encoder() -> tuple[str, dict[str, str]]:
    for codec, options in _ENCODERS:
        try:
            av.codec.Codec(codec, "w")
        except av.error.FFmpegError:
            continue
        return codec, options
    raise RuntimeError("this FFmpeg encodes neither H.264 nor MPEG-4")


def _index_first(packets: int) -> dict[str, str]:
    """Room for the index at the front, instead of moving everything once it is known (which needs a real file)."""
    return {"moov_size": str(4096 + 48 * packets)}
