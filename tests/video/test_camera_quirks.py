"""Cameras that speak RTSP and RTP in their own way, and are read all the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.pipeline.sites import wait_for
from tests.rtsp.quirks import Quirk
from tests.rtsp.stub import Request, Settings, StubCamera
from tests.video.clips import VideoFile, write_annexb
from tests.video.in_time import in_time
from tests.video.reading import Outcome, read
from vad.config import CameraConfig
from vad.types import WallSource

AT_ONCE = 6
"""Cameras that are read at a time."""
FPS = 100.0
FRAMES = 130
PASSWORD = "a@b#c%d!e^f:g/h?i"

_LOGIN = {"user": "op", "password": PASSWORD}
_KEPT_ALIVE = {"timeout_s": 2, "is_timeout_enforced": True, "fps": 50.0}  # clients are expected to ask each second


@dataclass(frozen=True)
class Case:
    """One camera and how it is read: ``camera`` is of ``Settings``, ``reader`` of what ``read`` takes."""

    quirks: tuple[Quirk, ...] = ()
    codecs: tuple[str, ...] = ("h264", "hevc")
    camera: dict[str, Any] = field(default_factory=dict)
    reader: dict[str, Any] = field(default_factory=dict)
    fps: float | None = None  # to be measured; None: as sent
    lost: int = 0  # pictures that may be missing
    wall_source: WallSource = WallSource.RTCP

    @property
    def name(self) -> str:
        settings = [f"{name}={value}" for name, value in self.camera.items() if name != "password"]
        return "+".join([*self.quirks, *settings]) or "no_quirk"


@dataclass(frozen=True)
class Reading:
    """What came of a case."""

    outcome: Outcome
    requests: list[Request]
    pictures_sent: int
    sent_fps: float

    def asked(self, method: str) -> list[str]:
        return [request.url for request in self.requests if request.method == method]


_BASES = (Quirk.BASE_DOUBLE, Quirk.BASE_SCHEMELESS, Quirk.BASE_V4MAPPED, Quirk.BASE_OTHER_HOST, Quirk.BASE_MISSING)

WHOLE = [
    Case(),
    *(Case((base,)) for base in _BASES),
    *(Case((base, Quirk.TRACKS_STRICT), codecs=("h264",)) for base in _BASES),
    *(
        Case((quirk,))
        for quirk in (
            Quirk.NO_FMTP,
            Quirk.EMPTY_FMTP,
            Quirk.NO_SPROP,
            Quirk.SPROP_NO_PPS,
            Quirk.SPROP_ANNEXB,
            Quirk.NO_INBAND,
            Quirk.NO_MARKER,
            Quirk.MARKER_ON_SEI,
            Quirk.ANNEXB_IN_RTP,
            Quirk.FU_TYPE_LOST,
            Quirk.EMPTY_FRAGMENT,
            Quirk.BIG_PACKETS,
        )
    ),
    *(
        Case((quirk,), codecs=("h264",))
        for quirk in (
            Quirk.TRACKS_STRICT,
            Quirk.ABS_CONTROL,
            Quirk.ABS_CONTROL_OTHER_HOST,
            Quirk.TWO_S,
            Quirk.BAD_C,
            Quirk.ODD_MEDIA,
            Quirk.NO_LAST_NEWLINE,
            Quirk.NO_CONTENT_TYPE,
            Quirk.NO_SESSION_CONTROL,
            Quirk.AUDIO_FIRST,
            Quirk.MANY_TRACKS,
            Quirk.SECOND_VIDEO,
            Quirk.OTHER_CHANNEL,
            Quirk.SSRC_SPACE,
            Quirk.RTPINFO_SEMICOLON,
            Quirk.NEW_SESSION_ID,
            Quirk.BAD_RTPTIME,
            Quirk.REDIRECT,
            Quirk.UA_NEEDED,
            Quirk.NO_GET_PARAMETER,
            Quirk.TS_WRAP,
            Quirk.RTCP_OTHER_SSRC,
        )
    ),
    Case((Quirk.NO_RTCP,), codecs=("h264",), wall_source=WallSource.ARRIVAL),
    Case((Quirk.NO_INTERLEAVED_ANSWER,), codecs=("h264",)),  # the channels are those that were asked for
    *(
        Case(quirks, codecs=("h264",), camera=_LOGIN, reader={"username": "op", "password": PASSWORD})
        for quirks in (
            (),
            (Quirk.BASIC,),
            (Quirk.BASIC_AND_DIGEST,),
            (Quirk.ODD_REALM,),
            (Quirk.REDIRECT,),
            (Quirk.REDIRECT, Quirk.BASIC),
        )
    ),
    *(
        Case(quirks, codecs=("h264",), camera=_KEPT_ALIVE, reader={"at_most": 250})
        for quirks in ((), (Quirk.NO_GET_PARAMETER,), (Quirk.KEEPALIVE_OPTIONS_DO_NOT_COUNT,))
    ),
    Case(
        (Quirk.REAUTH_KEEPALIVE,),
        codecs=("h264",),
        camera={**_LOGIN, **_KEPT_ALIVE},
        reader={"username": "op", "password": PASSWORD, "at_most": 400},
    ),
    Case((Quirk.STALL_BURST,), codecs=("h264",), camera={"fps": 25.0}, reader={"at_most": 120, "read_timeout_s": 6}),
    Case(codecs=("h264",), camera={"ipv6": True}),
    Case((Quirk.TS_SAME,), codecs=("h264",), fps=10.0),  # a step each 0.1 s
    Case((Quirk.TS_FAST,), codecs=("h264",), fps=FPS / 1.5),
    # another source without a word: what is left of the group of pictures may be lost
    Case((Quirk.SSRC_CHANGE,), lost=26),
]
"""Nothing is lost but where ``lost`` says so."""

DAMAGED = [
    Case((Quirk.GARBAGE,), codecs=("h264",), lost=150),
    Case(codecs=("h264", "hevc"), camera={"loss": 0.03}, reader={"read_timeout_s": 6}, lost=300),
]
NEW_TIMELINE = [Case((Quirk.TS_RESET,)), Case((Quirk.TS_BACK,))]


def parameters(cases: list[Case]) -> pytest.MarkDecorator:
    each = [pytest.param(case, codec, id=f"{case.name}-{codec}") for case in cases for codec in case.codecs]
    return pytest.mark.parametrize(("case", "codec"), each)


@pytest.fixture(scope="module")
def readings(
    request: pytest.FixtureRequest, cam_h264: Path, cam_hevc: Path
) -> Iterator[Callable[[Case, str], Reading]]:
    """The cases of all tests that are about to run, some at a time: ``readings(case, codec)`` waits for one."""
    clips = {"h264": cam_h264, "hevc": cam_hevc}

    def run(case: Case, codec: str) -> Reading:
        settings = Settings(**{"fps": FPS, **case.camera})
        with StubCamera(clips[codec], *case.quirks, settings=settings) as camera:
            outcome = read(camera.url, **{"at_most": FRAMES, "read_timeout_s": 3, **case.reader})
            return Reading(outcome, camera.requests, camera.pictures_sent, settings.fps)

    read(cam_h264, at_most=1)  # what is compiled and loaded once takes no camera's time
    started: dict[tuple[str, str], Future[Reading]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def start(case: Case, codec: str) -> Future[Reading]:
            key = (case.name, codec)
            if key not in started:
                started[key] = pool.submit(run, case, codec)
            return started[key]

        for item in request.session.items:
            call = getattr(item, "callspec", None)
            if item.path == request.path and call is not None and "case" in call.params:
                start(call.params["case"], call.params["codec"])
        yield lambda case, codec: start(case, codec).result()


Readings = Callable[[Case, str], Reading]


@parameters(WHOLE)
def test_the_camera_is_read_at_its_rate_without_damage(readings: Readings, case: Case, codec: str) -> None:
    reading = readings(case, codec)
    outcome, expected = reading.outcome, case.reader.get("at_most", FRAMES)
    assert outcome.error is None
    assert (outcome.decoded, outcome.corrupt_packets) == (expected, 0)
    assert outcome.reader.info.codec == codec
    at_least = expected / (expected + case.lost)
    fps = outcome.reader.counts.measured_fps
    assert 0.98 * at_least * (case.fps or reading.sent_fps) < fps < 1.02 * (case.fps or reading.sent_fps)
    stamps = [frame.pts_s for frame in outcome.frames]
    assert stamps == sorted(set(stamps))


@parameters(WHOLE)
def test_wall_time_is_the_cameras_where_its_reports_are_found(readings: Readings, case: Case, codec: str) -> None:
    last = readings(case, codec).outcome.frames[-1]
    assert last.wall_source is case.wall_source


@parameters([case for case in WHOLE if Quirk.SECOND_VIDEO not in case.quirks])
def test_only_video_is_set_up_and_by_no_url_with_an_empty_part(readings: Readings, case: Case, codec: str) -> None:
    urls = readings(case, codec).asked("SETUP")
    assert urls
    for url in urls:
        assert url.endswith("/cam/trackID=1")
        assert "//" not in re.sub(r"^(rtsp://)*", "", url)


@parameters(DAMAGED)
def test_a_stream_with_damage_is_read_on(readings: Readings, case: Case, codec: str) -> None:
    reading = readings(case, codec)
    assert reading.outcome.error is None
    assert reading.outcome.decoded == FRAMES
    assert reading.pictures_sent < FRAMES + case.lost


@parameters([case for case in DAMAGED if Quirk.GARBAGE in case.quirks])
def test_bytes_that_are_no_packet_are_counted(readings: Readings, case: Case, codec: str) -> None:
    reading = readings(case, codec)
    assert reading.outcome.corrupt_packets > 0


def test_hevc_survives_bytes_that_are_no_packet(stub_camera: Callable[..., StubCamera], cam_hevc: Path) -> None:
    outcome = read(stub_camera(cam_hevc, Quirk.GARBAGE, fps=FPS).url, at_most=FRAMES, read_timeout_s=2)
    assert (outcome.code, outcome.decoded) == (None, FRAMES)


@parameters(NEW_TIMELINE)
def test_a_timeline_that_begins_anew_is_a_new_run_of_the_same_session(
    stub_camera: Callable[..., StubCamera], cam_h264: Path, cam_hevc: Path, case: Case, codec: str
) -> None:
    camera = stub_camera({"h264": cam_h264, "hevc": cam_hevc}[codec], *case.quirks, fps=FPS)
    first = read(camera.url, read_timeout_s=3)
    assert first.code == "pts_jump"
    assert 100 <= first.decoded <= 102  # a third stamp in a row tells a new timeline from one that is wrong
    second = read(camera.url, run=1, at_most=90, continues=first.reader, read_timeout_s=3)
    assert (second.code, second.decoded, second.corrupt_packets) == (None, 90, 0)
    assert second.frames[0].pts_s == 0.0
    assert camera.sessions_ever == 1


def test_a_wrap_of_33_bits_in_a_transport_stream_is_seamless(video_file: VideoFile) -> None:
    begin = 95_441 * 25  # 2**33 ticks of 90 kHz are 95443.7 s
    outcome = read(video_file("wrap.ts", pts=lambda index: begin + index, frames=150), analysis_fps=60)
    assert (outcome.code, outcome.decoded, outcome.corrupt_packets) == ("ended", 150, 0)
    assert all(b.pts_s - a.pts_s == pytest.approx(0.04, abs=0.001) for a, b in pairwise(outcome.frames))


def test_a_session_that_only_options_kept_alive_is_found_ended_and_begun_again(
    stub_camera: Callable[..., StubCamera], cam_h264: Path
) -> None:
    """RFC 2326 10.1: a server need not count them. FFmpeg sends nothing else where GET_PARAMETER is not offered."""
    quirks = (Quirk.KEEPALIVE_OPTIONS_DO_NOT_COUNT, Quirk.NO_GET_PARAMETER)
    camera = stub_camera(cam_h264, *quirks, **_KEPT_ALIVE)
    outcome = in_time(camera.url, within_s=10, read_timeout_s=3)
    assert outcome is not None
    assert outcome.code == "ended"
    assert 80 <= outcome.decoded <= 105
    assert read(camera.url, at_most=20).decoded == 20
    assert camera.sessions_ever == 2


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_camera_joined_amid_a_long_group_of_pictures_is_read_from_the_next_key_frame(
    stub_camera: Callable[..., StubCamera], tmp_path: Path, codec: str
) -> None:
    clip = write_annexb(tmp_path / f"long.{codec}", key_every=100)
    camera = stub_camera(clip, begin_at=40, fps=50)
    outcome = read(camera.url, at_most=60, read_timeout_s=3)
    assert (outcome.code, outcome.decoded) == (None, 60)
    assert outcome.reader.counts.measured_fps == pytest.approx(50, rel=0.02)


@pytest.mark.xfail(strict=True, reason="the read time-out runs although pictures come that only lack their key frame")
def test_waiting_for_a_key_frame_is_no_silence(stub_camera: Callable[..., StubCamera], tmp_path: Path) -> None:
    clip = write_annexb(tmp_path / "long.h264", key_every=100)
    camera = stub_camera(clip, begin_at=40, fps=50)  # 1.2 s without a key frame
    outcome = read(camera.url, at_most=60, read_timeout_s=0.6)
    assert (outcome.code, outcome.decoded) == (None, 60)


def test_a_camera_that_says_goodbye_and_falls_silent_ends_the_run(
    stub_camera: Callable[..., StubCamera], cam_h264: Path
) -> None:
    camera = stub_camera(cam_h264, Quirk.RTCP_BYE, fps=FPS, well_s=0.5)
    outcome = in_time(camera.url, within_s=10, read_timeout_s=1)
    assert outcome is not None
    assert outcome.code in ("ended", "timeout")
    assert outcome.decoded >= 45
    wait_for(lambda: camera.sessions_open == 0)


def test_goodbye_is_the_end_of_the_stream(stub_camera: Callable[..., StubCamera], cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, Quirk.RTCP_BYE, fps=FPS, well_s=0.5)
    outcome = in_time(camera.url, within_s=10, read_timeout_s=4)
    assert outcome is not None
    assert outcome.code == "ended"
    assert outcome.duration_s < 3.5


@pytest.mark.parametrize("quirks", [(), (Quirk.BASIC,)], ids=["digest", "basic"])
def test_credentials_do_not_follow_a_redirection_to_another_host(
    stub_camera: Callable[..., StubCamera], cam_h264: Path, quirks: tuple[Quirk, ...]
) -> None:
    other = stub_camera(cam_h264, *quirks, ipv6=True, **_LOGIN)
    camera = stub_camera(cam_h264, Quirk.REDIRECT, *quirks, redirect_to=other.url, **_LOGIN)
    read(camera.url, at_most=5, username="op", password=PASSWORD, read_timeout_s=3)
    assert any("authorization" in request.headers for request in camera.requests)
    assert not any("authorization" in request.headers for request in other.requests)


@pytest.mark.parametrize("character", "@%!^:")
def test_a_password_may_stand_in_the_url_as_it_is(
    stub_camera: Callable[..., StubCamera], cam_h264: Path, character: str
) -> None:
    camera = stub_camera(cam_h264, user="op", password=f"p{character}w", fps=FPS)
    assert read(f"rtsp://op:p{character}w@{camera.host}/cam", at_most=5, read_timeout_s=3).decoded == 5


@pytest.mark.parametrize(
    ("character", "encoded"),
    [
        ("/", "%2F"),
        ("#", "%23"),
        ("?", "%3F"),
    ],
)
def test_a_password_that_cannot_stand_in_the_url_is_refused_with_what_to_encode(character: str, encoded: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        CameraConfig(url=f"rtsp://op:se{character}cret@192.0.2.1:554/cam")
    said = "\n".join(str(error["msg"]) for error in refusal.value.errors(include_input=False))
    assert "cret" not in said
    assert encoded in said
