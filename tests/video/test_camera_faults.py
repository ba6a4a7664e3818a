"""Cameras that would break or blind a reader, and what comes of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.sites import make_site, wait_for, wait_for_frames
from tests.pipeline.streams import make_stream
from tests.rtsp.quirks import Quirk
from tests.rtsp.stub import StubCamera
from tests.video.in_time import in_time
from tests.video.reading import Outcome, read
from vad.clock import SystemClock
from vad.config import CameraConfig, LogSettings, ReaderSettings
from vad.pipeline.engine import Engine
from vad.pipeline.readers.processes import ReaderProcesses
from vad.pipeline.stream import MOST_HUNG_READERS, CameraStream
from vad.types import CameraEvent, CameraState, Frame, WallSource
from vad.video.reader import Reader
from vad.video.spec import MakeReader

Cameras = Callable[..., StubCamera]

FPS = 100.0
PASSWORD = "s3cret"
CLOCK_TOLERANCE_S = 5.0
"""What a camera's clock may differ from the machine's and still be believed."""


@pytest.fixture
def supervised() -> Iterator[Callable[..., tuple[CameraStream, list[CameraEvent]]]]:
    """``supervised(url, read_timeout_s=..., ...)``: a started ``CameraStream`` and what it notifies of."""
    streams: list[CameraStream] = []

    def start(url: str, *, make_reader: MakeReader = Reader, **settings: Any) -> tuple[CameraStream, list[CameraEvent]]:
        notices: list[CameraEvent] = []
        quick = {"read_timeout_s": 0.5, "backoff_min_s": 0.05, "backoff_max_s": 0.1}
        config = CameraConfig.model_validate({"url": url, **quick, **settings})
        stream = make_stream(config, notices, clip_length=1, make_reader=make_reader)
        streams.append(stream)
        stream.start()
        return stream, notices

    yield start
    for stream in streams:
        stream.stop()
        stream.join(deadline_s=time.monotonic() + 1.0)


@pytest.fixture
def processes() -> Iterator[ReaderProcesses]:
    """One process of readers to begin with."""
    started = ReaderProcesses(ReaderSettings(), log_settings=LogSettings())
    started.expect([CameraConfig(url="rtsp://h/x")])
    yield started
    started.close()


def camera_clock_error_s(frame: Frame) -> float:
    """How far the frame's wall time is from this machine's when it came."""
    came_s = time.time() - (time.monotonic() - frame.arrived_s)
    return frame.wall_s - came_s


# A1: the encoder dies, the connection does not


def test_a_camera_whose_video_stops_ends_the_run_within_the_time_out(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.VIDEO_DIES, fps=FPS, well_s=0.5)
    outcome = in_time(camera.url, within_s=5.0, read_timeout_s=1)
    assert outcome is not None, "still reading"
    assert outcome.code == "no_video_packets"
    assert outcome.decoded >= 45


def test_packets_that_hold_nothing_are_no_video(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.PACKETS_EMPTY, fps=FPS, well_s=0.5)
    outcome = in_time(camera.url, within_s=5.0, read_timeout_s=1)
    assert outcome is not None, "still reading"
    assert outcome.code == "no_video_packets"


def test_a_reader_that_waits_for_dead_video_hears_that_it_shall_stop(stub_camera: Cameras, cam_h264: Path) -> None:
    camera, stop = stub_camera(cam_h264, Quirk.VIDEO_DIES, fps=FPS, well_s=0.5), threading.Event()
    threading.Timer(1.0, stop.set).start()
    outcome = in_time(camera.url, within_s=5.0, stop=stop, read_timeout_s=2)
    assert outcome is not None, "still reading"
    assert outcome.error is None


def test_a_camera_whose_video_stops_again_and_again_is_connected_to_again_and_again(
    stub_camera: Cameras,
    cam_h264: Path,
    supervised: Callable[..., tuple[CameraStream, list[CameraEvent]]],
    processes: ReaderProcesses,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each reader that never returns ends with its process."""
    monkeypatch.setattr("vad.pipeline.intake.HANG_GRACE_S", 0.5)
    monkeypatch.setattr("vad.pipeline.readers.suspects.LONGEST_PAUSE_S", 0.2)
    camera = stub_camera(cam_h264, Quirk.VIDEO_DIES, fps=FPS, well_s=0.2)
    stream, _ = supervised(camera.url, make_reader=processes.reader, read_timeout_s=1.5)
    most_open = 0

    def connected_often() -> bool:
        nonlocal most_open
        stream.check()
        most_open = max(most_open, camera.sessions_open)
        return camera.sessions_ever >= MOST_HUNG_READERS + 2

    wait_for(connected_often, timeout_s=60.0, what="one session more than readers may hang")
    assert most_open <= 2
    camera.quirks.clear()

    def is_up() -> bool:
        stream.check()
        return stream.status.state is CameraState.UP

    wait_for(is_up, timeout_s=30.0, what="video again")


