"""Clips that say otherwise of themselves than they were encoded: the pictures stay, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import av
from av.bitstream import BitStreamFilterContext

_MATRIX_AT = 40
"""Of a track header's version 0, after its size and name: ISO/IEC 14496-12 8.3.2."""
_TURNS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}  # clockwise


def filtered(source: Path, target: Path, filters: str) -> Path:
    """``source`` through an FFmpeg bitstream filter, such as ``h264_metadata=sample_aspect_ratio=2/1``."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream = before.streams.video[0]
        copy = cast(Any, after).add_stream_from_template(stream)
        context = cast(Any, BitStreamFilterContext)(filters, stream, copy)
        for packet in before.demux(stream):
            for changed in context.filter(packet if packet.size else None):
                changed.stream = copy
                after.mux_one(changed)
    return target


def rotated(path: Path, clockwise: int) -> Path:
    """Change an MP4 file so that its pictures are to be shown turned by so many degrees."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + len(b"tkhd") + _MATRIX_AT
    for place, value in zip((0, 1, 3, 4), _TURNS[clockwise], strict=True):
        data[at + 4 * place : at + 4 * place + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path
