"""A video decoder that notices when the stream turns to another codec, and when a GPU does not decode it after all.

A transport stream may change from H.264 to HEVC under way. FFmpeg's demuxer follows but says nothing,
and the decoder just fails from then on. Noticing costs what comes before the new codec's next key frame.

The loop filter of H.264 and HEVC smooths the edges of blocks in every picture, also in those that others refer to, so
that without it errors grow up to the next key frame. It is left out while a camera is behind: see ``filter_from``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import av
import av.error
import structlog
from av import Packet, VideoCodecContext, VideoFrame
from av.video.stream import VideoStream

from vad.errors import StreamCode, StreamError
from vad.video.faults import CORRUPT
from vad.video.hardware import ON_DEVICE
from vad.video.references import References
from vad.video.view import SQUARE, Orientation, PixelAspect, said_by

log = structlog.get_logger(__name__)

MOST_FAILURES = 2
"""Key frames that a GPU may fail at before it has given a picture; then the CPU decodes."""

LOOKS_IN_VAIN = 50
"""Pictures without one that might be left out, after which only one in so many is looked at."""

_TURNS_TO = {"h264": "hevc", "hevc": "h264"}


class DecoderLimits(NamedTuple):
    """What a decoder may take, as options of FFmpeg; ``name`` begins the text of the error where it is more."""

    name: str
    options: Mapping[str, str]


NO_LIMITS = DecoderLimits("", {})


class Decoder:
    """Decodes one stream's packets. ``codec`` names what the last good frame was made of (PyAV looks it up anew).

    ``aspect`` is the pixels' as the container says it, and ``coded_aspect`` as the pictures were said to when they were
    opened: what they say counts where it is something else by now. ``limits`` are those of each decoder that it uses.
    """

    def __init__(
        self,
        context: VideoCodecContext,
        *,
        parallel: bool,
        aspect: PixelAspect = SQUARE,
        coded_aspect: PixelAspect = SQUARE,
        limits: DecoderLimits = NO_LIMITS,
    ) -> None:
        self._name, self._options = limits
        self._context = _threaded(context, parallel=parallel and not context.is_hwaccel)
        self._context.options = dict(self._options)
        self._is_on_device = context.is_hwaccel  # as far as is known
        self._failures = 0 if context.is_hwaccel else None  # None: not, or no longer, in doubt
        self.codec: str = context.name
        self._references = References(self.codec, context.extradata)
        self._in_vain = 0
        self._trial: VideoCodecContext | None = None
        self._is_filtered = True
        self.unfiltered_frames = 0
        self._first, self._aspect = context, aspect
        self._coded_aspect = self._coded_aspect_at_first = coded_aspect
        self._said_throughout: Orientation | None = None

    @property
    def pixel_aspect(self) -> PixelAspect:
        """Of the last good frame."""
        return self._aspect if self._coded_aspect == self._coded_aspect_at_first else self._coded_aspect

    @property
    def container_orientation(self) -> Orientation | None:
        """What only the stream's first decoder knows and puts on each frame, where another one decodes by now."""
        return None if self._context is self._first else self._said_throughout

    @property
    def profile(self) -> str | None:
        return self._context.profile

    @property
    def announced_fps(self) -> float | None:
        """By the stream's own parameter sets, once they were read."""
        rate = self._context.framerate
        return float(rate) if rate else None

    @property
    def extradata(self) -> bytes:
        return bytes(self._context.extradata or b"")

    def may_leave_out(self, packet: Packet[VideoStream]) -> bool:
        """Is it a whole picture that no other refers to, so that the others come out the same without it?"""
        if self._trial is not None or not self._references.can_tell or packet.is_keyframe or packet.is_discard:
            return False
        self._in_vain += 1
        if self._in_vain > LOOKS_IN_VAIN and self._in_vain % LOOKS_IN_VAIN:
            return False  # most cameras never send such a picture
        found = self._references.none_to(bytes(packet))
        if found:
            self._in_vain = 0
        return found

    def filter_from(self, packet: Packet[VideoStream], *, is_filtered: bool) -> list[VideoFrame]:
        """From this packet on decode with the loop filter or without it, if another decoder may begin here.

        FFmpeg takes that choice as a decoder is opened, so that one takes over; the frames that the last one still held
        are returned. Nothing happens where a GPU decodes, in other codecs, and unless nothing from this picture on
        refers to one before it.
        """
        if is_filtered is self._is_filtered or self._is_on_device or self._trial is not None:
            return []
        if not packet.is_keyframe or not self._references.begin_anew(bytes(packet)):
            return []
        last, self._context = self._context, self._another()
        if not is_filtered:
            self._context.options = {**self._options, "skip_loop_filter": "all"}
        end = cast("Packet[VideoStream]", Packet())
        end.time_base = packet.time_base  # the frames have theirs from it
        try:
            return self._counted(last.decode(end))
        finally:
            self._is_filtered = is_filtered

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Raises one of ``CORRUPT`` at a damaged packet, and StreamError at pictures larger than they may be."""
        try:
            frames = self._context.decode(packet)
        except CORRUPT as exc:
            self._doubt_hardware(packet, exc)
            frames = self._decode_as_the_other(packet)
            if not frames:
                raise
            return frames
        except av.error.ArgumentError:
            if (most := self._options.get("max_pixels")) is None:
                raise
            text = f"its pictures are refused, as those of more than {most} pixels are (max_pixels)"
            raise StreamError(StreamCode.CODEC_UNSUPPORTED, f"{self._name}: {text}") from None
        except av.FFmpegError as exc:  # of the device: no memory, no surface, no decoder left
            if not self._is_on_device or isinstance(exc, av.error.EOFError):
                raise
            self._leave_hardware(exc)
            frames = self._context.decode(packet)
        if frames:
            self._trial = self._failures = None
            # PyAV's ``is_hwaccel`` stays as it was where FFmpeg has taken its own decoder without a word
            self._is_on_device = self._is_on_device and frames[0].format.name == ON_DEVICE
            self._coded_aspect = aspect_of(self._context)
            if self._context is self._first and not frames[-1].key_frame:
                self._said_throughout = said_by(frames[-1])
        return self._counted(frames)

    def _counted(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        if not self._is_filtered:
            self.unfiltered_frames += len(frames)
        return frames

    def _doubt_hardware(self, packet: Packet[VideoStream], exc: av.FFmpegError) -> None:
        if self._failures is not None and packet.is_keyframe:
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                self._leave_hardware(exc)

    def _leave_hardware(self, exc: av.FFmpegError) -> None:
        """Go on from the next key frame with FFmpeg's own decoder."""
        log.warning("stream.decoder_fallback", detail=f"the GPU fails to decode: {exc.strerror}; the CPU decodes")
        self._context, self._failures, self._is_on_device = self._another(), None, False

    def _decode_as_the_other(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """What does not decode is tried as the other codec, from the first failure on; one whole frame convinces."""
        other = _TURNS_TO.get(self.codec)
        if other is None:
            return []
        if self._trial is None:
            fresh = cast(VideoCodecContext, VideoCodecContext.create(other, "r"))
            self._trial = _threaded(fresh, parallel=False)
            self._trial.options = dict(self._options)
        try:
            frames = [frame for frame in self._trial.decode(packet) if not frame.is_corrupt]
        except CORRUPT:
            return []
        if frames:
            self._context, self._trial, self.codec = self._trial, None, other
            self._is_filtered, self._is_on_device = True, False
            self._coded_aspect = aspect_of(self._context)
            self._references = References(other, self._context.extradata)
        return frames

    def _another(self) -> VideoCodecContext:
        """A decoder on the CPU for what comes next, with what the container said and the last one has learnt."""
        last, fresh = self._context, cast(VideoCodecContext, VideoCodecContext.create(self.codec, "r"))
        fresh.extradata, fresh.color_range = last.extradata, last.color_range
        fresh.reorder_depth = last.reorder_depth  # or FFmpeg loses frames until it has learnt it again
        fresh.options = dict(self._options)
        return _threaded(fresh, parallel=False)


def aspect_of(thing: VideoCodecContext | VideoStream) -> PixelAspect:
    """Of its pixels; what is not said is square."""
    found = thing.sample_aspect_ratio
    return (found.numerator, found.denominator) if found else SQUARE


def _threaded(context: VideoCodecContext, *, parallel: bool) -> VideoCodecContext:
    """One thread for each of many live streams; every core for a recording read as fast as possible."""
    context.thread_count = 0 if parallel else 1
    context.thread_type = "AUTO" if parallel else "NONE"
    return context
