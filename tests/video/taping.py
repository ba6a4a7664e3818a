"""Reading with a tape beside, for tests of what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vad.config import CameraConfig, Polygon
from vad.errors import StreamCode, StreamError
from vad.types import Frame
from vad.video.reader import Reader
from vad.video.spec import ReadEnv, ReadSpec
from vad.video.tape import Tape

LEFT_HALF = Polygon(points=[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)])


def tape_of(
    url: str | Path, *, seconds: float = 60.0, max_bytes: int = 1 << 24, frames: int | None = None, **settings: Any
) -> tuple[Tape, list[Frame]]:
    """Read a source to its end (or so many frames), with a tape; also the frames analysed."""
    config = CameraConfig.model_validate({"url": str(url), "analysis_fps": 60.0, "realtime": False, **settings})
    tape = Tape(run=0, seconds=seconds, max_bytes=max_bytes)
    got: list[Frame] = []
    with Reader(ReadSpec("cam", config, 160), run=0, env=ReadEnv(tape=tape)) as reader:
        try:
            for item in reader:
                got += [item] if isinstance(item, Frame) else []
                if frames is not None and len(got) >= frames:
                    break
        except StreamError as exc:
            if exc.code is not StreamCode.ENDED:
                raise
    return tape, got


def pictures_of(source: Any) -> list[NDArray[np.uint8]]:
    """(height, width) luma of every frame of a file or of a file's bytes, full planes."""
    with av.open(source) as container:
        return [
            np.frombuffer(memoryview(f.planes[0]), np.uint8).reshape(f.height, -1)[:, : f.width].copy()
            for f in container.decode(video=0)
        ]


def boxes_of(data: bytes) -> list[str]:
    """The MP4's outermost boxes, in order."""
    names, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        names.append(data[at + 4 : at + 8].decode())
        at += size
    return names
