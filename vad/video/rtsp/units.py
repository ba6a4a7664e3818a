"""The units that H.264 and HEVC pictures are made of: what kind each is, and which parameter sets are known.

Source: ITU-T H.264 section 7.3.1 and 7.4.1.2, ITU-T H.265 section 7.3.1 and 7.4.2.4.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vad.video.rtsp.vps import SetError, made_from

START = b"\0\0\0\1"
_SHORT_START = b"\0\0\1"
_RECOVERY_POINT = 6


class Codec(StrEnum):
    """As FFmpeg calls them."""

    H264 = "h264"
    HEVC = "hevc"

    @property
    def encoding(self) -> str:
        """As session descriptions call it."""
        return "H264" if self is Codec.H264 else "H265"

    @property
    def other(self) -> Codec:
        return Codec.HEVC if self is Codec.H264 else Codec.H264

    @classmethod
    def of(cls, encoding: str) -> Codec | None:
        return {"H264": cls.H264, "H265": cls.HEVC, "HEVC": cls.HEVC}.get(encoding.upper())


class Kind(StrEnum):
    """What a unit is."""

    FIRST_SLICE = "first_slice"  # a picture's first
    SLICE = "slice"
    VPS = "VPS"
    SPS = "SPS"
    PPS = "PPS"
    BEFORE = "before"  # what stands before a picture: delimiters, information on what comes
    OTHER = "other"


_H264_KINDS = {6: Kind.BEFORE, 7: Kind.SPS, 8: Kind.PPS, 9: Kind.BEFORE, 14: Kind.BEFORE, 15: Kind.BEFORE}
_HEVC_KINDS = {32: Kind.VPS, 33: Kind.SPS, 34: Kind.PPS, 35: Kind.BEFORE, 39: Kind.BEFORE}
_IRAP = range(16, 24)
SETS = (Kind.VPS, Kind.SPS, Kind.PPS)


def kind_of(unit: bytes, codec: Codec) -> Kind:
    """``unit`` is without its start code."""
    if len(unit) < 3:
        return Kind.OTHER
    if codec is Codec.H264:
        number = unit[0] & 31
        if number in (1, 2, 5):
            return Kind.FIRST_SLICE if unit[1] & 0x80 else Kind.SLICE
        return _H264_KINDS.get(number, Kind.OTHER)
    number = unit[0] >> 1 & 63
    if number < 32:
        return Kind.FIRST_SLICE if unit[2] & 0x80 else Kind.SLICE
    return _HEVC_KINDS.get(number, Kind.OTHER)


def begins_decoding(unit: bytes, codec: Codec) -> bool:
    """Whether a decoder may begin with its picture: a random access point (IDR, for one), or a recovery point."""
    if codec is Codec.HEVC:
        return unit[0] >> 1 & 63 in _IRAP
    return unit[0] & 31 == 5 or (unit[0] & 31 == 6 and _RECOVERY_POINT in _messages(unit))


def _messages(unit: bytes) -> Iterator[int]:
    """The types of the messages in a unit of supplemental information (ITU-T H.264 section 7.3.2.3.1)."""
    at, end = 1, min(len(unit), 512)
    while at < end - 1:
        values = []
        for _ in range(2):  # type and size
            value = 0
            while at < end and unit[at] == 0xFF:
                value, at = value + 255, at + 1
            if at >= end:
                return
            values.append(value + unit[at])
            at += 1
        yield values[0]
        at += values[1]


def split(unit: bytes) -> list[bytes]:
    """The units in what a camera sends as one: some keep the start codes of a whole picture (mediamtx issue 707)."""
    if _SHORT_START not in unit:
        return [unit]
    pieces = (piece.rstrip(b"\0") for piece in unit.split(_SHORT_START))
    return [piece for piece in pieces if piece]


@dataclass(slots=True)
class ParameterSets:
    """The latest of each kind, from the session description and from the stream itself."""

    codec: Codec
    known: dict[Kind, bytes] = field(default_factory=dict)
    is_vps_made: bool = False  # by this: the camera sends none

    @classmethod
    def announced(cls, codec: Codec, parameters: Mapping[str, str]) -> ParameterSets:
        """By a format's parameters (RFC 6184 section 8.1, RFC 7798 section 7.1)."""
        sets = cls(codec)
        names = ("sprop-parameter-sets",) if codec is Codec.H264 else ("sprop-vps", "sprop-sps", "sprop-pps")
        for text in (part for name in names for part in parameters.get(name, "").split(",")):
            for unit in split(_decoded(text)):
                sets.note(unit)
        return sets

    def note(self, unit: bytes) -> None:
        kind = kind_of(unit, self.codec)
        if kind in SETS:
            self.known[kind] = unit
            self.is_vps_made = self.is_vps_made and kind is not Kind.VPS

    def make_vps(self) -> bytes | None:
        """One that fits the SPS, where a decoder needs it and the camera sends none; None where none can be made."""
        if self.codec is Codec.H264 or Kind.VPS in self.known or Kind.SPS not in self.known:
            return None
        try:
            self.known[Kind.VPS] = made_from(self.known[Kind.SPS])
        except SetError:
            return None
        self.is_vps_made = True
        return self.known[Kind.VPS]

    @property
    def missing(self) -> list[Kind]:
        """Without these nothing can be decoded."""
        needed = SETS if self.codec is Codec.HEVC else SETS[1:]
        return [kind for kind in needed if kind not in self.known]

    @property
    def extradata(self) -> bytes:
        """All that are known, as a decoder is told them."""
        return b"".join(START + self.known[kind] for kind in SETS if kind in self.known)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""  # a set that cannot be read is one that was not announced
