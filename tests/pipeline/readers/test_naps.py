"""A camera's packets wait in its connection until a clip is nearly whole, and nobody is the later for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.pipeline.readers.conftest import Start
from tests.rtsp.control import RtspServer
from vad.config import CameraConfig
from vad.types import Frame
from vad.video.spec import FrameReader, ReadEnv, ReadSpec
from vad.video.tape import Tape

pytestmark = [pytest.mark.rtsp, pytest.mark.slow]

LENGTH = 4
SETTLED = 20
"""Frames after which a run's rates are known."""

Read = Callable[..., FrameReader]


@pytest.fixture(params=[0, 1], ids=["at home", "in a process"])
def read(request: pytest.FixtureRequest, start: Start, rtsp_server: Callable[..., RtspServer], clip_h264: Path) -> Read:
    """A reader of a camera, here and elsewhere; keywords are its camera's settings, ``tape`` aside."""
    server, readers = rtsp_server({"cam": clip_h264}), start(request.param)

    def make(*, tape: Tape | None = None, **camera: Any) -> FrameReader:
        config = CameraConfig.model_validate({"url": server.url("cam"), "analysis_fps": 8.0, **camera})
        return readers.reader(ReadSpec("cam", config, 160, LENGTH), run=0, env=ReadEnv(tape=tape))

    return make


def look_on(reader: FrameReader) -> tuple[list[Frame], NDArray[np.float64]]:
    """Frames that came once the rates were known, and when each was told."""
    frames: list[Frame] = []
    told_s: list[float] = []
    with reader:
        for item in reader:
            if isinstance(item, Frame):
                frames.append(item)
                told_s.append(time.monotonic())
            if len(frames) == 3 * SETTLED:
                break
    return frames[SETTLED:], np.array(told_s[SETTLED:])


def test_a_camera_is_read_in_bursts_and_its_frames_are_dated_when_they_came(read: Read) -> None:
    frames, told_s = look_on(read())
    late_s = np.array([frame.arrived_s - frame.pts_s for frame in frames])
    assert np.ptp(late_s) < 0.15  # read in bursts they would be half a second apart
    waited_s = told_s - [frame.arrived_s for frame in frames]
    last = np.array([(frame.index + 1) % LENGTH == 0 for frame in frames])
    assert np.median(waited_s[last]) < 0.1  # a clip is told as soon as its last frame has come
    assert np.median(waited_s[~last]) > 0.1


def test_who_looks_on_sees_each_time_what_is_new(read: Read) -> None:
    tape = Tape(run=0, seconds=1.0, max_bytes=0)
    pictures: list[bytes] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            seen = tape.look(most_width=320)
            if seen is not None:
                pictures.append(seen[0].tobytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        look_on(read(tape=tape))
    finally:
        ended.set()
        watcher.join()
    assert len(pictures) > 20
    fresh = sum(one != other for one, other in pairwise(pictures[10:]))
    assert fresh > 0.8 * (len(pictures) - 11)


@pytest.mark.parametrize("read", [0], indirect=True, ids=["at home"])
def test_what_comes_as_datagrams_does_not_wait(read: Read) -> None:
    frames, told_s = look_on(read(transport="udp"))
    waited_s = told_s - [frame.arrived_s for frame in frames]
    assert np.percentile(waited_s, 90) < 0.1
