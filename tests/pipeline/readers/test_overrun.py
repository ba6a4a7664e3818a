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
from vad.types import DropReason, Frame
from vad.video.items import Counts, Passed
from vad.video.reader import Reader
from vad.video.spec import MakeReader, ReadEnv, ReadSpec


def follow_slowly(reader: Any, overrun: list[int]) -> None:
    """A frame every 0.085 s, of those that come every 0.04 s. Raises what ends the run.

    How much waits afterwards depends on how far from a key frame this ends: half a second and what the hand-over takes
    at most. At this pace it ends well before one.
    """
    ends_s = time.monotonic() + 60.0
    with reader:
        for item in reader:
            if isinstance(item, Frame):
                time.sleep(0.085)
            else:
                overrun.append(item.overrun)
            assert time.monotonic() < ends_s


@pytest.mark.rtsp
@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "in another process"])
def test_a_reader_that_is_not_asked_often_enough_leaves_out_what_is_late(
    where: str, rtsp_server: Callable[..., RtspServer], clip_h264: Path, processes: ReaderProcesses
) -> None:
    """Up to a key frame five seconds and more later, so that a new run begins, on the same connection."""
    server, stop = rtsp_server({"cam": clip_h264}), threading.Event()
    make: MakeReader = Reader if where == "here" else processes.reader
    spec, env = ReadSpec("cam", CameraConfig(url=server.url("cam"), analysis_fps=25.0), 160, 4), ReadEnv(stop)
    reader = make(spec, run=0, env=env)
    overrun: list[int] = []
    with pytest.raises(StreamError, match=r"media time jumped by \+[5-9]") as caught:
        follow_slowly(reader, overrun)
    assert caught.value.code is StreamCode.PTS_JUMP
    assert sum(overrun) > 50
    with make(spec, run=1, env=env, continues=reader) as after:
        began_s = time.monotonic()
        items = [item for _, item in zip(range(50), after, strict=False)]
    assert isinstance(items[0], Frame)
    assert items[0].pts_s == 0.0
    assert time.monotonic() - began_s > 1.0  # little waits any more: they come as the camera sends them, in two seconds
    assert not any(item.overrun for item in items if isinstance(item, Passed))


class _Told:
    """A reader's face: twenty frames that are not analysed, seven of them for coming too late."""

    info, counts = None, Counts()

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Passed]:
        yield from (Passed(5), Passed(4, overrun=3), Passed(1, overrun=1), Passed(10, overrun=3))
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
