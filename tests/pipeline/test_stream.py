"""The supervisor of one camera: back-off, and readers that hang in native code."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import cv2
import numpy as np
import pytest
import structlog

from tests.pipeline.sites import check_ledger, make_site, wait_for
from tests.pipeline.streams import make_stream
from tests.video.clips import VideoFile
from vad.clock import ManualClock
from vad.config import CameraConfig
from vad.errors import StreamCode, StreamError
from vad.pipeline.engine import Engine
from vad.pipeline.states import CLOCK_RIGHT_AFTER_S, States
from vad.pipeline.stream import MOST_HUNG_READERS
from vad.types import CameraEvent, CameraState, ClockFault
from vad.video.items import Counts, Passed
from vad.video.spec import ReadSpec


@pytest.fixture
def hanging_file(tmp_path: Path) -> Iterator[Path]:
    """A pipe that nobody writes to: opening it blocks in the kernel, like a camera driver that has died."""
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    yield path
    for _ in range(20):  # let the abandoned threads go
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        time.sleep(0.02)


def test_whatever_is_logged_in_the_thread_of_a_camera_bears_the_camera_and_its_run(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []
    notices = SimpleNamespace(append=lambda _: told.append(structlog.contextvars.get_contextvars()))
    camera = make_stream(CameraConfig(url=str(tmp_path / "none.mp4")), notices)  # type: ignore[arg-type]
    camera.start()
    wait_for(lambda: bool(told))
    camera.stop()
    assert camera.join(deadline_s=time.monotonic() + 60.0)
    assert told[0] == {"camera": "cam", "run": 0}
    assert structlog.contextvars.get_contextvars() == {}


def test_back_off_doubles_up_to_its_cap_with_jitter() -> None:
    config = CameraConfig(url="rtsp://h/x", backoff_min_s=0.5, backoff_max_s=30.0)
    camera = make_stream(config, [])
    for failures in range(12):
        whole = min(30.0, 0.5 * 2.0**failures)
        waits = [camera._backoff_s(failures) for _ in range(50)]
        assert all(whole / 2 <= wait <= whole for wait in waits)
        assert len(set(waits)) > 1
    assert camera._backoff_s(10_000) <= 30.0


def test_of_a_picture_that_is_too_small_it_is_said_once(video_file: VideoFile) -> None:
    notices: list[CameraEvent] = []
    path = video_file("small.mp4", width=98, height=66, frames=30)
    camera = make_stream(CameraConfig(url=str(path), realtime=False), notices)
    with structlog.testing.capture_logs() as logs:
        camera.start()
        wait_for(lambda: any(notice.state == "ended" for notice in notices))
        camera.stop()
        assert camera.join(deadline_s=time.monotonic() + 10.0)
    assert [notice.detail for notice in notices if notice.state == "up"] == [
        "98x66, too small to judge: less than 160 px on its longer side"
    ]
    assert [entry["log_level"] for entry in logs if entry["event"] == "stream.too_small"] == ["warning"]


def test_a_failure_that_repeats_is_announced_once(tmp_path: Path) -> None:
    notices: list[CameraEvent] = []
    config = CameraConfig(url=str(tmp_path / "none.mp4"), backoff_min_s=0.01, backoff_max_s=0.02)
    camera = make_stream(config, notices)
    camera.start()
    wait_for(lambda: camera.status.reconnects.get("not_found", 0) >= 5)
    camera.stop()
    assert camera.join(deadline_s=time.monotonic() + 10.0)
    assert [(notice.state, notice.code) for notice in notices] == [("backoff", "not_found"), ("stopped", None)]


def test_a_reader_that_hangs_is_abandoned_and_replaced(hanging_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notices: list[CameraEvent] = []
    monkeypatch.setattr("vad.pipeline.intake.HANG_GRACE_S", -0.9)  # a tenth of a second is left
    camera = make_stream(CameraConfig(url=str(hanging_file), read_timeout_s=0.5), notices)
    camera.start()

    def abandoned_twice() -> bool:
        camera.check()
        return camera.status.abandoned_readers >= 2

    wait_for(abandoned_twice, timeout_s=30.0)
    assert notices[0].state == CameraState.STALLED
    assert notices[0].code == "timeout"
    camera.stop()
    assert not camera.join(deadline_s=time.monotonic() + 0.1)
    assert (notices[-1].state, notices[-1].detail) == ("stopped", "the reader hung and was abandoned")


def test_a_camera_that_hangs_for_ever_keeps_few_threads(hanging_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vad.pipeline.intake.HANG_GRACE_S", -0.9)
    camera = make_stream(CameraConfig(url=str(hanging_file), read_timeout_s=0.5), [])
    camera.start()

    def all_hang() -> bool:
        camera.check()
        return camera.status.abandoned_readers >= MOST_HUNG_READERS

    wait_for(all_hang)
    time.sleep(0.2)
    camera.check()
    assert len([t for t in threading.enumerate() if t.name == "vad-stream-cam"]) == MOST_HUNG_READERS
    assert camera.status.state is CameraState.STALLED
    os.close(os.open(hanging_file, os.O_RDWR | os.O_NONBLOCK))  # one lets go: there is room for another try
    wait_for(lambda: (camera.check(), not camera._generation.abandoned)[1])
    camera.stop()
    camera.join(deadline_s=time.monotonic() + 0.1)


def test_waiting_to_reconnect_is_not_hanging_when_the_password_file_is_gone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    config = CameraConfig(url="rtsp://127.0.0.1:9/x", password_file=secret, backoff_min_s=20.0)
    secret.unlink()
    camera = make_stream(config, [])
    camera.start()
    wait_for(lambda: camera.status.code == "auth_failed")
    assert camera._generation.deadline_s is None
    camera.stop()
    assert camera.join(deadline_s=time.monotonic() + 10.0)


def test_waiting_for_room_is_not_hanging(video_file: VideoFile) -> None:
    config = CameraConfig(url=str(video_file("clip.mp4", frames=75)), analysis_fps=25.0, realtime=False)
    camera = make_stream(config, [])
    camera.start()
    wait_for(lambda: camera._ledger.account("cam").received == 16)  # three clips fill the mailbox, the fourth waits
    assert camera._generation.deadline_s is None
    camera.stop()
    camera._intake._clips.close()
    assert camera.join(deadline_s=time.monotonic() + 10.0)
    account = camera._ledger.account("cam")
    assert account.is_balanced
    assert (account.dropped["shutdown"], account.in_flight) == (4, 12)


def test_a_slow_recording_held_back_to_its_pace_is_not_hanging(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((48, 64), np.uint8))
    camera = make_stream(
        CameraConfig(url=f"file://{tmp_path}?fps=0.4", read_timeout_s=0.5), []
    )  # abandoned after 2.0 s
    camera.start()
    wait_for(lambda: (camera.check(), camera.status.state is CameraState.ENDED)[1])
    assert (camera.status.frames_decoded, camera.status.abandoned_readers) == (2, 0)


def test_a_hung_reader_neither_delays_the_stop_nor_the_other_cameras(
    tmp_path: Path, hanging_file: Path, video_file: VideoFile
) -> None:
    read_timeout_s = 1.0
    good = video_file("good.mp4", frames=50)
    cameras = {
        "hung": {"url": str(hanging_file), "read_timeout_s": read_timeout_s},
        "good": {"url": str(good), "read_timeout_s": read_timeout_s},
    }
    engine = Engine(make_site(tmp_path / "data", cameras))
    with engine:
        wait_for(lambda: engine.status().cameras["good"].state is CameraState.ENDED)
        started_s = time.monotonic()
    stopped_after_s = time.monotonic() - started_s
    assert engine.status().cameras["good"].frames.received == 50
    assert stopped_after_s < read_timeout_s + 2.0 + 3.0  # the machine may be busy
    check_ledger(engine, stopped=True)


def test_frames_that_an_abandoned_reader_had_gathered_are_counted_as_lost(video_file: VideoFile) -> None:
    config = CameraConfig(url=str(video_file("clip.mp4", frames=30)), analysis_fps=25.0)
    camera = make_stream(config, [], clip_length=100)
    camera.start()
    wait_for(lambda: len(camera._generation.window) >= 5)
    camera._abandon(camera._generation)
    account = camera._ledger.account("cam")
    assert account.is_balanced
    assert account.dropped["run_ended"] >= 5
    wait_for(lambda: not camera.is_alive)
    assert camera._ledger.account("cam").in_flight == 0


class Slow:
    """A reader whose camera gives one frame and then nothing within the time-out that it was given."""

    info, counts = None, Counts()
    timeouts_s: ClassVar[list[float]] = []
    frames: ClassVar[int] = 1

    def __init__(self, spec: ReadSpec, **_: object) -> None:
        self.timeouts_s.append(spec.config.read_timeout_s)

    def __enter__(self) -> Slow:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Passed]:
        yield Passed(self.frames)
        raise StreamError(StreamCode.TIMEOUT, "silence")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("frames", "expected"), [(1, [10.0, 20.0, 40.0, 60.0, 60.0]), (3, [10.0] * 5), (75, [10.0] * 5), (0, [10.0] * 5)]
)
def test_a_camera_that_gives_a_frame_between_timeouts_is_waited_for_longer(
    frames: int, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slow, "timeouts_s", [])
    monkeypatch.setattr(Slow, "frames", frames)
    config = CameraConfig(url="rtsp://h/x", backoff_min_s=0.01, backoff_max_s=0.01)
    camera = make_stream(config, [], make_reader=Slow)  # type: ignore[arg-type]
    camera.start()
    wait_for(lambda: len(Slow.timeouts_s) >= 5)
    camera.stop()
    assert camera.join(deadline_s=time.monotonic() + 60.0)
    assert Slow.timeouts_s[:5] == expected


def test_a_wrong_clock_is_announced_once_and_its_recovery_after_a_minute() -> None:
    clock, notices = ManualClock(monotonic_s=1_000.0), list[CameraEvent]()
    states = States("cam", notify=notices.append, clock=clock, witness=None)
    states.enter(CameraState.UP, None, "")
    for fault in (None, ClockFault.WRONG, ClockFault.WRONG, None, ClockFault.WRONG, ClockFault.NO_CLOCK):
        states.note_clock(fault)
    clock.advance(CLOCK_RIGHT_AFTER_S - 1.0)
    states.note_clock(None)
    assert states.status.clock_fault is ClockFault.NO_CLOCK
    clock.advance(2.0)
    states.note_clock(None)
    assert states.status.clock_fault is None
    assert states.status.state is CameraState.UP
    assert [(event.state, event.code) for event in notices[1:]] == [
        ("clock", "clock_wrong"),
        ("clock", "no_clock"),
        ("clock", None),
    ]
