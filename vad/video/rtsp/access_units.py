"""Units become pictures: each is given as soon as its last packet is there, if the camera marks that one.

Source: ITU-T H.264 section 7.4.1.2.3 and ITU-T H.265 section 7.4.2.4.4 (where a picture begins), RFC 6184 section 5.1
(the marker bit).
"""

from __future__ import annotations

from typing import NamedTuple

from vad.video.rtsp.units import SETS, START, Codec, Kind, ParameterSets, begins_decoding, kind_of, split

MOST_PICTURE_BYTES = 32 * 2**20


class AccessUnit(NamedTuple):
    """A picture as a decoder takes it, each unit behind a start code."""

    data: bytes
    stamp: int  # of RTP
    is_key: bool


class AccessUnits:
    """``push`` the units of each packet. ``sets`` learns from them, and makes up for a VPS that never comes.

    ``dropped`` counts what grew beyond all measure.
    """

    def __init__(self, codec: Codec, sets: ParameterSets) -> None:
        self._codec, self._sets = codec, sets
        self.dropped = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._stamp = 0
        self._has_picture = self._is_key = False
        self._is_marker_believed = True
        self._ended_by_marker = False  # the last one was

    def push(self, units: list[bytes], *, stamp: int, is_marked: bool) -> list[AccessUnit]:
        """Those that are whole by now. ``is_marked``: the packet says that it is a picture's last."""
        ended: list[AccessUnit] = []
        for sent in units:
            for unit in split(sent):
                ended += self._take(unit, stamp)
        if is_marked and self._has_picture and self._is_marker_believed:
            ended.append(self._end())
            self._ended_by_marker = True
        return ended

    def _take(self, unit: bytes, stamp: int) -> list[AccessUnit]:
        kind, ended = kind_of(unit, self._codec), []
        if self._has_picture and (stamp != self._stamp or kind not in (Kind.SLICE, Kind.OTHER)):
            ended.append(self._end())
        elif kind is Kind.SLICE and self._ended_by_marker and stamp == self._stamp:
            self._is_marker_believed = False  # it is on each slice: from now on the next picture's beginning tells
        if kind is not Kind.OTHER:
            self._ended_by_marker = False
        self._stamp = stamp
        if kind in SETS:
            self._sets.note(unit)
            if kind is Kind.SPS and (vps := self._sets.make_vps()):
                self._add(vps)
        self._add(unit)
        self._has_picture = self._has_picture or kind in (Kind.FIRST_SLICE, Kind.SLICE)
        self._is_key = self._is_key or begins_decoding(unit, self._codec)
        return ended

    def _add(self, unit: bytes) -> None:
        if self._size + len(unit) > MOST_PICTURE_BYTES:
            self.dropped += 1
            return
        self._parts += START, unit
        self._size += len(unit)

    def _end(self) -> AccessUnit:
        unit = AccessUnit(b"".join(self._parts), self._stamp, self._is_key)
        self._parts, self._size = [], 0
        self._has_picture = self._is_key = False
        return unit
