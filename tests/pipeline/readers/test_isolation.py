"""Cameras that kill or hang whatever reads them, beside good ones, in the whole engine."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.pipeline.sites import check_ledger, make_site, wait_for, wait_for_frames
from tests.rtsp.quirks import Quirk
from tests.rtsp.stub import StubCamera
from vad.config import CameraConfig
from vad.pipeline.engine import Engine
from vad.pipeline.readers import processes as processes_module
from vad.pipeline.stream import MOST_HUNG_READERS
from vad.types import CameraEvent, CameraState

DEADLY = """
import os, signal, sys
from vad.pipeline.readers import worker
read = worker.Session._live
def live(session, opening, spec):
    if spec.camera.startswith("killer"):
        os.kill(os.getpid(), signal.SIGKILL)
    read(session, opening, spec)
worker.Session._live = live
worker.main()
"""
QUICK = {"read_timeout_s": 1.0, "backoff_min_s": 0.2, "backoff_max_s": 1.0}


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras named ``killer...`` kill the process that reads them."""
    monkeypatch.setattr(processes_module, "COMMAND", (sys.executable, "-c", DEADLY))


def lines_of(registry: CollectorRegistry, name: str) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if line.startswith(name)]


@pytest.mark.usefixtures("deadly")
def test_a_camera_that_kills_its_process_is_soon_alone_and_says_so(
    tmp_path: Path, stub_camera: Callable[..., StubCamera], cam_h264: Path
) -> None:
    url = stub_camera(cam_h264).url
    good = [f"good{number}" for number in range(4)]
    registry = CollectorRegistry()
    site = make_site(tmp_path, {name: {"url": url, **QUICK} for name in [*good, "killer"]})
    with Engine(site, registry=registry) as engine:
        wait_for(lambda: engine.status().cameras["killer"].reader_deaths >= 3, what="three deaths of it alone")
        for name in good:
            wait_for_frames(engine, name, 10)
        cameras = engine.status().cameras
        assert all(cameras[name].state is CameraState.UP for name in good)
        assert all(cameras[name].reader_deaths == 0 for name in good)
        assert engine.status().readers.isolated == ("killer",)
        before = {name: cameras[name].run for name in good}
        deaths = cameras["killer"].reader_deaths
        wait_for(lambda: engine.status().cameras["killer"].reader_deaths > deaths, what="one death more")
        assert {name: engine.status().cameras[name].run for name in good} == before
        assert lines_of(registry, "vad_reader_isolated_cameras") == ["vad_reader_isolated_cameras 1.0"]
        (count,) = lines_of(registry, "vad_camera_reader_deaths_total")
        assert count.startswith('vad_camera_reader_deaths_total{camera="killer"}')
        check_ledger(engine)
        told = [
            event for event in itertools.islice(engine.events(timeout_s=1.0), 200) if isinstance(event, CameraEvent)
        ]
        texts = [event.detail for event in told if event.code == "reader_died"]
        assert len(texts) == 1
        assert "killer: its reader process has died once; it is read in a process of its own" in texts[0]
        assert {event.camera for event in told if event.code == "reader_died"} == {"killer"}
    check_ledger(engine, stopped=True)


@pytest.mark.usefixtures("deadly")
def test_a_removed_killer_leaves_no_process_behind(
    tmp_path: Path, stub_camera: Callable[..., StubCamera], cam_h264: Path
) -> None:
    url = stub_camera(cam_h264).url
    with Engine(make_site(tmp_path, {"good": {"url": url, **QUICK}})) as engine:
        engine.add_camera("killer", CameraConfig.model_validate({"url": url, **QUICK}))
        wait_for(lambda: engine.status().cameras["killer"].reader_deaths >= 2, what="two deaths of it alone")
        engine.remove_camera("killer")
        wait_for_frames(engine, "good", 10)
        wait_for(lambda: engine.status().readers.processes == 1, what="its process to end")
        assert engine.status().readers.isolated == ()


def test_a_camera_whose_video_stops_connects_again_for_ever(
    tmp_path: Path, stub_camera: Callable[..., StubCamera], cam_h264: Path
) -> None:
    """FFmpeg's read does not return while reports go on. The other camera of the process never notices."""
    good = stub_camera(cam_h264).url
    camera = stub_camera(cam_h264, Quirk.VIDEO_DIES, well_s=0.5)
    site = make_site(tmp_path, {"good": {"url": good, **QUICK}, "dying": {"url": camera.url, **QUICK}})
    with Engine(site) as engine:
        wait_for(lambda: camera.sessions_ever > MOST_HUNG_READERS + 2, timeout_s=120.0, what="many sessions")
        wait_for(lambda: camera.sessions_open <= 1, what="the old sessions to end")
        wait_for_frames(engine, "dying", 1)
        wait_for_frames(engine, "good", 5)
        assert engine.status().cameras["good"].run == 0
        assert engine.status().readers.processes == 1
        engine.remove_camera("dying")
        wait_for(lambda: camera.sessions_open == 0, what="its last session to end")
        assert engine.status().cameras["good"].run == 0
        check_ledger(engine)
    check_ledger(engine, stopped=True)


@pytest.mark.parametrize("command", ["remove", "pause"])
def test_a_command_ends_the_traffic_of_a_camera_whose_video_has_stopped(
    command: str, tmp_path: Path, stub_camera: Callable[..., StubCamera], cam_h264: Path
) -> None:
    camera = stub_camera(cam_h264, Quirk.VIDEO_DIES, well_s=0.5)
    slow: dict[str, Any] = {**QUICK, "read_timeout_s": 120.0}
    with Engine(make_site(tmp_path, {"dying": {"url": camera.url, **slow}})) as engine:
        wait_for_frames(engine, "dying", 1)
        wait_for(lambda: camera.pictures_sent >= 10, what="the last picture")
        (engine.remove_camera if command == "remove" else engine.pause_camera)("dying")
        wait_for(lambda: camera.sessions_open == 0, what="the session to end")
        engine.add_camera("other", CameraConfig.model_validate({"url": camera.url, **slow}))
        wait_for_frames(engine, "other", 1)
