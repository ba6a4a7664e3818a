"""Frames that wait in sockets because nobody reads them in time are left out, counted, and never for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.pipeline.sites import wait_for
from tests.rtsp.control import RtspServer
from vad.clock import SystemClock
from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.pipeline.ledger import Ledger
from vad.pipeline.mailbox import ClipMailbox
from vad.pipeline.readers.processes import ReaderProcesses
from vad.pipeline.stream import CameraStream
from vad.types import DropReason
from vad.video.reader import Reader


def follow_slowly(reader: Any) -> None:
    """A frame every 0.1 s, of those that come every 0.04 s. Raises what ends the run."""
    ends_s = time.monotonic() + 60.0
    with reader:
        for _ in (item for item in reader if item is not None):
            time.sleep(0.1)
            assert time.monotonic() < ends_s


@pytest.mark.rtsp
@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "in another process"])
def test_a_reader_that_is_not_asked_often_enough_leaves_out_what_is_late(
    where: str, rtsp_server: Callable[..., RtspServer], clip_h264: Path, processes: ReaderProcesses
) -> None:
    """Up to a key frame five seconds and more later, so that a new run begins, on the same connection."""
    server, stop = rtsp_server({"cam": clip_h264}), threading.Event()
    make: Callable[..., Any] = Reader if where == "here" else processes.reader
    common = {"model_width": 160, "clock": SystemClock(), "stop": stop}
    config = CameraConfig(url=server.url("cam"), analysis_fps=25.0)
    reader = make("cam", config=config, run=0, **common)
    with pytest.raises(StreamError, match=r"media time jumped by \+[5-9]") as caught:
        follow_slowly(reader)
    assert caught.value.code is StreamCode.PTS_JUMP
    assert reader.overrun_frames > 50
    with make("cam", config=config, run=1, continues=reader, **common) as after:
        began_s = time.monotonic()
        frames = [frame for _, frame in zip(range(50), after, strict=False)]
    assert frames[0] is not None
    assert frames[0].pts_s == 0.0
    assert time.monotonic() - began_s > 1.0  # little waits any more: they come as the camera sends them, in two seconds
    assert after.overrun_frames == 0


class _Told:
    """A reader's face: twenty frames that are not analysed, of which ``overrun_frames`` grows to seven."""

    info, measured_fps, corrupt_packets, spared_frames, unfiltered_frames, longest_hold_s = None, None, 0, 0, 0, 0.0

    def __init__(self, *_: object, **__: object) -> None:
        self.overrun_frames = 0

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[None]:
        for number in range(20):
            self.overrun_frames = {5: 3, 12: 7}.get(number, self.overrun_frames)
            yield None
        raise StreamError(StreamCode.ENDED, "the end")


def test_they_are_booked_as_lost_to_overload() -> None:
    ledger = Ledger()
    camera = CameraStream(
        "cam",
        config=CameraConfig(url="rtsp://h/x"),
        model_width=160,
        clip_length=4,
        clips=ClipMailbox(),
        ledger=ledger,
        notify=SimpleNamespace(put=print).put,
        clock=SystemClock(),
        retry=False,
        make_reader=_Told,  # type: ignore[arg-type]
    )
    camera.start()
    wait_for(lambda: not camera.is_alive)
    account = ledger.account("cam")
    assert (account.received, account.in_flight) == (20, 0)
    assert (account.dropped[DropReason.OVERLOAD], account.dropped[DropReason.ANALYSIS_RATE]) == (7, 13)
    assert account.is_balanced
