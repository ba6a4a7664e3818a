"""Looking into a recording beside reading it: its length, and single pictures in colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vad.config import CameraConfig
from vad.video.faults import translate_av_errors
from vad.video.source import SourceKind, open_feed, resolve
from vad.video.timing import MediaClock

NAME = "recording"


def duration_s(file: str) -> float | None:
    """Media seconds of a file; None for a folder of frames and where the container does not say. Raises StreamError."""
    source = resolve(CameraConfig(url=file))
    if source.kind is not SourceKind.FILE:
        return None
    with translate_av_errors(NAME, source.shown), av.open(source.target, metadata_errors="replace") as container:
        return container.duration / av.time_base if container.duration else None


def pictures_at(file: str, *, pts_s: Sequence[float]) -> list[NDArray[np.uint8] | None]:
    """The picture (height, width, 3) BGR shown at each media time; None behind the end. Raises StreamError."""
    wanted = sorted(range(len(pts_s)), key=lambda i: pts_s[i])
    pictures: list[NDArray[np.uint8] | None] = [None] * len(pts_s)
    source = resolve(CameraConfig(url=file))
    feed = open_feed(source, camera=NAME, parallel=True)
    clock = MediaClock(live=False, announced_fps=feed.announced_fps)
    try:
        with translate_av_errors(NAME, source.shown):
            for packet in feed.packets():
                if not wanted:
                    break
                for frame in _decoded(feed, packet):
                    at_s = clock.accept(clock.step_s(frame.time, arrived_s=0.0), frame.time, arrived_s=0.0)
                    while wanted and at_s >= pts_s[wanted[0]] - 1e-3:
                        pictures[wanted.pop(0)] = frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
    finally:
        feed.close()
    return pictures


def _decoded(feed: Any, packet: Any) -> list[av.VideoFrame]:
    """What a corrupt packet holds is left out here as it is when reading."""
    try:
        frames: list[av.VideoFrame] = feed.decode(packet)
    except av.error.InvalidDataError:
        return []
    return frames
