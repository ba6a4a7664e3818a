"""Faults of cameras and of the network, each against a real RTSP server: the engine survives, says so, and recovers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.rtsp.control import RtspServer
from tests.video.clips import VideoFile
from vad.events import CameraMessage, decode, read_journal
from vad.pipeline.engine import Engine
from vad.types import CameraState

pytestmark = pytest.mark.rtsp

READ_TIMEOUT_S = 1.5
QUICK = {"read_timeout_s": READ_TIMEOUT_S, "backoff_min_s": 0.2, "backoff_max_s": 1.0}

StartServer = Callable[..., RtspServer]


@contextmanager
def watching(storage: Path, cameras: dict[str, str], **settings: Any) -> Iterator[Engine]:
    """An engine on these URLs; whatever happened, its ledger balances to zero in flight at the end."""
    engine = Engine(make_site(storage, {name: {"url": url, **QUICK, **settings} for name, url in cameras.items()}))
    with engine:
        yield engine
        check_ledger(engine)
    check_ledger(engine, stopped=True)


def camera_events(engine: Engine, camera: str) -> list[tuple[str, str | None]]:
    """(state, code) of the camera's events in the journal, in order."""
    messages = [decode(stored.body) for stored in read_journal(engine.journal_path)]
    return [(m.data.state, m.data.code) for m in messages if isinstance(m, CameraMessage) and m.camera == camera]


def test_server_killed_and_back(tmp_path: Path, rtsp_server: StartServer, clip_h264: Path) -> None:
    server = rtsp_server({"cam": clip_h264})
    with watching(tmp_path, {"cam": server.url("cam")}) as engine:
        first = wait_for_frames(engine, "cam", 5)
        server.kill()
        wait_for(lambda: engine.status().cameras["cam"].state is CameraState.BACKOFF)
        server.start()
        back = wait_for_frames(engine, "cam", 5)
        assert back.run > first.run
        assert sum(back.reconnects.values()) >= 1
    states = [state for state, _ in camera_events(engine, "cam")]
    assert states[0] == "up"
    assert "backoff" in states
    assert states[-2:] == ["up", "stopped"]


def test_server_frozen_and_resumed(tmp_path: Path, rtsp_server: StartServer, clip_h264: Path) -> None:
    server = rtsp_server({"cam": clip_h264})
    with watching(tmp_path, {"cam": server.url("cam")}) as engine:
        wait_for_frames(engine, "cam", 5)
        server.freeze()
        wait_for(lambda: engine.status().cameras["cam"].code == "timeout", timeout_s=READ_TIMEOUT_S + 20)
        server.resume()
        wait_for_frames(engine, "cam", 5)
    assert ("stalled", "timeout") in camera_events(engine, "cam")


def test_wrong_password_then_right(tmp_path: Path, rtsp_server: StartServer, clip_h264: Path) -> None:
    server = rtsp_server({"cam": clip_h264}, user="viewer", password="right-one")
    secret = tmp_path / "password"
    secret.write_text("wrong-one")
    site = make_site(
        tmp_path, {"cam": {"url": server.url("cam"), "username": "viewer", "password_file": str(secret), **QUICK}}
    )
    with Engine(site) as engine:
        wait_for(lambda: engine.status().cameras["cam"].code == "auth_failed")
        secret.write_text("right-one")
        wait_for_frames(engine, "cam", 5)
    events = camera_events(engine, "cam")
    assert events[0] == ("backoff", "auth_failed")
    assert ("up", None) in events
    journal = b"".join(stored.body for stored in read_journal(engine.journal_path))
    assert b"wrong-one" not in journal
    assert b"right-one" not in journal


def test_server_that_accepts_and_says_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam"
        with watching(tmp_path, {"cam": url}) as engine:
            wait_for(lambda: engine.status().cameras["cam"].code == "timeout", timeout_s=READ_TIMEOUT_S + 20)
            started_s = time.monotonic()
        assert time.monotonic() - started_s < READ_TIMEOUT_S + 2.0 + 5.0  # the machine may be busy


def test_stream_that_ends(tmp_path: Path, rtsp_server: StartServer, clip_h264: Path) -> None:
    server = rtsp_server({}, once={"cam": clip_h264})
    with watching(tmp_path, {"cam": server.url("cam")}) as engine:
        wait_for(lambda: engine.status().cameras["cam"].reconnects.get("ended", 0) >= 1)
        wait_for_frames(engine, "cam", 3)  # and it is asked again
    assert ("backoff", "ended") in camera_events(engine, "cam")


