"""The whole engine on a real H.264 file: events on a real bus, a ledger that balances, faults that are said."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import zmq
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

import vad
from tests.pipeline.sites import make_site, wait_for
from vad.config import SiteConfig
from vad.errors import BindError, CalibrationError, EngineError, JournalError, WeightsError
from vad.events import AnomalyMessage, CameraMessage, Subscriber, read_journal
from vad.pipeline.engine import Engine
from vad.service.http import HttpServer
from vad.types import CameraState, EventType

SECONDS = 12.0
FPS = 12.5


def site(storage: Path, footage: Path, *, cameras: int = 1, **camera: Any) -> SiteConfig:
    settings = {"url": str(footage), "realtime": False, **camera}
    return make_site(storage, {f"cam{number}": settings for number in range(1, cameras + 1)})


def test_every_frame_of_a_file_is_accounted_for(tmp_path: Path, footage: Path) -> None:
    engine = Engine(site(tmp_path, footage, cameras=2))
    with engine:
        assert engine.wait(timeout_s=120.0)
    for camera in engine.status().cameras.values():
        assert camera.state is CameraState.ENDED
        assert camera.frames.is_balanced
        assert (camera.frames.received, camera.frames.in_flight, camera.frames.lost) == (SECONDS * FPS, 0, 0)
        assert camera.frames.scored == pytest.approx(SECONDS * 8.0, abs=2)


def test_ledger_balances_at_every_instant_while_running(tmp_path: Path, footage: Path) -> None:
    engine = Engine(site(tmp_path, footage, cameras=3, loop=True))
    with engine:
        for _ in range(200):
            assert all(camera.frames.is_balanced for camera in engine.status().cameras.values())
            time.sleep(0.005)
    assert engine.status().frames.in_flight == 0


def test_events_reach_a_subscriber_and_the_journal_alike(tmp_path: Path, footage: Path) -> None:
    engine = Engine(site(tmp_path, footage, realtime=True, analysis_fps=8))
    with engine, Subscriber(engine.bus_address, journal=engine.journal_path) as subscriber:
        while not engine.wait(timeout_s=0.0):
            subscriber.receive(0.1)
    stored = list(read_journal(engine.journal_path))
    assert [event.sequence for event in stored] == list(range(1, len(stored) + 1))
    topics = {event.topic for event in stored}
    assert topics == {"vad/1/event/cam1/", "vad/1/health/cam1/"}


def test_stop_closes_open_incidents_with_a_reason_that_reaches_the_subscriber(tmp_path: Path, footage: Path) -> None:
    config = site(tmp_path, footage, realtime=True)
    scoring = config.scoring.model_copy(update={"close_after_s": 300.0})
    engine = Engine(config.model_copy(update={"scoring": scoring}))
    messages: list[AnomalyMessage | CameraMessage] = []
    with engine, Subscriber(engine.bus_address, journal=engine.journal_path) as subscriber:
        while not any(m.type == EventType.OPENED for m in messages):
            message = subscriber.receive(20.0)
            assert message is not None, "no incident opened"
            messages.append(message)
        stopper = threading.Thread(target=engine.stop)
        stopper.start()
        while (message := subscriber.receive(3.0)) is not None:
            messages.append(message)
        stopper.join()
    opened = {m.data.incident for m in messages if m.type == EventType.OPENED}
    closed = {m.data.incident: m.data.close_reason for m in messages if m.type == EventType.CLOSED}
    assert opened == set(closed)
    assert "shutdown" in closed.values()


def test_events_can_be_read_in_process(tmp_path: Path, footage: Path) -> None:
    with vad.Engine(site(tmp_path, footage)) as engine:
        events = list(engine.events())
    assert any(isinstance(event, vad.CameraEvent) and event.state == "up" for event in events)


def test_a_camera_that_is_not_there_does_not_disturb_the_others(tmp_path: Path, footage: Path) -> None:
    config = site(tmp_path, footage, cameras=2)
    dead = config.cameras["cam2"].model_copy(update={"url": "rtsp://127.0.0.1:9/none"})
    engine = Engine(config.model_copy(update={"cameras": {"cam1": config.cameras["cam1"], "cam2": dead}}))
    with engine:
        wait_for(lambda: engine.status().cameras["cam1"].state is CameraState.ENDED)
        wait_for(lambda: engine.status().cameras["cam2"].code is not None)  # its reader is a process that begins
        status = engine.status().cameras
        assert all(engine.readiness().values())
        assert set(engine.readiness()) == {"model_loaded", "bus_bound", "journal_writable", "running"}
    assert status["cam1"].frames.lost == 0
    assert status["cam1"].frames.received == SECONDS * FPS
    assert status["cam2"].code == "refused"
    assert status["cam2"].reconnects["refused"] >= 1


def test_metrics_tell_the_same_as_the_ledger(tmp_path: Path, footage: Path) -> None:
    registry = CollectorRegistry()
    engine = Engine(site(tmp_path, footage), registry=registry)
    with HttpServer("127.0.0.1:0", registry=registry, readiness=engine.readiness) as server:
        assert httpx.get(f"{server.address}/readyz").status_code == 503
        with engine:
            assert httpx.get(f"{server.address}/readyz").status_code == 200
            engine.wait(timeout_s=60.0)
        page = httpx.get(f"{server.address}/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(page)}
    frames = engine.status().frames

    def value(name: str) -> float:
        return sum(s.value for s in families[name].samples if not s.name.endswith("_created"))

    assert value("vad_frames_received") == frames.received
    assert value("vad_frames_scored") == frames.scored
    assert value("vad_frames_dropped") == sum(frames.dropped.values())
    assert value("vad_frames_in_flight") == 0
    errors = [(s.labels["camera"], s.labels["code"], s.value) for s in families["vad_stream_errors"].samples]
    assert ("cam1", "ended", 1.0) in errors
    assert value("vad_event_last_sequence") == engine.status().last_sequence > 0
    for name in ("vad_stage_duration_seconds", "vad_end_to_end_latency_seconds", "vad_batch_size", "vad_events"):
        assert value(name) > 0
    for name in ("vad_stream_up", "vad_stream_state", "vad_anomaly_score", "vad_score_threshold"):
        assert families[name].documentation


def test_calibration_survives_a_restart(tmp_path: Path, footage: Path) -> None:
    with Engine(site(tmp_path, footage)) as first:
        first.wait(timeout_s=60.0)
    learnt = first.status().cameras["cam1"].stage
    assert learnt is not vad.Stage.COLD
    with Engine(site(tmp_path, footage, loop=True)) as second:
        wait_for(lambda: second.status().cameras["cam1"].frames.scored > 0)
        assert second.status().cameras["cam1"].stage is not vad.Stage.COLD


def test_a_taken_port_is_said_and_leaves_nothing_open(tmp_path: Path, footage: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        config = site(tmp_path, footage)
        taken = config.model_copy(update={"bus": config.bus.model_copy(update={"bind": f"tcp://127.0.0.1:{port}"})})
        with pytest.raises(BindError, match=str(port)):
            Engine(taken).start()
    with Engine(site(tmp_path, footage)) as engine:  # the journal's lock was released
        engine.wait(timeout_s=60.0)


def test_a_storage_folder_that_cannot_be_used_is_said(tmp_path: Path, footage: Path) -> None:
    (tmp_path / "calibration").write_text("in the way")
    with pytest.raises(CalibrationError, match="calibration"):
        Engine(site(tmp_path, footage)).start()
    with pytest.raises(JournalError, match="calibration"):
        Engine(site(tmp_path / "calibration", footage)).start()


def test_too_few_threads_are_said_and_what_runs_is_stopped(
    tmp_path: Path, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr("vad.pipeline.stream.CameraStream.start", refused)
        with pytest.raises(EngineError, match="1 cameras need a thread each"):
            Engine(site(tmp_path, footage)).start()
    with Engine(site(tmp_path, footage)) as engine:  # the journal's lock was released
        engine.wait(timeout_s=60.0)


def test_missing_weights_are_said(tmp_path: Path, footage: Path) -> None:
    config = site(tmp_path, footage)
    model = config.model.model_copy(update={"weights": str(tmp_path / "none.safetensors")})
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        Engine(config.model_copy(update={"model": model})).start()


def test_a_stage_that_dies_stops_the_engine_with_an_error(
    tmp_path: Path, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("planted")

    engine = Engine(site(tmp_path, footage, loop=True))
    monkeypatch.setattr("vad.pipeline.scoring.ScoringWorker._score", broken)
    engine.start()
    with pytest.raises(EngineError, match=r"scoring stage died: ZeroDivisionError: planted"):
        engine.wait(timeout_s=60.0)
    engine._stages.guarded("publish", broken)  # what dies of the first fault does not hide it
    with pytest.raises(EngineError, match="the scoring stage"):
        engine.stop()
    assert engine.bus_address.startswith("tcp://")  # the socket is closed by now
