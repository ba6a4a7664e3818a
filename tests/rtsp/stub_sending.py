"""The stub camera's pictures as RTP packets and its sender reports as RTCP, both interleaved in the RTSP connection."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.rtsp.footage import START, Footage
from tests.rtsp.quirks import Quirk

PAYLOAD_TYPE, FOREIGN_TYPE = 96, 98
CLOCK_HZ = 90_000
FIRST_STAMP = 12_345
WRAPS_AFTER_S = 1
REPORT_EVERY = 50
"""Pictures from one sender report to the next."""
MTU, BIG = 1400, 60_000

_SSRC = 0x0A0B0C0D
_YEAR_S = 365 * 24 * 3600
_NTP_TO_UNIX_S = 2_208_988_800
_SENDER_REPORT, _BYE = 200, 203


@dataclass
class Rates:
    """``loss`` is the share of packets that are left out. ``stamp_fps`` is the rate by the stamps, where it differs."""

    fps: float = 25.0
    stamp_fps: float | None = None
    loss: float = 0.0


def first_stamp(quirks: set[Quirk]) -> int:
    return 2**32 - CLOCK_HZ * WRAPS_AFTER_S if Quirk.TS_WRAP in quirks else FIRST_STAMP


class Sending:
    """What is sent in one session."""

    def __init__(self, footage: Footage, quirks: set[Quirk], rates: Rates) -> None:
        self._footage, self._quirks, self._rates = footage, quirks, rates
        self._sequence, self._ssrc = 1, _SSRC
        self._shift = 0  # of stamps, in ticks
        self._random = random.Random(1)

    def picture(self, index: int, number: int, media_s: float, *, channel: int) -> bytes:
        """The session's ``index``-th, which is the file's ``number``-th, with a sender report where one is due."""
        quirks = self._quirks
        stamp = self._stamp(index, media_s)
        if Quirk.SSRC_CHANGE in quirks and index == 75:
            self._ssrc, self._sequence = self._ssrc ^ 0xFFFF, 40_000
        blob = b"".join(_interleaved(channel, packet) for packet in self._packets(number, stamp))
        if index % REPORT_EVERY == 0 and Quirk.NO_RTCP not in quirks:
            blob = self.report(index, stamp, channel=channel) + blob
        if Quirk.GARBAGE in quirks and index % 25 == 24:
            blob += self._random.randbytes(37)
        return blob

    def report(self, index: int, stamp: int, *, channel: int) -> bytes:
        """A sender report."""
        quirks, wall_s = self._quirks, time.time()
        if Quirk.NTP_1990S in quirks:
            wall_s -= 20 * _YEAR_S
        if Quirk.NTP_JUMPS in quirks and index // REPORT_EVERY % 2:
            wall_s += 30
        ntp = 0 if Quirk.NTP_ZERO in quirks else round((wall_s + _NTP_TO_UNIX_S) * 2**32) % 2**64
        ssrc = 7 if Quirk.RTCP_OTHER_SSRC in quirks else self._ssrc
        report = struct.pack(">BBHIQIII", 0x80, _SENDER_REPORT, 6, ssrc, ntp, stamp, index, index)
        return _interleaved(channel + 1, report)

    def late_report(self, index: int, media_s: float, *, channel: int) -> bytes:
        """A sender report without a picture."""
        return self.report(index, self._stamp(index, media_s), channel=channel)

    def empty(self, index: int, media_s: float, *, channel: int) -> bytes:
        """A packet without payload."""
        return _interleaved(channel, self._packet(b"", self._stamp(index, media_s), is_marked=False))

    def goodbye(self, *, channel: int) -> bytes:
        return _interleaved(channel + 1, struct.pack(">BBHI", 0x81, _BYE, 1, self._ssrc))

    def _stamp(self, index: int, media_s: float) -> int:
        quirks, first = self._quirks, first_stamp(self._quirks)
        if Quirk.TS_ZERO in quirks:
            return 0
        ticks = round(media_s * CLOCK_HZ)
        if self._rates.stamp_fps:
            ticks = round(index / self._rates.stamp_fps * CLOCK_HZ)
        if Quirk.TS_SAME in quirks:
            ticks -= ticks % (CLOCK_HZ // 10)
        if Quirk.TS_FAST in quirks:
            ticks += ticks // 2
        if Quirk.TS_OUTLIER in quirks and index % 50 == 49:
            ticks -= 9800 * CLOCK_HZ
        if Quirk.TS_BACK in quirks and index and index % 100 == 0:
            self._shift -= 4 * CLOCK_HZ
        if Quirk.TS_RESET in quirks and index >= 100:
            ticks -= round(100 / self._rates.fps * CLOCK_HZ) + FIRST_STAMP
        return (first + ticks + self._shift) % 2**32

    def _packets(self, number: int, stamp: int) -> Iterator[bytes]:
        units = [unit for unit in self._footage.pictures[number] if not self._is_left_out(unit)]
        if Quirk.ANNEXB_IN_RTP in self._quirks:
            units = [START.join(units)]
        if Quirk.EMPTY_FRAGMENT in self._quirks:
            yield self._packet(b"", stamp, is_marked=False)
        for place, unit in enumerate(units):
            is_marked = place == len(units) - 1
            if Quirk.MARKER_ON_SEI in self._quirks:
                is_marked = is_marked or self._footage.kind(unit) in ("sei", "sps", "pps")
            if Quirk.NO_MARKER in self._quirks:
                is_marked = False
            for payload, ends in self._fragments(unit):
                packet = self._packet(payload, stamp, is_marked=is_marked and ends)
                if not (self._rates.loss and self._random.random() < self._rates.loss):
                    yield packet

    def _is_left_out(self, unit: bytes) -> bool:
        kind = self._footage.kind(unit)
        if Quirk.NO_INBAND in self._quirks and kind in ("vps", "sps", "pps"):
            return True
        return Quirk.NO_VPS_INBAND in self._quirks and kind == "vps"

    def _packet(self, payload: bytes, stamp: int, *, is_marked: bool) -> bytes:
        number = FOREIGN_TYPE if Quirk.FOREIGN_PAYLOAD in self._quirks else PAYLOAD_TYPE
        head = struct.pack(">BBHII", 0x80, number | is_marked << 7, self._sequence % 2**16, stamp, self._ssrc)
        self._sequence += 1
        return head + payload

    def _fragments(self, unit: bytes) -> Iterator[tuple[bytes, bool]]:
        """The unit's payloads, each with whether it is the last: RFC 6184 5.8 (FU-A) and RFC 7798 4.4.3."""
        size = BIG if Quirk.BIG_PACKETS in self._quirks else MTU
        if len(unit) <= size:
            yield unit, True
            return
        if self._footage.is_hevc:
            head, number, rest = bytes([(unit[0] & 0x81) | 49 << 1, unit[1]]), (unit[0] >> 1) & 63, unit[2:]
        else:
            head, number, rest = bytes([(unit[0] & 0xE0) | 28]), unit[0] & 31, unit[1:]
        for at in range(0, len(rest), size):
            is_first, is_last = at == 0, at + size >= len(rest)
            says_type = is_first or Quirk.FU_TYPE_LOST not in self._quirks
            mark = is_first << 7 | is_last << 6 | (number if says_type else 0)
            yield head + bytes([mark]) + rest[at : at + size], is_last


def _interleaved(channel: int, packet: bytes) -> bytes:
    """RFC 2326 10.12."""
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet
