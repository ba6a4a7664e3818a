"""RTP payloads become units again: single ones, several in one packet, one in several packets.

Source: RFC 6184 section 5 (H.264), RFC 7798 section 4.4 (HEVC). Which of the two comes is told by the units themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from vad.video.rtsp.units import Codec

MOST_UNIT_BYTES = 16 * 2**20
LOOKED_AT = 10
"""Packets after which it is clear what is sent."""

_H264_TYPES = frozenset({1, 5, 6, 7, 8, 9, 12, 24, 28})
_HEVC_TYPES = frozenset({*range(10), *range(16, 22), *range(32, 36), 38, 39, 40, 48, 49})
_STAP_A, _STAP_B, _FU_A, _FU_B = 24, 25, 28, 29
_AGGREGATION, _FRAGMENT = 48, 49


@dataclass(slots=True)
class Recognition:
    """Is it the codec that was announced? ``of`` the first packets; it answers None while it cannot tell."""

    announced: Codec
    _seen: int = 0
    _other: int = 0

    def of(self, payload: bytes) -> Codec | None:
        if len(payload) < 3:
            return None
        is_announced, is_other = _may_be(payload, self.announced), _may_be(payload, self.announced.other)
        if is_announced and not is_other:
            return self.announced
        self._seen += 1
        self._other += is_other and not is_announced
        if self._other >= LOOKED_AT // 2:
            return self.announced.other
        return self.announced if self._seen >= LOOKED_AT else None


def _may_be(payload: bytes, codec: Codec) -> bool:
    first, second = payload[0], payload[1]
    if first & 0x80:
        return False
    if codec is Codec.H264:
        return first & 31 in _H264_TYPES
    is_base_layer = first & 1 == 0 and second >> 3 == 0 and second & 7 != 0
    return is_base_layer and first >> 1 in _HEVC_TYPES


class Unpacker:
    """``units`` of one payload after the other. ``damaged`` counts those of which a part is missing."""

    def __init__(self, codec: Codec, *, has_order_numbers: bool = False) -> None:
        self._codec = codec
        self._number_bytes = 2 if has_order_numbers else 0
        self._parts: list[bytes] = []  # of a unit that is not whole
        self._size = 0
        self._is_damaged = False
        self.damaged = 0

    def units(self, payload: bytes, *, is_gap: bool) -> list[bytes]:
        """``is_gap``: packets before this one are missing. A unit that lacks its end is given as far as it came."""
        if is_gap and self._parts:
            self._is_damaged = True
        if len(payload) < 3:
            return []  # nothing, or a header without anything behind it
        if self._codec is Codec.H264:
            return self._h264(payload)
        return self._hevc(payload)

    def _h264(self, payload: bytes) -> list[bytes]:
        number = payload[0] & 31
        if number in (_FU_A, _FU_B):
            at = 2 if number == _FU_A else 4
            return self._fragment(payload[1], bytes([payload[0] & 0xE0 | payload[1] & 31]), payload[at:])
        if number in (_STAP_A, _STAP_B):
            return self._unfinished() + _aggregated(payload, 1 if number == _STAP_A else 3)
        return [*self._unfinished(), payload]

    def _hevc(self, payload: bytes) -> list[bytes]:
        number, after = payload[0] >> 1 & 63, 2 + self._number_bytes
        if number == _FRAGMENT:
            head = bytes([payload[0] & 0x81 | (payload[2] & 63) << 1, payload[1]])
            return self._fragment(payload[2], head, payload[1 + after :])
        if number == _AGGREGATION:
            return self._unfinished() + _aggregated(payload, after, skipped=1 if self._number_bytes else 0)
        return [*self._unfinished(), payload[:2] + payload[after:] if self._number_bytes else payload]

    def _fragment(self, mark: int, head: bytes, data: bytes) -> list[bytes]:
        """Its header says whether it is the unit's first or last; some cameras tell the type in the first one only."""
        before: list[bytes] = []
        if mark & 0x80:
            before = self._unfinished()
            self._parts, self._size = [head], 0
        elif not self._parts:
            return []  # joined in the middle, or its beginning is lost, which was counted
        if not self._is_damaged:
            self._parts.append(data)
            self._size += len(data)
            self._is_damaged = self._size > MOST_UNIT_BYTES
        return before + self._unfinished(is_whole=True) if mark & 0x40 else before

    def _unfinished(self, *, is_whole: bool = False) -> list[bytes]:
        """What there is of the unit, which ends here."""
        if not self._parts:
            return []
        if self._is_damaged or not is_whole:
            self.damaged += 1
        unit, self._parts, self._size, self._is_damaged = b"".join(self._parts), [], 0, False
        return [unit]


def _aggregated(payload: bytes, at: int, *, skipped: int = 0) -> list[bytes]:
    """Several units, each behind its length; behind each but the first stand ``skipped`` bytes."""
    units = []
    while at + 2 < len(payload):
        size = payload[at] << 8 | payload[at + 1]
        units.append(payload[at + 2 : at + 2 + size])
        at += 2 + size + skipped
    return [unit for unit in units if unit]
