"""A camera's packets wait in its connection until a clip is nearly whole, and nobody is the later for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline.frames import make_frame
from tests.pipeline.readers.conftest import Start
from tests.rtsp.control import RtspServer
from vad.clock import SystemClock
from vad.config import CameraConfig
from vad.pipeline.readers.naps import EARLY_S, LONGEST_S, MOST_WAITING_BYTES, SHORTEST_S, Naps
from vad.types import Frame
from vad.video.reader import Reader

LENGTH = 4


def naps_of(*, fps: float, bytes_per_s: float, late_s: float = 0.0, frames: int = 16) -> list[float]:
    """After each frame of a camera whose frames are looked at ``late_s`` after they came."""
    naps = Naps(LENGTH)
    given = []
    for index in range(frames):
        at_s = index / fps
        frame = replace(make_frame(index=index, fps=fps), arrived_s=at_s)
        given.append(naps.after(frame, bytes_read=int(bytes_per_s * at_s), now_s=at_s + late_s))
    return given


def test_nothing_waits_until_a_whole_clip_has_shown_the_rates() -> None:
    given = naps_of(fps=8.0, bytes_per_s=10_000.0)
    assert given[: 2 * LENGTH - 1] == [0.0] * (2 * LENGTH - 1)
    assert given[2 * LENGTH - 1] > 0.0


def test_the_last_frame_of_a_clip_is_waited_for() -> None:
    given = naps_of(fps=8.0, bytes_per_s=10_000.0)
    until_last_s = [(LENGTH - (index + 1) % LENGTH) / 8.0 for index in range(16)]
    for nap_s, left_s in zip(given[8:], until_last_s[8:], strict=True):
        assert nap_s == 0.0 or nap_s == pytest.approx(min(LONGEST_S, left_s - EARLY_S))
        assert nap_s == 0.0 or nap_s >= SHORTEST_S


@pytest.mark.parametrize(("bytes_per_s", "longest_s"), [(1e3, LONGEST_S), (1e5, 0.33), (3e5, 0.11), (1e6, 0.0)])
def test_a_camera_is_not_kept_from_sending(bytes_per_s: float, longest_s: float) -> None:
    given = naps_of(fps=2.0, bytes_per_s=bytes_per_s)
    assert max(given) <= longest_s
    assert max(given) * bytes_per_s <= MOST_WAITING_BYTES


def test_who_is_late_does_not_sleep() -> None:
    assert set(naps_of(fps=8.0, bytes_per_s=10_000.0, late_s=0.04)) == {0.0}


def test_frames_that_come_faster_than_a_nap_is_worth_are_read_as_they_come() -> None:
    assert set(naps_of(fps=60.0, bytes_per_s=10_000.0)) == {0.0}


@pytest.mark.rtsp
@pytest.mark.slow
def test_a_camera_is_read_in_bursts_and_its_frames_are_dated_when_they_came(
    rtsp_server: Callable[..., RtspServer], clip_h264: Path, start: Start
) -> None:
    server, stop = rtsp_server({"cam": clip_h264}), threading.Event()
    config = CameraConfig(url=server.url("cam"), analysis_fps=8.0)
    settings: dict[str, Any] = {"config": config, "run": 0, "model_width": 160, "clock": SystemClock(), "stop": stop}
    frames: list[Frame] = []
    told_s: list[float] = []
    with start(1).reader("cam", **settings) as reader:
        for item in reader:
            if isinstance(item, Frame):
                frames.append(item)
                told_s.append(time.monotonic())
            if len(frames) == 60:
                break
    late_s = np.array([frame.arrived_s - frame.pts_s for frame in frames[20:]])
    assert np.ptp(late_s) < 0.15  # read in bursts they would be half a second apart
    waited_s = np.array(told_s[20:]) - [frame.arrived_s for frame in frames[20:]]
    last = np.array([(frame.index + 1) % LENGTH == 0 for frame in frames[20:]])
    assert np.median(waited_s[last]) < 0.1  # a clip is told as soon as its last frame has come
    assert np.median(waited_s[~last]) > 0.1


@pytest.mark.rtsp
@pytest.mark.parametrize(("transport", "expected"), [("tcp", True), ("udp", False)])
def test_what_comes_as_datagrams_may_not_wait(
    transport: str, expected: bool, rtsp_server: Callable[..., RtspServer], clip_h264: Path
) -> None:
    server = rtsp_server({"cam": clip_h264})
    config = CameraConfig.model_validate({"url": server.url("cam"), "transport": transport})
    settings: dict[str, Any] = {"run": 0, "model_width": 160, "clock": SystemClock(), "stop": threading.Event()}
    with Reader("cam", config=config, **settings) as reader:
        assert next(iter(reader)) is not None
        assert reader.may_read_late is expected


def test_a_recording_may_not_wait(clip_h264: Path) -> None:
    config = CameraConfig(url=str(clip_h264))
    with Reader("cam", config=config, run=0, model_width=160, clock=SystemClock(), stop=threading.Event()) as reader:
        assert not reader.may_read_late
