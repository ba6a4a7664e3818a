"""Looking into a recording beside reading it: its length, and single pictures in colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vad.config import CameraConfig
from vad.video.faults import CORRUPT, translate_av_errors
from vad.video.luma import geometry_of
from vad.video.source import SourceKind, open_feed, resolve
from vad.video.timing import MediaClock, is_jump
from vad.video.view import Sight, View, upright

NAME = "recording"


def duration_s(file: str) -> float | None:
    """Media seconds of a file; None for a folder of frames and where the container does not say. Raises StreamError."""
    source = resolve(CameraConfig(url=file))
    if source.kind is not SourceKind.FILE:
        return None
    with translate_av_errors(NAME, source.shown), av.open(source.target, metadata_errors="replace") as container:
        return container.duration / av.time_base if container.duration else None


def pictures_at(file: str, *, at_s: Sequence[float], width: int, rotate: int = 0) -> list[NDArray[np.uint8] | None]:
    """The picture (height, width, 3) BGR shown at each time; None behind the end. Raises StreamError.

    Times are media seconds from the recording's beginning, jumps of its media clock left out. ``rotate`` is that of
    the camera's settings.
    """
    wanted = sorted(range(len(at_s)), key=lambda i: at_s[i])
    pictures: list[NDArray[np.uint8] | None] = [None] * len(at_s)
    source = resolve(CameraConfig(url=file))
    feed = open_feed(source, camera=NAME, parallel=True)
    run_start_s, clock = 0.0, MediaClock(live=False, announced_fps=feed.announced_fps)
    sight = Sight(rotate)
    try:
        with translate_av_errors(NAME, source.shown):
            for packet in feed.packets():
                if not wanted:
                    break
                for frame in _decoded(feed, packet):
                    view = sight.of(frame, aspect=feed.pixel_aspect, otherwise=feed.container_orientation)
                    step_s = clock.step_s(frame.time, arrived_s=0.0)
                    if is_jump(step_s, feed.announced_fps):
                        run_start_s += clock.pts_s
                        step_s, clock = 0.0, MediaClock(live=False, announced_fps=feed.announced_fps)
                    shown_s = run_start_s + clock.accept(step_s, frame.time, arrived_s=0.0)
                    while wanted and shown_s >= at_s[wanted[0]] - 1e-3:
                        pictures[wanted.pop(0)] = _scaled(frame, view, width)
    finally:
        feed.close()
    return pictures


def _decoded(feed: Any, packet: Any) -> list[av.VideoFrame]:
    """What a corrupt packet holds is left out here as it is when reading."""
    try:
        frames: list[av.VideoFrame] = feed.decode(packet)
    except CORRUPT:
        return []
    return [frame for frame in frames if not frame.is_corrupt]


def _scaled(frame: av.VideoFrame, view: View, width: int) -> NDArray[np.uint8]:
    grid = geometry_of(view, model_width=width)
    height = max(1, round(grid.source_height * width / grid.source_width))
    coded = (height, width) if grid.is_sideways else (width, height)
    scaled = frame.reformat(width=coded[0], height=coded[1], format="bgr24").to_ndarray()
    return np.ascontiguousarray(upright(scaled.astype(np.uint8, copy=False), grid))
