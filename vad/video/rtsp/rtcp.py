"""RTCP: sender reports and goodbyes are read, receiver reports are made. Source: RFC 3550 section 6."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_SENDER_REPORT, _RECEIVER_REPORT, _DESCRIPTION, _GOODBYE = 200, 201, 202, 203
_NTP_TO_UNIX_S = 2_208_988_800
_CANONICAL_NAME = b"vad"


@dataclass(frozen=True, slots=True)
class SenderReport:
    """At ``wall_s`` (UTC by the camera's clock, None where it has none) the time stamp was ``stamp``."""

    ssrc: int
    wall_s: float | None
    stamp: int
    middle: int  # of the 64 bits of its time, as receiver reports repeat it


@dataclass(frozen=True, slots=True)
class Goodbye:
    """These sources have ended; without any, whoever sends it has."""

    ssrcs: tuple[int, ...]


def read(packet: bytes) -> Iterator[SenderReport | Goodbye]:
    """What a compound packet holds of interest; it is read up to the first part that makes no sense."""
    at = 0
    while at + 4 <= len(packet):
        first, kind, words = struct.unpack_from(">BBH", packet, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2 or end > len(packet):
            return
        if kind == _SENDER_REPORT and end - at >= 20:
            ssrc, ntp, stamp = struct.unpack_from(">IQI", packet, at + 4)
            wall_s = ntp / 2**32 - _NTP_TO_UNIX_S if ntp else None
            yield SenderReport(ssrc, wall_s, stamp, ntp >> 16 & 0xFFFFFFFF)
        elif kind == _GOODBYE:
            count = min(first & 31, words)
            yield Goodbye(struct.unpack_from(f">{count}I", packet, at + 4))
        at = end


def receiver_report(own: int, *, of: int, highest: int, lost: int, report: SenderReport | None, age_s: float) -> bytes:
    """That what ``of`` sends comes, as its source ``own``. ``highest`` is its last extended sequence number.

    ``report`` is its last sender report, ``age_s`` old.
    """
    middle, delay = (report.middle, min(int(age_s * 65536), 0xFFFFFFFF)) if report else (0, 0)
    block = struct.pack(">IIIIII", of, min(lost, 0x7FFFFF), highest & 0xFFFFFFFF, 0, middle, delay)
    head = struct.pack(">BBHI", 0x81, _RECEIVER_REPORT, 7, own)
    item = struct.pack(">IBB", own, 1, len(_CANONICAL_NAME)) + _CANONICAL_NAME
    item += bytes(4 - len(item) % 4)
    return head + block + struct.pack(">BBH", 0x81, _DESCRIPTION, len(item) // 4) + item
