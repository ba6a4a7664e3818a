"""A video decoder that notices when the stream turns to another codec.

A transport stream may change from H.264 to HEVC under way. FFmpeg's demuxer follows but says nothing,
and the decoder just fails from then on. Noticing costs what comes before the new codec's next key frame.
"""

from __future__ import annotations

from typing import cast

from av import Packet, VideoCodecContext, VideoFrame
from av.video.stream import VideoStream

from vad.video.faults import CORRUPT
from vad.video.references import References

_TURNS_TO = {"h264": "hevc", "hevc": "h264"}


class Decoder:
    """Decodes one stream's packets. ``codec`` names what the last good frame was made of."""

    def __init__(self, context: VideoCodecContext, *, parallel: bool) -> None:
        self._context = _threaded(context, parallel=parallel)
        self._references = References(context.name, context.extradata)
        self._trial: VideoCodecContext | None = None

    @property
    def codec(self) -> str:
        return self._context.name

    @property
    def profile(self) -> str | None:
        return self._context.profile

    @property
    def extradata(self) -> bytes:
        return bytes(self._context.extradata or b"")

    def may_leave_out(self, packet: Packet[VideoStream]) -> bool:
        """Is it a whole picture that no other refers to, so that the others come out the same without it?"""
        if self._trial is not None or not self._references.can_tell or packet.is_keyframe or packet.is_discard:
            return False
        return self._references.none_to(bytes(packet))

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Raises one of ``CORRUPT`` at a damaged packet."""
        try:
            frames = self._context.decode(packet)
        except CORRUPT:
            frames = self._decode_as_the_other(packet)
            if not frames:
                raise
            return frames
        if frames:
            self._trial = None
        return frames

    def _decode_as_the_other(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """What does not decode is tried as the other codec, from the first failure on; one whole frame convinces."""
        other = _TURNS_TO.get(self.codec)
        if other is None:
            return []
        if self._trial is None:
            fresh = cast(VideoCodecContext, VideoCodecContext.create(other, "r"))
            self._trial = _threaded(fresh, parallel=False)
        try:
            frames = [frame for frame in self._trial.decode(packet) if not frame.is_corrupt]
        except CORRUPT:
            return []
        if frames:
            self._context, self._trial = self._trial, None
            self._references = References(other, self._context.extradata)
        return frames


def _threaded(context: VideoCodecContext, *, parallel: bool) -> VideoCodecContext:
    """One thread for each of many live streams; every core for a recording read as fast as possible."""
    context.thread_count = 0 if parallel else 1
    context.thread_type = "AUTO" if parallel else "NONE"
    return context