def test_corrupt_packets_are_counted_and_skipped(tmp_path: Path, video_file: VideoFile) -> None:
    path = video_file("broken.ts", frames=150)
    data = bytearray(path.read_bytes())
    for start in range(len(data) // 3, len(data) // 2, 4_001):
        data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    with watching(tmp_path, {"cam": str(path)}, realtime=False) as engine:
        wait_for(lambda: engine.status().cameras["cam"].state is CameraState.ENDED)
    status = engine.status().cameras["cam"]
    assert status.corrupt_packets > 0
    assert status.frames.received > 50


def test_resolution_change_in_mid_stream_starts_a_new_run(
    tmp_path: Path, rtsp_server: StartServer, video_file: VideoFile
) -> None:
    small, large = video_file("s.mp4", width=320, height=240, frames=75), video_file("l.mp4", frames=75)
    server = rtsp_server({"cam": [small, large]})
    with watching(tmp_path, {"cam": server.url("cam")}) as engine:
        wait_for(lambda: engine.status().cameras["cam"].reconnects.get("format_changed", 0) >= 2)
        status = wait_for_frames(engine, "cam", 5)
        assert status.run >= 2
        assert status.frames.lost == 0
    assert "backoff" not in [state for state, _ in camera_events(engine, "cam")]


def test_a_camera_that_is_never_there_costs_the_good_ones_nothing(
    tmp_path: Path, rtsp_server: StartServer, clip_h264: Path, clip_hevc: Path
) -> None:
    server = rtsp_server({"a": clip_h264, "b": clip_hevc})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cameras = {
            "a": server.url("a"),
            "b": server.url("b"),
            "c": server.url("a"),
            "dead": f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x",
        }
        with watching(tmp_path, cameras) as engine:
            for name in ("a", "b", "c"):
                wait_for_frames(engine, name, 40)
            status = engine.status().cameras
    assert status["dead"].frames.received == 0
    for name in ("a", "b", "c"):
        assert status[name].frames.lost == 0
        assert sum(status[name].reconnects.values()) == 0


def test_a_subscriber_that_never_reads_slows_nothing(tmp_path: Path, rtsp_server: StartServer, clip_h264: Path) -> None:
    server = rtsp_server({"cam": clip_h264})
    site = make_site(tmp_path, {"cam": {"url": server.url("cam"), **QUICK}})
    site = site.model_copy(update={"bus": site.bus.model_copy(update={"high_water_mark": 10})})
    with Engine(site) as engine, zmq.Context() as context, context.socket(zmq.SUB) as deaf:
        deaf.rcvhwm = 1
        deaf.subscribe("")
        deaf.connect(engine.bus_address)
        status = wait_for_frames(engine, "cam", 60)
        assert status.frames.lost == 0
        deaf.close(linger=0)


def test_credentials_in_the_url_appear_nowhere(
    tmp_path: Path, rtsp_server: StartServer, clip_h264: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = rtsp_server({"cam": clip_h264}, user="viewer", password="the-truth")
    cameras = {
        "good": server.url("cam", user="viewer", password="the-truth"),
        "bad": server.url("cam", user="viewer", password="a-secret"),
        "gone": server.url("nothing", user="viewer", password="the-truth"),
    }
    with watching(tmp_path, cameras) as engine:
        wait_for_frames(engine, "good", 5)
        wait_for(lambda: engine.status().cameras["bad"].code == "auth_failed")
        wait_for(lambda: engine.status().cameras["gone"].code == "not_found")
        details = " ".join(camera.detail for camera in engine.status().cameras.values())
    written = capfd.readouterr()
    journal = b"".join(stored.body for stored in read_journal(engine.journal_path)).decode()
    for text in (written.out, written.err, journal, details):
        assert "the-truth" not in text
        assert "a-secret" not in text


def test_a_camera_that_goes_down_takes_its_open_incident_with_it(
    tmp_path: Path, rtsp_server: StartServer, footage: Path
) -> None:
    server = rtsp_server({"cam": footage})
    cameras = {"cam": {"url": server.url("cam"), **QUICK}}
    with Engine(make_site(tmp_path, cameras, close_after_s=300.0)) as engine:
        wait_for(lambda: engine.status().cameras["cam"].incidents_opened >= 1, what="an incident")
        server.kill()
        wait_for(lambda: engine.status().cameras["cam"].state is CameraState.BACKOFF)
        wait_for(lambda: bool(camera_events(engine, "cam")) and camera_events(engine, "cam")[-1][0] == "backoff")
        types = [decode(stored.body).type for stored in read_journal(engine.journal_path)]
    assert types.index("io.vad.anomaly.closed") < types.index("io.vad.camera.backoff")
    assert types.count("io.vad.anomaly.opened") == types.count("io.vad.anomaly.closed")