# A2, A3: packets that are not those of the track


def test_packets_of_a_payload_type_that_was_not_announced_are_named(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.FOREIGN_PAYLOAD, fps=FPS)
    outcome = in_time(camera.url, within_s=5.0, read_timeout_s=1)
    assert outcome is not None, "still reading"
    assert outcome.code in ("codec_unsupported", "no_video")
    assert "96" in str(outcome.error)  # announced
    assert "98" in str(outcome.error)  # sent


def test_the_video_track_that_delivers_is_read(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.SECOND_VIDEO, Quirk.DATA_ON_LAST_TRACK, fps=FPS)
    outcome = in_time(camera.url, within_s=5.0, at_most=50, read_timeout_s=1)
    assert outcome is not None, "still reading"
    assert (outcome.code, outcome.decoded) == (None, 50)


def test_of_two_video_tracks_one_is_set_up(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.SECOND_VIDEO, fps=FPS)
    assert read(camera.url, at_most=20, read_timeout_s=3).decoded == 20
    assert camera.asked("SETUP") == [f"{camera.url}/trackID=1"]


# A4, A5: time stamps


def test_a_camera_whose_stamps_stand_still_is_analysed_by_arrival(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.TS_ZERO, fps=50)
    outcome = read(camera.url, at_most=150, read_timeout_s=3)
    assert outcome.error is None
    assert_analysed_by_arrival(outcome)


def test_stamps_that_come_to_stand_still_are_replaced_by_arrival(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, fps=50)
    threading.Timer(1.0, camera.quirks.add, [Quirk.TS_ZERO]).start()
    first = read(camera.url, at_most=200, read_timeout_s=3)
    if first.code == "pts_jump":
        first = read(camera.url, run=1, at_most=150, continues=first.reader, read_timeout_s=3)
    assert first.error is None
    assert_analysed_by_arrival(first)


def assert_analysed_by_arrival(outcome: Outcome) -> None:
    """Of three seconds, one is allowed for finding it out; the rest are analysed in time that is real."""
    late = outcome.frames[-8:]
    assert len(outcome.frames) >= 12
    media_s, real_s = late[-1].pts_s - late[0].pts_s, late[-1].arrived_s - late[0].arrived_s
    assert media_s == pytest.approx(real_s, rel=0.1)
    assert real_s > 0.5
    assert all(frame.wall_source is WallSource.ARRIVAL for frame in late)


