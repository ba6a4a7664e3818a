"""A camera's H.264 or HEVC over RTSP and TCP, as ``vad.video.source.Feed``.

The thread that reads it does all of this; nothing runs beside it. Whatever keeps video from coming, though the camera
talks on, is found here and named: FFmpeg drops such packets without a word and waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

from av import Packet, VideoCodecContext, VideoFrame
from av.codec.hwaccel import HWAccel
from av.video.stream import VideoStream

from vad.errors import StreamCode, StreamError
from vad.video.decoding import NO_LIMITS, Decoder, DecoderLimits
from vad.video.patience import Patience
from vad.video.rtsp.access_units import AccessUnit, AccessUnits
from vad.video.rtsp.address import Address
from vad.video.rtsp.conversation import Conversation, begin
from vad.video.rtsp.description import Description, Format, Track
from vad.video.rtsp.reception import Reception, RtpPacket
from vad.video.rtsp.units import Codec, ParameterSets
from vad.video.rtsp.unpacking import Recognition, Unpacker
from vad.video.rtsp.wire import Interleaved
from vad.video.view import Orientation, PixelAspect


@dataclass(frozen=True, slots=True)
class Opening:
    """How a camera is opened and decoded. ``name`` begins the text of errors."""

    address: Address
    name: str
    timeout_s: float
    limits: DecoderLimits = NO_LIMITS
    accel: HWAccel | None = None
    stop: threading.Event = field(default_factory=threading.Event)


def open_feed(opening: Opening) -> RtspFeed | Address:
    """Begin to play the first track that can be read here. Raises StreamError.

    Where a camera has other video only, that is for FFmpeg: the address at which it is.
    """
    conversation, description = _begin(opening)
    try:
        tracks = _readable(description)
        if not tracks:
            return _for_ffmpeg(conversation, description, opening)
        conversation.set_up(tracks[0])
        conversation.play()
        return RtspFeed(conversation, tracks, opening)
    except BaseException:
        conversation.close()
        raise


def _begin(opening: Opening) -> tuple[Conversation, Description]:
    return begin(opening.address, name=opening.name, timeout_s=opening.timeout_s, stop=opening.stop)


def _readable(description: Description) -> list[Track]:
    return [track for track in description.tracks if track.media == "video" and _format(track) is not None]


def _format(track: Track) -> Format | None:
    return next((known for known in track.formats if Codec.of(known.encoding) is not None), None)


def _for_ffmpeg(conversation: Conversation, description: Description, opening: Opening) -> Address:
    conversation.close()
    if not any(track.media == "video" for track in description.tracks):
        kinds = ", ".join(sorted({track.media for track in description.tracks})) or "nothing"
        raise StreamError(StreamCode.NO_VIDEO, f"{opening.name}: holds {kinds}; needed: video")
    kind = conversation.authenticator.kind
    if kind is not None and "SHA-256" in kind:
        video = next(track for track in description.tracks if track.media == "video")
        text = f"wants {kind}, and sends {video}, which is read by FFmpeg, which cannot; allowed: H264, H265"
        raise StreamError(StreamCode.CODEC_UNSUPPORTED, f"{opening.name}: {text}")
    return conversation.address


class RtspFeed:
    """See ``vad.video.source.Feed``. ``conversation`` plays the first of ``tracks``; the next follows a mute one."""

    live = True
    stamped = True
    container = "rtsp"
    duration_s: float | None = None

    def __init__(self, conversation: Conversation, tracks: list[Track], opening: Opening) -> None:
        self._opening, self._conversation = opening, conversation
        self._tracks = tracks
        self._patience = Patience(opening.timeout_s)
        self._silent_s = self._deaf_s = 0.0  # waited for a picture, and for any packet at all
        self._foreign: set[int] = set()  # payload types that come and were not announced
        self._has_packets = False  # of the track
        self._given_wall_s: float | None = None  # of the packet given last, by the camera's clock
        self._faults_before = 0  # of tracks tried before
        self._take_track(0)
        self._packets = self._read()

    def packets(self) -> Iterator[Packet[VideoStream]]:
        return self._packets

    def sender_wall_s(self, packet: Packet[VideoStream]) -> float | None:
        return self._given_wall_s

    @property
    def faults(self) -> int:
        return self._faults_before + self._track_faults

    @property
    def notes(self) -> list[str]:
        """What is unusual about this camera, for people."""
        notes = []
        if self._conversation.authenticator.kind is not None:
            notes.append(f"authenticates by {self._conversation.authenticator.kind}")
        if self._index:
            notes.append(f"video comes on track {self._index + 1} of {len(self._tracks)} only")
        if self._codec is not self._announced:
            notes.append(f"announces {self._announced.encoding} and sends {self._codec.encoding}")
        if self._sets.is_vps_made:
            notes.append("sends no VPS: one is made from its SPS")
        if self._conversation.splitter.faults:
            notes.append(f"bytes that are no packet, {self._conversation.splitter.faults} times")
        return notes

    @property
    def missing(self) -> str | None:
        """Without what nothing can be decoded, for people."""
        missing = self._sets.missing
        return f"the camera sends no {' and no '.join(missing)} ({self._codec.encoding})" if missing else None

    @property
    def announced_fps(self) -> float | None:
        return self._tracks[self._index].fps or self._decoder.announced_fps

    @property
    def unfiltered_frames(self) -> int:
        return self._decoder.unfiltered_frames

    @property
    def codec(self) -> str:
        return self._decoder.codec

    @property
    def profile(self) -> str | None:
        return self._decoder.profile

    @property
    def pixel_aspect(self) -> PixelAspect:
        return self._decoder.pixel_aspect

    @property
    def container_orientation(self) -> Orientation | None:
        return self._decoder.container_orientation

    @property
    def extradata(self) -> bytes:
        return self._sets.extradata

    def may_leave_out(self, packet: Packet[VideoStream]) -> bool:
        return self._decoder.may_leave_out(packet)

    def filter_from(self, packet: Packet[VideoStream], *, is_filtered: bool) -> list[VideoFrame]:
        return self._decoder.filter_from(packet, is_filtered=is_filtered)

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        return self._decoder.decode(packet)

    def close(self) -> None:
        self._packets.close()
        self._conversation.close()

    def _take_track(self, index: int) -> None:
        """Expect what that track announces."""
        track = self._tracks[index]
        known = _format(track)
        if known is None:
            raise ValueError(f"{track} cannot be read here")
        self._index, self._track = index, track
        self._reception = Reception(known.clock_hz)
        self._time_base = Fraction(1, known.clock_hz)
        self._take_format(known)

    def _take_format(self, known: Format) -> None:
        self._format = known
        self._announced = Codec.of(known.encoding) or Codec.H264
        self._recognition: Recognition | None = Recognition(self._announced)
        self._held: list[RtpPacket] = []  # until it is clear what they are
        self._expect(self._announced)

    def _expect(self, codec: Codec) -> None:
        """Prepare for units of that codec."""
        parameters = self._format.parameters
        self._codec = codec
        self._sets = ParameterSets.announced(codec, parameters if codec is self._announced else {})
        self._sets.make_vps()
        has_order_numbers = parameters.get("sprop-max-don-diff", "0") not in ("", "0")
        self._unpacker = Unpacker(codec, has_order_numbers=has_order_numbers and codec is Codec.HEVC)
        self._units = AccessUnits(codec, self._sets)
        context = VideoCodecContext.create(codec.value, "r", hwaccel=self._opening.accel)
        context.extradata = self._sets.extradata or None
        self._decoder = Decoder(
            context, parallel=False, limits=self._opening.limits
        )  # parallel would hold pictures back

    @property
    def _track_faults(self) -> int:
        return self._conversation.splitter.faults + self._unpacker.damaged + self._units.dropped

    def _read(self) -> Generator[Packet[VideoStream], None, None]:
        """Ends where the camera ends the session, or once ``stop`` is set."""
        while not self._opening.stop.is_set() and not self._reception.has_ended:
            began_s = time.monotonic()
            items = self._conversation.receive()
            now_s = time.monotonic()
            if items is None:
                return
            self._deaf_s = 0.0 if items else self._deaf_s + now_s - began_s
            self._silent_s += now_s - began_s
            for item in items:
                for unit in self._taken(item, now_s):
                    yield self._packet(unit)
            self._report(now_s)
            if self._silent_s > self._patience.timeout_s:
                raise self._why_silent()
            if not self._has_packets and self._silent_s > self._opening.timeout_s / 2 and self._has_another_track:
                self._switch()

    def _taken(self, item: Interleaved, now_s: float) -> list[AccessUnit]:
        """The pictures that are whole with this packet."""
        channels = self._conversation.splitter.channels or (0, 1)
        if item.channel == channels[1]:
            self._reception.rtcp(item.data, now_s=now_s)
        if item.channel != channels[0]:
            return []
        packet = self._reception.rtp(item.data)
        if packet is None:
            return []
        if packet.payload_type != self._format.payload_type and not self._is_other_format(packet.payload_type):
            return []
        self._has_packets = True
        ended: list[AccessUnit] = []
        for known_packet in self._recognised(packet):
            units = self._unpacker.units(known_packet.payload, is_gap=known_packet.is_gap)
            ended += self._units.push(units, stamp=known_packet.stamp, is_marked=known_packet.is_marked)
        if ended:
            self._silent_s = 0.0
            self._patience.note(now_s)
        return ended

    def _is_other_format(self, payload_type: int) -> bool:
        """Of several that are announced for a track, one that can be read is taken before the first packet of any."""
        known = self._track.format(payload_type)
        if known is None:
            self._foreign.add(payload_type)
        if known is None or Codec.of(known.encoding) is None or self._has_packets:
            return False
        self._take_format(known)
        return True

    def _recognised(self, packet: RtpPacket) -> list[RtpPacket]:
        """Packets of which it is clear what they are made of."""
        if self._recognition is None:
            return [packet]
        self._held.append(packet)
        codec = self._recognition.of(packet.payload)
        if codec is None:
            return []
        if codec is not self._codec:
            self._expect(codec)
        self._recognition = None
        held, self._held = self._held, []
        return held

    def _packet(self, unit: AccessUnit) -> Packet[VideoStream]:
        # not Packet(unit.data), whose end needs the GIL: a decoder's threads would wait for it for ever while the
        # decoder, closed by who has it, waits for them
        packet = cast("Packet[VideoStream]", Packet(len(unit.data)))
        packet.update(unit.data)
        packet.pts, packet.time_base, packet.is_keyframe = unit.stamp, self._time_base, unit.is_key
        self._given_wall_s = self._reception.wall_s(unit.stamp)
        return packet

    def _report(self, now_s: float) -> None:
        report = self._reception.report(now_s=now_s)
        channels = self._conversation.splitter.channels
        if report is not None and channels is not None:
            self._conversation.send(channels[1], report)

    @property
    def _has_another_track(self) -> bool:
        return self._index + 1 < len(self._tracks)

    def _switch(self) -> None:
        """Play the next track instead: of several some encoders send one only."""
        self._faults_before += self._track_faults
        self._conversation.close()
        index = self._index + 1
        self._conversation, description = _begin(self._opening)
        tracks = _readable(description)
        if index >= len(tracks):
            raise self._error(StreamCode.BROKEN, "describes other tracks than before")
        self._tracks = tracks
        self._take_track(index)
        self._conversation.set_up(tracks[index])
        self._conversation.play()
        self._silent_s = 0.0

    def _why_silent(self) -> StreamError:
        if self._foreign and not self._has_packets:
            types = " and ".join(str(number) for number in sorted(self._foreign))
            text = f"announces {self._tracks[self._index]}, and sends payload type {types}"
            return self._error(StreamCode.CODEC_UNSUPPORTED, text)
        if self._deaf_s < self._silent_s / 2:
            text = f"no picture came for {self._silent_s:.1f} s, though the camera sends other packets"
            return self._error(StreamCode.NO_VIDEO_PACKETS, text)
        return self._error(StreamCode.TIMEOUT, f"nothing came for {self._silent_s:.1f} s")

    def _error(self, code: StreamCode, text: str) -> StreamError:
        return StreamError(code, f"{self._opening.name}: {text}")
