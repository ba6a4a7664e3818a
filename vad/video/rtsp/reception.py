"""What is received of one track: its RTP packets in order, how many are missing, and what time it is at the sender's.

Source: RFC 3550 sections 5.1 (header), 5.3.1 (extension), 6.4.1 (sender reports) and 6.2 (when to report).
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from vad.video.rtsp.rtcp import Goodbye, SenderReport, read, receiver_report

REPORT_EVERY_S = 5.0

_HEADER = struct.Struct(">BBHII")
_HALF_STAMPS, _STAMPS = 2**31, 2**32
_SEQUENCES = 2**16


class RtpPacket(NamedTuple):
    """``stamp`` goes on where 32 bits overflow, and begins at 0. ``is_gap``: packets before this one are missing."""

    payload_type: int
    payload: bytes
    stamp: int
    is_marked: bool
    is_gap: bool


class Reception:
    """One session's. ``clock_hz`` is what its stamps count."""

    def __init__(self, clock_hz: int) -> None:
        self._tick_s = 1.0 / clock_hz
        self._own = int.from_bytes(os.urandom(4), "big")
        self._ssrc: int | None = None
        self._sequence = self._lost = self._cycles = 0
        self._raw_stamp: int | None = None  # of the last packet
        self.stamp = 0
        self._report: SenderReport | None = None
        self._report_stamp = 0  # as ``stamp``
        self._report_s = 0.0
        self._reported_s = 0.0
        self.has_ended = False  # the sender has said goodbye

    def rtp(self, data: bytes) -> RtpPacket | None:
        """None for what is no RTP."""
        if len(data) < _HEADER.size or data[0] >> 6 != 2:
            return None
        first, second, sequence, stamp, ssrc = _HEADER.unpack_from(data)
        at, end = _HEADER.size + 4 * (first & 15), len(data)
        if first & 16:
            at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if first & 32:
            end -= data[-1]
        is_gap = self._follow(sequence, ssrc)
        self.stamp = self._unwrapped(stamp)
        self._raw_stamp = stamp
        return RtpPacket(second & 127, data[at : max(at, end)], self.stamp, second >= 128, is_gap)

    def rtcp(self, data: bytes, *, now_s: float) -> None:
        """Sender reports of whatever source are believed: cameras write another one there."""
        for part in read(data):
            if isinstance(part, SenderReport):
                self._report, self._report_stamp, self._report_s = part, self._unwrapped(part.stamp), now_s
            elif isinstance(part, Goodbye) and (not part.ssrcs or self._ssrc in (None, *part.ssrcs)):
                self.has_ended = True

    def wall_s(self, stamp: int) -> float | None:
        """UTC of a stamp by the sender's clock, None before it was told."""
        report = self._report
        if report is None or report.wall_s is None:
            return None
        return report.wall_s + (stamp - self._report_stamp) * self._tick_s

    def report(self, *, now_s: float) -> bytes | None:
        """What the sender is to be told, where that is due."""
        if self._ssrc is None or now_s - self._reported_s < REPORT_EVERY_S:
            return None
        self._reported_s = now_s
        highest = self._cycles + self._sequence
        age_s = now_s - self._report_s
        return receiver_report(
            self._own, of=self._ssrc, highest=highest, lost=self._lost, report=self._report, age_s=age_s
        )

    def _follow(self, sequence: int, ssrc: int) -> bool:
        """Whether something is missing between the packet before and this one."""
        if ssrc != self._ssrc:  # the first packet, or another source in its place
            is_first, self._ssrc = self._ssrc is None, ssrc
            self._sequence, self._cycles, self._lost = sequence, 0, 0
            return not is_first
        step = (sequence - self._sequence) % _SEQUENCES
        self._cycles += _SEQUENCES if sequence < self._sequence and step < _SEQUENCES // 2 else 0
        self._lost += step - 1 if 1 < step < _SEQUENCES // 2 else 0
        self._sequence = sequence
        return step != 1

    def _unwrapped(self, stamp: int) -> int:
        if self._raw_stamp is None:
            self._raw_stamp = stamp
        step = (stamp - self._raw_stamp + _HALF_STAMPS) % _STAMPS - _HALF_STAMPS
        return self.stamp + step