def test_a_camera_whose_stamps_stand_still_is_named(
    stub_camera: Cameras, cam_h264: Path, supervised: Callable[..., tuple[CameraStream, list[CameraEvent]]]
) -> None:
    camera = stub_camera(cam_h264, Quirk.TS_ZERO, fps=50)
    _, notices = supervised(camera.url, read_timeout_s=3)
    wait_for(
        lambda: any("no_clock" in (notice.state, notice.code) for notice in list(notices)),
        timeout_s=4.0,
        what="no_clock among what is told",
    )


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_lone_stamp_that_is_hours_off_begins_no_new_run(
    stub_camera: Cameras, cam_h264: Path, cam_hevc: Path, codec: str
) -> None:
    camera = stub_camera(cam_h264 if codec == "h264" else cam_hevc, Quirk.TS_OUTLIER, fps=FPS)
    outcome = read(camera.url, at_most=250, read_timeout_s=3)
    assert (outcome.code, outcome.decoded, outcome.corrupt_packets) == (None, 250, 0)
    assert outcome.frames[-1].pts_s == pytest.approx(2.5, abs=0.2)
    assert outcome.reader.counts.measured_fps == pytest.approx(FPS, rel=0.02)


# A6: authentication


def test_a_camera_that_wants_sha_256_is_let_in_or_named(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.SHA256, user="op", password=PASSWORD, fps=FPS)
    outcome = read(camera.url, at_most=20, username="op", password=PASSWORD, read_timeout_s=3)
    assert outcome.decoded == 20 or (outcome.code == "auth_failed" and "SHA-256" in str(outcome.error))


# A7, A8: parameter sets and codecs


@pytest.mark.parametrize(
    "quirks",
    [
        (Quirk.NO_VPS_INBAND,),
        (Quirk.NO_VPS_IN_SDP,),
        (Quirk.NO_VPS_INBAND, Quirk.NO_VPS_IN_SDP),
        (Quirk.NO_INBAND, Quirk.NO_VPS_IN_SDP),
    ],
    ids=lambda quirks: "+".join(quirks),
)
def test_hevc_without_a_video_parameter_set_is_read_or_says_what_is_missing(
    stub_camera: Cameras, cam_hevc: Path, quirks: tuple[Quirk, ...]
) -> None:
    camera = stub_camera(cam_hevc, *quirks, fps=FPS)
    outcome = read(camera.url, at_most=50, read_timeout_s=1.5)
    assert (outcome.code, outcome.decoded) == (None, 50) or "VPS" in str(outcome.error)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_description_of_the_other_codec_is_seen_through(
    stub_camera: Cameras, cam_h264: Path, cam_hevc: Path, codec: str
) -> None:
    camera = stub_camera(cam_h264 if codec == "h264" else cam_hevc, Quirk.SDP_LIES, fps=FPS)
    outcome = read(camera.url, at_most=50, read_timeout_s=1.5)
    if outcome.error is None:
        assert (outcome.decoded, outcome.reader.info.codec) == (50, codec)
    else:
        said = str(outcome.error).lower().replace(".", "")
        assert outcome.code == "codec_unsupported"
        assert "h264" in said
        assert "hevc" in said or "h265" in said


# A9, A10: the camera's clocks


@pytest.mark.parametrize(
    "quirk",
    [
        Quirk.NTP_1990S,
        Quirk.NTP_JUMPS,
        Quirk.NTP_ZERO,
    ],
)
def test_a_wall_clock_that_is_far_off_is_not_believed(stub_camera: Cameras, cam_h264: Path, quirk: Quirk) -> None:
    camera = stub_camera(cam_h264, quirk, fps=FPS)
    outcome = read(camera.url, at_most=130, read_timeout_s=3)
    assert outcome.error is None
    assert len(outcome.frames) > 8
    off = [frame for frame in outcome.frames if abs(camera_clock_error_s(frame)) > CLOCK_TOLERANCE_S]
    assert off == []
    if quirk is not Quirk.NTP_JUMPS:
        assert outcome.frames[-1].wall_source is WallSource.ARRIVAL


def test_a_wall_clock_that_is_right_is_believed(stub_camera: Cameras, cam_h264: Path) -> None:
    outcome = read(stub_camera(cam_h264, fps=FPS).url, at_most=130, read_timeout_s=3)
    assert outcome.frames[-1].wall_source is WallSource.RTCP
    assert camera_clock_error_s(outcome.frames[-1]) == pytest.approx(0.0, abs=1.0)


