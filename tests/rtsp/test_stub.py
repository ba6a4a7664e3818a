"""The stub camera itself: what it counts, and that it does as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.sites import wait_for
from tests.rtsp.footage import Footage
from tests.rtsp.quirks import Quirk
from tests.rtsp.stub import StubCamera
from tests.video.reading import Outcome, read

Cameras = Callable[..., StubCamera]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_file_is_taken_apart_into_its_pictures(cam_h264: Path, cam_hevc: Path, codec: str) -> None:
    footage = Footage.read(cam_h264 if codec == "h264" else cam_hevc)
    kinds = [{footage.kind(unit) for unit in picture} for picture in footage.pictures]
    assert len(kinds) == 100
    assert [index for index, kind in enumerate(kinds) if {"sps", "pps"} <= kind] == [0, 50]
    assert all("other" in kind for kind in kinds)


def test_several_clients_are_served_at_a_time_and_counted(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, fps=100)
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(read(camera.url, at_most=100, read_timeout_s=3)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: camera.sessions_open == 3)
    for thread in threads:
        thread.join()
    assert [(outcome.code, outcome.decoded) for outcome in outcomes] == [(None, 100)] * 3
    wait_for(lambda: camera.sessions_open == 0)
    assert camera.sessions_ever == 3
    assert camera.asked("SETUP") == [f"{camera.url}/trackID=1"] * 3
    assert [method for method in ("OPTIONS", "DESCRIBE", "PLAY") if len(camera.asked(method)) != 3] == []


def test_a_quirk_may_come_and_go_while_the_camera_plays(stub_camera: Cameras, cam_h264: Path) -> None:
    camera = stub_camera(cam_h264, fps=100)
    dying = threading.Timer(0.5, camera.quirks.add, [Quirk.TS_ZERO])
    dying.start()
    assert read(camera.url, read_timeout_s=3).code == "pts_jump"
    camera.quirks.clear()
    assert read(camera.url, at_most=20).decoded == 20


def test_a_camera_that_is_stopped_hangs_up_and_keeps_no_thread(cam_h264: Path) -> None:
    with StubCamera(cam_h264) as camera:
        stopping = threading.Timer(0.5, camera.stop)
        stopping.start()
        outcome = read(camera.url, read_timeout_s=3)
        stopping.join()
    assert outcome.code in ("ended", "broken")
    assert not any(thread.name == "stub-camera" for thread in threading.enumerate())
