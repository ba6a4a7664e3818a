"""An Annex B file as RTP wants it: access units, each a list of NAL units without start codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

START = b"\0\0\0\1"

_SETS = ({7: "sps", 8: "pps"}, {32: "vps", 33: "sps", 34: "pps"})  # of H.264 and HEVC
_SEI = (frozenset({6}), frozenset({39, 40}))
_ENDS_A_PICTURE = (frozenset({10, 11, 12}), frozenset({38, 40}))  # what may follow the slices of one


@dataclass(frozen=True)
class Footage:
    """One file."""

    is_hevc: bool
    pictures: tuple[tuple[bytes, ...], ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The name's end tells the codec: ``.h264``, or ``.hevc`` or ``.h265``."""
        is_hevc = path.suffix in (".hevc", ".h265")
        pieces = re.split(b"\0\0\0\1|\0\0\1", path.read_bytes())
        units = [piece.rstrip(b"\0") or piece for piece in pieces if piece]
        return cls(is_hevc, tuple(map(tuple, _pictures(units, is_hevc=is_hevc))))

    def kind(self, unit: bytes) -> str:
        """``vps``, ``sps``, ``pps``, ``sei`` or ``other``."""
        number = _type(unit, is_hevc=self.is_hevc)
        if number in _SEI[self.is_hevc]:
            return "sei"
        return _SETS[self.is_hevc].get(number, "other")

    def parameter_sets(self) -> dict[str, bytes]:
        """The first of each kind."""
        found: dict[str, bytes] = {}
        for picture in self.pictures:
            for unit in picture:
                found.setdefault(self.kind(unit), unit)
        return {kind: found[kind] for kind in _SETS[self.is_hevc].values()}


def _type(unit: bytes, *, is_hevc: bool) -> int:
    return (unit[0] >> 1) & 63 if is_hevc else unit[0] & 31


def _pictures(units: list[bytes], *, is_hevc: bool) -> list[list[bytes]]:
    pictures: list[list[bytes]] = []
    picture: list[bytes] = []
    has_slice = False
    for unit in units:
        number = _type(unit, is_hevc=is_hevc)
        is_slice = number < 32 if is_hevc else 1 <= number <= 5
        is_first_slice = is_slice and bool(unit[2 if is_hevc else 1] & 0x80)
        begins = is_first_slice or (not is_slice and number not in _ENDS_A_PICTURE[is_hevc])
        if has_slice and begins:
            pictures.append(picture)
            picture, has_slice = [], False
        picture.append(unit)
        has_slice = has_slice or is_slice
    return [*pictures, picture] if picture else pictures
