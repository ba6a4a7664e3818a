"""Real clips, encoded from numpy pictures: a square wanders over a textured ground, so that every frame differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

VideoFile = Callable[..., Path]

_OPTIONS = {
    "libx264": {"preset": "ultrafast", "x264-params": "sliced-threads=0:threads=1:bframes=0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:bframes=0"},
}


def pictures(count: int, *, width: int, height: int, seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """(height, width) uint8 each."""
    coarse = np.random.default_rng(seed).integers(60, 180, (height // 8 + 1, width // 8 + 1), dtype=np.uint8)
    ground = np.kron(coarse, np.ones((8, 8), dtype=np.uint8))[:height, :width]
    side = height // 6
    for index in range(count):
        picture = ground.copy()
        x, y = (index * 5) % (width - side), (index * 3) % (height - side)
        picture[y : y + side, x : x + side] = 235
        yield picture


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    width: int = 640,
    height: int = 360,
    fps: int = 25,
    frames: int = 100,
    key_every: int | None = None,
    pixel_format: str | None = None,
    options: dict[str, str] | None = None,
    pts: Callable[[int], int] = lambda index: index,
    luma: Callable[[int], NDArray[np.uint8]] | None = None,
    container: str | None = None,
) -> Path:
    """Encode. ``pts`` gives each frame's time in units of 1/fps; ``luma`` replaces the wandering square."""
    formats = {"mjpeg": "yuvj420p"}
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=fps, options={**_OPTIONS.get(codec, {}), **(options or {})})
        stream.width, stream.height = width, height
        stream.pix_fmt = pixel_format or formats.get(codec, "yuv420p")
        stream.codec_context.gop_size = key_every or fps
        made = pictures(frames, width=width, height=height) if luma is None else map(luma, range(frames))
        for index, picture in enumerate(made):
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = pts(index), Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_annexb(path: Path, *, frames: int = 100, key_every: int = 50, **settings: Any) -> Path:
    """320x192 at 25 fps in an Annex B file, parameter sets before each key frame: ``.h264``, or ``.hevc`` for HEVC.

    The ground moves and is noisy, so that most pictures need several RTP packets.
    """
    codec = "libx265" if path.suffix == ".hevc" else "libx264"
    name = f"{codec.removeprefix('lib')}-params"
    options = {name: f"{_OPTIONS[codec][name]}:repeat-headers=1:keyint={key_every}:min-keyint={key_every}:scenecut=0"}
    settings = {"width": 320, "height": 192, "luma": noisy_picture, **settings}
    return write_video(path, codec=codec, frames=frames, key_every=key_every, options=options, **settings)


def noisy_picture(index: int) -> NDArray[np.uint8]:
    """(192, 320) uint8: the pictures of ``pictures``, moving sideways and with noise."""
    rng = np.random.default_rng(index)
    still = next(pictures(1, width=320, height=192)).astype(np.int16)
    moved = np.roll(still, 2 * index, axis=1) + rng.integers(-12, 13, still.shape, dtype=np.int16)
    return np.clip(moved, 0, 255).astype(np.uint8)
