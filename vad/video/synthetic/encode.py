"""What a simulated camera sees as a real H.264 file, as a camera would send it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np

from vad.video.synthetic.posing import Array

_LIMITED = np.round(16 + np.arange(256) * (219 / 255)).astype(np.uint8)
"""Full-range luma to the limited range that H.264 cameras send."""


class Picture(Protocol):
    """A rendered frame."""

    @property
    def luma(self) -> Array:
        """(H, W) uint8, full range."""


class FrameSource(Protocol):
    """A simulated camera: ``Scene``, and the worlds that live for days."""

    @property
    def fps(self) -> float: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def frames(self, count: int, *, start: int = 0, truth: bool = False) -> Iterator[Picture]:
        """Frames ``start`` to ``start + count - 1``."""


def encode(
    scene: FrameSource,
    path: str | Path,
    *,
    seconds: float,
    start_s: float = 0.0,
    codec: str = "libx264",
    preset: str = "veryfast",
    crf: int = 26,
    key_frame_s: float = 2.0,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Render and encode ``seconds`` from ``start_s`` on into ``path`` (its suffix names the container).

    Returns the number of frames.

    yuv420p in limited range with neutral chroma, no B-frames. ``progress(done, total)`` is called after each frame.
    Raises ValueError for a picture of odd size or nothing to encode, and PyAV's errors where the file cannot be made.
    """
    total = round(seconds * scene.fps)
    if total < 1 or scene.width % 2 or scene.height % 2:
        got = f"{total} frames of {scene.width}x{scene.height}"
        raise ValueError(f"cannot encode {got}; allowed: at least one frame, even sides")
    if av.Codec(codec, "w").type != "video":
        raise ValueError(f"codec {codec!r} is not for video; allowed: libx264, libx265, ...")
    rate = Fraction(scene.fps).limit_denominator(1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
        stream.time_base = 1 / rate
        context = stream.codec_context
        context.gop_size, context.max_b_frames, context.thread_count = max(1, round(key_frame_s * scene.fps)), 0, 1
        context.color_range = 1  # MPEG: limited
        if codec == "libx264":
            stream.options = {"preset": preset, "crf": str(crf)}
        picture = np.full((scene.height * 3 // 2, scene.width), 128, np.uint8)
        for done, rendered in enumerate(scene.frames(total, start=round(start_s * scene.fps), truth=False), start=1):
            container.mux(stream.encode(_frame(picture, rendered.luma, done - 1, 1 / rate)))
            if progress is not None:
                progress(done, total)
        container.mux(stream.encode(None))
    return total


def _frame(picture: Array, luma: Array, pts: int, time_base: Fraction) -> av.VideoFrame:
    cv2.LUT(luma, _LIMITED, dst=picture[: len(luma)])
    frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
    frame.pts, frame.time_base, frame.color_range = pts, time_base, 1
    return frame