def test_how_far_a_cameras_clock_is_off_is_a_metric(stub_camera: Cameras, cam_h264: Path, tmp_path: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.NTP_1990S)
    with Engine(make_site(tmp_path, {"old": {"url": camera.url}})) as engine:
        wait_for_frames(engine, "old", 12)
        skew_s = engine.registry.get_sample_value("vad_stream_clock_skew_seconds", {"camera": "old"})
    assert skew_s is not None
    assert abs(skew_s) == pytest.approx(20 * 365 * 24 * 3600, abs=60)


class QuickClock(SystemClock):
    """Five seconds in each: a camera that is as much too quick is right by it. A busy machine keeps up with that."""

    RATE = 5.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() * self.RATE

    def wait(self, stop: threading.Event, *, timeout_s: float) -> bool:
        return super().wait(stop, timeout_s=timeout_s / self.RATE)


@pytest.mark.parametrize(
    ("fps", "stamp_fps"),
    [
        (21.0, 25.0),
        (25.0, 15.0),
        (25.0, 25.0),
        (25.0, 25.2),
    ],
)
def test_the_rate_is_that_of_arrival_where_the_stamps_run_at_another(
    stub_camera: Cameras, cam_h264: Path, fps: float, stamp_fps: float
) -> None:
    """After a minute, with 2 % allowed to either."""
    camera = stub_camera(cam_h264, Quirk.NO_RTCP, fps=fps * QuickClock.RATE, stamp_fps=stamp_fps)
    outcome = read(camera.url, at_most=round(100 * fps), clock=QuickClock(), read_timeout_s=60)
    assert outcome.error is None
    assert outcome.reader.counts.measured_fps == pytest.approx(fps, rel=0.05)
    late = [frame for frame in outcome.frames if frame.arrived_s > outcome.frames[-1].arrived_s - 15.0]
    media_s, real_s = late[-1].pts_s - late[0].pts_s, late[-1].arrived_s - late[0].arrived_s
    assert media_s == pytest.approx(real_s, rel=0.05)


# A11: few pictures


def test_pictures_that_come_more_and_more_seldom_are_no_silence(stub_camera: Cameras, cam_h264: Path) -> None:
    """Four times the last frames' distance is waited for where the time-out is less."""
    camera = stub_camera(cam_h264, Quirk.NIGHT_SLOW, fps=50, well_s=0.2, slow_s=0.5)
    rarer = threading.Timer(5.0, setattr, [camera.settings, "slow_s", 1.5])
    rarer.start()
    outcome = in_time(camera.url, within_s=20.0, at_most=23, read_timeout_s=1)
    rarer.cancel()
    assert outcome is not None, "still reading"
    assert (outcome.code, outcome.decoded) == (None, 23)


class Noting(Reader):
    """Notes at each frame how many the camera has sent."""

    def __init__(self, *arguments: Any, camera: StubCamera, sent: list[int], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._camera, self._sent = camera, sent

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            self._sent.append(self._camera.pictures_sent)
            yield item


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_picture_is_given_before_the_next_one_comes(
    stub_camera: Cameras, cam_h264: Path, cam_hevc: Path, codec: str
) -> None:
    clip = cam_h264 if codec == "h264" else cam_hevc
    camera = stub_camera(clip, Quirk.NIGHT_SLOW, fps=50, well_s=0.2, slow_s=0.4)
    sent: list[int] = []

    def noting(*arguments: Any, **settings: Any) -> Noting:
        return Noting(*arguments, camera=camera, sent=sent, **settings)

    outcome = read(camera.url, at_most=18, read_timeout_s=3, make=noting)
    assert (outcome.code, outcome.decoded) == (None, 18)
    held = [number - place for place, number in enumerate(sent, start=1)]
    assert max(held[-6:]) <= 0, held
