"""H.264 as files keep it (each unit behind its length) turned to what streams send (each behind a start code)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

START = b"\0\0\0\1"
_SEQUENCE_SET = 7


@dataclass(slots=True)
class Annexed:
    """One stream's. ``sets`` are its parameter sets, put before each key frame that does not bring its own."""

    length_bytes: int  # 0: it comes with start codes already
    sets: bytes
    is_sound: bool = True

    @classmethod
    def of(cls, extradata: bytes) -> Self:
        """From what the demuxer says: an ``avcC`` record, parameter sets with start codes, or nothing."""
        if not extradata or extradata[0] != 1:
            return cls(0, extradata)
        if len(extradata) < 7:
            return cls(4, b"", is_sound=False)
        sets, at = [], 6
        for count in (extradata[5] & 31, None):
            if count is None:
                count, at = (extradata[at], at + 1) if at < len(extradata) else (0, at)
            for _ in range(count):
                size = int.from_bytes(extradata[at : at + 2], "big")
                sets.append(START + extradata[at + 2 : at + 2 + size])
                at += 2 + size
        return cls((extradata[4] & 3) + 1, b"".join(sets), is_sound=at <= len(extradata))

    def convert(self, data: bytes, *, is_key: bool) -> bytes:
        """One packet with start codes; ``is_sound`` turns False when its lengths do not add up."""
        units = self._with_starts(data) if self.length_bytes else data
        if is_key and not _brings_sets(units):
            return self.sets + units
        return units

    def _with_starts(self, data: bytes) -> bytes:
        parts, at, width = [], 0, self.length_bytes
        while at + width <= len(data):
            size = int.from_bytes(data[at : at + width], "big")
            parts.append(START + data[at + width : at + width + size])
            at += width + size
        self.is_sound = self.is_sound and at == len(data)
        return b"".join(parts)


def _brings_sets(units: bytes) -> bool:
    """Whether a sequence parameter set stands among the first units."""
    head, at = units[:512], -1
    while (at := head.find(b"\0\0\1", at + 1)) >= 0:
        if at + 3 < len(head) and head[at + 3] & 31 == _SEQUENCE_SET:
            return True
    return False
