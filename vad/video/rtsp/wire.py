"""What comes through a connection, taken apart: RTSP messages, and packets interleaved with them.

Bytes that are neither are passed over up to the next that can only be a packet's beginning, and counted.
Source: RFC 2326 section 10.12, RFC 3550 section 5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from vad.video.rtsp.messages import Message, MessageError, parse

_DOLLAR = 0x24
_LETTERS = range(0x41, 0x5B)
_LINE_ENDS = (0x0D, 0x0A)
_HEADER_BYTES = 4
_LEAST_RTP, _LEAST_RTCP = 12, 8
_RTCP_KINDS = range(192, 224)
_VERSION = 0x80
_STARTS = (b"RTSP/", b"OPTIONS ", b"ANNOUNCE ", b"SET_PARAMETER ", b"GET_PARAMETER ", b"REDIRECT ", b"TEARDOWN ")


class Interleaved(NamedTuple):
    """One packet."""

    channel: int
    data: bytes


@dataclass(slots=True)
class Splitter:
    """``push`` what was received. ``faults`` counts the stretches that were neither message nor packet.

    ``channels`` are those of the track that is read, of RTP and of RTCP; ``types`` the payload types announced for it.
    """

    channels: tuple[int, int] | None = None
    types: frozenset[int] = frozenset()
    faults: int = 0
    _rest: bytes = b""
    _is_lost: bool = False

    def push(self, data: bytes) -> list[Interleaved | Message]:
        """What is whole by now, in order. Before there is video a message beyond the bounds raises MessageError."""
        data = self._rest + data if self._rest else data
        found: list[Interleaved | Message] = []
        at, end = 0, len(data)
        while at + _HEADER_BYTES <= end:
            if self._is_lost and not self._is_begin(data, at):
                following = self._next_begin(data, at + 1)
                if following is None:
                    at = max(at, end - _HEADER_BYTES - 1)  # a beginning may be cut in two
                    break
                at = following
            first = data[at]
            if first == _DOLLAR:
                after = at + _HEADER_BYTES + (data[at + 2] << 8 | data[at + 3])
                if not self._may_be_packet(data, at):
                    self._lose()
                    continue
                if after > end:
                    break
                found.append(Interleaved(data[at + 1], data[at + _HEADER_BYTES : after]))
                self._is_lost = False
                at = after
            elif first in _LINE_ENDS:
                at += 1
            elif first in _LETTERS and self._may_be_message(data, at):
                read = self._message(data, at)
                if read is None:
                    break
                if read[0] is not None:
                    found.append(read[0])
                    self._is_lost = False
                at = read[1]
            else:
                self._lose()
        self._rest = data[at:]
        return found

    def _lose(self) -> None:
        if self.channels is None:
            raise MessageError("what it says is no RTSP")
        if not self._is_lost:
            self.faults += 1
        self._is_lost = True

    def _message(self, data: bytes, at: int) -> tuple[Message | None, int] | None:
        try:
            return parse(data, at)
        except MessageError:
            if self.channels is None:
                raise
        self._lose()
        return None, at + 1

    def _may_be_message(self, data: bytes, at: int) -> bool:
        """Or the beginning of one."""
        if self.channels is None:
            return True
        head = data[at : at + 16]
        return any(head.startswith(start) or start.startswith(head) for start in _STARTS)

    def _may_be_packet(self, data: bytes, at: int) -> bool:
        """Of the tracks that are not read anything may come, and is passed over."""
        channels = self.channels
        if channels is None or data[at + 1] not in channels:
            return True
        size = data[at + 2] << 8 | data[at + 3]
        least = _LEAST_RTP if data[at + 1] == channels[0] else _LEAST_RTCP
        return size >= least and (at + 4 >= len(data) or data[at + 4] & 0xC0 == _VERSION)

    def _is_begin(self, data: bytes, at: int) -> bool:
        """Can this only be the beginning of a packet of the track or of a message?"""
        channels = self.channels
        if data[at] != _DOLLAR:
            return data.startswith(_STARTS, at)
        if channels is None or at + 6 > len(data):
            return False
        if data[at + 1] not in channels or not self._may_be_packet(data, at):
            return False
        if data[at + 1] == channels[0]:
            return not self.types or data[at + 5] & 0x7F in self.types
        return data[at + 5] in _RTCP_KINDS

    def _next_begin(self, data: bytes, at: int) -> int | None:
        message, packet = data.find(b"RTSP/", at), data.find(b"$", at)
        while packet >= 0 and (message < 0 or packet < message):
            if self._is_begin(data, packet):
                return packet
            packet = data.find(b"$", packet + 1)
        return message if message >= 0 else None
